package node

import (
	"errors"
	"fmt"
	"slices"

	"cairn/chain"
)

// partial is an announced block that is being filled in.
type partial struct {
	a    chain.CheckedAnnouncement
	txs  []chain.CheckedTx // in order; the missing ones are zero
	have []bool
}

// Block takes whole blocks: one of our own miner, or those of an answer to
// WantBodies, which are connected and stored together. The verdict is the worst
// that one of them deserves.
func (n *Node) Block(now chain.Time, from Peer, bs ...chain.CheckedBlock) (Outcome, error) {
	var out Outcome
	var kept []*entry
	for _, b := range bs {
		e := n.tree.m[b.ID()]
		if e == nil || e.Status != Headed || e.body != nil { // nobody asked for it
			if err := n.unasked(now, from, b, &out); err != nil {
				return out, err
			}
			continue
		}
		if err := n.known(e, from); err != nil {
			return out, err
		}
		n.thank(now, from, e)
		n.weigh(b.Size())
		if err := n.keep(now, e, b, &out); err != nil {
			return out, err
		}
		kept = append(kept, e)
	}
	if len(kept) == 0 {
		return out, nil
	}
	if err := n.advance(now, &out); err != nil {
		return out, err
	}
	for _, e := range kept {
		out.doubt(e)
	}
	err := n.fetch(now, &out)
	return out, err
}

func (n *Node) unasked(now chain.Time, from Peer, b chain.CheckedBlock, out *Outcome) error {
	var one Outcome
	err := n.arrive(now, arrival{from: from, announce: b.Announce(), body: &b}, &one)
	if out.join(one); one.Verdict > out.Verdict {
		out.Verdict, out.Why = one.Verdict, one.Why
	}
	return err
}

// Announced takes an announcement. It is accepted, to be passed on, as soon as
// its header connects, before the body is here.
func (n *Node) Announced(now chain.Time, from Peer, a chain.CheckedAnnouncement) (Outcome, error) {
	var out Outcome
	err := n.arrive(now, arrival{from: from, announce: a}, &out)
	return out, err
}

// arrive is the one door for blocks.
func (n *Node) arrive(now chain.Time, a arrival, out *Outcome) error {
	e, err := n.header(now, a.from, a.header(), false, out)
	switch {
	case errors.Is(err, ErrOrphan):
		n.orphans.put(a, loudest)
		out.Verdict, out.Why = Ignore, err
		return n.askHeaders(now, a.from, n.heaviest(), a.header().Prev, out)
	case errors.Is(err, ErrFuture):
		n.later.put(a, latest)
	}
	if err != nil {
		return out.refuse(err)
	}
	if err := n.take(now, e, a, out); err != nil {
		return err
	}
	return n.fetch(now, out)
}

// take takes what an arrival brings for an entry that is in the tree.
func (n *Node) take(now chain.Time, e *entry, a arrival, out *Outcome) error {
	if e.whole() || e.body != nil || a.body == nil && e.told {
		out.Verdict, out.Why = Ignore, ErrKnown
	}
	switch {
	case e.whole() || e.body != nil:
		return nil
	case a.body != nil:
		return n.whole(now, e, *a.body, out)
	}
	e.told = true
	return n.fill(now, e, a, out)
}

// refuse turns a reason into a verdict; an error that is no reason is our own
// fault and comes back.
func (out *Outcome) refuse(err error) error {
	if ours(err) {
		return err
	}
	out.Verdict, out.Why = Ignore, err
	if k := chain.KindOf(err); k.Everywhere() && k != chain.BadParent {
		out.Verdict = Reject
	}
	return nil
}

// ours tells that an error is no reason to refuse a message: our disk or our logic
// is at fault.
func ours(err error) bool {
	return err != nil && chain.KindOf(err) == "" && !isReason(err)
}

func isReason(err error) bool {
	return slices.ContainsFunc(reasons, func(reason error) bool { return errors.Is(err, reason) })
}

