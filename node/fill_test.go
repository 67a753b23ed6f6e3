package node_test

import (
	"errors"
	"maps"
	"math"
	"slices"
	"testing"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/node"
)

// filling is a story with a block a1 that holds five payments.
func filling(t *testing.T) (*story, []chain.CheckedTx) {
	s := tell(t, chaintest.Easy())
	s.Fork("0", "r1", "r2", "r3")
	s.give("r1", "r2", "r3") // the prefunded coins are mature
	var txs []*chain.Tx
	var checked []chain.CheckedTx
	for i := range 5 {
		tx := s.pay(i, 9, 500)
		txs = append(txs, tx)
		checked = append(checked, chaintest.CheckTx(s.p, tx))
	}
	s.Block("r3", chaintest.Plan{Name: "a1", Txs: txs})
	s.Fork("a1", "a2", "a3")
	return s, checked
}

func (s *story) tx(from node.Peer, txs ...chain.CheckedTx) {
	s.Helper()
	for _, tx := range txs {
		s.done(s.n.Tx(s.now, from, tx))
	}
}

func (s *story) fill(from node.Peer, name string, txs ...chain.CheckedTx) {
	s.Helper()
	s.done(s.n.Filled(s.now, from, s.blocks[name].ID(), txs))
}

func (s *story) fail(from node.Peer, w node.Want, names ...string) {
	s.Helper()
	q := node.Request{Want: w}
	for _, name := range names {
		q.IDs = append(q.IDs, s.blocks[name].ID())
	}
	s.done(s.n.Failed(s.now, from, q))
}

// bodies checks whom the last step asked for which bodies.
func (s *story) bodies(want map[node.Peer][]string) {
	s.Helper()
	if got := s.asked(node.WantBodies); !maps.EqualFunc(got, want, slices.Equal) {
		s.Fatalf("bodies asked: %v, want %v", got, want)
	}
}

func TestAnAnnouncementIsFilledFromThePool(t *testing.T) {
	s, txs := filling(t)
	s.tx("peer", txs...)
	s.given = append(s.given, s.blocks["a1"].ID())
	s.hear("peer", "a1")
	s.verdict(node.Accept, nil)
	s.tip("a1")
	if len(s.out.Ask) > 0 || s.n.Mempool().Len() > 0 {
		t.Errorf("asks %+v", s.out.Ask)
	}
	s.hear("other", "a1")
	s.verdict(node.Ignore, node.ErrKnown)
}

func TestWhatThePoolLacksIsAskedFor(t *testing.T) {
	s, txs := filling(t)
	s.tx("peer", txs[1], txs[3])
	s.hear("peer", "a1")
	s.verdict(node.Accept, nil) // passed on before it is here
	s.tip("r3")
	want := node.Ask{
		From:    "peer",
		Request: node.Request{Want: node.WantTxs, IDs: []chain.Hash{s.blocks["a1"].ID()}, Index: []uint32{0, 2, 4}},
		Expect:  []chain.Hash{txs[0].ID(), txs[2].ID(), txs[4].ID()},
	}
	if len(s.out.Ask) != 1 || s.out.Ask[0].From != want.From || !slices.Equal(s.out.Ask[0].Expect, want.Expect) ||
		!slices.Equal(s.out.Ask[0].Request.Index, want.Request.Index) || !slices.Equal(s.out.Ask[0].Request.IDs, want.Request.IDs) {
		t.Fatalf("asks %+v, want %+v", s.out.Ask, want)
	}
	s.hear("other", "a1")
	s.verdict(node.Ignore, node.ErrKnown)
	if len(s.out.Ask) > 0 {
		t.Errorf("asks again: %+v", s.out.Ask)
	}
	told, err := s.n.Answer(s.now, "other", node.Request{Want: node.WantAnnouncement, IDs: want.Request.IDs})
	if err != nil || told.Announcement == nil || told.Announcement.Header.ID() != want.Request.IDs[0] {
		t.Errorf("whoever it was passed on to hears %+v of it, %v", told, err)
	}
	s.given = append(s.given, s.blocks["a1"].ID())
	s.fill("peer", "a1", txs[0], txs[2], txs[4])
	s.tip("a1")
	s.fill("peer", "a1", txs[0], txs[2], txs[4]) // once more
	s.verdict(node.Ignore, node.ErrKnown)
}

