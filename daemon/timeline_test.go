package daemon_test

import (
	"slices"
	"testing"

	"cairn/chain"
	"cairn/rpc"
)

func (p *player) timeline(cursor string) rpc.Timeline {
	p.t.Helper()
	t, err := p.Record.Timeline(cursor)
	if err != nil {
		p.t.Fatal(err)
	}
	return t
}

// depths are those of a transaction, −2 where unknown.
func (p *player) depths(id chain.Hash, tips ...chain.Hash) (list []int64) {
	p.t.Helper()
	d, err := p.Record.Depths(id, tips)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, n := range d.Depths {
		if n == nil {
			n = new(int64)
			*n = -2
		}
		list = append(list, *n)
	}
	return list
}

// One coin is spent twice, on both sides of a split:
//
//	g ── a1 (pay) ── a2
//	 └── b1 (other) ── b2 ── b3
//
// When it heals, the past can be asked for, and no depth under an old tip changes.
func TestThePastIsRemembered(t *testing.T) {
	p := chain.Regtest()
	a := start(t, p)
	b := start(t, p, a)
	linked(t, 1, a, b)
	a.generate(1)
	until(t, "both hold it", sameTip(a, b))
	until(t, "the first block is noted", func() bool { return len(a.timeline("").Blocks) == 2 })
	first := a.timeline("")
	if !first.Whole || len(first.Nodes) != 2 {
		t.Fatalf("the beginning: %+v", first)
	}
	b.online(false)
	until(t, "alone", func() bool { return len(a.peers()) == 0 })
	mine, other := pay(p, 0, 1000, 1), pay(p, 0, 1000, 2)
	a.submit(mine)
	b.submit(other)
	as, bs := a.generate(2), b.generate(3)
	until(t, "a's own reach", func() bool { return reached(t, a, mine.ID(), 2) })
	before := a.depths(mine.ID(), as...)
	b.online(true)
	until(t, "both hold the heavier one", sameTip(a, b))

	if !slices.Equal(before, []int64{1, 2}) || !slices.Equal(a.depths(mine.ID(), as...), before) {
		t.Errorf("the past changed: %v, %v", before, a.depths(mine.ID(), as...))
	}
	if got := a.depths(mine.ID(), bs...); !slices.Equal(got, []int64{-1, -1, -1}) {
		t.Errorf("where the other won: %v", got)
	}
	if got := a.depths(other.ID(), append(bs, as...)...); !slices.Equal(got, []int64{1, 2, 3, -1, -1}) {
		t.Errorf("the other: %v", got)
	}
	reorgs := a.Record.Reorgs()
	if len(reorgs) != 1 || reorgs[0].Depth != 2 || reorgs[0].At == 0 || reorgs[0].WonWork.Cmp(reorgs[0].LostWork) <= 0 {
		t.Errorf("reorganisations: %+v", reorgs)
	}
	until(t, "all have the other three deep", func() bool { return reached(t, a, other.ID(), 3) })
	if reached(t, a, mine.ID(), 1) {
		t.Error("what was undone counts as reached")
	}

	news := a.timeline(first.Cursor)
	for _, n := range news.Blocks {
		if n.ID == first.Blocks[0].ID {
			t.Error("what was told is told again")
		}
	}
	for _, id := range append(as, bs...) {
		if !slices.ContainsFunc(news.Blocks, func(b rpc.TimelineBlock) bool { return b.ID == id && b.Seen != 0 }) {
			t.Errorf("block %v is missing", id)
		}
	}
	if news.Whole || len(news.Moves) < 3 || len(news.Txs) != 2 {
		t.Errorf("whole %v, moves %v, transactions %v", news.Whole, news.Moves, news.Txs)
	}
	if again := a.timeline("another.1.2.3"); !again.Whole {
		t.Error("a cursor of another start was taken")
	}
}

// reached tells whether every counted node has a transaction so deep.
func reached(t *testing.T, p *player, id chain.Hash, depth int) bool {
	t.Helper()
	a, err := p.Convergence.Tx(id)
	if err != nil {
		t.Fatal(err)
	}
	return len(a.Reached) >= depth && a.Reached[depth-1].All != nil && a.Seen != nil
}
