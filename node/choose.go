package node

import (
	"errors"
	"fmt"
	"slices"

	"cairn/chain"
)

// advance moves the tip to the heaviest complete and valid branch, and stores
// what came in on the way there or beside it.
func (n *Node) advance(now chain.Time, out *Outcome) error {
	for {
		best := n.heaviestCandidate()
		if best == nil {
			return n.storeRest()
		}
		plan, err := n.plan(best)
		if err != nil {
			return err
		}
		if plan == nil { // a block of the branch broke a rule: try the next one
			continue
		}
		if err := n.carryOut(now, plan, out); err != nil {
			return err
		}
		out.Moved, out.Fees = true, true
	}
}

// heaviestCandidate is the complete entry with the most work, above the tip's.
// Ties keep the one that was complete first: otherwise a miner could replace
// ours by a block made later. Nil if there is none.
func (n *Node) heaviestCandidate() *entry {
	var best *entry
	for id, e := range n.candidates {
		if !e.sound() || !e.heavier(n.tip) {
			delete(n.candidates, id)
			continue
		}
		if best == nil || e.heavier(best) || (!best.heavier(e) && e.before(best)) {
			best = e
		}
	}
	return best
}

// before orders by completion, and by id what was complete before the start.
func (e *entry) before(o *entry) bool {
	if e.seq != o.seq {
		return e.seq < o.seq
	}
	return e.id().Compare(o.id()) < 0
}

// plan is a way from the tip to another one that holds: nothing of it is stored
// yet.
type plan struct {
	fork    *entry
	undone  []*entry // newest first
	applied []*entry // oldest first
	off, on []chain.CheckedBlock
	steps   []Step
}

// plan tries the way to target on an overlay of the coins. A block that breaks a
// rule is condemned, and the plan is nil.
func (n *Node) plan(target *entry) (*plan, error) {
	fork, err := n.tree.fork(n.tip, target)
	if err != nil {
		return nil, err
	}
	p := &plan{fork: fork}
	if p.undone, err = n.tree.branch(fork, n.tip); err != nil {
		return nil, err
	}
	slices.Reverse(p.undone)
	if p.applied, err = n.tree.branch(fork, target); err != nil {
		return nil, err
	}
	if n.ruledOut(fork, p.applied) {
		return nil, nil
	}
	v := chain.Overlay{Expect: min(len(p.undone)+len(p.applied), fewBodies)} // usually the blocks of an answer
	if err := n.planUndo(p, &v); err != nil {
		return nil, err
	}
	for _, e := range p.applied {
		var rule *chain.RuleError
		switch err := n.planApply(p, e, &v); {
		case errors.As(err, &rule):
			n.tree.putBranch(p.applied)
			n.condemn(e, rule)
			return nil, nil
		case err != nil:
			return nil, err
		}
	}
	return p, nil
}

func (n *Node) planUndo(p *plan, v *chain.Overlay) error {
	for _, e := range p.undone {
		b, err := n.cfg.Store.Body(e.id())
		if err != nil {
			return fmt.Errorf("undo block %v: %w", e.id(), err)
		}
		d, err := n.cfg.Store.Diff(b)
		if err != nil {
			return fmt.Errorf("undo block %v: %w", e.id(), err)
		}
		p.off = append(p.off, b)
		p.steps = append(p.steps, Step{Bodies: []chain.CheckedBlock{b}, Tip: e.parent(), Undo: true, Diff: d.Inverse()})
		v.Apply(d.Inverse())
	}
	return nil
}

