package node

import (
	"cmp"
	"slices"

	"cairn/chain"
)

// heaviest is the entry with the most work, with or without its body. The tip
// wins a tie, then the lower id.
func (n *Node) heaviest() *entry {
	best := n.tip
	for _, e := range n.tree.heads {
		if e.heavier(best) || best != n.tip && !best.heavier(e) && e.id().Compare(best.id()) < 0 {
			best = e
		}
	}
	return best
}

const (
	dense    = 10             // ids at the start of a locator that leave no block out
	farthest = 2 * MaxHeaders // headers that a locator walks down one by one
)

// locator names blocks of the branch that ends at e, newest first, thinning out
// toward the genesis. Far down a branch of headers alone it goes on along our
// best chain: only where the branches part is of interest there.
func (n *Node) locator(e *entry) ([]chain.Hash, error) {
	ids := []chain.Hash{e.id()}
	top := e.State.Height
	for step := uint64(1); e.State.Height > 0 && len(ids) < MaxLocator-1; {
		below := e.State.Height - min(step, e.State.Height)
		if !e.whole() && top-below > farthest {
			e, below = n.tip, min(below, n.tip.State.Height)
		}
		var err error
		if e, err = n.tree.ancestor(e, below); err != nil {
			return nil, err
		}
		ids = append(ids, e.id())
		if len(ids) > dense {
			step *= 2
		}
	}
	if e.State.Height > 0 {
		ids = append(ids, n.p.GenesisID())
	}
	return ids, nil
}

// askHeaders asks a peer for what follows e's branch toward a block that we heard
// of, unless it is being asked or has wasted our time lately.
func (n *Node) askHeaders(now chain.Time, from Peer, e *entry, toward chain.Hash, out *Outcome) error {
	p := n.peers[from]
	if p == nil || p.busy(now) || p.pause > now {
		return nil
	}
	ids, err := n.locator(e)
	if err != nil {
		return err
	}
	p.asked = max(now, 1)
	out.Ask = append(out.Ask, Ask{From: from, Request: Request{Want: WantHeaders, Locator: ids, Toward: toward}})
	return nil
}

// busy tells whether the peer is being asked for headers.
func (p *peer) busy(now chain.Time) bool { return p.asked != 0 && now-p.asked < headerWait }

// answered notes that a peer's turn to send headers has ended. Whoever claims a
// tip and does not lead us there is asked later each time.
func (n *Node) answered(now chain.Time, from Peer, fruitful bool) error {
	p := n.peers[from]
	if p == nil {
		return nil
	}
	p.asked = 0
	e, err := n.tree.get(p.claim.Header.ID())
	if err != nil {
		return err
	}
	if fruitful || e != nil {
		p.idle, p.pause = 0, 0
		return nil
	}
	p.idle++
	p.pause = now + backoff(p.idle)
	return nil
}

// hasten asks for e again at the next opportunity: there is somebody new who has it. It
// tells whether that helps. Whoever comes and goes, or talks, without end does not make
// us ask without end.
func (e *entry) hasten(now chain.Time) bool {
	if e.Status != Headed || e.retry <= now || e.haste > now {
		return false
	}
	e.retry, e.haste = 0, now+min(maxHaste, chain.Time(firstHaste)<<min(e.hastes, 8))
	e.hastes++
	return true
}

// turnTo asks for the first body that a branch misses, if others did not bring it and we
// would wait by now: somebody just came who has it, and unless it was somebody new the
// last time, it is his turn.
func (n *Node) turnTo(now chain.Time, p *peer, out *Outcome) error {
	for _, head := range n.wantedHeads() {
		path, err := n.path(head)
		if err != nil {
			return err
		}
		if len(path) > 0 && path[0].asked == 0 && p.serves(path[0]) && len(n.flight) < n.mayFly() && path[0].hasten(now) {
			n.fetchPath(now, path[:1], out)
		}
	}
	return nil
}

// backoff is how long to wait after so many failures, in milliseconds.
func backoff(failures int) chain.Time {
	return min(maxBackoff, chain.Time(1000)<<min(failures, 8))
}

