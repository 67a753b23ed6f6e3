package node_test

import (
	"testing"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/node"
)

// What comes twice came from the first; what came by our own hand came from us.
func TestWhoToldUsFirst(t *testing.T) {
	s := tell(t, chaintest.Easy())
	s.Fork("0", "r1", "r2", "r3", "r4")
	s.give("r1", "r2", "r3", "r4")
	s.Fork("r4", "a1", "a2")
	s.Fork("r4", "b1")
	s.meet("alice", "a2")
	s.meet("bob", "a2")
	began := s.now
	s.done(s.n.Headers(s.now, "alice", s.headers("a1", "a2")))
	s.now += 1000
	s.done(s.n.Headers(s.now, "bob", s.headers("a1", "a2")))
	s.given = append(s.given, s.blocks["b1"].ID())
	s.done(s.n.Block(s.now, node.Self, s.blocks["b1"]))
	tx := chaintest.CheckTx(s.p, s.pay(0, 2, 500))
	s.done(s.n.Tx(s.now, "bob", tx))
	s.done(s.n.Tx(s.now+1, node.Self, tx))
	for id, want := range map[chain.Hash]node.Sight{
		s.blocks["a1"].ID(): {Time: began, From: "alice"},
		s.blocks["b1"].ID(): {Time: s.now, From: node.Self},
		tx.ID():             {Time: s.now, From: "bob"},
	} {
		if got, ok := s.n.Sight(id); !ok || got != want {
			t.Errorf("%v: %+v, %v, want %+v", id, got, ok, want)
		}
	}
	if got, ok := s.n.Sight(s.p.GenesisID()); ok {
		t.Errorf("the genesis was told by %+v", got)
	}
}
