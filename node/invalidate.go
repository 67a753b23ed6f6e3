package node

import (
	"errors"
	"maps"
	"slices"

	"cairn/chain"
)

// Reasons not to rule a block out, or in again.
var (
	ErrGenesis   = errors.New("the genesis stays: without it there is no chain")
	ErrNoBody    = errors.New("its body is not here: it cannot be on our chain")
	ErrCondemned = errors.New("it breaks a rule, and rules do not change")
)

// ErrRuledOut is why a block is ignored that builds on one that Invalidate ruled
// out.
var ErrRuledOut = errors.New("a person ruled its branch out")

// Invalidate rules a block out, with all that builds on it, as if it broke a rule
// (Bitcoin Core's invalidateblock): the best chain is the heaviest without it,
// however light that is. The store keeps the branch, so that Reconsider can take
// it back. The driver remembers RuledOut for the next start. Why is ErrUnknown,
// ErrGenesis or ErrNoBody if nothing was done.
func (n *Node) Invalidate(now chain.Time, id chain.Hash) (Outcome, error) {
	var out Outcome
	e, err := n.tree.get(id)
	if err != nil {
		return out, err
	}
	if why := invalidable(e); why != nil {
		return Outcome{Verdict: Ignore, Why: why}, nil
	}
	if n.ruled[id] || e.Status == Condemned {
		return out, nil
	}
	err = n.ruleOut(now, []chain.Hash{id}, &out)
	return out, err
}

func invalidable(e *entry) error {
	switch {
	case e == nil:
		return ErrUnknown
	case e.State.Height == 0:
		return ErrGenesis
	case e.Status == Headed:
		return ErrNoBody
	}
	return nil
}

// Reconsider takes back what Invalidate said of a block, of those before it and
// of those that build on it. What broke a rule stays condemned. Why is ErrUnknown
// or ErrCondemned if nothing was done.
func (n *Node) Reconsider(now chain.Time, id chain.Hash) (Outcome, error) {
	var out Outcome
	e, err := n.tree.get(id)
	switch {
	case err != nil:
		return out, err
	case e == nil:
		return Outcome{Verdict: Ignore, Why: ErrUnknown}, nil
	case e.Status == Condemned:
		return Outcome{Verdict: Ignore, Why: ErrCondemned}, nil
	}
	still, err := n.unrelated(e)
	if err != nil {
		return out, err
	}
	if err := n.recall(e.State.Height); err != nil {
		return out, err
	}
	for id := range n.tree.shunned {
		if m := n.tree.m[id]; m != nil {
			m.shunned = false
		}
	}
	clear(n.tree.shunned)
	clear(n.ruled)
	n.recount()
	if err := n.ruleOut(now, still, &out); err != nil {
		return out, err
	}
	err = n.advance(now, &out)
	return out, err
}

// RuledOut lists the blocks that Invalidate ruled out, in order of their ids.
func (n *Node) RuledOut() (ids []chain.Hash) {
	for id := range n.ruled {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, chain.Hash.Compare)
	return ids
}

