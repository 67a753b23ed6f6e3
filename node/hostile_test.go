package node_test

import (
	"errors"
	"testing"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/node"
)

// What hostile peers may make a node keep, ask and write. Each test counts; none
// looks at a clock.

// minutes lets time pass, second by second, and answers nothing but that nobody
// answers. It counts what was asked.
func (s *story) minutes(n int, fails bool) (asked map[node.Want]int) {
	s.Helper()
	asked = map[node.Want]int{}
	for range 60 * n {
		s.now += 1000
		asks := s.done(s.n.Tick(s.now)).Ask
		for i := 0; i < len(asks) && i < 1000; i++ {
			asked[asks[i].Request.Want]++
			if fails {
				asks = append(asks, s.done(s.n.Failed(s.now, asks[i].From, asks[i].Request)).Ask...)
			}
		}
	}
	return asked
}

// A heavy chain of headers, whose bodies are never served: it is asked for less
// and less often, stays in its bounds, and keeps nobody from following a chain
// that is served.
func TestHeavyHeadersWithoutBodies(t *testing.T) {
	s := tell(t, chaintest.Easy())
	names := numbered("h", 1, 1500)
	s.Fork("0", names...)
	s.Fork("0", "a1", "a2")
	for _, p := range []node.Peer{"enemy", "friend"} {
		s.meet(p, "h1500")
	}
	s.done(s.n.Headers(s.now, "enemy", s.headers(names...)))
	commits := s.disk.commits
	asked := s.minutes(30, true)
	if n := asked[node.WantBodies]; n > 2000 {
		t.Errorf("%d requests for bodies in half an hour", n)
	}
	if n := s.n.InMemory(); n > 1502 || s.n.Flying() > node.MaxInFlight {
		t.Errorf("%d entries, %d in flight", n, s.n.Flying())
	}
	if s.disk.commits != commits {
		t.Errorf("%d times something was written", s.disk.commits-commits)
	}
	if s.n.Joining() {
		t.Error("transactions are held up")
	}
	s.give("a1", "a2")
	s.tip("a2")
	s.tx("friend", chaintest.CheckTx(s.p, s.pay(0, 9, 500)))
	s.verdict(node.Accept, nil)
}

// Announcements with their work, of payments that nobody has.
func TestAnnouncementsThatNobodyCanFill(t *testing.T) {
	s := tell(t, chaintest.Easy())
	s.slack = true
	s.meet("enemy", "0")
	const many = 4 * node.MaxInFlight
	ghost := chaintest.Pay(s.p, chaintest.Funds(s.p, 0), chaintest.Key(0), 500)
	commits := s.disk.commits
	for i := range many {
		b := chaintest.Block(s.p, s.states["0"], chaintest.Plan{Name: "x" + itoa(i), Txs: []*chain.Tx{ghost}})
		a, err := chain.CheckAnnouncement(s.p, b.Announce())
		if err != nil {
			t.Fatal(err)
		}
		s.done(s.n.Announced(s.now, "enemy", a))
	}
	if n := s.n.Flying(); n > node.MaxInFlight {
		t.Errorf("%d in flight", n)
	}
	if n := s.n.HalfFilled(); n > node.MaxInFlight {
		t.Errorf("%d are half filled in", n)
	}
	asked := s.minutes(10, true)
	if n := asked[node.WantBodies] + asked[node.WantTxs]; n > 20*many {
		t.Errorf("%d requests in ten minutes for %d blocks", n, many)
	}
	if s.disk.commits != commits || s.n.InMemory() > many+1 {
		t.Errorf("%d commits, %d entries", s.disk.commits-commits, s.n.InMemory())
	}
	s.Fork("0", "a1", "a2")
	s.give("a1", "a2")
	s.tip("a2")
}

