package node

import (
	"cmp"
	"slices"

	"cairn/chain"
	"cairn/mempool"
)

// TryInOrder tells for each transaction why Tx would refuse it, were it our own
// and those before it in the pool as far as they are not refused; nil if it would
// not. Nothing changes. An error that is no reason to refuse is our own.
func (n *Node) TryInOrder(now chain.Time, txs []chain.CheckedTx) []error {
	scratch := n.scratch(txs)
	scratch.AskLike(n.pool, now)
	errs := make([]error, len(txs))
	for i, tx := range txs {
		errs[i] = n.tryOn(scratch, now, tx)
	}
	return errs
}

func (n *Node) tryOn(scratch *mempool.Pool, now chain.Time, tx chain.CheckedTx) error {
	if scratch.Has(tx.ID()) || n.confirmed(tx.ID()) {
		return ErrKnown
	}
	if _, err := n.admitTo(scratch, tx); err != nil {
		return err
	}
	_, err := scratch.Add(now, tx, false)
	return err
}

// scratch is a copy of the pool, as far as transactions can have to do with it:
// their families and those of their rivals; and all of it when the pool is nearly
// full, for then the others decide what has room.
func (n *Node) scratch(txs []chain.CheckedTx) *mempool.Pool {
	scratch := mempool.New(n.pool.Config())
	bytes := n.pool.Bytes()
	for _, tx := range txs {
		bytes += tx.Size()
	}
	waiting := n.families(txs)
	if bytes > n.pool.Config().MaxBytes {
		waiting = n.pool.All()
	}
	for _, w := range waiting {
		_, _ = scratch.Add(w.Time, w.Tx, w.Own) // as it once was
	}
	return scratch
}

// families lists what waits and is related to transactions or to what spends the
// same coins, parents before children.
func (n *Node) families(txs []chain.CheckedTx) (found []mempool.Entry) {
	var queue []chain.Hash
	for _, tx := range txs {
		queue = append(queue, tx.ID())
		for _, in := range tx.Tx().Inputs {
			queue = append(queue, in.Prev.Tx)
			if rival, ok := n.pool.Spender(in.Prev); ok {
				queue = append(queue, rival)
			}
		}
	}
	seen := map[chain.Hash]bool{}
	for ; len(queue) > 0; queue = queue[1:] {
		w, ok := n.pool.Get(queue[0])
		if !ok || seen[queue[0]] {
			continue
		}
		seen[queue[0]] = true
		found = append(found, w)
		queue = append(append(queue, w.Parents...), w.Children...)
	}
	slices.SortFunc(found, func(a, b mempool.Entry) int {
		return cmp.Or(cmp.Compare(a.Ancestors.Count, b.Ancestors.Count), a.Tx.ID().Compare(b.Tx.ID()))
	})
	return found
}
