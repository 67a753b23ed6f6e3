package node

import (
	"slices"

	"cairn/chain"
	"cairn/mempool"
)

// looseTx waits for a transaction that makes a coin it spends.
type looseTx struct {
	from Peer
	tx   chain.CheckedTx
}

// Tx takes a loose transaction; one of our own is published again until it is
// confirmed.
func (n *Node) Tx(now chain.Time, from Peer, tx chain.CheckedTx) (Outcome, error) {
	var out Outcome
	if from != Self && n.Joining() {
		err := out.refuse(ErrJoins)
		return out, err
	}
	err := n.enter(now, from, tx, &out)
	if err == nil {
		err = n.freeTxs(now, map[chain.Hash]bool{tx.ID(): true}, &out)
		return out, err
	}
	if chain.KindOf(err) == chain.MissingCoin {
		n.keepTx(from, tx)
	}
	err = out.refuse(err)
	return out, err
}

func (n *Node) enter(now chain.Time, from Peer, tx chain.CheckedTx, out *Outcome) error {
	if n.pool.Has(tx.ID()) && from != Self || n.confirmed(tx.ID()) {
		return ErrKnown
	}
	found, err := n.admit(tx)
	if err != nil {
		return err
	}
	if _, err := n.pool.Add(now, tx, from == Self); err != nil {
		return err
	}
	n.pool.Learn(tx, found)
	n.sights.note(tx.ID(), now, from)
	out.Fees = true
	return nil
}

func (n *Node) confirmed(id chain.Hash) bool {
	f, ok := n.pool.Fate(id)
	return ok && f.Reason == mempool.Confirmed
}

// admit asks the rules whether the next block could hold tx, and returns the coins
// that it spends.
func (n *Node) admit(tx chain.CheckedTx) (chain.Coins, error) { return n.admitTo(n.pool, tx) }

// admitTo is admit with another pool than ours.
func (n *Node) admitTo(pool *mempool.Pool, tx chain.CheckedTx) (chain.Coins, error) {
	found := chain.Coins{}
	var below []chain.OutPoint
	for i := range tx.Tx().Inputs {
		prev := tx.Tx().Inputs[i].Prev
		if c, ok := pool.Coin(prev); ok {
			found[prev] = c
		} else {
			below = append(below, prev)
		}
	}
	if len(below) > 0 {
		stored, err := n.cfg.Store.Coins(below)
		if err != nil {
			return nil, err
		}
		for o, c := range stored {
			found[o] = c
		}
	}
	_, err := chain.Admit(n.p, n.tip.State, tx, found)
	return found, err
}

// coins finds coins that are unspent at the tip: the store is not asked again for
// those that the pool was told of.
func (n *Node) coins(want []chain.OutPoint) (chain.Coins, error) {
	if n.pool.Len() == 0 {
		return n.cfg.Store.Coins(want)
	}
	found := make(chain.Coins, len(want))
	var rest []chain.OutPoint
	for _, o := range want {
		if c, ok := n.pool.Recall(o); ok {
			found[o] = c
		} else {
			rest = append(rest, o)
		}
	}
	if len(rest) == 0 {
		return found, nil
	}
	stored, err := n.cfg.Store.Coins(rest)
	for o, c := range stored {
		found[o] = c
	}
	return found, err
}

// needs tells whether tx spends an output of one of these.
func (l looseTx) needs(ids map[chain.Hash]bool) bool {
	return slices.ContainsFunc(l.tx.Tx().Inputs, func(in chain.Input) bool { return ids[in.Prev.Tx] })
}

// keepTx keeps what a peer sent too early. Our own user has been told that it is
// refused, so his is not kept.
func (n *Node) keepTx(from Peer, tx chain.CheckedTx) {
	if from == Self || tx.Size() > n.pool.Config().MaxTxSize {
		return
	}
	for _, l := range n.loose {
		if l.tx.ID() == tx.ID() {
			return
		}
	}
	if len(n.loose) >= maxLoose {
		n.loose = slices.Delete(n.loose, 0, 1)
	}
	n.loose = append(n.loose, looseTx{from, tx})
}

// freeTxs lets in, and publishes, what waited for one of the transactions that
// have come. Nothing else is tried: it would let strangers buy many look-ups with
// one payment.
func (n *Node) freeTxs(now chain.Time, come map[chain.Hash]bool, out *Outcome) error {
	for len(come) > 0 && len(n.loose) > 0 {
		next := map[chain.Hash]bool{}
		waiting := n.loose
		n.loose = nil
		for _, l := range waiting {
			if !l.needs(come) {
				n.loose = append(n.loose, l)
				continue
			}
			err := n.enter(now, l.from, l.tx, out)
			switch {
			case err == nil:
				out.Relay = append(out.Relay, l.tx)
				next[l.tx.ID()] = true
			case chain.KindOf(err) == chain.MissingCoin:
				n.loose = append(n.loose, l)
			case ours(err):
				return err
			}
		}
		come = next
	}
	return nil
}