// Large orphans are bounded in bytes as well.
func TestOrphansAreBoundedInBytes(t *testing.T) {
	s := tell(t, chaintest.Easy())
	first := s.p.GenesisState()
	ids := make([]chain.Hash, 12_000)
	for i := range ids {
		ids[i] = chain.SumHash([]byte{byte(i), byte(i >> 8)})
	}
	for i := range 100 {
		b := chaintest.Block(s.p, first, chaintest.Plan{Name: "o" + itoa(i)})
		a := &chain.Announcement{Header: b.Header, Coinbase: b.Coinbase, IDs: ids}
		a.Header.Prev = chain.SumHash([]byte{byte(i), byte(i >> 8), 1})
		a.Header.Root, _ = chain.MerkleRoot(append([]chain.Hash{b.Coinbase.ID()}, ids...))
		sealed := &chain.Block{Header: a.Header}
		chaintest.Mine(s.p, sealed)
		a.Header = sealed.Header
		checked, err := chain.CheckAnnouncement(s.p, a)
		if err != nil {
			t.Fatal(err)
		}
		s.done(s.n.Announced(s.now, "enemy", checked))
	}
	if n, bytes := s.n.AsideBytes(); bytes > node.MaxAsideBytes || bytes < node.MaxAsideBytes/2 || n > node.MaxAside {
		t.Errorf("%d orphans of %d bytes", n, bytes)
	}
}

// The same invalid block from a hundred identities is judged once, asked for once
// and blamed on nobody.
func TestOneInvalidBlockOfAHundredPeers(t *testing.T) {
	s := tell(t, chaintest.Easy())
	s.slack = true
	greedy := s.pay(0, 9, 500)
	s.Block("0", chaintest.Plan{Name: "bad", Txs: []*chain.Tx{greedy}})
	bad := s.blocks["bad"]
	bodies, condemned := 0, 0
	for i := range 100 {
		p := node.Peer("p" + itoa(i))
		s.meet(p, "bad")
		out := s.done(s.n.Announced(s.now, p, bad.Announce()))
		if out.Verdict == node.Reject {
			t.Fatalf("%s is blamed for passing it on: %v", p, out.Why)
		}
		for _, ask := range out.Ask {
			if ask.Request.Want != node.WantTxs && ask.Request.Want != node.WantBodies {
				continue
			}
			bodies++
			out = s.done(s.n.Broken(s.now, p, bad.ID(), chain.BadSignature.Err()))
			condemned++
			if out.Verdict == node.Reject {
				t.Fatalf("%s is blamed for serving it: %v", p, out.Why)
			}
		}
	}
	asked := s.minutes(5, false)
	if bodies != 1 || condemned != 1 || asked[node.WantBodies]+asked[node.WantTxs] > 0 {
		t.Errorf("asked for %d times, and later %v", bodies, asked)
	}
	s.tip("0")
}

// Transactions that conflict by the thousand: the first one waits, the others
// leave no trace.
func TestConflictsByTheThousand(t *testing.T) {
	s := tell(t, chaintest.Easy())
	s.Fork("0", "r1", "r2", "r3") // the prefunded coins are mature
	s.give("r1", "r2", "r3")
	first := chaintest.CheckTx(s.p, s.pay(0, 9, 5000))
	s.tx("enemy", first)
	commits := s.disk.commits
	for i := range 1000 {
		tx := s.pay(0, 9, 500)
		tx.Memo = []byte(itoa(i))
		checked := chaintest.CheckTx(s.p, chaintest.Sign(s.p, tx, chaintest.Key(0)))
		out, err := s.n.Tx(s.now, "enemy", checked)
		if err != nil {
			t.Fatal(err)
		}
		if out.Verdict != node.Ignore || len(out.Ask)+len(out.Relay) > 0 {
			t.Fatalf("conflict %d: %+v", i, out)
		}
	}
	if pool := s.n.Mempool(); pool.Len() != 1 || !pool.Has(first.ID()) || s.n.Loose() != 0 || s.disk.commits != commits {
		t.Errorf("%d wait, %d are loose, %d commits", pool.Len(), s.n.Loose(), s.disk.commits-commits)
	}
}

