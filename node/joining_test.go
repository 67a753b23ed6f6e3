package node_test

import (
	"errors"
	"testing"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/node"
)

// A node that fetches the chain takes no transactions of others, and asks for
// none. When it has caught up it does, for good.
func TestAFirstSyncTakesNoTransactions(t *testing.T) {
	s := tell(t, chaintest.Easy())
	names := numbered("a", 1, 400)
	s.Fork("0", names...)
	s.meet("a", "a400")
	s.done(s.n.Headers(s.now, "a", s.headers(names...)))
	if !s.n.Joining() {
		t.Fatal("400 blocks behind, and not joining")
	}
	theirs, ours := chaintest.CheckTx(s.p, s.pay(0, 9, 500)), chaintest.CheckTx(s.p, s.pay(1, 9, 500))
	s.done(s.n.Tx(s.now, "a", theirs))
	s.verdict(node.Ignore, node.ErrJoins)
	s.tx(node.Self, ours)
	if s.out.Why == node.ErrJoins {
		t.Error("our own user is turned away")
	}
	s.meet("a", "a400")
	s.verdict(node.Accept, nil)
	if len(s.asked(node.WantPool)) != 0 {
		t.Errorf("asks for a pool: %v", s.out.Ask)
	}
	s.now += 100_000
	if out := s.done(s.n.Tick(s.now)); s.n.Joining() && len(out.Ask) > 0 && s.asked(node.WantPool) != nil {
		t.Errorf("asks for a pool: %v", out.Ask)
	}
	s.give(names...)
	s.done(s.n.Tick(s.now))
	if s.n.Joining() {
		t.Error("at the tip, and still joining")
	}
	s.done(s.n.Tx(s.now, "a", theirs))
	s.verdict(node.Accept, nil)
}

// A long branch that nobody serves holds transactions up for a minute, once.
func TestNobodyHoldsUpTheFirstSync(t *testing.T) {
	s := tell(t, chaintest.Easy())
	names := numbered("a", 1, 400)
	s.Fork("0", names...)
	s.meet("liar", "a400")
	s.done(s.n.Headers(s.now, "liar", s.headers(names...)))
	for range 61 {
		s.now += 1000
		s.done(s.n.Tick(s.now))
	}
	if s.n.Joining() {
		t.Error("still waiting for what nobody serves")
	}
	tx := chaintest.CheckTx(s.p, s.pay(0, 9, 500))
	s.tx("a", tx)
	if errors.Is(s.out.Why, node.ErrJoins) {
		t.Error("turned away")
	}
}

// One voice does not stop our miner; two do, or one whom a block bears out.
func TestOneVoiceStopsNoMiner(t *testing.T) {
	s := tell(t, chaintest.Easy())
	ahead := chain.Time(s.p.Ahead*1000 + 60_000)
	hello := func(p node.Peer) {
		h := s.helloOf("0")
		h.Time = s.now + ahead
		s.done(s.n.Hello(s.now, p, h))
	}
	mines := func(want bool) {
		t.Helper()
		if _, err := s.n.Template(s.now, chain.Address{}); (err == nil) != want {
			t.Errorf("mines: %v (%v), want %v", err == nil, err, want)
		}
	}
	hello("one")
	if s.n.Behind() != ahead {
		t.Errorf("%d ms behind", s.n.Behind())
	}
	mines(true)
	hello("two")
	mines(false)
	s.n.Left(s.now, "two")
	mines(true)
	future := chaintest.Block(s.p, s.p.GenesisState(), chaintest.Plan{
		Name: "future", Gap: int64(s.now+ahead)/1000 - int64(s.p.Genesis.Header.Time),
	})
	a, err := chain.CheckAnnouncement(s.p, future.Announce())
	if err != nil {
		t.Fatal(err)
	}
	s.done(s.n.Announced(s.now, "one", a))
	s.verdict(node.Ignore, node.ErrFuture)
	mines(false)
}

// Whoever dials us under many names does not stop our miner, while we have a peer
// that we chose; without one, their clocks are all that we know of.
func TestCallersStopNoMiner(t *testing.T) {
	s := tell(t, chaintest.Easy())
	ahead := chain.Time(s.p.Ahead*1000 + 60_000)
	hello := func(p node.Peer, time chain.Time) {
		h := s.helloOf("0")
		h.Time = time
		s.done(s.n.Hello(s.now, p, h))
	}
	hello("honest", s.now)
	s.n.Chose("honest")
	for i := range 50 {
		hello(node.Peer(itoa(i)), s.now+ahead)
	}
	if _, err := s.n.Template(s.now, chain.Address{}); err != nil || s.n.Behind() != 0 {
		t.Errorf("%d ms behind: %v", s.n.Behind(), err)
	}
	s.n.Left(s.now, "honest")
	if _, err := s.n.Template(s.now, chain.Address{}); !errors.Is(err, node.ErrClock) {
		t.Errorf("nobody but callers, and the miner hears none of them: %v", err)
	}
	hello("honest", s.now) // it comes by itself this time
	if s.n.Behind() != ahead {
		t.Errorf("%d ms behind", s.n.Behind())
	}
}

// An answer that is full ends early: the rest is asked for at once, of the same
// peer. Whoever leaves out a block before one that it sends has failed.
func TestAShortAnswerIsNoFailure(t *testing.T) {
	s := tell(t, chaintest.Easy())
	names := numbered("a", 1, 8)
	s.Fork("0", names...)
	s.meet("a", "a8")
	s.done(s.n.Headers(s.now, "a", s.headers(names...)))
	s.bodies(map[node.Peer][]string{"a": names})
	s.give("a1", "a2", "a3")
	s.fail("a", node.WantBodies, names...)
	s.bodies(map[node.Peer][]string{"a": names[3:]})
	for range 5 { // and again and again
		s.give("a4")
		s.fail("a", node.WantBodies, names[3:]...)
	}
	s.bodies(map[node.Peer][]string{"a": names[4:]})

	s.meet("b", "a8")
	s.give("a6")
	s.fail("a", node.WantBodies, names[4:]...)
	got := s.asked(node.WantBodies)
	if len(got["b"]) != 1 || got["b"][0] != "a5" || len(got["a"]) != 2 {
		t.Errorf("what was held back is asked of %v", got)
	}
}
