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
			return n.storeSides()
		}
		plan, err := n.plan(best)
		if err != nil {
			return err
		}
		if plan == nil { // a block of the branch broke a rule: try the next one
			continue
		}
		if err := n.carryOut(now, plan); err != nil {
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
		if e.Status == Condemned || !e.heavier(n.tip) {
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
	v := view{store: n.cfg.Store, changed: map[chain.OutPoint]*chain.Coin{}}
	if err := n.planUndo(p, &v); err != nil {
		return nil, err
	}
	for _, e := range p.applied {
		var rule *chain.RuleError
		switch err := n.planApply(p, e, &v); {
		case errors.As(err, &rule):
			return nil, n.condemn(e, rule)
		case err != nil:
			return nil, err
		}
	}
	return p, nil
}

func (n *Node) planUndo(p *plan, v *view) error {
	for _, e := range p.undone {
		d, err := n.cfg.Store.Diff(e.id())
		if err != nil {
			return fmt.Errorf("undo block %v: %w", e.id(), err)
		}
		b, err := n.cfg.Store.Body(e.id())
		if err != nil {
			return fmt.Errorf("undo block %v: %w", e.id(), err)
		}
		p.off = append(p.off, b)
		p.steps = append(p.steps, Step{Tip: e.parent(), Undo: true, Diff: d.Inverse()})
		v.apply(d.Inverse())
	}
	return nil
}

func (n *Node) planApply(p *plan, e *entry, v *view) error {
	b, err := n.tree.body(e)
	if err != nil {
		return fmt.Errorf("apply block %v: %w", e.id(), err)
	}
	found, err := v.find(b.Needs())
	if err != nil {
		return err
	}
	parent, err := n.tree.known(e.parent())
	if err != nil {
		return err
	}
	_, diff, err := chain.Connect(n.p, parent.State, b, found)
	if err != nil {
		return err
	}
	step := Step{Tip: e.id(), Diff: diff}
	if !e.stored {
		step.Entries, step.Bodies = []Entry{e.Entry}, []chain.CheckedBlock{b}
	}
	p.on = append(p.on, b)
	p.steps = append(p.steps, step)
	v.apply(diff)
	return nil
}

// carryOut stores a plan and follows it. A crash inside Commit leaves the old
// tip, the new one, or one between them: each a valid chain that is extended
// again at the next start.
func (n *Node) carryOut(now chain.Time, p *plan) error {
	if err := n.cfg.Store.Commit(p.steps...); err != nil {
		return fmt.Errorf("commit %d blocks: %w", len(p.steps), err)
	}
	from := n.tip
	for i, e := range p.applied {
		if e.stored {
			n.side -= p.on[i].Size()
		}
		e.stored = true
		n.tree.drop(e)
		n.tip = e
	}
	for _, b := range p.off {
		n.side += b.Size()
	}
	fates := n.refill(now, p)
	if len(p.undone) > 0 {
		n.record(now, from, p, fates)
	}
	if h := n.tip.State.Height; h > 2*window && h%window == 0 {
		n.tree.forget(h - window)
	}
	return nil
}

// storeSides stores what is complete and not on the best chain.
func (n *Node) storeSides() error {
	var step Step
	for _, e := range n.ready {
		if e.stored || e.Status != Complete {
			continue
		}
		step.Entries = append(step.Entries, e.Entry)
		step.Bodies = append(step.Bodies, *e.body)
	}
	ready := n.ready
	n.ready = nil
	if len(step.Entries) == 0 {
		return nil
	}
	step.Tip = n.tip.id()
	if err := n.cfg.Store.Commit(step); err != nil {
		return fmt.Errorf("commit a side branch: %w", err)
	}
	for _, e := range ready {
		if e.body != nil && e.Status == Complete {
			e.stored = true
			n.side += e.body.Size()
			n.tree.drop(e)
		}
	}
	return nil
}

// condemn marks e, and all that builds on it, as broken for good, and remembers
// it: nothing false is tried twice.
func (n *Node) condemn(e *entry, why error) error {
	step := Step{Tip: n.tip.id()}
	queue := []*entry{e}
	for len(queue) > 0 {
		e, queue = queue[0], queue[1:]
		e.Status, e.reason = Condemned, why
		n.tree.drop(e)
		n.land(e)
		delete(n.tree.heads, e.id())
		delete(n.partial, e.id())
		if e.stored {
			step.Condemned = append(step.Condemned, e.id())
		} else {
			step.Entries = append(step.Entries, e.Entry)
			e.stored = true
		}
		for _, id := range e.children {
			if child := n.tree.m[id]; child != nil {
				queue = append(queue, child)
			}
		}
	}
	if err := n.cfg.Store.Commit(step); err != nil {
		return fmt.Errorf("condemn block %v: %w", e.id(), err)
	}
	return nil
}

// view is the unspent coins as they would be: the store's under some diffs.
type view struct {
	store   Store
	changed map[chain.OutPoint]*chain.Coin // nil is spent
}

func (v *view) apply(d chain.Diff) {
	for _, c := range d.Spent {
		v.changed[c.OutPoint] = nil
	}
	for _, c := range d.Created {
		v.changed[c.OutPoint] = &c
	}
}

func (v *view) find(needs []chain.OutPoint) (chain.Coins, error) {
	coins := chain.Coins{}
	var below []chain.OutPoint
	for _, o := range needs {
		c, touched := v.changed[o]
		switch {
		case !touched:
			below = append(below, o)
		case c != nil:
			coins[o] = *c
		}
	}
	if len(below) == 0 {
		return coins, nil
	}
	stored, err := v.store.Coins(below)
	if err != nil {
		return nil, fmt.Errorf("read coins: %w", err)
	}
	for o, c := range stored {
		coins[o] = c
	}
	return coins, nil
}
