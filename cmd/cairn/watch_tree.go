package main

import (
	"cmp"
	"context"
	"slices"
	"time"

	"cairn/chain"
	"cairn/rpc"
)

const (
	treeDepth   = 64  // heights below the tip that the screen knows
	treeFetches = 500 // headers that one look may ask for: a peer's branch may be long
	meanOver    = 20  // blocks of the mean interval
)

// forkTree is what is known of the last blocks of every branch.
type forkTree struct {
	Blocks map[chain.Hash]treeBlock
	Ends   []treeEnd  // of the branches, in the node's order: the most work first
	Best   chain.Hash // that the node follows
}

type treeBlock struct {
	Prev   *chain.Hash
	Height uint64
	Time   uint32 // seconds since 1970
}

type treeEnd struct {
	ID     chain.Hash
	Status string // as getchaintips has it
}

// parent is the block below, if it is known.
func (t *forkTree) parent(id chain.Hash) (chain.Hash, bool) {
	b, ok := t.Blocks[id]
	if !ok || b.Prev == nil {
		return chain.Hash{}, false
	}
	_, ok = t.Blocks[*b.Prev]
	return *b.Prev, ok
}

// below is the block so many steps below another.
func (t *forkTree) below(id chain.Hash, steps int64) (chain.Hash, bool) {
	_, ok := t.Blocks[id]
	for ; ok && steps > 0; steps-- {
		id, ok = t.parent(id)
	}
	return id, ok
}

// part tells where two branches part: the last block that they share, and how many
// each has above it.
func (t *forkTree) part(a, b chain.Hash) (fork chain.Hash, overA, overB int, ok bool) {
	x, okA := t.Blocks[a]
	y, okB := t.Blocks[b]
	for ok = okA && okB; ok && a != b; {
		if x.Height >= y.Height {
			a, ok = t.parent(a)
			x = t.Blocks[a]
			overA++
		} else {
			b, ok = t.parent(b)
			y = t.Blocks[b]
			overB++
		}
	}
	return a, overA, overB, ok
}

// interval is the mean time between the last blocks of the best chain, and how
// many of them there were to look at.
func (t *forkTree) interval() (mean time.Duration, over int) {
	at := t.Best
	for over < meanOver {
		prev, ok := t.parent(at)
		if !ok {
			break
		}
		at = prev
		over++
	}
	if over == 0 {
		return 0, 0
	}
	seconds := int64(t.Blocks[t.Best].Time) - int64(t.Blocks[at].Time)
	return time.Duration(seconds) * time.Second / time.Duration(over), over
}

// stance is where a tip stands beside ours.
type stance struct {
	Word string // same, behind, ahead, fork or ?
	By   int    // blocks that it lacks, has more, or has on a branch of its own
}

const (
	same    = "same"
	lagging = "behind"
	leading = "ahead"
	forked  = "fork"
	astray  = "?"
)

func (t *forkTree) stance(tip *chain.Hash) stance {
	if tip == nil {
		return stance{Word: astray}
	}
	if *tip == t.Best {
		return stance{Word: same}
	}
	_, its, ours, ok := t.part(*tip, t.Best)
	switch {
	case !ok:
		return stance{Word: astray}
	case its == 0:
		return stance{lagging, ours}
	case ours == 0:
		return stance{leading, its}
	}
	return stance{forked, its}
}

// branch is a row of the drawn tree: blocks that no row above it has.
type branch struct {
	Blocks []chain.Hash // the lowest first
	On     int          // the row that it grows from; −1 if its root is not known
	Status string
}

// branches lays the tree out in rows, the best chain first and then whatever grew
// the highest.
func (t *forkTree) branches() []branch {
	ends := slices.Clone(t.Ends)
	slices.SortStableFunc(ends, func(a, b treeEnd) int {
		switch t.Best {
		case a.ID:
			return -1
		case b.ID:
			return 1
		}
		return cmp.Compare(t.Blocks[b.ID].Height, t.Blocks[a.ID].Height)
	})
	rows := map[chain.Hash]int{}
	var list []branch
	for _, end := range ends {
		if b := t.grown(end, rows); len(b.Blocks) > 0 {
			for _, id := range b.Blocks {
				rows[id] = len(list)
			}
			list = append(list, b)
		}
	}
	return list
}

