package node_test

import (
	"errors"
	"testing"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/node"
)

// 0 - a1 - a2 - a3 - a4 - a5
func TestBodiesOfOneAnswerAreStoredTogether(t *testing.T) {
	s := tell(t, chaintest.Easy())
	s.Fork("0", numbered("a", 1, 5)...)
	s.meet("peer", "a5")
	s.done(s.n.Headers(s.now, "peer", s.headers(numbered("a", 1, 5)...)))
	s.disk.commits = 0
	s.giveTogether("a3", "a1", "a2", "a5", "a4")
	s.tip("a5")
	s.verdict(node.Accept, nil)
	if s.disk.commits != 1 {
		t.Errorf("five blocks took %d commits", s.disk.commits)
	}
}

// 0 - a1 - a2 - (a3) - a4
//
//	\- b2 - b3
func TestOneFalseBodyOfAnAnswer(t *testing.T) {
	s := tell(t, chaintest.Easy())
	s.Fork("0", "a1", "a2")
	s.Greedy("a2", "a3")
	s.Fork("a3", "a4")
	s.Fork("a1", "b2", "b3")
	s.meet("peer", "a4")
	s.done(s.n.Headers(s.now, "peer", s.headers("a1", "a2", "a3", "a4")))
	s.done(s.n.Headers(s.now, "peer", s.headers("b2", "b3")))
	s.giveTogether("a1", "a2", "a3", "a4", "b2", "b3")
	s.tip("b3")
	if s.verdict(node.Ignore, s.out.Why); chain.KindOf(s.out.Why) != chain.BadReward {
		t.Errorf("the answer is ignored because %v", s.out.Why)
	}
	for _, name := range []string{"a3", "a4"} {
		if e, ok := s.n.Entry(s.blocks[name].ID()); !ok || e.Status != node.Condemned {
			t.Errorf("%s is not condemned", name)
		}
	}
}

// 0 - a1 - a2 - a3
//
//	\- b1 - b2
func TestAnAnswerMayHoldWhatNobodyAskedFor(t *testing.T) {
	s := tell(t, chaintest.Easy())
	s.Fork("0", "a1", "a2", "a3")
	s.Fork("0", "b1", "b2")
	s.meet("peer", "a2")
	s.done(s.n.Headers(s.now, "peer", s.headers("a1", "a2")))
	s.giveTogether("a1", "b2", "a2", "a1", "b1", "a3") // b2 waits for b1, a1 comes twice, a3 is new
	s.tip("a3")
	s.verdict(node.Ignore, node.ErrOrphan)
	if e, ok := s.n.Entry(s.blocks["b2"].ID()); !ok || e.Status != node.Complete {
		t.Error("b2 is not complete")
	}
}

// A crash between the transactions of one answer leaves a shorter chain.
func TestADiskThatFailsInTheMiddleOfAnAnswer(t *testing.T) {
	s := tell(t, chaintest.Easy())
	s.Fork("0", numbered("a", 1, 4)...)
	s.meet("peer", "a4")
	s.done(s.n.Headers(s.now, "peer", s.headers(numbered("a", 1, 4)...)))
	var all []chain.CheckedBlock
	for _, name := range numbered("a", 1, 4) {
		s.given = append(s.given, s.blocks[name].ID())
		all = append(all, s.blocks[name])
	}
	s.disk.most = 2
	if _, err := s.n.Block(s.now, "peer", all...); !errors.Is(err, errDisk) {
		t.Fatalf("a failed commit is %v", err)
	}
	s.disk.most = 0
	s.start()
	s.tip("a2")
}