// unrelated lists what was ruled out and lies neither on the way to e nor behind
// it.
func (n *Node) unrelated(e *entry) (ids []chain.Hash, err error) {
	for _, id := range n.RuledOut() {
		r, err := n.tree.get(id)
		if err != nil {
			return nil, err
		}
		if r == nil {
			continue
		}
		fork, err := n.tree.fork(r, e)
		if err != nil {
			return nil, err
		}
		if fork.id() != r.id() && fork.id() != e.id() {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// ruleOut marks blocks, and moves the tip if it builds on one of them. What the
// store does not know is left out. A crash before the Commit leaves the old tip,
// and the driver asks again.
func (n *Node) ruleOut(now chain.Time, ids []chain.Hash, out *Outcome) error {
	for _, id := range ids {
		e, err := n.tree.get(id)
		if err != nil {
			return err
		}
		if invalidable(e) != nil {
			continue
		}
		n.ruled[id] = true
		best, err := n.tree.onBest(e)
		if err != nil {
			return err
		}
		if !best {
			n.shun(e)
			continue
		}
		if err := n.retreat(now, e, out); err != nil {
			return err
		}
	}
	return nil
}

// retreat leaves a block of the best chain for the heaviest branch without it.
func (n *Node) retreat(now chain.Time, e *entry, out *Outcome) error {
	if err := n.recall(e.State.Height - 1); err != nil {
		return err
	}
	parent, err := n.tree.known(e.parent())
	if err != nil {
		return err
	}
	n.shun(e)
	for {
		way, err := n.plan(n.refuge(parent))
		if err != nil {
			return err
		}
		if way == nil { // a block of that branch broke a rule: try the next one
			continue
		}
		if err := n.carryOut(now, way, out); err != nil {
			return err
		}
		break
	}
	n.low = min(n.low, n.tip.State.Height-min(n.tip.State.Height, n.cfg.Window))
	out.Moved, out.Fees = true, true
	n.recount()
	return n.advance(now, out)
}

// recall takes every stored entry from a height on into memory: branches that
// were left behind long ago count again.
func (n *Node) recall(height uint64) error {
	top := n.tip.State.Height
	for _, e := range n.tree.m {
		top = max(top, e.State.Height)
	}
	stored, err := n.cfg.Store.Recent(int(top - min(top, height) + 1))
	if err != nil {
		return err
	}
	for _, s := range stored {
		if n.tree.m[s.State.ID] == nil {
			n.tree.put(&entry{Entry: s, stored: true, shunned: n.tree.shunned[s.State.ID]})
		}
	}
	for _, id := range slices.SortedFunc(maps.Keys(n.tree.m), chain.Hash.Compare) {
		e := n.tree.m[id]
		if p := n.tree.m[e.parent()]; p != nil && !slices.Contains(p.children, e) {
			p.children = append(p.children, e)
		}
	}
	return nil
}

// refuge is the heaviest complete entry that may be the tip, parent at the least.
func (n *Node) refuge(parent *entry) *entry {
	best := parent
	for _, e := range n.tree.m {
		if e.whole() && e.sound() && (e.heavier(best) || !best.heavier(e) && best != parent && e.before(best)) {
			best = e
		}
	}
	return best
}

// recount finds the candidates anew.
func (n *Node) recount() {
	clear(n.candidates)
	for _, e := range n.tree.m {
		if e.whole() && e.heavier(n.tip) {
			n.candidates[e.id()] = e
		}
	}
}

// shun marks an entry and all that builds on it. What is not stored is let go:
// peers tell it again if it is ever wanted.
func (n *Node) shun(e *entry) {
	if m := n.tree.m[e.id()]; m != nil {
		e = m
	}
	family := []*entry{e}
	for i := 0; i < len(family); i++ {
		family = append(family, family[i].children...)
	}
	for _, d := range slices.Backward(family) {
		d.shunned, d.reason = true, ErrRuledOut
		if d.stored {
			n.tree.shunned[d.id()] = true
			continue
		}
		d.Status = Headed
		n.remove(d)
	}
}

// ruledOut tells whether a branch above fork holds, or leaves, a block that was
// ruled out, and marks what builds on it: that may have been forgotten, and read
// again, since.
func (n *Node) ruledOut(fork *entry, branch []*entry) bool {
	i := slices.IndexFunc(branch, func(e *entry) bool { return e.shunned })
	if fork.shunned && len(branch) > 0 {
		i = 0
	}
	if i < 0 {
		return false
	}
	n.tree.putBranch(branch[i:])
	n.shun(branch[i])
	for _, e := range branch[i:] {
		delete(n.candidates, e.id())
	}
	return true
}

// shown is the entry as outsiders see it: what was ruled out counts as condemned.
func (e *entry) shown() Entry {
	s := e.Entry
	if e.shunned {
		s.Status = Condemned
	}
	return s
}