// Foresee knows of an announcement what Announced will say of its header, and that it
// came before; nothing comes of asking.
func TestAnnouncementsAreForeseen(t *testing.T) {
	s, _ := filling(t)
	foresee := func(name string, change func(*chain.Header)) error {
		h := s.blocks[name].Header()
		change(&h)
		return s.n.Foresee(s.now, h)
	}
	as := func(*chain.Header) {}
	for what, c := range map[string]struct {
		block  string
		change func(*chain.Header)
		want   error
	}{
		"new":           {"a1", as, nil},
		"its child":     {"a2", as, node.ErrOrphan},
		"in the chain":  {"r3", as, node.ErrKnown},
		"of other bits": {"a1", func(h *chain.Header) { h.Bits-- }, chain.BadBits.Err()},
		"far ahead":     {"a1", func(h *chain.Header) { h.Time = math.MaxUint32 }, node.ErrFuture},
	} {
		if err := foresee(c.block, c.change); !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("a block %s: %v, want %v", what, err, c.want)
		}
	}
	had := s.n.InMemory()
	if foresee("a1", as); s.n.InMemory() != had {
		t.Error("looking at a header keeps it")
	}
	s.done(s.n.Headers(s.now, "peer", []chain.Header{s.blocks["a1"].Header()}))
	if err := foresee("a1", as); err != nil {
		t.Errorf("only its header is here: %v", err)
	}
	s.hear("peer", "a1")
	s.verdict(node.Accept, nil)
	if err := foresee("a1", as); !errors.Is(err, node.ErrKnown) {
		t.Errorf("it is being filled in: %v", err)
	}
}

func TestABadAnswerLeadsToTheWholeBlock(t *testing.T) {
	for name, answer := range map[string]func([]chain.CheckedTx) []chain.CheckedTx{
		"short": func(txs []chain.CheckedTx) []chain.CheckedTx { return txs[:4] },
		"wrong": func(txs []chain.CheckedTx) []chain.CheckedTx { return append(txs[1:], txs[1]) },
		"empty": func([]chain.CheckedTx) []chain.CheckedTx { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			s, txs := filling(t)
			s.meet("peer", "a1")
			s.hear("peer", "a1")
			s.fill("peer", "a1", answer(slices.Clone(txs))...)
			s.bodies(map[node.Peer][]string{"peer": {"a1"}})
			s.give("a1")
			s.tip("a1")
		})
	}
}

func TestWhatNobodyServesIsAskedForLaterElsewhere(t *testing.T) {
	s, _ := filling(t)
	s.meet("a", "a1")
	s.meet("b", "a1")
	s.meet("low", "0")
	s.hear("b", "a1")
	s.fail("b", node.WantTxs, "a1")
	s.bodies(map[node.Peer][]string{"b": {"a1"}})
	s.fail("b", node.WantBodies, "a1")
	tries := map[node.Peer]int{}
	for range 600 { // ten minutes of failure
		for i := 0; i < 9 && len(s.asked(node.WantBodies)) > 0; i++ {
			for p := range s.asked(node.WantBodies) {
				tries[p]++
				s.fail(p, node.WantBodies, "a1")
			}
		}
		s.now += 1000
		s.done(s.n.Tick(s.now))
	}
	if tries["a"] < 5 || tries["b"] < 5 || tries["a"]+tries["b"] > 30 || tries["low"] > 0 {
		t.Errorf("tries: %v", tries)
	}
	s.give("a1")
	s.tip("a1")
}