// header finds h in the tree or puts it there; one that was asked for may be
// weak. The error is a reason to refuse it, or our own.
func (n *Node) header(now chain.Time, from Peer, h chain.Header, asked bool, out *Outcome) (*entry, error) {
	parent, e, err := n.tree.family(h)
	if err != nil {
		return nil, err
	}
	if e != nil {
		return e, n.known(e, from)
	}
	if e, err = n.judge(now, parent, h, asked); err != nil {
		return nil, err
	}
	e.teller = from
	n.sights.note(e.id(), now, from)
	n.tree.put(e)
	n.inherit(e)
	return e, n.free(now, e, out)
}

func (n *Node) known(e *entry, from Peer) error {
	if e.Status == Condemned {
		return fmt.Errorf("%w: it was condemned", ErrKnown)
	}
	if from != Self {
		e.teller = from
	}
	return nil
}

// Foresee tells why an announcement would not be taken, as far as its header and what
// came before it tell; nil if nothing speaks against it. It changes nothing.
func (n *Node) Foresee(now chain.Time, h chain.Header) error {
	parent, e, err := n.tree.family(h)
	switch {
	case err != nil:
		return err
	case e == nil:
		_, err = n.assess(now, parent, h, false)
		return err
	case e.Status != Headed || e.body != nil || e.told:
		return ErrKnown
	}
	return nil
}

// judge connects h to its parent, if it is worth keeping.
func (n *Node) judge(now chain.Time, parent *entry, h chain.Header, asked bool) (*entry, error) {
	e, err := n.assess(now, parent, h, asked)
	if err == nil && !n.makeRoom(e.State.Work, 1, h.Prev) {
		return nil, ErrFull
	}
	return e, err
}

// assess is judge for whoever keeps nothing yet.
func (n *Node) assess(now chain.Time, parent *entry, h chain.Header, asked bool) (*entry, error) {
	if parent == nil {
		return nil, ErrOrphan
	}
	if !parent.sound() {
		// Innocent: whoever has no bodies yet passes on what builds on it.
		return nil, &chain.RuleError{Kind: chain.BadParent, Detail: "builds on a condemned block"}
	}
	state, err := chain.ConnectHeader(n.p, parent.State, h)
	if err != nil {
		return nil, err
	}
	e := &entry{Entry: Entry{Header: h, State: state}}
	switch {
	case !asked && n.weak(e):
		return nil, ErrWeak
	case !n.arrived(now, h):
		return nil, ErrFuture
	}
	return e, nil
}

// arrived tells whether our clock allows the header's time.
func (n *Node) arrived(now chain.Time, h chain.Header) bool {
	return int64(h.Time) <= now.Seconds()+n.p.Ahead
}

// weak tells whether a branch lies so far behind that nobody honest works on it:
// near the genesis, work is cheap.
func (n *Node) weak(e *entry) bool {
	behind := n.tip.State.Work.Minus(e.State.Work)
	return behind.Cmp(n.tip.State.Bits.Work().Times(margin)) > 0
}

// free lets in what waited for e.
func (n *Node) free(now chain.Time, e *entry, out *Outcome) error {
	if len(n.orphans.list) == 0 {
		return nil
	}
	for _, a := range n.orphans.take(func(a arrival) bool { return a.header().Prev == e.id() }) {
		if err := n.again(now, a, out); err != nil {
			return err
		}
	}
	return nil
}

// again takes in an arrival that was put aside; gossip will not repeat it, so we
// publish it ourselves.
func (n *Node) again(now chain.Time, a arrival, out *Outcome) error {
	var then Outcome
	if err := n.arrive(now, a, &then); err != nil {
		return err
	}
	if then.Verdict == Accept {
		out.Announce = append(out.Announce, a.announce)
	}
	out.join(then)
	return nil
}

// join takes over what another outcome asks of the driver, its verdict excepted.
func (out *Outcome) join(o Outcome) {
	out.Ask = append(out.Ask, o.Ask...)
	out.Announce = append(out.Announce, o.Announce...)
	out.Relay = append(out.Relay, o.Relay...)
	out.Moved = out.Moved || o.Moved
	out.Fees = out.Fees || o.Fees
}