// Tip claims that change every millisecond, of tips that nobody knows: few lead
// to a question, and what is kept is one claim a peer.
func TestClaimsEveryMillisecond(t *testing.T) {
	s := tell(t, chaintest.Easy())
	s.meet("enemy", "0")
	asks := 0
	for i := range 60_000 {
		s.now++
		h := s.p.Genesis.Header
		h.Nonce = uint32(i)
		claim := node.TipClaim{
			Peer: "enemy", Header: h, Height: 1 << 40, Work: h.Bits.Work().Times(1 << 30), Counter: uint64(s.now),
		}
		out, err := s.n.Tip(s.now, "enemy", claim)
		if err != nil {
			t.Fatal(err)
		}
		for _, ask := range out.Ask {
			asks++
			if _, err := s.n.Headers(s.now, ask.From, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	if asks > 12 || len(s.n.Claims()) != 1 || s.n.InMemory() > 2 {
		t.Errorf("%d questions in a minute, %d claims, %d entries", asks, len(s.n.Claims()), s.n.InMemory())
	}
	if errors.Is(s.out.Why, node.ErrFull) {
		t.Error("one peer fills the table")
	}
}

// A body that nobody brought for long is asked of whoever comes with it, at once; and who
// comes again and again under new names makes us ask for it now and then.
func TestNewcomersAreAskedForWhatOthersHeldBack(t *testing.T) {
	s := tell(t, chaintest.Easy())
	s.Fork("0", "a1", "a2")
	for _, p := range []node.Peer{"enemy", "foe", "zero"} {
		s.meet(p, "a2")
		s.done(s.n.Headers(s.now, p, s.headers("a1", "a2")))
	}
	s.minutes(10, true)
	s.meet("friend", "a2")
	if a := s.asked(node.WantBodies)["friend"]; len(a) == 0 {
		t.Fatalf("the newcomer is not asked: %+v", s.out.Ask)
	}
	s.done(s.n.Failed(s.now, "friend", node.Request{Want: node.WantBodies, IDs: []chain.Hash{s.blocks["a1"].ID()}}))

	asks := 0
	for i := range 3000 { // ten a second
		s.now += 100
		p := node.Peer("name " + itoa(i))
		asked := s.meet(p, "a2").Ask
		if i%10 == 0 {
			asked = append(asked, s.done(s.n.Tick(s.now)).Ask...)
		}
		for _, a := range asked {
			if a.Request.Want == node.WantBodies {
				asks++
				s.done(s.n.Failed(s.now, a.From, a.Request))
			}
		}
		s.n.Left(s.now, p)
	}
	if asks < 10 || asks > 120 {
		t.Errorf("asked %d times in five minutes", asks)
	}

	asks = 0
	for i := range 3000 {
		s.now += 100
		s.claims("enemy", "enemy", "a1", uint64(1<<50+i))
		for _, a := range s.out.Ask {
			if a.Request.Want == node.WantBodies {
				asks++
				s.done(s.n.Failed(s.now, a.From, a.Request))
			}
		}
	}
	if asks < 10 || asks > 60 {
		t.Errorf("claims made us ask %d times in five minutes", asks)
	}
}

// A peer that has a body failed once. Others hold their tongue each time they are asked,
// and then come back under a new name: the honest one is asked again soon, whether we
// chose him or not, and whether those whom we chose are silent too.
func TestNewNamesStarveNobody(t *testing.T) {
	for _, c := range []struct {
		name   string
		chosen []node.Peer
		most   int
	}{
		{"chosen", []node.Peer{"friend"}, 2},
		{"nobody is chosen", nil, 3},
		{"silent ones are chosen", []node.Peer{"mute", "numb"}, 8},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := tell(t, chaintest.Easy())
			s.Fork("0", "a1")
			for _, p := range []node.Peer{"friend", "mute", "numb"} {
				s.meet(p, "a1")
			}
			for _, p := range c.chosen {
				s.n.Chose(p)
			}
			s.done(s.n.Headers(s.now, "friend", s.headers("a1")))
			s.bodies(map[node.Peer][]string{"friend": {"a1"}})
			s.fail("friend", node.WantBodies, "a1")
			if n := s.triesUntil("friend", "a1", 100); n > c.most {
				t.Errorf("asked again only the %dth time", n)
			}
		})
	}
}

// triesUntil counts whom a silent crowd, of which one comes back under a new name each
// time, lets us ask for a body until it is the turn of somebody.
func (s *story) triesUntil(friend node.Peer, name string, most int) (tries int) {
	s.Helper()
	asks, rogue := s.out.Ask, node.Peer("rogue")
	for seconds := 0; tries < most && seconds < 200*most; seconds++ {
		for _, a := range asks {
			if a.Request.Want != node.WantBodies {
				continue
			}
			if tries++; a.From == friend {
				return tries
			}
			s.n.Left(s.now, rogue)
			rogue = node.Peer("rogue " + itoa(tries))
		}
		if s.now += 1000; seconds%10 == 0 {
			asks = s.meet(rogue, name).Ask
			continue
		}
		asks = s.done(s.n.Tick(s.now)).Ask
	}
	return tries
}