// Pool takes the ids of a peer's waiting transactions and asks for those that we
// lack: gossip does not repeat what it said before we met.
func (n *Node) Pool(_ chain.Time, from Peer, ids []chain.Hash) (Outcome, error) {
	var missing []chain.Hash
	for _, id := range ids {
		if _, gone := n.pool.Fate(id); !gone && !n.pool.Has(id) {
			missing = append(missing, id)
		}
	}
	var out Outcome
	for part := range slices.Chunk(missing, MaxPoolTxs/4) {
		out.Ask = append(out.Ask, Ask{From: from, Request: Request{Want: WantPoolTxs, IDs: part}})
	}
	return out, nil
}

// refill brings the pool from the tip before to the new one: confirmed
// transactions leave, those of undone blocks come back or learn why not.
func (n *Node) refill(now chain.Time, p *plan, from *entry, out *Outcome) ([]mempool.Fate, error) {
	for _, b := range p.off {
		n.pool.Undo(b)
	}
	for _, b := range p.on {
		n.pool.Confirm(b)
	}
	if err := n.resettle(now, len(p.off) > 0, n.tip.State.Height < from.State.Height); err != nil {
		return nil, err
	}
	if len(n.loose) > 0 {
		come := idsOf(p.on)
		n.loose = slices.DeleteFunc(n.loose, func(l looseTx) bool { return come[l.tx.ID()] })
		if err := n.freeTxs(now, come, out); err != nil {
			return nil, err
		}
	}
	var fates []mempool.Fate
	for _, b := range slices.Backward(p.off) {
		for _, tx := range b.Txs() {
			fates = append(fates, n.fate(tx))
		}
	}
	return fates, nil
}

func idsOf(blocks []chain.CheckedBlock) map[chain.Hash]bool {
	ids := map[chain.Hash]bool{}
	for _, b := range blocks {
		for _, tx := range b.Txs() {
			ids[tx.ID()] = true
		}
	}
	return ids
}

// resettle asks the rules again: about what came loose, and on a chain that is
// shorter than before about all that waits, for coinbases are younger there.
func (n *Node) resettle(now chain.Time, undone, shorter bool) error {
	var fault error
	admit := func(tx chain.CheckedTx) error {
		_, err := n.admit(tx)
		if ours(err) {
			fault = err
		}
		return err
	}
	if undone {
		n.pool.Settle(now, admit)
	}
	if shorter {
		n.pool.Recheck(now, admit)
	}
	return fault
}

// fate tells what a reorganisation made of a transaction that it undid.
func (n *Node) fate(tx chain.CheckedTx) mempool.Fate {
	if n.pool.Has(tx.ID()) {
		return mempool.Fate{Tx: tx, Reason: mempool.Returned}
	}
	if f, ok := n.pool.Fate(tx.ID()); ok {
		return f
	}
	return mempool.Fate{Tx: tx, Reason: mempool.Confirmed}
}

// Reorg is one reorganisation as this node lived it.
type Reorg struct {
	Time     chain.Time
	From, To chain.State    // the tip before and after
	Fork     chain.State    // where the branches part
	Undone   []chain.Hash   // newest first
	Applied  []chain.Hash   // oldest first
	Fates    []mempool.Fate // of every transaction undone, oldest first
}

func (n *Node) record(now chain.Time, from *entry, p *plan, fates []mempool.Fate) {
	r := Reorg{Time: now, From: from.State, To: n.tip.State, Fork: p.fork.State, Fates: fates}
	for _, e := range p.undone {
		r.Undone = append(r.Undone, e.id())
	}
	for _, e := range p.applied {
		r.Applied = append(r.Applied, e.id())
	}
	n.reorged++
	n.stats = ReorgStats{Count: n.reorged, Deepest: max(n.stats.Deepest, len(p.undone)), Last: now}
	n.reorgs = append(n.reorgs, r)
	kept := 0
	for _, r := range n.reorgs {
		kept += len(r.Fates)
	}
	for len(n.reorgs) > maxReorgs || kept > maxFates && len(n.reorgs) > 1 {
		kept -= len(n.reorgs[0].Fates)
		n.reorgs = slices.Delete(n.reorgs, 0, 1)
	}
}

// Reorgs returns the reorganisations from number seq on, oldest first, and the
// number to ask with next; older ones than are remembered are left out.
func (n *Node) Reorgs(seq uint64) (list []Reorg, next uint64) {
	first := n.reorged - uint64(len(n.reorgs))
	if seq >= n.reorged {
		return nil, n.reorged
	}
	return slices.Clone(n.reorgs[max(seq, first)-first:]), n.reorged
}

// ReorgStats sums up the reorganisations since the start.
type ReorgStats struct {
	Count   uint64
	Deepest int        // most blocks undone by one
	Last    chain.Time // when the last one happened; 0 if there was none
}

// ReorgStats counts reorganisations.
func (n *Node) ReorgStats() ReorgStats { return n.stats }
