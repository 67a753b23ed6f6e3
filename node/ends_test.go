package node_test

import (
	"testing"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/node"
)

// A healed split as the third node sees it: the branch that lost had its
// followers while we were cut off from them, and has none any more.
//
//	0 - b1 - b2 - b3      ours and, by now, everybody's
//	 \- a1 - a2           was followed beyond the cut
func TestABranchThatNobodyFollowsAnyMoreIsLearnedAtHello(t *testing.T) {
	split := func(t *testing.T) *story {
		s := tell(t, chaintest.Easy())
		s.Fork("0", "a1", "a2")
		s.Fork("0", "b1", "b2", "b3")
		return s
	}
	other := split(t)
	other.give("a1", "a2", "b1", "b2", "b3")
	other.reorg([]string{"a2", "a1"}, []string{"b1", "b2", "b3"})
	if len(other.out.Announce) != 1 || other.out.Announce[0].ID() != other.blocks["a2"].ID() {
		t.Errorf("the branch that was left is not announced: %+v", other.out.Announce)
	}

	us := split(t)
	us.give("b1", "b2", "b3")
	hello := us.helloOf("b3")
	hello.Ends = other.n.OurHello(other.now).Ends
	us.done(us.n.Hello(us.now, "other", hello))
	us.given = append(us.given, us.blocks["a1"].ID(), us.blocks["a2"].ID())
	us.serve(other.n, "other")
	us.tip("b3")
	for _, name := range []string{"a1", "a2"} {
		if e, ok := us.n.Entry(us.blocks[name].ID()); !ok || e.Status != node.Complete {
			t.Errorf("%s is not known: %+v", name, e)
		}
	}
}

// Ends are asked for once each: a liar's lead nowhere, and then it is over.
func TestInventedEndsAreAskedForOnce(t *testing.T) {
	s := tell(t, chaintest.Easy())
	s.Fork("0", "b1")
	s.give("b1")
	hello := s.helloOf("b1")
	for i := range byte(node.MaxEnds) {
		hello.Ends = append(hello.Ends, chain.SumHash([]byte{i}))
	}
	asks := s.done(s.n.Hello(s.now, "liar", hello)).Ask
	asked := 0
	for range 1000 {
		for len(asks) > 0 {
			a := asks[0]
			asks = asks[1:]
			if a.Request.Want == node.WantHeaders {
				asked++
				asks = append(asks, s.done(s.n.Headers(s.now, "liar", nil)).Ask...)
			}
		}
		s.now += 1000
		asks = s.done(s.n.Tick(s.now)).Ask
	}
	if asked != node.MaxEnds {
		t.Errorf("%d requests for %d invented branches", asked, node.MaxEnds)
	}
}

// serve lets another node answer what this one asks for, until it asks no more.
func (s *story) serve(other *node.Node, name node.Peer) {
	s.Helper()
	asks := s.out.Ask
	for len(asks) > 0 {
		a := asks[0]
		asks = asks[1:]
		got, err := other.Answer(s.now, "us", a.Request)
		if err != nil {
			s.Fatal(err)
		}
		switch a.Request.Want {
		case node.WantHeaders:
			asks = append(asks, s.done(s.n.Headers(s.now, name, got.Headers)).Ask...)
		case node.WantBodies:
			for _, id := range got.Load {
				asks = append(asks, s.done(s.n.Block(s.now, name, s.byID(id))).Ask...)
			}
		}
	}
}

func (s *story) byID(id chain.Hash) chain.CheckedBlock {
	s.Helper()
	for _, b := range s.blocks {
		if b.ID() == id {
			return b
		}
	}
	s.Fatalf("nobody drew block %v", id)
	return chain.CheckedBlock{}
}

// In a large tree the ends are not looked for at every hello; a moment later they are.
func TestEndsServeForAMoment(t *testing.T) {
	s := tell(t, chaintest.Easy())
	names := numbered("h", 1, 1500)
	s.Fork("0", names...)
	s.Fork("0", "a1", "a2")
	s.Fork("0", "b1")
	s.Fork("0", "c1")
	s.give("a1", "a2")
	s.meet("peer", "h1500")
	s.done(s.n.Headers(s.now, "peer", s.headers(names...)))
	ends := func() int { return len(s.n.OurHello(s.now).Ends) }
	s.now += 10
	s.give("b1")
	if n := ends(); n != 1 {
		t.Fatalf("%d ends, want b1", n)
	}
	s.give("c1")
	if n := ends(); n != 1 {
		t.Errorf("looked for at once: %d", n)
	}
	s.now += 2
	if n := ends(); n != 2 {
		t.Errorf("%d ends a moment later", n)
	}
}
