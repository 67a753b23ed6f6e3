package node_test

import (
	"math/rand/v2"
	"testing"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/node"
)

// ruleOut rules blocks out, as a person would: the tip may move to less work.
func (s *story) ruleOut(names ...string) {
	s.Helper()
	s.slack = true // the heaviest branch may be ruled out
	for _, name := range names {
		out, err := s.n.Invalidate(s.now, s.blocks[name].ID())
		s.best = s.n.Best()
		s.done(out, err)
	}
}

func (s *story) reconsider(name string) {
	s.Helper()
	s.done(s.n.Reconsider(s.now, s.blocks[name].ID()))
	s.slack = len(s.n.RuledOut()) > 0
	s.check()
}

// again starts with what was ruled out, as the driver remembers it.
func (s *story) again() {
	s.Helper()
	s.cfg.RuledOut = s.n.RuledOut()
	s.start()
}

func TestARuledOutBlockLeavesTheBestChain(t *testing.T) {
	s := tell(t, chaintest.Easy())
	s.Fork("0", "a1", "a2", "a3", "a4", "a5")
	s.Fork("a1", "b2", "b3")
	s.give("a1", "a2", "a3", "a4", "a5", "b2", "b3")
	s.tip("a5")
	seen := s.n.Best().ID
	s.ruleOut("a3") // a2 is as high as b2, b3 is higher
	s.tip("b3")
	s.reorg([]string{"a5", "a4", "a3", "a2"}, []string{"b2", "b3"})
	if !s.out.Moved || s.out.Verdict != node.Accept {
		t.Errorf("outcome %+v", s.out)
	}
	if m, err := s.n.Since(seen, 0); err != nil || len(m.Undone) != 4 || len(m.Applied) != 2 {
		t.Errorf("who saw a5 is led by %+v, %v", m, err)
	}
	s.ruleOut("b2") // only a2 is left, lower than both
	s.tip("a2")
	for _, e := range s.n.Leaves()[1:] {
		if e.Status != node.Condemned {
			t.Errorf("%s is shown as %d", s.name(e.State.ID), e.Status)
		}
	}
	s.again()
	s.tip("a2")
	s.reconsider("a5") // names a block behind the one that was ruled out
	s.tip("a5")
	if got := s.list(s.n.RuledOut()); len(got) != 1 || got[0] != "b2" {
		t.Errorf("%v are ruled out, want b2", got)
	}
	s.reconsider("b2")
	s.tip("a5")
}

func TestNothingBuildsOnARuledOutBlock(t *testing.T) {
	s := tell(t, chaintest.Easy())
	s.Fork("0", "a1", "a2", "a3", "a4", "a5")
	s.give("a1", "a2", "a3")
	s.ruleOut("a2")
	s.tip("a1")
	s.give("a4")
	s.verdict(node.Ignore, chain.BadParent.Err())
	s.give("a3")
	s.verdict(node.Ignore, node.ErrKnown)
	s.tip("a1")
	s.Fork("a1", "c2")
	s.give("c2")
	s.tip("c2")
	s.given = s.given[:3]
	s.slack = true
	s.reconsider("a2")
	s.tip("a3")
	s.give("a4", "a5")
	s.tip("a5")
}

// A payment of a block that was ruled out waits again.
func TestRuledOutPaymentsComeBack(t *testing.T) {
	p := chaintest.Easy()
	s := tell(t, p)
	s.Fork("0", "a1", "a2", "a3")
	tx := chaintest.Pay(p, chaintest.Funds(p, 0), chaintest.Key(0), 1000)
	s.Block("a3", chaintest.Plan{Name: "a4", Pay: chaintest.Address(9), Txs: []*chain.Tx{tx}})
	s.give("a1", "a2", "a3", "a4")
	s.ruleOut("a4")
	s.tip("a3")
	if !s.n.Mempool().Has(tx.ID()) {
		t.Error("the payment does not wait")
	}
	s.reconsider("a4")
	s.tip("a4")
	if s.n.Mempool().Has(tx.ID()) {
		t.Error("the payment still waits")
	}
}