// grown is what a branch has above the rows that are laid out.
func (t *forkTree) grown(end treeEnd, rows map[chain.Hash]int) branch {
	b := branch{On: -1, Status: end.Status}
	at := end.ID
	_, ok := t.Blocks[at]
	for ok {
		if on, taken := rows[at]; taken {
			b.On = on
			break
		}
		b.Blocks = append(b.Blocks, at)
		at, ok = t.parent(at)
	}
	slices.Reverse(b.Blocks)
	return b
}

// arborist learns the tree from a node, and keeps what it learned: headers never
// change.
type arborist struct {
	known map[chain.Hash]treeBlock
	last  chain.Hash // tip of the look before
}

// claim is a tip that somebody follows, and the node to ask for its branch.
type claim struct {
	tip  chain.Hash
	node *rpc.Client
}

// look asks for the headers that are new. Beside the branches' ends it walks down
// from other blocks: the tips that others claim, and where our own tip was.
func (a *arborist) look(ctx context.Context, node *rpc.Client, claims []claim) (t forkTree, err error) {
	tips, err := ask[[]rpc.Tip](ctx, node, "getchaintips")
	if err != nil {
		return t, err
	}
	floor := uint64(0)
	for _, tip := range tips {
		if tip.Status == "active" {
			t.Best, floor = tip.Hash, tip.Height-min(tip.Height, treeDepth)
		}
	}
	roots := []claim{{t.Best, node}}
	for _, tip := range tips {
		if tip.Height > floor || tip.Hash == t.Best {
			t.Ends = append(t.Ends, treeEnd{tip.Hash, tip.Status})
			roots = append(roots, claim{tip.Hash, node})
		}
	}
	w := walk{old: a.known, blocks: map[chain.Hash]treeBlock{}, floor: floor, fetches: treeFetches}
	for _, root := range append(append(roots, claims...), claim{a.last, node}) {
		// Another node that dies meanwhile takes no more than its own branch away.
		if err := w.down(ctx, root.node, &root.tip); err != nil && root.node == node {
			return t, err
		}
	}
	t.Blocks = w.blocks
	t.sprout(claims)
	a.known, a.last = t.Blocks, t.Best
	return t, nil
}

// sprout adds the branches that end at claimed tips, of which the node that was
// asked for its own has not heard.
func (t *forkTree) sprout(claims []claim) {
	below := map[chain.Hash]bool{}
	for _, b := range t.Blocks {
		if b.Prev != nil {
			below[*b.Prev] = true
		}
	}
	for _, c := range claims {
		_, known := t.Blocks[c.tip]
		listed := slices.ContainsFunc(t.Ends, func(e treeEnd) bool { return e.ID == c.tip })
		if known && !below[c.tip] && !listed {
			t.Ends = append(t.Ends, treeEnd{ID: c.tip, Status: "valid-headers"})
		}
	}
}

// walk gathers blocks down to a height. It fills a map of its own: the screen may
// still draw the old one.
type walk struct {
	old, blocks map[chain.Hash]treeBlock
	floor       uint64
	fetches     int // that are left
}

// down follows a branch.
func (w *walk) down(ctx context.Context, node *rpc.Client, at *chain.Hash) error {
	for at != nil && *at != (chain.Hash{}) {
		if _, walked := w.blocks[*at]; walked {
			return nil
		}
		b, ok, err := w.block(ctx, node, *at)
		if err != nil || !ok || b.Height < w.floor {
			return err
		}
		w.blocks[*at], at = b, b.Prev
	}
	return nil
}

// block is not there if our node has not seen it, or if too many were asked for.
func (w *walk) block(ctx context.Context, node *rpc.Client, id chain.Hash) (b treeBlock, ok bool, err error) {
	if b, ok = w.old[id]; ok || w.fetches <= 0 {
		return b, ok, nil
	}
	w.fetches--
	h, err := ask[rpc.Header](ctx, node, "getblockheader", id)
	if absent(err) {
		return b, false, nil
	}
	return treeBlock{h.Previous, h.Height, h.Time}, err == nil, err
}