// chase asks one peer after the other that is connected and claims more work than
// any branch that we know of: its headers were lost on the way, or held back
// until the bodies had come closer.
func (n *Node) chase(now chain.Time, out *Outcome) error {
	best := n.heaviest()
	if best.State.Height > n.tip.State.Height+maxAhead {
		return nil
	}
	if n.led(now) {
		return nil
	}
	for _, p := range n.direct() {
		if p.pause > now || p.claim.Work.Cmp(best.State.Work) <= 0 {
			continue
		}
		tip := p.claim.Header.ID()
		e, err := n.tree.get(tip)
		if err != nil {
			return err
		}
		if e == nil {
			return n.askHeaders(now, p.name, best, tip, out)
		}
	}
	return nil
}

// explore asks connected peers for branches that they told of at their hello and
// that we have never heard of, one at a time and each once.
func (n *Node) explore(now chain.Time, out *Outcome) error {
	for _, p := range n.direct() {
		for len(p.ends) > 0 && !p.busy(now) && p.pause <= now {
			end := p.ends[0]
			p.ends = p.ends[1:]
			e, err := n.tree.get(end)
			if err != nil {
				return err
			}
			if e != nil {
				continue
			}
			if err := n.askHeaders(now, p.name, n.heaviest(), end, out); err != nil {
				return err
			}
		}
	}
	return nil
}

// fetch asks for the bodies that branches still miss, oldest first: those of
// heavier branches, and then those of branches beside ours. These will not be
// followed, but what they confirm that ours rules out can be told.
func (n *Node) fetch(now chain.Time, out *Outcome) error {
	if len(n.flight) >= n.mayFly() {
		return nil
	}
	for _, head := range n.wantedHeads() {
		path, err := n.path(head)
		if err != nil {
			return err
		}
		n.fetchPath(now, path, out)
	}
	return nil
}

func (n *Node) fetchPath(now chain.Time, path []*entry, out *Outcome) {
	if len(path) > 0 {
		n.relieve(now, path[0])
	}
	var t turn
	for i, e := range path[:min(len(path), n.ahead(path))] {
		soon := n.tree.bytes + (len(n.flight)+1)*n.usual
		if len(n.flight) >= n.mayFly() || i > 0 && soon > n.hand {
			return
		}
		e.wanted = true
		if e.Status != Headed || e.body != nil || e.asked != 0 || e.retry > now {
			continue
		}
		if p := n.server(e, &t); p != nil {
			n.fly(now, e, p.name)
			out.Ask = askBody(out.Ask, p.name, e.id(), n.run())
		}
	}
}

// ahead is how far along a path bodies are asked for. Behind one that several tries
// did not bring others are of no use yet: a heavy chain of headers without bodies
// must not cost us requests for all of its blocks, again and again.
func (n *Node) ahead(path []*entry) int {
	if len(path) > 0 && path[0].tries > severalTries {
		return 1
	}
	return n.mayFly()
}

// askBody puts the id into the last request if it goes to the same peer and has
// room.
func askBody(asks []Ask, from Peer, id chain.Hash, run int) []Ask {
	if k := len(asks) - 1; k >= 0 && asks[k].From == from && asks[k].Request.Want == WantBodies && len(asks[k].Request.IDs) < run {
		asks[k].Request.IDs = append(asks[k].Request.IDs, id)
		return asks
	}
	return append(asks, Ask{From: from, Request: Request{Want: WantBodies, IDs: []chain.Hash{id}}})
}

// wantedHeads lists the ends of branches that are worth having and whose bodies
// are missing, heaviest first.
func (n *Node) wantedHeads() []*entry {
	var heads []*entry
	for _, e := range n.tree.heads {
		if e.heavier(n.tip) || !n.weak(e) && n.side < maxSide {
			heads = append(heads, e)
		}
	}
	for id := range n.paths {
		if n.tree.heads[id] == nil {
			delete(n.paths, id)
		}
	}
	slices.SortFunc(heads, heaviestFirst)
	return heads
}

// heaviestFirst orders by work, and equal work by id.
func heaviestFirst(a, b *entry) int {
	return cmp.Or(b.State.Work.Cmp(a.State.Work), a.id().Compare(b.id()))
}

// path lists what a head's branch misses, oldest first. The beginning is kept and
// worn down: a first sync must not walk the whole chain for each block.
func (n *Node) path(head *entry) ([]*entry, error) {
	path := worn(n.paths[head.id()])
	if len(path) < maxInFlight && (len(path) == 0 || path[len(path)-1] != head) {
		var err error
		if path, err = n.missing(head); err != nil {
			return nil, err
		}
		if len(path) > reach {
			path = slices.Clone(path[:reach])
		}
	}
	n.paths[head.id()] = path
	return path, nil
}

