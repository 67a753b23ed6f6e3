package node_test

import (
	"errors"
	"fmt"
	"testing"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/node"
)

// During each commit some of the blocks that are to come are drafted, in any order and
// from all branches, false ones too. The story knows by replay what they do.
func TestBlocksConnectAsTheyWereDrafted(t *testing.T) {
	drafted, deepest := 0, 0
	for seed := range uint64(24) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			b := open(t, seed)
			b.meet("peer", "0")
			b.disk.during = func() {
				if b.n == nil { // it starts
					return
				}
				for b.r.IntN(8) > 0 && b.n.Draft(b.mixed()...) {
					drafted++
				}
			}
			next := 1
			for range 80 {
				for _, name := range b.know[next:] {
					b.done(b.n.Headers(b.now, "peer", b.headers(name)))
				}
				b.live(&next)
			}
			b.give(b.know[next:]...)
			deepest = max(deepest, b.n.ReorgStats().Deepest)
			if b.n.Draft(b.mixed()...) {
				t.Error("a block was drafted while nothing is being stored")
			}
		})
	}
	if drafted < 25 || deepest < 2 {
		t.Errorf("%d blocks drafted, reorganisations %d deep: the stories tell too little", drafted, deepest)
	}
}

// mixed are all blocks in any order.
func (b *bazaar) mixed() (list []chain.CheckedBlock) {
	for _, name := range b.know[1:] {
		list = append(list, b.blocks[name])
	}
	b.r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

// A block that was drafted asks for no coin when its turn comes; one behind a false block
// is not drafted, and the false one is condemned in its turn.
func TestADraftedBlockAsksForNothing(t *testing.T) {
	s := tell(t, chaintest.Easy())
	s.Fork("0", "r1", "r2", "a1")
	s.give("r1", "r2")
	s.Block("a1", chaintest.Plan{Name: "a2", Txs: []*chain.Tx{s.pay(0, 1, 500)}})
	s.Block("a2", chaintest.Plan{Name: "a3", Txs: []*chain.Tx{s.pay(1, 2, 500)}})
	s.Greedy("a3", "x4")
	s.Fork("x4", "x5")
	s.meet("peer", "x5")
	s.done(s.n.Headers(s.now, "peer", s.headers("a1", "a2", "a3", "x4", "x5")))
	var drafts []bool
	s.disk.during = func() {
		for range 3 {
			drafts = append(drafts, s.n.Draft(s.blocks["x5"], s.blocks["x4"], s.blocks["a3"], s.blocks["a2"]))
		}
		s.disk.during = nil
	}
	s.give("a1")
	if fmt.Sprint(drafts) != "[true true false]" || s.n.Drafted() != 2 {
		t.Errorf("drafted %v, %d are left", drafts, s.n.Drafted())
	}
	s.disk.coinsAfterCommit, s.disk.written = errors.New("a coin was looked for"), true
	out, err := s.n.Block(s.now, "peer", s.blocks["a2"], s.blocks["a3"])
	if err != nil || out.Verdict != node.Accept {
		t.Fatal(out.Why, err)
	}
	s.disk.coinsAfterCommit, s.disk.written = nil, false
	s.given = append(s.given, s.blocks["a2"].ID(), s.blocks["a3"].ID())
	s.done(out, err)
	s.tip("a3")
	if n := s.n.Drafted(); n != 0 {
		t.Errorf("%d drafts are left", n)
	}
	s.give("x4")
	s.tip("a3")
}
