package node

import (
	"slices"

	"cairn/chain"
)

// remove lets an entry in memory go, with what is under way for it.
func (n *Node) remove(e *entry) {
	n.land(e)
	delete(n.partial, e.id())
	delete(n.paths, e.id())
	n.tree.remove(e)
}

// cut removes a branch that lives in memory alone, from its end down to the
// first block with another child, or to keep.
func (n *Node) cut(e *entry, keep chain.Hash) {
	for e != nil && e.loose() && e.id() != keep {
		n.remove(e)
		e = n.tree.m[e.parent()]
	}
}

// forget thins out the memory below the tip, once in a while. What is stored can
// be read again. Headers alone go with their branch, and only if it is not
// heavier than ours: a long one may be on its way in.
func (n *Node) forget() {
	h := n.tip.State.Height
	if h < n.low+2*n.cfg.Window {
		return
	}
	n.low = h - n.cfg.Window
	for _, e := range n.tree.m {
		switch {
		case e.State.Height >= n.low:
		case e.stored:
			n.tree.remove(e)
		case !e.sound() || !e.heavier(n.tip):
			n.cut(e, chain.Hash{})
		}
	}
}

// makeRoom cuts what is least worth keeping: what was condemned, then branches of
// headers alone that carry less work than a newcomer of so many entries behind
// parent, the lightest first. It tells whether there is room then.
func (n *Node) makeRoom(work chain.Work, entries int, parent chain.Hash) bool {
	if len(n.tree.m)+entries <= n.most {
		return true
	}
	var ends []*entry
	for _, e := range n.tree.m {
		if e.loose() && (!e.sound() || work.Cmp(e.State.Work) > 0) {
			ends = append(ends, e)
		}
	}
	slices.SortFunc(ends, leastWorth)
	for _, end := range ends {
		if len(n.tree.m)+entries <= n.most-n.most/8 { // at once, so that not every header pays for a search
			break
		}
		n.cut(end, parent)
	}
	return len(n.tree.m)+entries <= n.most
}

// roomFor makes room for headers by what they lead to: the first of a long branch
// is light.
func (n *Node) roomFor(hs []chain.Header) error {
	if len(hs) == 0 || len(n.tree.m)+len(hs) <= n.most {
		return nil
	}
	e, err := n.tree.get(hs[0].Prev)
	if err != nil || e == nil {
		return err
	}
	state := e.State
	for _, h := range hs {
		next, err := chain.ConnectHeader(n.p, state, h)
		if err != nil {
			break
		}
		state = next
	}
	n.makeRoom(state.Work, len(hs), e.id())
	return nil
}

func leastWorth(a, b *entry) int {
	if a.sound() != b.sound() {
		return map[bool]int{true: 1, false: -1}[a.sound()]
	}
	if c := a.State.Work.Cmp(b.State.Work); c != 0 {
		return c
	}
	return a.id().Compare(b.id())
}
