package node_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/node"
)

func (s *story) claims(from, of node.Peer, tip string, counter uint64) {
	s.Helper()
	s.done(s.n.Tip(s.now, from, s.claim(of, tip, counter)))
}

func (s *story) claimers() (names []node.Peer) {
	for _, c := range s.n.Claims() {
		names = append(names, c.Peer)
	}
	return names
}

func TestClaimsAreHeardOnceAndForgotten(t *testing.T) {
	s := tell(t, chaintest.Easy())
	s.Fork("0", "a1", "a2")
	s.meet("direct", "0")
	s.claims("direct", "far", "a1", 5)
	s.verdict(node.Accept, nil)
	s.claims("direct", "far", "a2", 5)
	s.verdict(node.Ignore, node.ErrKnown)
	s.claims("direct", "far", "a2", 4)
	s.verdict(node.Ignore, node.ErrKnown)
	s.claims("direct", "far", "a2", 6)
	s.verdict(node.Accept, nil)
	s.claims("direct", "me", "a2", 99)
	s.verdict(node.Ignore, node.ErrKnown)
	s.claims("direct", node.Self, "a2", 99)
	s.verdict(node.Ignore, node.ErrKnown)
	if c := s.n.Claims(); len(c) != 2 || c[0].Peer != "direct" || !c[0].Direct || c[1].Peer != "far" || c[1].Height != 2 || c[1].Seen != s.now {
		t.Errorf("claims %+v", c)
	}
	s.now += node.ClaimLife + 1
	s.done(s.n.Tick(s.now))
	if c := s.claimers(); len(c) != 0 {
		t.Errorf("still %v", c)
	}
	s.claims("direct", "direct", "0", 1) // an old claim of one who is still connected
	s.verdict(node.Ignore, node.ErrKnown)
	s.n.Left(s.now, "direct")
	s.done(s.n.Tick(s.now))
	s.claims("x", "direct", "0", 1)
	s.verdict(node.Accept, nil)
}

func TestConnectedPeersPushOutOthers(t *testing.T) {
	s := tell(t, chaintest.Easy())
	for i := range node.MaxClaims {
		s.claims("x", node.Peer("far"+itoa(i)), "0", 1)
	}
	s.claims("x", "late", "0", 1)
	s.verdict(node.Accept, nil)
	names := s.claimers()
	if len(names) != node.MaxClaims || slices.Contains(names, "far0") || !slices.Contains(names, "late") {
		t.Errorf("%d claims, far0 there: %v", len(names), slices.Contains(names, "far0"))
	}
	for i := range node.MaxClaims {
		s.meet(node.Peer("near"+itoa(i)), "0")
	}
	s.claims("x", "later", "0", 1)
	s.verdict(node.Ignore, node.ErrFull)
	s.meet("one too many", "0")
	s.verdict(node.Ignore, node.ErrFull)
}

func TestAnotherNetworkIsRefused(t *testing.T) {
	s := tell(t, chaintest.Easy())
	h := s.helloOf("0")
	h.Genesis = chain.Regtest().GenesisID()
	s.done(s.n.Hello(s.now, "stranger", h))
	if s.out.Verdict != node.Reject || s.out.Why == nil || len(s.out.Ask) > 0 {
		t.Errorf("%+v", s.out)
	}
}

func TestAHelloAsksForHeadersAndPool(t *testing.T) {
	s := tell(t, chaintest.Easy())
	s.Fork("0", "a1", "a2")
	s.meet("peer", "a2")
	if len(s.asked(node.WantHeaders)) != 1 || len(s.asked(node.WantPool)) != 1 || s.out.Verdict != node.Accept {
		t.Errorf("asks %+v", s.out.Ask)
	}
	s.give("a1", "a2")
	s.meet("other", "a2")
	if len(s.asked(node.WantHeaders)) != 0 {
		t.Errorf("asks for headers that it has: %+v", s.out.Ask)
	}
	if c := s.n.OurTip(s.now); c.Peer != "me" || c.Height != 2 || c.Header.ID() != s.n.Best().ID || s.n.OurTip(s.now).Counter <= c.Counter {
		t.Errorf("our tip %+v", c)
	}
}