func (n *Node) planApply(p *plan, e *entry, v *chain.Overlay) error {
	if !e.sound() { // a crash came between it and what builds on it
		return &chain.RuleError{Kind: chain.BadParent, Detail: "condemned before"}
	}
	b, err := n.tree.body(e)
	if err != nil {
		return fmt.Errorf("apply block %v: %w", e.id(), err)
	}
	found, err := v.Find(b.Needs(), n.coins)
	if err != nil {
		return fmt.Errorf("read coins: %w", err)
	}
	parent, err := n.tree.known(e.parent())
	if err != nil {
		return err
	}
	_, diff, err := chain.Connect(n.p, parent.State, b, found)
	if err != nil {
		return err
	}
	step := Step{Bodies: []chain.CheckedBlock{b}, Tip: e.id(), Diff: diff}
	if !e.stored {
		step.Entries = []Entry{e.Entry}
	}
	p.on = append(p.on, b)
	p.steps = append(p.steps, step)
	v.Apply(diff)
	return nil
}

// carryOut stores a plan and follows it. A crash inside Commit leaves the old
// tip, the new one, or one between them: each a valid chain that is extended
// again at the next start.
func (n *Node) carryOut(now chain.Time, p *plan, out *Outcome) error {
	if err := n.cfg.Store.Commit(p.steps...); err != nil {
		return fmt.Errorf("commit %d blocks: %w", len(p.steps), err)
	}
	from := n.tip
	n.tip = p.fork
	for i, e := range p.applied {
		if e.stored {
			n.side -= p.on[i].Size()
		}
		e.stored = true
		n.tree.drop(e)
		n.tip = e
		n.connected.blocks++
		n.connected.txs += uint64(len(p.on[i].Txs()))
	}
	for _, b := range p.off {
		n.side += b.Size()
	}
	fates, err := n.refill(now, p, from, out)
	if err != nil {
		return err
	}
	if len(p.undone) > 0 {
		n.record(now, from, p, fates)
		// Who was cut off from us has never heard of the branch that we leave, and
		// from now on nobody follows it: tell its end once more.
		out.Announce = append(out.Announce, p.off[0].Announce())
	}
	n.forget()
	return nil
}

// storeRest stores what is complete and not on the best chain, and what was
// condemned. One step a block, for a step has to fit one transaction of the
// store. A crash here costs a download.
func (n *Node) storeRest() error {
	var steps []Step
	for _, e := range n.ready {
		if !e.stored && e.whole() {
			steps = append(steps, Step{Tip: n.tip.id(), Entries: []Entry{e.Entry}, Bodies: []chain.CheckedBlock{*e.body}})
			n.side += e.body.Size()
			n.tree.drop(e)
			e.stored = true
		}
	}
	for _, e := range n.doomed {
		step, err := n.doom(e)
		if err != nil {
			return err
		}
		steps = append(steps, step...)
	}
	n.ready, n.doomed = nil, nil
	if len(steps) == 0 {
		return nil
	}
	if err := n.cfg.Store.Commit(steps...); err != nil {
		return fmt.Errorf("commit %d blocks beside the best chain: %w", len(steps), err)
	}
	return nil
}

// doom is the step that remembers a condemned block, so that nothing false is
// tried twice. Where its parent is not stored it is only forgotten: it can be
// condemned again.
func (n *Node) doom(e *entry) ([]Step, error) {
	if e.stored {
		return []Step{{Tip: n.tip.id(), Condemned: []chain.Hash{e.id()}}}, nil
	}
	parent, err := n.tree.known(e.parent())
	if err != nil || !parent.stored {
		return nil, err
	}
	e.stored = true
	return []Step{{Tip: n.tip.id(), Entries: []Entry{e.Entry}}}, nil
}

// condemn marks e, and all that builds on it, as broken for good. Remembered is
// only e and what is stored: whatever else builds on e is refused with it.
func (n *Node) condemn(e *entry, why error) {
	n.doomed = append(n.doomed, e)
	queue := []*entry{e}
	for len(queue) > 0 {
		d := queue[0]
		queue = append(queue[1:], d.children...)
		if d.stored && d != e {
			n.doomed = append(n.doomed, d)
		}
		d.Status, d.reason = Condemned, why
		n.tree.drop(d)
		n.tree.crown(d)
		n.land(d)
		delete(n.partial, d.id())
	}
	if parent := n.tree.m[e.parent()]; parent != nil {
		n.tree.crown(parent) // its branch may be worth having up to there
	}
}