// fill completes an announced block from the pool, or asks for what is missing
// unless the whole block was asked for.
func (n *Node) fill(now chain.Time, e *entry, a arrival, out *Outcome) error {
	ids := a.announce.Announcement().IDs
	part := &partial{a: a.announce, txs: make([]chain.CheckedTx, len(ids)), have: make([]bool, len(ids))}
	q := Request{Want: WantTxs, IDs: []chain.Hash{e.id()}}
	var expect []chain.Hash
	for i, id := range ids {
		if part.txs[i], part.have[i] = n.pool.Tx(id); part.have[i] {
			continue
		}
		q.Index = append(q.Index, uint32(i))
		expect = append(expect, id)
	}
	if len(expect) == 0 {
		return n.filled(now, e, part, out)
	}
	if e.asked != 0 || len(n.flight) >= n.mayFly() {
		return nil // the whole block is asked for, or will be
	}
	n.partial[e.id()] = part
	n.fly(now, e, a.from)
	out.Ask = append(out.Ask, Ask{From: a.from, Request: q, Expect: expect})
	return nil
}

// Filled takes the transactions of an announced block that were missing here.
func (n *Node) Filled(now chain.Time, from Peer, id chain.Hash, txs []chain.CheckedTx) (Outcome, error) {
	var out Outcome
	part := n.partial[id]
	e, err := n.tree.get(id)
	if err != nil || e == nil || part == nil {
		out.Verdict, out.Why = Ignore, ErrKnown
		return out, err
	}
	given := map[chain.Hash]chain.CheckedTx{}
	for _, t := range txs {
		given[t.ID()] = t
	}
	for i, want := range part.a.Announcement().IDs {
		t, ok := given[want]
		if !part.have[i] && ok {
			part.txs[i], part.have[i] = t, true
		}
		if !part.have[i] {
			return n.Failed(now, from, Request{Want: WantTxs, IDs: []chain.Hash{id}})
		}
	}
	if err := n.filled(now, e, part, &out); err != nil {
		return out, err
	}
	err = n.fetch(now, &out)
	return out, err
}

func (n *Node) filled(now chain.Time, e *entry, part *partial, out *Outcome) error {
	b, err := chain.CheckFilled(n.p, part.a, part.txs)
	if err == nil {
		return n.whole(now, e, b, out)
	}
	if !chain.KindOf(err).Condemns() {
		return fmt.Errorf("an announcement passed its checks and its block does not: %w", err)
	}
	out.Verdict, out.Why = Ignore, err
	n.condemn(e, err)
	return n.advance(now, out)
}

// whole takes the body of an entry, and follows it if it leads to a heavier tip.
func (n *Node) whole(now chain.Time, e *entry, b chain.CheckedBlock, out *Outcome) error {
	if err := n.keep(now, e, b, out); err != nil {
		return err
	}
	if err := n.advance(now, out); err != nil {
		return err
	}
	out.doubt(e)
	return nil
}

// keep takes the body of an entry, if there is room.
func (n *Node) keep(now chain.Time, e *entry, b chain.CheckedBlock, out *Outcome) error {
	n.land(e)
	delete(n.partial, e.id())
	full, err := n.full(e, b)
	if err != nil {
		return err
	}
	if full {
		e.retry = now + fullWait
		out.Verdict, out.Why = max(out.Verdict, Ignore), ErrFull
		return nil
	}
	n.tree.hold(e, b)
	return n.link(e)
}

// doubt keeps a block from being passed on that turned out to break a rule.
func (out *Outcome) doubt(e *entry) {
	if !e.sound() && out.Verdict == Accept {
		out.Verdict, out.Why = Ignore, e.reason
	}
}

// full tells that there is no room for a body: in memory until the one before it
// is here, or on disk beside the best chain. What leads to a heavier branch has
// its place.
func (n *Node) full(e *entry, b chain.CheckedBlock) (bool, error) {
	parent, err := n.tree.known(e.parent())
	if err != nil {
		return false, err
	}
	if parent.whole() {
		return n.side > maxSide && !e.wanted && !e.heavier(n.tip), nil
	}
	return n.tree.bytes+b.Size() > n.hand, nil
}

