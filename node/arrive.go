package node

import (
	"errors"
	"fmt"

	"cairn/chain"
)

// arrival is a block on its way in: announced, or whole.
type arrival struct {
	from     Peer
	announce chain.CheckedAnnouncement
	body     *chain.CheckedBlock // nil if it was only announced
}

func (a arrival) header() chain.Header { return a.announce.Announcement().Header }
func (a arrival) id() chain.Hash       { return a.announce.ID() }

// orphans are arrivals whose parent is unknown, by that parent.
type orphans map[chain.Hash][]arrival

func (o orphans) count() (n int) {
	for _, list := range o {
		n += len(list)
	}
	return n
}

func (o orphans) add(a arrival) bool {
	prev := a.header().Prev
	for _, old := range o[prev] {
		if old.id() == a.id() && (old.body != nil || a.body == nil) {
			return true
		}
	}
	if o.count() >= maxOrphans {
		return false
	}
	o[prev] = append(o[prev], a)
	return true
}

func (o orphans) take(parent chain.Hash) []arrival {
	list := o[parent]
	delete(o, parent)
	return list
}

// partial is an announced block that is being filled in.
type partial struct {
	a    chain.CheckedAnnouncement
	txs  []chain.CheckedTx // in order; the missing ones are zero
	have []bool
}

// Block takes a whole block: from our own miner, or as an answer to WantBodies.
func (n *Node) Block(now chain.Time, from Peer, b chain.CheckedBlock) (Outcome, error) {
	var out Outcome
	err := n.arrive(now, arrival{from: from, announce: b.Announce(), body: &b}, &out)
	return out, err
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
		n.keepOrphan(now, a, out)
		return nil
	case errors.Is(err, ErrFuture):
		n.keepLater(a)
	}
	if err != nil {
		return out.refuse(err)
	}
	switch {
	case e.whole() || e.body != nil:
		out.Verdict, out.Why = Ignore, ErrKnown
	case a.body != nil:
		err = n.whole(now, e, *a.body, out)
	case e.asked == 0:
		err = n.fill(now, e, a, out)
	}
	out.Ask = append(out.Ask, n.fetch(now)...)
	return err
}

// refuse turns a reason into a verdict; an error that is no reason is our own
// fault and comes back.
func (out *Outcome) refuse(err error) error {
	var rule *chain.RuleError
	switch {
	case errors.As(err, &rule) && rule.Kind.Everywhere() && rule.Kind != chain.BadParent:
		out.Verdict, out.Why = Reject, err
	case errors.As(err, &rule), isReason(err):
		out.Verdict, out.Why = Ignore, err
	default:
		return err
	}
	return nil
}

func isReason(err error) bool {
	for _, reason := range []error{ErrOrphan, ErrFuture, ErrFull, ErrKnown, ErrWeak, ErrClock} {
		if errors.Is(err, reason) {
			return true
		}
	}
	return false
}