// What was new between the hello and the moment when gossip found its way comes with
// another hello, which asks for nothing twice and takes nothing back.
func TestAnotherHelloBringsWhatIsNew(t *testing.T) {
	s := tell(t, chaintest.Easy())
	s.Fork("0", "a1", "a2")
	s.Fork("a2", "a3")
	s.Fork("0", "b1")
	s.meet("peer", "a2")
	if len(s.asked(node.WantHeaders)) != 1 {
		t.Fatalf("asks %+v", s.out.Ask)
	}
	old := s.helloOf("a2")
	s.now += 500
	again := s.helloOf("a3")
	again.Ends = []chain.Hash{s.blocks["b1"].ID()}
	s.done(s.n.Hello(s.now, "peer", again))
	if len(s.asked(node.WantHeaders)) != 0 || len(s.asked(node.WantPool)) != 1 {
		t.Errorf("while it sends headers, it is asked for %+v", s.out.Ask)
	}
	s.done(s.n.Hello(s.now, "peer", old)) // it was overtaken
	if c := s.n.Claims(); len(c) != 1 || c[0].Height != 3 {
		t.Errorf("it claims %+v", c)
	}
	s.done(s.n.Hello(s.now, "peer", again))
	s.done(s.n.Headers(s.now, "peer", s.headers("a1", "a2", "a3")))
	if asks := s.asked(node.WantHeaders); len(asks) != 1 || s.out.Ask[0].Request.Toward != s.blocks["b1"].ID() {
		t.Errorf("for the branch beside its own it asks %+v", s.out.Ask)
	}
	if len(s.asked(node.WantBodies)) == 0 {
		t.Errorf("asks for no bodies: %+v", s.out.Ask)
	}
	s.meet("peer", "a3")
	if len(s.asked(node.WantHeaders))+len(s.asked(node.WantBodies)) != 0 {
		t.Errorf("asks for what is on its way: %+v", s.out.Ask)
	}
}

func TestLostHeadersAreAskedForAgain(t *testing.T) {
	s := tell(t, chaintest.Easy())
	s.Fork("0", "a1")
	s.meet("peer", "a1")
	s.done(s.n.Failed(s.now, "peer", node.Request{Want: node.WantHeaders}))
	asks := 0
	for range 30 {
		s.now += 1000
		s.done(s.n.Tick(s.now))
		asks += len(s.asked(node.WantHeaders))
	}
	if asks < 2 {
		t.Errorf("asked %d times in 30 s", asks)
	}
	s.done(s.n.Headers(s.now, "peer", s.headers("a1")))
	s.give("a1")
	s.tip("a1")
}

