package node_test

import (
	"errors"
	"testing"

	"cairn/chain/chaintest"
	"cairn/node"
)

// TestACrashInTheMiddleOfAReorganisation leaves a shorter chain that is true, and
// the next start finishes the way.
func TestACrashInTheMiddleOfAReorganisation(t *testing.T) {
	for most := 1; most <= 6; most++ { // three blocks off, four on
		s := tell(t, chaintest.Easy())
		s.Fork("0", "a1", "a2", "a3")
		s.Fork("0", "b1", "b2", "b3", "b4")
		s.give("a1", "a2", "a3", "b1", "b2", "b3")
		s.disk.most = most
		if _, err := s.n.Block(s.now, "peer", s.blocks["b4"]); !errors.Is(err, errDisk) {
			t.Fatalf("%d steps: %v", most, err)
		}
		s.disk.most = 0
		s.slack = true // b4 was in hand
		s.start()
		if got := s.name(s.n.Best().ID); s.n.Best().Height != 3 || most == 6 && got != "b3" {
			t.Fatalf("%d steps, then at %s", most, got)
		}
		s.slack = false
		s.give("b4")
		s.tip("b4")
	}
}

func TestACommitThatFailsAndOneThatDoesNot(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(*disk, error)
		want string
	}{
		{"not persisted", func(d *disk, err error) { d.failCommit = err }, "a2"},
		{"but persisted", func(d *disk, err error) { d.afterCommit = err }, "b3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := tell(t, chaintest.Easy())
			s.Fork("0", "a1", "a2")
			s.Fork("0", "b1", "b2", "b3")
			s.give("a1", "a2", "b1", "b2")
			c.set(s.disk, errDisk)
			if _, err := s.n.Block(s.now, "peer", s.blocks["b3"]); !errors.Is(err, errDisk) {
				t.Fatalf("got %v", err)
			}
			c.set(s.disk, nil)
			s.given = append(s.given, s.blocks["b3"].ID())
			s.start()
			s.tip(c.want)
			s.give("b3")
			s.tip("b3")
		})
	}
}

// TestAStoreWithAFalseBlockBelowASoundOne is what a crash leaves that came between
// a condemned block and those that build on it.
func TestAStoreWithAFalseBlockBelowASoundOne(t *testing.T) {
	s := tell(t, chaintest.Easy())
	s.Fork("0", "a1", "a2", "a3")
	s.Greedy("0", "x1")
	s.Fork("x1", "x2", "x3", "x4")
	s.give("a1", "a2", "a3", "x1", "x2", "x3")
	step := node.Step{Tip: s.blocks["a3"].ID(), Condemned: ids(s, "x1")}
	if err := s.disk.Memory.Commit(step); err != nil {
		t.Fatal(err)
	}
	s.start()
	s.slack = true
	s.give("x4")
	s.tip("a3")
	for _, name := range []string{"x1", "x2", "x3"} {
		if e, ok := s.n.Entry(s.blocks[name].ID()); !ok || e.Status != node.Condemned {
			t.Errorf("%s has status %d", name, e.Status)
		}
	}
}

// TestADeepReorganisationFromTheStore: what lies below memory is read again.
func TestADeepReorganisationFromTheStore(t *testing.T) {
	for _, bad := range []bool{false, true} {
		p := chaintest.Easy()
		s := tell(t, p)
		s.cfg.Window = 10
		s.start()
		s.Fork("0", numbered("a", 1, 60)...)
		if bad {
			s.Greedy("0", "b1")
		} else {
			s.Fork("0", "b1")
		}
		s.Fork("b1", numbered("b", 2, 61)...)
		s.give(numbered("a", 1, 4)...)
		s.give(numbered("b", 1, 3)...)
		s.give(numbered("a", 5, 60)...)
		s.give(numbered("b", 4, 55)...)
		if n := s.n.InMemory(); n > 100 {
			t.Errorf("%d entries in memory", n)
		}
		if !bad {
			s.give(numbered("b", 56, 61)...)
			s.tip("b61")
			continue
		}
		s.slack = true
		s.give(numbered("b", 56, 61)...)
		s.tip("a60")
		for _, name := range numbered("b", 1, 61) {
			if e, ok := s.n.Entry(s.blocks[name].ID()); ok && e.Status != node.Condemned {
				t.Errorf("%s has status %d", name, e.Status)
			}
		}
	}
}

// TestThinningOutKeepsALongBranchOnItsWayIn: headers of a heavier branch that
// parts from ours deeper than memory reaches stay until their bodies have come.
func TestThinningOutKeepsALongBranchOnItsWayIn(t *testing.T) {
	s := tell(t, chaintest.Easy())
	s.cfg.Window = 10
	s.start()
	s.Fork("0", numbered("a", 1, 60)...)
	s.Fork("0", numbered("b", 1, 80)...)
	s.give(numbered("a", 1, 15)...)
	s.meet("peer", "b80")
	s.done(s.n.Headers(s.now, "peer", s.headers(numbered("b", 1, 80)...)))
	s.give(numbered("a", 16, 60)...)
	s.tip("a60")
	s.give(numbered("b", 1, 80)...)
	s.tip("b80")
}

func TestThinningOutDropsLightHeaders(t *testing.T) {
	s := tell(t, chaintest.Easy())
	s.cfg.Window = 10
	s.start()
	s.Fork("0", numbered("a", 1, 60)...)
	s.Fork("0", numbered("b", 1, 5)...)
	s.give("a1", "a2")
	s.done(s.n.Headers(s.now, "peer", s.headers(numbered("b", 1, 5)...)))
	if _, ok := s.n.Entry(s.blocks["b5"].ID()); !ok {
		t.Fatal("b5 is unknown")
	}
	s.give(numbered("a", 3, 60)...)
	if _, ok := s.n.Entry(s.blocks["b1"].ID()); ok || s.n.InMemory() > 25 {
		t.Errorf("b1 is still there: %v; %d entries", ok, s.n.InMemory())
	}
}