// link makes complete what has its body and a complete parent: e, and all that
// waited for it.
func (n *Node) link(e *entry) error {
	queue := []*entry{e}
	for len(queue) > 0 {
		e, queue = queue[0], queue[1:]
		parent, err := n.tree.known(e.parent())
		if err != nil {
			return err
		}
		if e.Status != Headed || e.body == nil || !parent.whole() {
			continue
		}
		n.seq++
		e.Status, e.seq = Complete, n.seq
		n.tree.crown(e)
		n.ready = append(n.ready, e)
		n.candidates[e.id()] = e
		queue = append(queue, e.children...)
	}
	return nil
}

// Broken tells that a body under the right merkle root breaks a rule that needs
// no context: the block is condemned, and whoever passed its announcement on is
// innocent. If another body may stand under that root, it is asked for elsewhere.
func (n *Node) Broken(now chain.Time, from Peer, id chain.Hash, why error) (Outcome, error) {
	if !chain.KindOf(why).Condemns() {
		return n.Failed(now, from, Request{Want: WantBodies, IDs: []chain.Hash{id}})
	}
	out := Outcome{Verdict: Ignore, Why: why}
	e := n.tree.m[id]
	if e == nil || e.Status != Headed {
		return out, nil
	}
	n.condemn(e, why)
	if err := n.advance(now, &out); err != nil {
		return out, err
	}
	err := n.fetch(now, &out)
	return out, err
}

// Headers takes headers that connect to each other, as an answer to WantHeaders.
func (n *Node) Headers(now chain.Time, from Peer, hs []chain.Header) (Outcome, error) {
	var out Outcome
	if err := n.roomFor(hs); err != nil {
		return out, err
	}
	var last *entry
	had := len(n.tree.m)
	for _, h := range hs {
		e, err := n.header(now, from, h, true, &out)
		if err != nil {
			if err := out.refuse(err); err != nil {
				return out, err
			}
			break
		}
		last = e
	}
	n.look(now)
	more := len(hs) >= MaxHeaders && out.Verdict == Accept
	grew := len(n.tree.m) > had
	if err := n.answered(now, from, grew || n.farther(from, last)); err != nil {
		return out, err
	}
	if more && !grew && n.led(now) {
		last = nil // one peer at a time shows us a long way
	}
	if err := n.follow(now, from, last, more, &out); err != nil {
		return out, err
	}
	if err := n.explore(now, &out); err != nil {
		return out, err
	}
	err := n.fetch(now, &out)
	return out, err
}

// follow asks for the headers behind last, or lets a branch go that ended weak
// although its teller claimed more.
func (n *Node) follow(now chain.Time, from Peer, last *entry, more bool, out *Outcome) error {
	switch {
	case last == nil:
		return nil
	case more && last.State.Height > n.tip.State.Height+maxAhead && last.heavier(n.tip):
		return nil // chase goes on when the bodies have come closer
	case more && (last.heavier(n.tip) || n.claimsMore(from)):
		return n.askHeaders(now, from, last, n.claimed(from), out)
	case n.weak(last):
		n.cut(last, chain.Hash{})
	}
	return nil
}

// farther tells whether the peer led us higher than before, if only over headers
// that we knew.
func (n *Node) farther(from Peer, last *entry) bool {
	p := n.peers[from]
	if p == nil || last == nil || last.State.Height <= p.reached {
		return false
	}
	p.reached = last.State.Height
	return true
}

// claimsMore tells whether the peer claims more work than our best chain has.
func (n *Node) claimsMore(from Peer) bool {
	p := n.peers[from]
	return p != nil && p.claim.Work.Cmp(n.tip.State.Work) > 0
}

// led tells whether a peer is being asked for headers.
func (n *Node) led(now chain.Time) bool {
	return slices.ContainsFunc(n.direct(), func(p *peer) bool { return p.busy(now) })
}