// TestALiarIsAskedEverLessOften: it claims work without end and sends nothing,
// or the same headers again and again.
func TestALiarIsAskedEverLessOften(t *testing.T) {
	for name, lie := range map[string][]string{"nothing": nil, "old news": numbered("a", 1, 2000), "hello again and again": nil} {
		t.Run(name, func(t *testing.T) {
			s := tell(t, chaintest.Easy())
			s.Fork("0", numbered("a", 1, 2000)...)
			for _, b := range numbered("a", 1, 2000) {
				if _, err := s.n.Block(s.now, "peer", s.blocks[b]); err != nil {
					t.Fatal(err)
				}
			}
			hs := s.headers(lie...)
			h := s.helloOf("a2000")
			h.Tip.Header.Nonce++
			h.Tip.Work = chain.NewWork(1 << 62)
			asks := 0
			answer := func(out node.Outcome, err error) {
				for err == nil && len(out.Ask) > 0 && asks < 10_000 {
					i := slices.IndexFunc(out.Ask, func(a node.Ask) bool { return a.Request.Want == node.WantHeaders })
					if i < 0 {
						return
					}
					asks++
					out, err = s.n.Headers(s.now, "liar", hs)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			answer(s.n.Hello(s.now, "liar", h))
			for range 600 {
				s.now += 1000
				h.Tip.Peer = "liar"
				h.Tip.Counter += 1000
				answer(s.n.Tip(s.now, "liar", h.Tip))
				answer(s.n.Tick(s.now))
				if strings.HasPrefix(name, "hello") {
					h.Tip.Header.Nonce++
					h.Tip.Counter++
					answer(s.n.Hello(s.now, "liar", h))
				}
			}
			if asks > 40 {
				t.Errorf("asked %d times in ten minutes", asks)
			}
		})
	}
}

// TestCheapHeadersDoNotFillMemory: a flood of light headers goes before the
// honest chain's.
func TestCheapHeadersDoNotFillMemory(t *testing.T) {
	s := tell(t, chaintest.Retargeting())
	s.n.Most(3000)
	s.meet("enemy", "0")
	s.meet("friend", "0")
	flood := func(name string, n int, gap int64) (hs []chain.Header) {
		at := s.states["0"]
		for range n {
			b := chaintest.Block(s.p, at, chaintest.Plan{Name: name, Gap: gap})
			at = chaintest.After(s.p, at, b)
			hs = append(hs, b.Header)
		}
		return hs
	}
	for i := range 40 {
		s.done(s.n.Headers(s.now, "enemy", flood("cheap"+itoa(i), 200, 62)))
	}
	if n := s.n.InMemory(); n > 3000 {
		t.Errorf("%d entries", n)
	}
	hard := flood("hard", 1500, 2)
	s.done(s.n.Headers(s.now, "friend", hard))
	if h, _ := s.n.Syncing(); h != 1500 {
		t.Errorf("headers up to %d", h)
	}
	for i := range 20 {
		s.done(s.n.Headers(s.now, "enemy", flood("more"+itoa(i), 200, 62)))
	}
	if _, ok := s.n.Entry(hard[1499].ID()); !ok || s.n.InMemory() > 3000 {
		t.Errorf("the honest headers are gone, or memory is full: %d", s.n.InMemory())
	}
}

func TestAnswersSayWhatIsKnown(t *testing.T) {
	for _, window := range []uint64{0, 4} { // with little of it in memory, much of an answer is on disk
		answersSayWhatIsKnown(t, window)
	}
}

func answersSayWhatIsKnown(t *testing.T, window uint64) {
	s := tell(t, chaintest.Easy())
	s.cfg.Window = window
	s.start()
	s.Fork("0", numbered("a", 1, 30)...)
	s.Fork("a10", numbered("b", 11, 25)...)
	s.Fork("a30", "h31")
	s.give(numbered("a", 1, 30)...)
	s.give(numbered("b", 11, 25)...)
	s.meet("peer", "h31")
	s.done(s.n.Headers(s.now, "peer", s.headers("h31")))
	unknown := chain.SumHash(nil)
	for name, c := range map[string]struct {
		locator []chain.Hash
		toward  chain.Hash
		want    []string
	}{
		"nothing in common":   {[]chain.Hash{unknown}, unknown, numbered("a", 1, 30)},
		"no locator":          {nil, chain.Hash{}, numbered("a", 1, 30)},
		"ours":                {ids(s, "a28"), chain.Hash{}, numbered("a", 29, 30)},
		"a losing branch":     {ids(s, "b25", "a9"), chain.Hash{}, numbered("a", 10, 30)},
		"the tip":             {ids(s, "a30"), chain.Hash{}, nil},
		"headers alone":       {ids(s, "h31", "a29"), s.blocks["h31"].ID(), []string{"a30"}},
		"toward a side":       {ids(s, "a30", "a20", "a5"), s.blocks["b25"].ID(), append(numbered("a", 6, 10), numbered("b", 11, 25)...)},
		"within a side":       {ids(s, "b20"), s.blocks["b25"].ID(), numbered("b", 21, 25)},
		"beyond a side's end": {ids(s, "b25"), s.blocks["b20"].ID(), numbered("a", 1, 10)},
	} {
		a, err := s.n.Answer(s.now, "peer", node.Request{Want: node.WantHeaders, Locator: c.locator, Toward: c.toward})
		if err != nil {
			t.Fatal(err)
		}
		if far := name == "nothing in common" && window > 0; far && a.Way == (node.Way{}) {
			t.Error("headers that are not in memory are read by the node")
		}
		if err := a.Follow(s.disk.Entry); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, h := range a.Headers {
			got = append(got, s.name(h.ID()))
		}
		if name == "beyond a side's end" {
			c.want = append(c.want, numbered("b", 11, 20)...)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	a, err := s.n.Answer(s.now, "peer", node.Request{Want: node.WantBodies, IDs: append(ids(s, "a3", "h31", "b20", "0"), unknown)})
	if got := s.list(a.Load); err != nil || !slices.Equal(got, []string{"a3", "b20", "0"}) {
		t.Errorf("bodies %v, %v", got, err)
	}
	s.disk.failReads = errDisk
	if _, err := s.n.Answer(s.now, "peer", node.Request{Want: node.WantBodies, IDs: []chain.Hash{unknown}}); !errors.Is(err, errDisk) {
		t.Errorf("got %v", err)
	}
}

func TestAnswersFromAPoolAndABlock(t *testing.T) {
	s, txs := filling(t)
	s.tx("peer", txs...)
	a, err := s.n.Answer(s.now, "peer", node.Request{Want: node.WantPool})
	if err != nil || len(a.IDs) != 5 {
		t.Fatalf("%d ids, %v", len(a.IDs), err)
	}
	q := node.Request{Want: node.WantPoolTxs, IDs: append(slices.Clone(a.IDs), a.IDs...)}
	if a, err = s.n.Answer(s.now, "peer", q); err != nil || len(a.Txs) != 5 {
		t.Errorf("%d transactions for ids that repeat themselves, %v", len(a.Txs), err)
	}
	other := tell(t, s.p)
	out, err := other.n.Pool(s.now, "peer", q.IDs[:5])
	if err != nil || len(out.Ask) != 1 || len(out.Ask[0].Request.IDs) != 5 {
		t.Errorf("asks %+v", out.Ask)
	}
	if out, _ := s.n.Pool(s.now, "peer", q.IDs); len(out.Ask) > 0 {
		t.Errorf("asks for what it has: %+v", out.Ask)
	}
	s.given = append(s.given, s.blocks["a1"].ID())
	s.give("a1")
	q = node.Request{Want: node.WantTxs, IDs: ids(s, "a1"), Index: []uint32{1, 1, 0, 4, 9}}
	if a, err = s.n.Answer(s.now, "peer", q); err != nil {
		t.Fatal(err)
	}
	if err := a.Fill(q.Want, []chain.RawBlock{s.blocks["a1"].Raw()}); err != nil {
		t.Fatal(err)
	}
	if len(a.Txs) != 2 || a.Txs[0].ID() != txs[1].ID() || a.Txs[1].ID() != txs[4].ID() {
		t.Errorf("%d transactions", len(a.Txs))
	}
	if err := a.Fill(node.WantAnnouncement, []chain.RawBlock{s.blocks["a1"].Raw()}); err != nil {
		t.Fatal(err)
	}
	if a.Announcement == nil || a.Announcement.Header.ID() != s.blocks["a1"].ID() {
		t.Error("no announcement")
	}
	if err := a.Fill(node.WantTxs, []chain.RawBlock{s.blocks["a1"].Raw()[1:]}); err == nil || chain.KindOf(err) != "" {
		t.Errorf("a block that cannot be read is a peer's fault: %v", err)
	}
}

func TestHeadersRunAheadOfBodiesOnlySoFar(t *testing.T) {
	p := chaintest.Retargeting()
	all := chainOf(p, 20*node.MaxHeaders)
	now := chain.Time(all[len(all)-1].Time) * 1000
	n := learner(t, p, all[:node.MaxHeaders])
	for at := node.MaxHeaders; at < len(all); at += node.MaxHeaders {
		out, err := n.Headers(now, "peer", all[at:at+node.MaxHeaders])
		if err != nil {
			t.Fatal(err)
		}
		asks := slices.ContainsFunc(out.Ask, func(a node.Ask) bool { return a.Request.Want == node.WantHeaders })
		if far := at+node.MaxHeaders > node.MaxAhead; asks == far {
			t.Fatalf("with %d headers it asks for more: %v", at+node.MaxHeaders, asks)
		}
	}
	out, err := n.Tick(now + 20_000)
	if err != nil || slices.ContainsFunc(out.Ask, func(a node.Ask) bool { return a.Request.Want == node.WantHeaders }) {
		t.Errorf("a tick asks %+v, %v", out.Ask, err)
	}
}

// Whoever drowned us in transactions has his pool looked at when the flood is over, and
// not each time that he begins anew.
func TestAPoolIsLookedAtSoonerAfterAFlood(t *testing.T) {
	s := tell(t, chaintest.Easy())
	s.meet("peer", "0")
	looks := func(seconds int, missed bool) (n int) {
		for range seconds {
			s.now += 1000
			if missed {
				s.n.Missed(s.now, "peer")
				s.n.Missed(s.now, "stranger")
			}
			s.done(s.n.Tick(s.now))
			n += len(s.asked(node.WantPool))
		}
		return n
	}
	if n := looks(10, false); n != 1 {
		t.Fatalf("%d looks after a hello", n)
	}
	s.n.Missed(s.now, "peer")
	if n := looks(1, false); n != 0 {
		t.Errorf("%d looks during the flood", n)
	}
	if n := looks(4, false); n != 1 {
		t.Errorf("%d looks soon after it", n)
	}
	if n := looks(60, true); n < 10 || n > 13 {
		t.Errorf("%d looks in a minute of floods", n)
	}
}

// A long list of what waits serves for a while, however often it is asked for, and then
// holds what came meanwhile.
func TestALongListServesForAWhile(t *testing.T) {
	s := tell(t, chain.Regtest())
	var txs []chain.CheckedTx
	pay := func(c chain.Coin, from int, fee chain.Amount, outs ...chain.Output) chain.CheckedTx {
		return chaintest.CheckTx(s.p, chaintest.Pay(s.p, c, chaintest.Key(from), fee, outs...))
	}
	for i := range 9 {
		coin := chaintest.Funds(s.p, i)
		outs := slices.Repeat([]chain.Output{{Value: coin.Value / 50, To: chaintest.Address(i)}}, 12)
		parent := pay(coin, i, coin.Value-12*outs[0].Value, outs...)
		txs = append(txs, parent)
		for _, c := range chaintest.Outs(parent.Tx(), 0)[:12] {
			txs = append(txs, pay(c, i, 1000, chain.Output{Value: c.Value - 1000, To: chaintest.Address(1)}))
		}
	}
	list := func() int {
		a, err := s.n.Answer(s.now, "peer", node.Request{Want: node.WantPool})
		if err != nil {
			t.Fatal(err)
		}
		for i := range a.IDs {
			a.IDs[i] = chain.Hash{} // theirs to bend
		}
		return len(a.IDs)
	}
	if n := list(); n != 0 {
		t.Fatalf("%d wait", n)
	}
	s.tx("peer", txs[0])
	if n := list(); n != 1 {
		t.Errorf("a short list tells of %d, 1 waits", n)
	}
	s.tx("peer", txs[1:]...)
	s.now += 1000
	if n := list(); n != len(txs) {
		t.Fatalf("%d of %d wait", n, len(txs))
	}
	coin := chaintest.Funds(s.p, 9)
	late := pay(coin, 9, 1000, chain.Output{Value: coin.Value - 1000, To: chaintest.Address(1)})
	s.tx("peer", late)
	if n := list(); n != len(txs) {
		t.Errorf("made anew at once: %d", n)
	}
	s.now += chain.Time(len(txs)/node.ListedPerMilli + 1)
	if a, err := s.n.Answer(s.now, "peer", node.Request{Want: node.WantPool}); err != nil || len(a.IDs) != len(txs)+1 || !slices.Contains(a.IDs, late.ID()) {
		t.Errorf("a while later it tells of %d, %v", len(a.IDs), err)
	}
}