// header finds h in the tree or puts it there; one that was asked for may be
// weak. The error is a reason to refuse it, or our own.
func (n *Node) header(now chain.Time, from Peer, h chain.Header, asked bool, out *Outcome) (*entry, error) {
	e, err := n.tree.get(h.ID())
	if err != nil {
		return nil, err
	}
	if e != nil {
		return e, n.known(e, from)
	}
	parent, err := n.tree.get(h.Prev)
	if err != nil {
		return nil, err
	}
	if e, err = n.judge(now, parent, h); err != nil {
		return nil, err
	}
	if !asked && n.weak(e) {
		return nil, ErrWeak
	}
	e.teller = from
	n.tree.put(e)
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

// judge connects h to its parent, if it is worth keeping.
func (n *Node) judge(now chain.Time, parent *entry, h chain.Header) (*entry, error) {
	if parent == nil {
		return nil, ErrOrphan
	}
	if parent.Status == Condemned {
		// Innocent: whoever has no bodies yet passes on what builds on it.
		return nil, &chain.RuleError{Kind: chain.BadParent, Detail: "builds on a condemned block"}
	}
	state, err := chain.ConnectHeader(n.p, parent.State, h)
	if err != nil {
		return nil, err
	}
	if int64(h.Time) > now.Seconds()+n.p.Ahead {
		return nil, ErrFuture
	}
	if len(n.tree.m) > maxHeaded {
		return nil, ErrFull
	}
	return &entry{Entry: Entry{Header: h, State: state}}, nil
}

// weak tells whether a branch lies so far behind that nobody honest works on it:
// near the genesis, work is cheap.
func (n *Node) weak(e *entry) bool {
	behind := n.tip.State.Work.Minus(e.State.Work)
	return behind.Cmp(n.tip.State.Bits.Work().Times(margin)) > 0
}

func (n *Node) keepOrphan(now chain.Time, a arrival, out *Outcome) {
	out.Verdict, out.Why = Ignore, ErrOrphan
	if !n.orphans.add(a) {
		out.Why = ErrFull
	}
	if p := n.peers[a.from]; p != nil && a.from != Self {
		out.Ask = append(out.Ask, n.askHeaders(now, a.from, n.heaviest())...)
	}
}

func (n *Node) keepLater(a arrival) {
	for _, old := range n.later {
		if old.id() == a.id() && (old.body != nil || a.body == nil) {
			return
		}
	}
	if len(n.later) < maxLater {
		n.later = append(n.later, a)
	}
}

// free lets in what waited for e.
func (n *Node) free(now chain.Time, e *entry, out *Outcome) error {
	for _, a := range n.orphans.take(e.id()) {
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

// fill completes an announced block from the pool, or asks for what is missing.
func (n *Node) fill(now chain.Time, e *entry, a arrival, out *Outcome) error {
	ids := a.announce.Announcement().IDs
	part := &partial{a: a.announce, txs: make([]chain.CheckedTx, len(ids)), have: make([]bool, len(ids))}
	q := Request{Want: WantTxs, IDs: []chain.Hash{e.id()}}
	var expect []chain.Hash
	for i, id := range ids {
		if pooled, ok := n.pool.Get(id); ok {
			part.txs[i], part.have[i] = pooled.Tx, true
			continue
		}
		q.Index = append(q.Index, uint32(i))
		expect = append(expect, id)
	}
	if len(expect) == 0 {
		return n.filled(now, e, part, out)
	}
	n.partial[e.id()] = part
	n.fly(now, e)
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
	n.land(e)
	delete(n.partial, id)
	return out, n.filled(now, e, part, &out)
}

func (n *Node) filled(now chain.Time, e *entry, part *partial, out *Outcome) error {
	ann := part.a.Announcement()
	b, err := chain.CheckBlock(n.p, ann.Header, ann.Coinbase, part.txs)
	if err == nil {
		return n.whole(now, e, b, out)
	}
	if !chain.KindOf(err).Condemns() {
		return fmt.Errorf("an announcement passed its checks and its block does not: %w", err)
	}
	out.Verdict, out.Why = Ignore, err
	return n.condemn(e, err)
}

// whole takes the body of an entry.
func (n *Node) whole(now chain.Time, e *entry, b chain.CheckedBlock, out *Outcome) error {
	n.land(e)
	delete(n.partial, e.id())
	parent, err := n.tree.known(e.parent())
	if err != nil {
		return err
	}
	full := !parent.whole() && n.tree.bytes+b.Size() > maxInHand
	if full || n.side > maxSide && !e.heavier(n.tip) {
		out.Verdict, out.Why = Ignore, ErrFull
		return nil
	}
	n.tree.hold(e, b)
	if err := n.link(e); err != nil {
		return err
	}
	if err := n.advance(now, out); err != nil {
		return err
	}
	if e.Status == Condemned {
		out.Verdict, out.Why = Ignore, e.reason
	}
	return nil
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
		delete(n.tree.heads, e.id())
		n.ready = append(n.ready, e)
		n.candidates[e.id()] = e
		for _, id := range e.children {
			queue = append(queue, n.tree.m[id])
		}
	}
	return nil
}

// Broken tells that a body under the right merkle root breaks a rule that needs
// no context: the block is condemned, and whoever passed its announcement on is
// innocent.
func (n *Node) Broken(_ chain.Time, _ Peer, id chain.Hash, why error) (Outcome, error) {
	out := Outcome{Verdict: Ignore, Why: why}
	e, err := n.tree.get(id)
	if err != nil || e == nil || e.whole() || !chain.KindOf(why).Condemns() {
		return out, err
	}
	n.land(e)
	delete(n.partial, id)
	return out, n.condemn(e, why)
}

// Headers takes headers that connect to each other, as an answer to WantHeaders.
func (n *Node) Headers(now chain.Time, from Peer, hs []chain.Header) (Outcome, error) {
	var out Outcome
	n.answered(from)
	var last *entry
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
	n.follow(now, from, last, len(hs) == MaxHeaders && out.Verdict == Accept, &out)
	out.Ask = append(out.Ask, n.fetch(now)...)
	return out, nil
}

// follow asks for the headers behind last, or lets a branch go that ended weak
// although its teller claimed more.
func (n *Node) follow(now chain.Time, from Peer, last *entry, more bool, out *Outcome) {
	switch {
	case last == nil:
	case more:
		out.Ask = append(out.Ask, n.askHeaders(now, from, last)...)
	case n.weak(last):
		n.tree.cut(last)
	}
}