// inherit hands the path of a head over to the child that it got.
func (n *Node) inherit(e *entry) {
	path, ok := n.paths[e.parent()]
	if !ok {
		return
	}
	delete(n.paths, e.parent())
	if len(path) < reach && len(path) > 0 && path[len(path)-1].id() == e.parent() {
		path = append(path, e)
	}
	n.paths[e.id()] = path
}

func worn(path []*entry) []*entry {
	for len(path) > 0 && path[0].whole() {
		path = path[1:]
	}
	return path
}

func (n *Node) missing(head *entry) (path []*entry, err error) {
	for e := head; !e.whole(); {
		path = append(path, e)
		if e, err = n.tree.known(e.parent()); err != nil {
			return nil, err
		}
	}
	slices.Reverse(path)
	return path, nil
}

// direct lists the connected peers by name.
func (n *Node) direct() []*peer {
	var list []*peer
	for _, p := range n.peers {
		if p.direct {
			list = append(list, p)
		}
	}
	slices.SortFunc(list, func(a, b *peer) int { return cmp.Compare(a.name, b.name) })
	return list
}

// fly notes that e's body, or what of it is missing, is asked of somebody.
func (n *Node) fly(now chain.Time, e *entry, from Peer) {
	n.land(e)
	n.flight[e.id()] = e
	e.asked, e.server = max(now, 1), from
	if p := n.peers[from]; p != nil {
		p.load++
	}
}

// land notes that e is not being asked for any more.
func (n *Node) land(e *entry) {
	if e.asked == 0 {
		return
	}
	delete(n.flight, e.id())
	if p := n.peers[e.server]; p != nil {
		p.load = max(p.load-1, 0) // it may have left and come back meanwhile
	}
	e.asked, e.server = 0, Self
}

// Failed tells that a request came to nothing, or brought less than was asked
// for: what is still missing is asked elsewhere, later each time.
func (n *Node) Failed(now chain.Time, from Peer, q Request) (Outcome, error) {
	var out Outcome
	switch q.Want {
	case WantHeaders:
		return out, n.answered(now, from, false)
	case WantTxs, WantBodies:
	default:
		return out, nil
	}
	came := n.lastCome(q)
	for i, id := range q.IDs {
		switch e := n.tree.m[id]; {
		case !n.lacks(e) || e.asked != 0 && e.server != from && e.server != Self: // here, or asked elsewhere meanwhile
		case i > came && came >= 0:
			n.land(e) // the answer was full: the rest is asked for at once
		default:
			n.miss(now, from, e, q.Want, &out)
		}
	}
	err := n.fetch(now, &out)
	return out, err
}

// lacks tells whether e is in the tree and its body is not here.
func (n *Node) lacks(e *entry) bool { return e != nil && e.Status == Headed && e.body == nil }

// lastCome is the position of the last block asked for that is here; −1 if none
// is, or if transactions were asked for.
func (n *Node) lastCome(q Request) int {
	if q.Want != WantBodies {
		return -1
	}
	for i, id := range slices.Backward(q.IDs) {
		if e := n.tree.m[id]; e != nil && !n.lacks(e) {
			return i
		}
	}
	return -1
}

// missed counts a try that failed, and of whom.
func (e *entry) missed(now chain.Time, of Peer) {
	e.tries++
	if i := e.lastVain(of); i >= 0 {
		e.vain = slices.Delete(e.vain, i, i+1)
	} else if len(e.vain) >= maxClaims {
		e.vain = slices.Delete(e.vain, 0, 1)
	}
	e.vain = append(e.vain, vain{of, now})
}

// miss notes one try that failed. Missing transactions are followed by the whole
// block from the same peer: it did announce it.
func (n *Node) miss(now chain.Time, from Peer, e *entry, w Want, out *Outcome) {
	n.land(e)
	delete(n.partial, e.id())
	n.shrink(from)
	if w == WantTxs && from != Self {
		n.fly(now, e, from)
		out.Ask = askBody(out.Ask, from, e.id(), n.run())
		return
	}
	e.missed(now, from)
	if e.tries > 1 {
		e.retry = now + backoff(e.tries)
	}
}

// timeOut takes requests as failed that the driver never answered.
func (n *Node) timeOut(now chain.Time) {
	for _, e := range n.flight {
		if now-e.asked > bodyWait {
			n.shrink(e.server)
			e.missed(now, e.server)
			n.land(e)
			delete(n.partial, e.id())
		}
	}
}