func TestRequestsThatNobodyAnswersTimeOut(t *testing.T) {
	s, _ := filling(t)
	s.meet("a", "a3")
	s.done(s.n.Headers(s.now, "a", s.headers("a1", "a2", "a3")))
	s.bodies(map[node.Peer][]string{"a": {"a1", "a2", "a3"}})
	if s.n.Flying() != 3 {
		t.Fatalf("%d in flight", s.n.Flying())
	}
	s.meet("b", "a3")
	s.now += node.BodyWait + 1
	s.done(s.n.Tick(s.now))
	s.bodies(map[node.Peer][]string{"b": {"a1", "a2", "a3"}})
	s.give("a3", "a1", "a2")
	s.tip("a3")
	if s.n.Flying() != 0 {
		t.Errorf("%d in flight", s.n.Flying())
	}
}

func TestABrokenBodyIsCondemnedAndNobodyBlamed(t *testing.T) {
	s, _ := filling(t)
	s.Fork("r3", "b1", "b2")
	s.meet("peer", "a3")
	s.done(s.n.Headers(s.now, "peer", s.headers("a1", "a2", "a3")))
	s.done(s.n.Headers(s.now, "peer", s.headers("b1", "b2")))
	why := chain.BadSignature.Err()
	s.done(s.n.Broken(s.now, "peer", s.blocks["a1"].ID(), why))
	s.verdict(node.Ignore, why)
	s.slack = true
	s.give("a2")
	s.verdict(node.Ignore, node.ErrKnown)
	s.start()
	s.hear("peer", "a1")
	s.verdict(node.Ignore, node.ErrKnown)
	s.hear("peer", "a2")
	s.verdict(node.Ignore, chain.BadParent.Err())
	s.give("b1", "b2")
	s.tip("b2")
	s.done(s.n.Broken(s.now, "peer", s.blocks["b2"].ID(), why)) // it is ours already
	s.tip("b2")
}

func TestTheBranchBelowABrokenEndIsFetched(t *testing.T) {
	s := tell(t, chaintest.Easy())
	s.Fork("0", "a1", "a2", "a3")
	s.meet("peer", "a3")
	s.done(s.n.Headers(s.now, "peer", s.headers("a1", "a2", "a3")))
	s.done(s.n.Broken(s.now, "peer", s.blocks["a3"].ID(), chain.BadSignature.Err()))
	s.now += node.BodyWait + 1
	s.done(s.n.Tick(s.now))
	s.bodies(map[node.Peer][]string{"peer": {"a1", "a2"}})
	s.give("a1", "a2")
	s.tip("a2")
}

func TestAnotherBodyMayStandUnderTheSameRoot(t *testing.T) {
	s := tell(t, chaintest.Easy())
	s.Fork("0", "a1")
	s.meet("a", "a1")
	s.meet("b", "a1")
	s.done(s.n.Headers(s.now, "a", s.headers("a1")))
	s.bodies(map[node.Peer][]string{"a": {"a1"}})
	for _, k := range []chain.Kind{chain.Malformed, chain.BadRoot, chain.Mutated, chain.NoInputs} {
		s.now += 120_000
		s.done(s.n.Broken(s.now, "a", s.blocks["a1"].ID(), k.Err()))
	}
	if e, _ := s.n.Entry(s.blocks["a1"].ID()); e.Status != node.Headed {
		t.Fatalf("status %d", e.Status)
	}
	s.give("a1")
	s.tip("a1")
}

