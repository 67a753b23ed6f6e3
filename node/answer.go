package node

import (
	"errors"
	"fmt"
	"slices"

	"cairn/chain"
)

// Answer says what a peer, or our own user, asked for. What only the store holds is
// named in Way and Load for the driver to read.
func (n *Node) Answer(now chain.Time, _ Peer, q Request) (Answer, error) {
	var a Answer
	var err error
	switch q.Want {
	case WantHello:
		a.Hello = n.OurHello(now)
	case WantHeaders:
		a.Way, a.Headers, err = n.headersAfter(q.Locator, q.Toward)
	case WantAnnouncement:
		if a.Announcement = n.filling(q.IDs); a.Announcement == nil {
			a.Load, err = n.complete(q.IDs)
		}
	case WantBodies, WantTxs:
		a.Load, err = n.complete(q.IDs)
		a.Index = q.Index
	case WantPool:
		a.IDs = n.listed(now)
	case WantPoolTxs:
		a.Txs = n.poolTxs(q.IDs)
	}
	return a, err
}

// listing is what was told last, of what waits or of branches.
type listing struct {
	ids []chain.Hash
	seq uint64     // of the pool then
	at  chain.Time // when
}

// listed is what waits, the best first. To put a large pool in order takes long, and
// whoever asks again and again must not keep the node at it: a list is made anew when
// the pool has changed, and the larger it is the longer one serves.
func (n *Node) listed(now chain.Time) []chain.Hash {
	old, seq := n.list, n.pool.Seq()
	if old.ids == nil || seq != old.seq && now-old.at >= chain.Time(n.pool.Len()/listedPerMilli) {
		n.list = listing{n.pool.IDs(MaxPoolIDs), seq, now}
	}
	return slices.Clone(n.list.ids)
}

// filling is the announcement of a block that is passed on and not yet here.
func (n *Node) filling(ids []chain.Hash) *chain.Announcement {
	for _, id := range ids {
		if part := n.partial[id]; part != nil {
			return part.a.Announcement()
		}
	}
	return nil
}

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

// Fill puts the bodies that Load named, in its order, into the answer, or what was
// wanted of the first. An error is the store's.
func (a *Answer) Fill(w Want, bodies []chain.RawBlock) error {
	if w == WantBodies || len(bodies) == 0 {
		a.Blocks = bodies
		return nil
	}
	a.Read = len(bodies[0])
	b, err := chain.DecodeBlock(bodies[0])
	if err != nil {
		return fmt.Errorf("read block %v: %v", bodies[0].ID(), err) //nolint:errorlint // a broken rule would be a peer's
	}
	switch w {
	case WantAnnouncement:
		a.Announcement = b.Announce()
	case WantTxs:
		a.pick(b)
	}
	return nil
}

// pick takes the transactions at Index.
func (a *Answer) pick(b *chain.Block) {
	for k, i := range a.Index {
		rising := k == 0 || a.Index[k-1] < i // or a short request would buy a long answer
		if rising && uint64(i) < uint64(len(b.Txs)) {
			a.Txs = append(a.Txs, b.Txs[i])
		}
	}
}

// OurHello is what we tell on a connect.
func (n *Node) OurHello(now chain.Time) Hello {
	return Hello{Genesis: n.p.GenesisID(), Tip: n.OurTip(now), Time: now, Agent: n.cfg.Agent, Ends: n.spoken(now)}
}

// spoken is ends, or where the tree is large what it was a moment ago: all of it is
// looked at for that, and whoever says hello again and again must not keep the node at it.
func (n *Node) spoken(now chain.Time) []chain.Hash {
	if now-n.told.at >= chain.Time(len(n.tree.m)/walkedPerMilli) {
		n.told = listing{ids: n.ends(), at: now}
	}
	return slices.Clone(n.told.ids)
}

// ends lists the ends of branches beside ours, heaviest first: who was cut off
// when they were followed can ask for them.
func (n *Node) ends() []chain.Hash {
	var ends []*entry
	for _, e := range n.tree.m {
		if e.whole() && e.stored && len(e.children) == 0 && e != n.tip && !n.weak(e) {
			ends = append(ends, e)
		}
	}
	slices.SortFunc(ends, heaviestFirst)
	var ids []chain.Hash
	for _, e := range ends[:min(len(ends), MaxEnds)] {
		ids = append(ids, e.id())
	}
	return ids
}

// OurTip is our own claim. Its counter grows with the clock, so that it also
// grows over a restart.
func (n *Node) OurTip(now chain.Time) TipClaim {
	n.counter = max(n.counter+1, uint64(max(now, 0)))
	s := n.tip.State
	return TipClaim{Peer: n.cfg.Peer, Header: n.tip.Header, Height: s.Height, Work: s.Work, Counter: n.counter}
}

// headersAfter follows a branch from the first hash of the locator that lies on
// it: toward a block that the asker heard of, or else our best chain. Losing
// branches can be asked for, so that whoever did not follow one can tell what it
// held. One whose way to our chain is long and new to us is found when it is asked
// for again.
func (n *Node) headersAfter(locator []chain.Hash, toward chain.Hash) (Way, []chain.Header, error) {
	end, err := n.tree.get(toward)
	if err != nil {
		return Way{}, nil, err
	}
	if end == nil || !end.whole() { // headers alone may be a long way to nowhere
		end = n.tip
	}
	way, hs, err := n.headersTo(end, locator)
	if errors.Is(err, errFar) {
		return n.headersTo(n.tip, locator)
	}
	return way, hs, err
}

// headersTo follows the branch that ends at end, as far as it is in memory; the way
// leads to what comes before that. An error is the store's, or errFar.
func (n *Node) headersTo(end *entry, locator []chain.Hash) (way Way, hs []chain.Header, err error) {
	start, err := n.lastCommon(locator, n.tree.walk(end, maxWalk))
	if err != nil {
		return way, nil, err
	}
	last := n.tree.walk(end, maxWalk)
	if err := last.to(start.State.Height + MaxHeaders); err != nil {
		return way, nil, err
	}
	for id := last.at.id(); id != start.id(); {
		e := n.tree.m[id]
		if e == nil {
			way = Way{start.id(), id}
			break
		}
		hs = append(hs, e.Header)
		id = e.parent()
	}
	slices.Reverse(hs)
	return way, hs, nil
}

// Follow puts the headers in that Way leads to, whose entries the store tells. An error
// is the store's.
func (a *Answer) Follow(stored func(chain.Hash) (Entry, error)) error {
	var before []chain.Header
	for id := a.Way.Upto; id != a.Way.After; {
		e, err := stored(id)
		if err != nil {
			return fmt.Errorf("read the header of block %v: %w", id, err)
		}
		before = append(before, e.Header)
		id = e.Header.Prev
	}
	slices.Reverse(before)
	a.Headers, a.Way = append(before, a.Headers...), Way{}
	return nil
}

// lastCommon is the first block of a locator on the branch that a walk goes down; the
// genesis if there is none. A locator names blocks from the top down: what it names
// out of order is passed over.
func (n *Node) lastCommon(locator []chain.Hash, down *walk) (*entry, error) {
	for _, id := range locator[:min(len(locator), MaxLocator)] {
		e, err := n.tree.get(id)
		if err != nil {
			return nil, err
		}
		if e == nil || e.State.Height > down.at.State.Height {
			continue
		}
		if err := down.to(e.State.Height); err != nil {
			return nil, err
		}
		if down.at.id() == id {
			return e, nil
		}
	}
	return n.tree.known(n.p.GenesisID())
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
