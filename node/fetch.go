package node

import (
	"bytes"
	"slices"
	"strings"

	"cairn/chain"
)

// heaviest is the entry with the most work, with or without its body.
func (n *Node) heaviest() *entry {
	best := n.tip
	for id := range n.tree.heads {
		if e := n.tree.m[id]; e.heavier(best) || e.State.Work == best.State.Work && bytes.Compare(id[:], hashOf(best)) < 0 && best != n.tip {
			best = e
		}
	}
	return best
}

func hashOf(e *entry) []byte { id := e.id(); return id[:] }

// locator names blocks of the branch that ends at e, newest first, thinning out
// toward the genesis.
func (n *Node) locator(e *entry) []chain.Hash {
	ids := []chain.Hash{e.id()}
	for step := uint64(1); e.State.Height > 0 && len(ids) < MaxLocator-1; {
		below := e.State.Height - min(step, e.State.Height)
		parent, err := n.tree.ancestor(e, below)
		if err != nil || parent == nil {
			break
		}
		e = parent
		ids = append(ids, e.id())
		if len(ids) > 10 {
			step *= 2
		}
	}
	if e.State.Height > 0 {
		ids = append(ids, n.p.GenesisID())
	}
	return ids
}

// askHeaders asks a peer for what follows e's branch, unless it is being asked.
func (n *Node) askHeaders(now chain.Time, from Peer, e *entry) []Ask {
	p := n.peers[from]
	if p == nil || from == Self || p.asked != 0 && now-p.asked < headerWait {
		return nil
	}
	p.asked = now
	return []Ask{{From: from, Request: Request{Want: WantHeaders, Locator: n.locator(e)}}}
}

func (n *Node) answered(from Peer) {
	if p := n.peers[from]; p != nil {
		p.asked = 0
	}
}

// fetch asks for the bodies that heavier branches still miss, oldest first.
func (n *Node) fetch(now chain.Time) []Ask {
	var asks []Ask
	for _, head := range n.heavierHeads() {
		path, err := n.path(head)
		if err != nil {
			continue // the branch was pruned under us: nothing to fetch
		}
		for _, e := range path[:min(len(path), maxInFlight)] {
			if n.flying >= maxInFlight {
				return asks
			}
			if e.Status != Headed || e.body != nil || e.asked != 0 || e.retry > now {
				continue
			}
			if from, ok := n.server(e); ok {
				n.fly(now, e)
				asks = askBody(asks, from, e.id())
			}
		}
	}
	return asks
}

// askBody puts the id into the last request if it goes to the same peer and has
// room.
func askBody(asks []Ask, from Peer, id chain.Hash) []Ask {
	if k := len(asks) - 1; k >= 0 && asks[k].From == from && len(asks[k].Request.IDs) < MaxBodies {
		asks[k].Request.IDs = append(asks[k].Request.IDs, id)
		return asks
	}
	return append(asks, Ask{From: from, Request: Request{Want: WantBodies, IDs: []chain.Hash{id}}})
}

// heavierHeads lists the ends of branches with more work than the tip whose
// bodies are missing, heaviest first.
func (n *Node) heavierHeads() []*entry {
	var heads []*entry
	for id := range n.tree.heads {
		if e := n.tree.m[id]; e.heavier(n.tip) {
			heads = append(heads, e)
		}
	}
	for id := range n.paths {
		if !n.tree.heads[id] {
			delete(n.paths, id)
		}
	}
	slices.SortFunc(heads, func(a, b *entry) int {
		if c := b.State.Work.Cmp(a.State.Work); c != 0 {
			return c
		}
		return a.id().Compare(b.id())
	})
	return heads
}

// path lists what a head's branch still misses, oldest first. It is walked once
// and then worn down: a first sync must not walk the whole chain for each block.
func (n *Node) path(head *entry) ([]*entry, error) {
	path, ok := n.paths[head.id()]
	if !ok {
		for e := head; !e.whole(); {
			path = append(path, e)
			var err error
			if e, err = n.tree.known(e.parent()); err != nil {
				return nil, err
			}
		}
		slices.Reverse(path)
	}
	for len(path) > 0 && path[0].whole() {
		path = path[1:]
	}
	n.paths[head.id()] = path
	return path, nil
}

// server chooses whom to ask for a body: who told us of it, else another
// connected peer that claims at least as much work; after failures the next one.
func (n *Node) server(e *entry) (Peer, bool) {
	if p := n.peers[e.teller]; e.tries == 0 && p != nil && p.direct {
		return e.teller, true
	}
	var list []Peer
	for name, p := range n.peers {
		if p.direct && p.claim.Work.Cmp(e.State.Work) >= 0 {
			list = append(list, name)
		}
	}
	if len(list) == 0 {
		return Self, false
	}
	slices.SortFunc(list, func(a, b Peer) int { return strings.Compare(string(a), string(b)) })
	return list[e.tries%len(list)], true
}

func (n *Node) fly(now chain.Time, e *entry) {
	if e.asked == 0 {
		n.flying++
	}
	e.asked = max(now, 1)
}

func (n *Node) land(e *entry) {
	if e.asked != 0 {
		n.flying--
		e.asked = 0
	}
}

// Failed tells that a request came to nothing, or brought less than was asked
// for: what is still missing is asked elsewhere, later each time.
func (n *Node) Failed(now chain.Time, from Peer, q Request) (Outcome, error) {
	var out Outcome
	if q.Want == WantHeaders {
		n.answered(from)
	}
	if q.Want != WantTxs && q.Want != WantBodies {
		return out, nil
	}
	for _, id := range q.IDs {
		if e := n.tree.m[id]; e != nil && e.Status == Headed && e.body == nil {
			n.miss(now, from, e, q.Want, &out)
		}
	}
	out.Ask = append(out.Ask, n.fetch(now)...)
	return out, nil
}

// miss notes one try that failed. Missing transactions are followed by the whole
// block from the same peer: it did announce it.
func (n *Node) miss(now chain.Time, from Peer, e *entry, w Want, out *Outcome) {
	n.land(e)
	delete(n.partial, e.id())
	if w == WantTxs && from != Self {
		n.fly(now, e)
		out.Ask = askBody(out.Ask, from, e.id())
		return
	}
	e.tries++
	if e.tries > 1 {
		e.retry = now + min(maxBackoff, chain.Time(1000)<<min(e.tries, 8))
	}
}

// timeOut takes requests as failed that the driver never answered.
func (n *Node) timeOut(now chain.Time) {
	for _, e := range n.tree.m {
		if e.asked != 0 && now-e.asked > bodyWait {
			n.land(e)
			delete(n.partial, e.id())
			e.tries++
		}
	}
}