func TestAnOversizedBlockIsCondemnedWhenItIsFilledIn(t *testing.T) {
	p := chaintest.Easy()
	p.MaxBlock = chain.HeaderSize + 1 + chain.MaxCoinbase
	s := tell(t, p)
	coin, key := chaintest.Funds(p, 0), chaintest.Key(0)
	var txs []*chain.Tx
	for range 60 {
		tx := chaintest.Pay(p, coin, key, 500)
		txs = append(txs, tx)
		coin = chaintest.Outs(tx, 0)[0]
	}
	b := chaintest.Block(p, s.states["0"], chaintest.Plan{Name: "big", Txs: txs})
	a, err := chain.CheckAnnouncement(p, b.Announce())
	if err != nil {
		t.Fatal(err)
	}
	s.done(s.n.Announced(s.now, "peer", a))
	var checked []chain.CheckedTx
	for _, tx := range txs {
		checked = append(checked, chaintest.CheckTx(p, tx))
	}
	s.done(s.n.Filled(s.now, "peer", b.ID(), checked))
	s.verdict(node.Ignore, chain.BadLength.Err())
	if e, _ := s.n.Entry(b.ID()); e.Status != node.Condemned {
		t.Errorf("status %d", e.Status)
	}
}

func TestBodiesComeFromSeveralPeers(t *testing.T) {
	s := tell(t, chaintest.Easy())
	names := numbered("a", 1, 300)
	s.Fork("0", names...)
	for _, p := range []node.Peer{"a", "b", "c"} {
		s.meet(p, "a300")
	}
	s.done(s.n.Headers(s.now, "a", s.headers(names...)))
	if n := s.n.Run(); n != node.FewBodies {
		t.Errorf("%d bodies that may be large go into a request", n)
	}
	for _, p := range []node.Peer{"a", "b", "c"} {
		if got := len(s.asked(node.WantBodies)[p]); got != node.FewBodies {
			t.Errorf("%d bodies asked of %s", got, p)
		}
	}
	s.giveTogether(numbered("a", 1, 16)...)
	if n := len(s.out.Ask); n == 0 || n > 3 {
		t.Errorf("%d requests follow an answer", n)
	}
	for at := 17; at < 280 && s.n.Flying() < node.MaxInFlight; at += 16 {
		if s.giveTogether(numbered("a", at, at+15)...); s.n.Flying() > node.MaxInFlight {
			t.Fatalf("%d in flight", s.n.Flying())
		}
		for _, a := range s.out.Ask {
			if len(a.Request.IDs) > node.MaxBodies {
				t.Errorf("%d bodies in one request", len(a.Request.IDs))
			}
		}
	}
	if n := s.n.Run(); n != node.MaxBodies {
		t.Errorf("%d small bodies go into a request", n)
	}
}

// One answer of the only peer is on its way while another is checked; who comes second
// has a share from the first.
func TestTheOnlyPeerIsAskedForSeveralAnswers(t *testing.T) {
	s := tell(t, chaintest.Easy())
	names := numbered("a", 1, 300)
	s.Fork("0", names...)
	s.meet("a", "a300")
	s.done(s.n.Headers(s.now, "a", s.headers(names...)))
	if got, requests := len(s.asked(node.WantBodies)["a"]), len(s.out.Ask); got != 3*node.FewBodies || requests != 3 {
		t.Errorf("%d bodies asked of the only peer in %d requests", got, requests)
	}
	s.meet("b", "a300")
	s.giveTogether(numbered("a", 1, 16)...)
	if got := len(s.asked(node.WantBodies)["b"]); got != node.FewBodies {
		t.Errorf("%d bodies asked of the second", got)
	}
}

func TestAFullDiskOfSideBranchesStillLetsAHeavierBranchIn(t *testing.T) {
	s := tell(t, chaintest.Easy())
	s.Fork("0", "a1", "a2", "a3")
	s.Fork("0", "b1", "b2", "b3", "b4")
	s.give("a1", "a2", "a3")
	s.n.FillSide()
	s.slack = true
	s.give("b1")
	s.verdict(node.Ignore, node.ErrFull)
	s.now += 10_000
	s.meet("peer", "b4")
	s.done(s.n.Headers(s.now, "peer", s.headers("b1", "b2", "b3", "b4")))
	s.bodies(map[node.Peer][]string{"peer": {"b1", "b2", "b3", "b4"}})
	s.give("b1", "b2", "b3", "b4")
	s.tip("b4")
}