func TestWhatCannotBeRuledOut(t *testing.T) {
	s := tell(t, chaintest.Easy())
	s.Fork("0", "a1", "a2")
	s.Greedy("a1", "x2")
	s.Fork("x2", "x3")
	s.give("a1")
	s.meet("peer", "a2")
	s.done(s.n.Headers(s.now, "peer", s.headers("a2")))
	refused := func(name string, id chain.Hash, want error, f func(chain.Time, chain.Hash) (node.Outcome, error)) {
		t.Helper()
		out, err := f(s.now, id)
		if err != nil || out.Verdict != node.Ignore || out.Why != want {
			t.Errorf("%s: %+v, %v, want %v", name, out, err, want)
		}
	}
	refused("a stranger", chain.Hash{1}, node.ErrUnknown, s.n.Invalidate)
	refused("a stranger, reconsidered", chain.Hash{1}, node.ErrUnknown, s.n.Reconsider)
	refused("the genesis", s.p.GenesisID(), node.ErrGenesis, s.n.Invalidate)
	refused("a bare header", s.blocks["a2"].ID(), node.ErrNoBody, s.n.Invalidate)
	s.give("a2", "x2")
	s.given = s.given[:len(s.given)-1]
	s.done(s.n.Block(s.now, "peer", s.blocks["x3"])) // heavier: x2 is tried, and breaks a rule
	refused("what breaks a rule", s.blocks["x2"].ID(), node.ErrCondemned, s.n.Reconsider)
	s.ruleOut("x2")
	if got := s.n.RuledOut(); len(got) != 0 {
		t.Errorf("%v are ruled out", s.list(got))
	}
	s.tip("a2")
}

// What is ruled out and in again in any order, with restarts between, ends on the
// heaviest branch when nothing is ruled out any more.
func TestRuledOutInAnyOrder(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 5))
		s := tell(t, chaintest.Easy())
		s.cfg.Window = 4 // much is forgotten and read again
		s.start()
		names := []string{"0"}
		for i := range 30 {
			parent := names[max(0, len(names)-1-r.IntN(4))]
			name := "n" + itoa(i)
			s.Fork(parent, name)
			names = append(names, name)
		}
		s.give(names[1:]...)
		for range 20 {
			name := names[1+r.IntN(len(names)-1)]
			switch r.IntN(5) {
			case 0:
				s.reconsider(name)
			case 1:
				s.again()
			default:
				s.ruleOut(name)
			}
			s.soundlyRuledOut(seed)
		}
		for len(s.n.RuledOut()) > 0 {
			s.done(s.n.Reconsider(s.now, s.n.RuledOut()[0]))
		}
		s.slack = false
		s.check()
	}
}

// soundlyRuledOut checks that our chain holds no block that was ruled out, and
// that no whole branch without one is heavier.
func (s *story) soundlyRuledOut(seed uint64) {
	s.Helper()
	ruled := map[string]bool{}
	for _, id := range s.n.RuledOut() {
		ruled[s.name(id)] = true
	}
	best := s.states["0"].Work
	for _, id := range s.given {
		clean := true
		for at := id; s.name(at) != "0"; at = s.blocks[s.name(at)].Header().Prev {
			clean = clean && !ruled[s.name(at)]
		}
		if w := s.states[s.name(id)].Work; clean && w.Cmp(best) > 0 {
			best = w
		}
		if !clean && id == s.n.Best().ID {
			s.Fatalf("seed %d: the tip %s builds on what was ruled out", seed, s.name(id))
		}
	}
	if best != s.n.Best().Work {
		s.Fatalf("seed %d: the tip has work %v, %v is to be had", seed, s.n.Best().Work, best)
	}
}
