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

// makeRoom cuts what is least worth keeping: what was condemned, then the
// lightest branches of headers that carry less work than e. It tells whether
// there is room for e.
func (n *Node) makeRoom(e *entry) bool {
	if len(n.tree.m) < n.most {
		return true
	}
	var ends []*entry
	for _, old := range n.tree.m {
		if old.loose() && (!old.sound() || e.heavier(old)) {
			ends = append(ends, old)
		}
	}
	slices.SortFunc(ends, leastWorth)
	for _, end := range ends {
		if len(n.tree.m) <= n.most-n.most/8 { // at once, so that not every header pays for a search
			break
		}
		n.cut(end, e.parent())
	}
	return len(n.tree.m) < n.most
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
