package node

import (
	"cairn/chain"
)

// Answer says what a peer, or our own user, asked for. Bodies are named in Load
// for the driver to read.
func (n *Node) Answer(now chain.Time, _ Peer, q Request) (Answer, error) {
	var a Answer
	var err error
	switch q.Want {
	case WantHello:
		a.Hello = n.OurHello(now)
	case WantHeaders:
		a.Headers, err = n.headersAfter(q.Locator)
	case WantBodies, WantTxs, WantAnnouncement:
		a.Load, err = n.complete(q.IDs)
		a.Index = q.Index
	case WantPool:
		a.IDs = n.pool.IDs(MaxPoolIDs)
	case WantPoolTxs:
		a.Txs = n.poolTxs(q.IDs)
	}
	return a, err
}

// maxPoolTxs bounds an answer to WantPoolTxs in bytes, but for the last
// transaction.
const maxPoolTxs = 2 << 20

func (n *Node) poolTxs(ids []chain.Hash) (txs []*chain.Tx) {
	given := map[chain.Hash]bool{}
	size := 0
	for _, id := range ids[:min(len(ids), MaxPoolTxs)] {
		pooled, ok := n.pool.Get(id)
		if !ok || given[id] || size >= maxPoolTxs {
			continue
		}
		given[id] = true
		size += pooled.Tx.Size()
		txs = append(txs, pooled.Tx.Tx())
	}
	return txs
}

// Fill puts the bodies that Load named, in its order, into the answer.
func (a *Answer) Fill(w Want, bodies []*chain.Block) {
	switch w {
	case WantBodies:
		a.Blocks = bodies
	case WantAnnouncement:
		if len(bodies) > 0 {
			a.Announcement = bodies[0].Announce()
		}
	case WantTxs:
		for k, i := range a.Index {
			rising := k == 0 || a.Index[k-1] < i // or a short request would buy a long answer
			if rising && len(bodies) > 0 && uint64(i) < uint64(len(bodies[0].Txs)) {
				a.Txs = append(a.Txs, bodies[0].Txs[i])
			}
		}
	}
}

// OurHello is what we tell on a connect.
func (n *Node) OurHello(now chain.Time) Hello {
	return Hello{Genesis: n.p.GenesisID(), Tip: n.OurTip(now), Time: now, Agent: n.cfg.Agent}
}

// OurTip is our own claim. Its counter grows with the clock, so that it also
// grows over a restart.
func (n *Node) OurTip(now chain.Time) TipClaim {
	n.counter = max(n.counter+1, uint64(max(now, 0)))
	s := n.tip.State
	return TipClaim{Peer: n.cfg.Peer, Header: n.tip.Header, Height: s.Height, Work: s.Work, Counter: n.counter}
}

// headersAfter follows the best chain from the first hash that lies on it.
func (n *Node) headersAfter(locator []chain.Hash) ([]chain.Header, error) {
	start := n.p.GenesisState()
	for _, id := range locator {
		e, err := n.tree.get(id)
		if err != nil {
			return nil, err
		}
		if e == nil {
			continue
		}
		best, err := n.tree.onBest(e)
		if err != nil {
			return nil, err
		}
		if best {
			start = e.State
			break
		}
	}
	var hs []chain.Header
	for h := start.Height + 1; h <= n.tip.State.Height && len(hs) < MaxHeaders; h++ {
		id, err := n.cfg.Store.At(h)
		if err != nil {
			return nil, err
		}
		e, err := n.tree.known(id)
		if err != nil {
			return nil, err
		}
		hs = append(hs, e.Header)
	}
	return hs, nil
}

func (n *Node) complete(ids []chain.Hash) ([]chain.Hash, error) {
	var list []chain.Hash
	for _, id := range ids[:min(len(ids), MaxBodies)] {
		e, err := n.tree.get(id)
		if err != nil {
			return nil, err
		}
		if e != nil && e.stored && e.whole() {
			list = append(list, id)
		}
	}
	return list, nil
}