func TestErrorsOfTheDiskComeBack(t *testing.T) {
	s, txs := filling(t)
	s.tx("peer", txs[0])
	s.Fork("r3", "b1", "b2")
	s.give("a1")
	calls := map[string]func() (node.Outcome, error){
		"block":     func() (node.Outcome, error) { return s.n.Block(s.now, "peer", s.blocks["b1"]) },
		"announced": func() (node.Outcome, error) { return s.n.Announced(s.now, "peer", s.blocks["b1"].Announce()) },
		"headers":   func() (node.Outcome, error) { return s.n.Headers(s.now, "peer", s.headers("b1")) },
		"tx":        func() (node.Outcome, error) { return s.n.Tx(s.now, "peer", chaintest.CheckTx(s.p, s.pay(7, 1, 500))) },
		"tip":       func() (node.Outcome, error) { return s.n.Tip(s.now, "peer", s.claim("far", "b2", 1)) },
	}
	s.disk.failReads = errDisk
	for name, call := range calls {
		if out, err := call(); !errors.Is(err, errDisk) {
			t.Errorf("%s: %v, %+v", name, err, out)
		}
	}
	s.disk.failReads = nil
	s.disk.failCommit = errDisk
	if _, err := s.n.Block(s.now, "peer", s.blocks["b1"]); !errors.Is(err, errDisk) {
		t.Errorf("commit: %v", err)
	}
}

// TestAFailingDiskLosesNoPayment: what came loose in a reorganisation is not
// dropped for an error that is not its own.
func TestAFailingDiskLosesNoPayment(t *testing.T) {
	s, txs := filling(t)
	s.tx("peer", txs...)
	s.Fork("r3", "b1", "b2")
	s.give("a1", "b1")
	s.disk.coinsAfterCommit = errDisk
	if _, err := s.n.Block(s.now, "peer", s.blocks["b2"]); !errors.Is(err, errDisk) {
		t.Fatalf("the disk burns, and the node says %v", err)
	}
}

func TestWhoHasLeftIsNotAsked(t *testing.T) {
	s := tell(t, chaintest.Easy())
	s.Fork("0", "a1")
	s.meet("a", "a1")
	s.meet("b", "a1")
	s.n.Left(s.now, "a")
	s.done(s.n.Headers(s.now, "a", s.headers("a1")))
	s.bodies(map[node.Peer][]string{"b": {"a1"}})
}

// TestHandsThatAreFull: bodies that came too early are let go and asked for again,
// but never the one that all wait for.
func TestHandsThatAreFull(t *testing.T) {
	s := tell(t, chaintest.Easy())
	names := numbered("a", 1, 30)
	s.Fork("0", names...)
	s.n.Hold(5 * s.blocks["a1"].Size())
	s.meet("peer", "a30")
	s.done(s.n.Headers(s.now, "peer", s.headers(names...)))
	s.bodies(map[node.Peer][]string{"peer": {"a1"}}) // more would not fit, if they were large
	s.slack = true
	for _, name := range names[1:] {
		s.give(name)
		if full := s.out.Verdict == node.Ignore; full != (name > "a6" || len(name) > 2) {
			t.Errorf("%s: full %v", name, full)
		}
		if len(s.asked(node.WantBodies)) > 0 {
			t.Errorf("%s: asks for %v again at once", name, s.asked(node.WantBodies))
		}
	}
	s.give("a1")
	s.tip("a6")
	for range 10 {
		for len(s.asked(node.WantBodies)) > 0 {
			s.give(s.asked(node.WantBodies)["peer"]...)
		}
		s.now += 1000
		s.done(s.n.Tick(s.now))
	}
	s.tip("a30")
}
