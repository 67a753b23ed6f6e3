package node_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/mempool"
	"cairn/node"
)

func TestASideBranchIsKeptAndWinsWhenItIsHeavier(t *testing.T) {
	s := tell(t, chaintest.Easy())
	s.Fork("0", "a1", "a2", "a3")
	s.Fork("a1", "b2", "b3", "b4")
	s.give("a1", "a2", "a3")
	s.tip("a3")
	s.give("b2")
	if s.out.Moved || s.out.Verdict != node.Accept {
		t.Fatalf("a side branch gave %+v", s.out)
	}
	s.give("b3") // equal work: the first one stays
	s.tip("a3")
	s.give("b4")
	s.tip("b4")
	r := s.reorg([]string{"a3", "a2"}, []string{"b2", "b3", "b4"})
	if len(s.out.Announce) != 1 || s.name(s.out.Announce[0].ID()) != "a3" {
		t.Errorf("the branch that is left is not told: %+v", s.out.Announce)
	}
	if s.name(r.Fork.ID) != "a1" || s.name(r.From.ID) != "a3" || s.name(r.To.ID) != "b4" || !s.out.Moved || !s.out.Fees {
		t.Fatalf("from %v to %v at %v, %+v", r.From, r.To, r.Fork, s.out)
	}
	if e, ok := s.n.Entry(s.blocks["a3"].ID()); !ok || e.Status != node.Complete {
		t.Fatalf("a3 is %+v", e)
	}
}

func TestReorganisationsOneAndAHundredDeep(t *testing.T) {
	for _, depth := range []int{1, 100} {
		s := tell(t, chaintest.Easy())
		s.Fork("0", "r1")
		s.Fork("r1", numbered("a", 1, depth)...)
		s.Fork("r1", numbered("b", 1, depth+1)...)
		s.give("r1")
		s.give(numbered("a", 1, depth)...)
		s.give(numbered("b", 1, depth)...)
		s.tip("a" + itoa(depth))
		s.give("b" + itoa(depth+1))
		s.tip("b" + itoa(depth+1))
		undone := numbered("a", 1, depth)
		slices.Reverse(undone)
		s.reorg(undone, numbered("b", 1, depth+1))
		if st := s.n.ReorgStats(); st.Count != 1 || st.Deepest != depth || st.Last != s.now {
			t.Fatalf("%+v", st)
		}
	}
}

func TestAFalseBlockInTheMiddleCondemnsWhatBuildsOnIt(t *testing.T) {
	s := tell(t, chaintest.Easy())
	s.Fork("0", "a1", "a2")
	s.Fork("0", "b1", "b2", "b3")
	s.Greedy("b3", "x4")
	s.Fork("x4", "x5", "x6")
	s.Fork("0", "c1", "c2", "c3", "c4")
	s.give("a1", "a2")
	s.meet("peer", "x6")
	s.done(s.n.Headers(s.now, "peer", s.headers("b1", "b2", "b3", "x4", "x5", "x6")))
	s.give("b2", "b3", "x4", "x5", "x6")
	s.tip("a2")
	s.give("b1") // all of it connects at once
	s.tip("b3")  // the valid beginning is heavier than ours
	for name, want := range map[string]node.Status{"b3": node.Complete, "x4": node.Condemned, "x5": node.Condemned, "x6": node.Condemned} {
		if e, ok := s.n.Entry(s.blocks[name].ID()); !ok || e.Status != want {
			t.Errorf("%s is %d, %v, want %d", name, e.Status, ok, want)
		}
	}
	if _, err := s.disk.Memory.Body(s.blocks["x4"].ID()); err == nil {
		t.Error("a false body is on disk")
	}
	if err := s.n.Sound(); err != nil {
		t.Error(err)
	}
	s.Fork("x6", "x7")
	s.hear("peer", "x7")
	s.verdict(node.Ignore, chain.BadParent.Err())
	s.hear("peer", "x4")
	s.verdict(node.Ignore, node.ErrKnown)

	s.start() // and all of this is remembered
	s.tip("b3")
	s.hear("peer", "x4")
	s.verdict(node.Ignore, node.ErrKnown)
	s.hear("peer", "x5")
	s.verdict(node.Ignore, chain.BadParent.Err())
	s.give("c1", "c2", "c3", "c4")
	s.tip("c4")
}

func TestTheNextHeaviestBranchIsTaken(t *testing.T) {
	s := tell(t, chaintest.Easy())
	s.Fork("0", "a1")
	s.Fork("0", "b1", "b2")
	s.Greedy("b2", "x3")
	s.Fork("x3", "x4", "x5")
	s.Fork("b1", "c2", "c3")
	s.meet("peer", "x5")
	s.give("a1")
	s.done(s.n.Headers(s.now, "peer", s.headers("b1", "b2", "x3", "x4", "x5")))
	s.done(s.n.Headers(s.now, "peer", s.headers("c2", "c3")))
	s.give("c3", "c2", "x5", "x4", "x3", "b2")
	s.tip("a1")
	s.give("b1") // x5 is heaviest and false, c3 is heavier than b2
	s.tip("c3")
}

func TestAStoredSideBranchThatProvesFalseIsCondemned(t *testing.T) {
	s := tell(t, chaintest.Easy())
	s.Fork("0", "a1", "a2", "a3", "a4")
	s.Greedy("0", "x1")
	s.Fork("x1", "x2", "x3", "x4", "x5")
	s.give("a1", "a2", "a3", "a4", "x1", "x2", "x3", "x4")
	if e, err := s.disk.Memory.Entry(s.blocks["x4"].ID()); err != nil || e.Status != node.Complete {
		t.Fatalf("x4 is %v, %v", e.Status, err)
	}
	s.give("x5")
	s.verdict(node.Ignore, chain.BadReward.Err())
	s.tip("a4")
	for _, name := range []string{"x1", "x2", "x3", "x4"} {
		if e, err := s.disk.Memory.Entry(s.blocks[name].ID()); err != nil || e.Status != node.Condemned {
			t.Errorf("%s is stored as %d, %v", name, e.Status, err)
		}
	}
	s.start()
	s.tip("a4")
}

func TestOrphansArriveBackwards(t *testing.T) {
	s := tell(t, chaintest.Easy())
	names := numbered("a", 1, 50)
	s.Fork("0", names...)
	for _, name := range slices.Backward(names[1:]) {
		s.give(name)
		s.verdict(node.Ignore, node.ErrOrphan)
	}
	s.give("a1")
	s.tip("a50")
	if len(s.out.Announce) != 49 {
		t.Errorf("%d orphans are published", len(s.out.Announce))
	}
	if o, _ := s.n.Aside(); o != 0 {
		t.Errorf("%d orphans are left", o)
	}
}

func TestEqualWorkKeepsTheFirstAndARestartTheStored(t *testing.T) {
	s := tell(t, chaintest.Easy())
	s.Fork("0", "a1", "a2")
	s.Fork("0", "b1", "b2")
	s.Fork("0", "c1", "c2")
	s.give("b1", "b2", "a1", "a2", "c1", "c2")
	s.tip("b2")
	for range 3 {
		s.start()
		s.tip("b2")
	}
}

func TestOfTwoThatConnectAtOnceTheFirstHeardWins(t *testing.T) {
	for _, order := range [][]string{{"a2", "b2", "c2"}, {"c2", "b2", "a2"}, {"b2", "a2", "c2"}} {
		s := tell(t, chaintest.Easy())
		s.Fork("0", "r1")
		s.Fork("r1", "a2")
		s.Fork("r1", "b2")
		s.Fork("r1", "c2")
		s.done(s.n.Headers(s.now, "peer", s.headers("r1")))
		s.give(order...)
		s.give("r1")
		s.tip(order[0])
	}
}

func TestBlocksFromAFutureAreTriedAgain(t *testing.T) {
	s := tell(t, chaintest.Retargeting())
	ahead := (int64(s.now)/1000 - int64(s.p.Genesis.Header.Time)) + s.p.Ahead
	s.Block("0", chaintest.Plan{Name: "a1", Gap: ahead + 3})
	s.Fork("a1", "a2")
	s.slack = true
	s.hear("peer", "a1")
	s.verdict(node.Ignore, node.ErrFuture)
	s.give("a1")
	s.verdict(node.Ignore, node.ErrFuture)
	s.give("a2")
	s.verdict(node.Ignore, node.ErrOrphan)
	for range 2 {
		s.now += 1000
		s.done(s.n.Tick(s.now))
		s.tip("0")
	}
	s.now += 1000
	s.done(s.n.Tick(s.now))
	s.tip("a1")
	if !s.out.Moved || len(s.out.Announce) != 1 || s.out.Announce[0].ID() != s.blocks["a1"].ID() {
		t.Fatalf("the tick brings %+v", s.out)
	}
	for range 3 {
		s.now += 1000
		s.done(s.n.Tick(s.now))
	}
	s.tip("a2") // it lay two seconds farther ahead
}

func TestFarFuturesDoNotPushOutNearOnes(t *testing.T) {
	s := tell(t, chaintest.Retargeting())
	s.slack = true
	now := int64(s.now)/1000 - int64(s.p.Genesis.Header.Time)
	s.Block("0", chaintest.Plan{Name: "near", Gap: now + s.p.Ahead + 1})
	s.hear("peer", "near")
	for i := range 2 * node.MaxAside {
		name := "far" + itoa(i)
		s.Block("0", chaintest.Plan{Name: name, Gap: now + 1_000_000})
		s.hear("enemy", name)
	}
	if _, later := s.n.Aside(); later != node.MaxAside {
		t.Errorf("%d wait", later)
	}
	s.now += 1000
	s.done(s.n.Tick(s.now))
	if len(s.out.Announce) != 1 || s.name(s.out.Announce[0].ID()) != "near" {
		t.Errorf("came in: %+v", s.out.Announce)
	}
}

func TestAFloodOfOrphansPushesOutItsOwn(t *testing.T) {
	s := tell(t, chaintest.Easy())
	s.Fork("0", "a1", "a2")
	s.hear("friend", "a2")
	lost := s.blocks["a2"].Block() // flooded with the like, whose parents nobody knows
	for i := range 2 * node.MaxAside {
		b := &chain.Block{Header: lost.Header, Coinbase: lost.Coinbase}
		b.Header.Prev = chain.SumHash([]byte{byte(i), byte(i >> 8)})
		chaintest.Mine(s.p, b)
		s.done(s.n.Announced(s.now, "enemy", chaintest.Check(s.p, b).Announce()))
	}
	if o, _ := s.n.Aside(); o != node.MaxAside {
		t.Errorf("%d orphans", o)
	}
	s.hear("friend", "a1")
	if len(s.out.Announce) != 1 || s.name(s.out.Announce[0].ID()) != "a2" {
		t.Errorf("a2 is lost: %+v", s.out.Announce)
	}
}

// paid is a branch tip's payment of prefunded coin i to address to.
func (s *story) pay(i, to int, fee chain.Amount) *chain.Tx {
	return chaintest.Pay(s.p, chaintest.Funds(s.p, i), chaintest.Key(i), fee, chain.Output{Value: chain.CRN, To: chaintest.Address(to)})
}

func TestADoubleSpendAcrossBranches(t *testing.T) {
	s := tell(t, chaintest.Easy())
	s.Fork("0", "r1", "r2", "r3", "r4")
	mine, yours := s.pay(0, 1, 500), s.pay(0, 2, 600)
	heir := chaintest.Pay(s.p, chaintest.Outs(mine, 0)[0], chaintest.Key(1), 700)
	other, both := s.pay(3, 1, 800), s.pay(4, 1, 900)
	s.Block("r4", chaintest.Plan{Name: "a5", Txs: []*chain.Tx{mine, other, both}})
	s.Block("r4", chaintest.Plan{Name: "b5", Txs: []*chain.Tx{yours, both}})
	s.Fork("b5", "b6")
	s.give("r1", "r2", "r3", "r4")
	for _, tx := range []*chain.Tx{mine, heir, other, both} {
		s.done(s.n.Tx(s.now, "peer", chaintest.CheckTx(s.p, tx)))
		s.verdict(node.Accept, nil)
	}
	s.give("a5")
	if s.n.Mempool().Len() != 1 {
		t.Fatalf("%d wait, want the heir alone", s.n.Mempool().Len())
	}
	s.done(s.n.Tx(s.now, "peer", chaintest.CheckTx(s.p, yours)))
	s.verdict(node.Ignore, chain.MissingCoin.Err()) // spent here: honest elsewhere
	s.give("b5", "b6")
	s.tip("b6")
	r := s.reorg([]string{"a5"}, []string{"b5", "b6"})
	want := []struct {
		tx     *chain.Tx
		reason mempool.Reason
		by     chain.Hash
	}{
		{mine, mempool.Conflicted, yours.ID()},
		{other, mempool.Returned, chain.Hash{}},
		{both, mempool.Confirmed, chain.Hash{}},
	}
	if len(r.Fates) != len(want) {
		t.Fatalf("%d fates", len(r.Fates))
	}
	for i, w := range want {
		f := r.Fates[i]
		if f.Tx.ID() != w.tx.ID() || f.Reason != w.reason || f.By != w.by {
			t.Errorf("fate %d is %s by %v, want %s by %v", i, f.Reason, f.By, w.reason, w.by)
		}
	}
	if f, ok := s.n.Mempool().Fate(heir.ID()); !ok || f.By != yours.ID() {
		t.Errorf("the heir's fate is %+v", f)
	}
	if !s.n.Mempool().Has(other.ID()) || s.n.Mempool().Len() != 1 {
		t.Errorf("%d wait", s.n.Mempool().Len())
	}
}

func TestAShorterHeavierBranchMakesCoinbasesYoung(t *testing.T) {
	p := chaintest.Retargeting()
	p.Maturity = 10
	s := tell(t, p)
	s.Fork("0", numbered("r", 1, 5)...)
	s.paced("r5", 30, numbered("a", 6, 14)...) // slow, so ever lighter
	s.paced("r5", -1, numbered("b", 6, 10)...)
	s.give(numbered("r", 1, 5)...)
	s.give(numbered("a", 6, 14)...)
	coin := s.blocks["r5"].Block().Coinbase.Out(s.blocks["r5"].CoinbaseID(), 0)
	tx := chaintest.CheckTx(s.p, chaintest.Pay(s.p, coin, chaintest.Key(9), 1000))
	s.tx("peer", tx)
	s.verdict(node.Accept, nil)
	s.give(numbered("b", 6, 10)...)
	s.tip("b10")
	if s.n.Best().Height >= s.states["a14"].Height || s.n.Mempool().Has(tx.ID()) {
		t.Error("a coinbase that is too young waits to be spent")
	}
	if f, ok := s.n.Mempool().Fate(tx.ID()); !ok || chain.KindOf(f.Why) != chain.ImmatureCoin {
		t.Errorf("fate %+v", f)
	}
}

// paced puts blocks with this gap on top of parent, one on the other.
func (g *graph) paced(parent string, gap int64, names ...string) {
	for _, name := range names {
		g.Block(parent, chaintest.Plan{Name: name, Gap: gap, Pay: chaintest.Address(9)})
		parent = name
	}
}

func TestACheapBranchNearTheGenesisIsIgnored(t *testing.T) {
	s := tell(t, chaintest.Retargeting())
	prev := "0"
	for i := 1; i <= 700; i++ { // the honest chain grows hard
		name := "a" + itoa(i)
		gap := int64(2)
		if i%8 < 3 && i < 200 {
			gap = -1
		}
		s.Block(prev, chaintest.Plan{Name: name, Gap: gap})
		prev = name
	}
	s.Fork("0", "b1", "b2", "b3")
	for _, name := range numbered("a", 1, 700) { // without the checks of every step, for speed
		s.given = append(s.given, s.blocks[name].ID())
		if _, err := s.n.Block(s.now, "peer", s.blocks[name]); err != nil {
			t.Fatal(err)
		}
	}
	s.check()
	s.best = s.n.Best()
	s.tip("a700")
	s.slack = true
	s.hear("peer", "b1")
	s.verdict(node.Ignore, node.ErrWeak)
	s.give("b1")
	s.verdict(node.Ignore, node.ErrWeak)
	if _, err := s.disk.Memory.Entry(s.blocks["b1"].ID()); err == nil {
		t.Error("a cheap branch is stored")
	}
	s.meet("liar", "a700")
	n := s.n.InMemory()
	s.done(s.n.Headers(s.now, "liar", s.headers("b1", "b2", "b3"))) // fetched, and it ends weak
	if s.n.InMemory() != n {
		t.Errorf("%d headers of a weak branch are kept", s.n.InMemory()-n)
	}
}

// TestRandomTreesAgainstBruteForce gives the blocks of random trees in random
// order, some of them false, as headers, announcements or bodies; story.check is
// the twin.
func TestRandomTreesAgainstBruteForce(t *testing.T) {
	for seed := range uint64(150) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			p := []*chain.Params{chaintest.Easy(), chaintest.Retargeting()}[(seed+1)%2]
			s := tell(t, p)
			s.meet("peer", "0")
			names := s.grow(r, 3+r.IntN(25))
			r.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
			for _, name := range names {
				s.randomly(r, name)
			}
		})
	}
}

// TestRandomTreesInAnswers gives the same kind of trees as answers of a few bodies
// each, of which some were asked for.
func TestRandomTreesInAnswers(t *testing.T) {
	for seed := range uint64(100) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 2))
			p := []*chain.Params{chaintest.Easy(), chaintest.Retargeting()}[(seed+1)%2]
			s := tell(t, p)
			s.meet("peer", "0")
			names := s.grow(r, 3+r.IntN(25))
			r.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
			for len(names) > 0 {
				some := names[:1+r.IntN(min(len(names), 6))]
				names = names[len(some):]
				for _, name := range some {
					if r.IntN(2) == 0 {
						s.done(s.n.Headers(s.now, "peer", s.headers(name)))
					}
				}
				s.giveTogether(some...)
			}
		})
	}
}

func (s *story) randomly(r *rand.Rand, name string) {
	s.Helper()
	switch r.IntN(4) {
	case 0:
		s.done(s.n.Headers(s.now, "peer", s.headers(name)))
	case 1:
		s.hear("peer", name)
	}
	s.give(name)
	s.Logf("%s: verdict %d because %v, tip %s", name, s.out.Verdict, s.out.Why, s.name(s.n.Best().ID))
	if r.IntN(10) == 0 {
		s.start()
	}
}

// grow draws a random tree.
func (s *story) grow(r *rand.Rand, n int) (names []string) {
	all := []string{"0"}
	for i := range n {
		parent := all[max(0, len(all)-1-r.IntN(5))]
		name := "n" + itoa(i)
		if r.IntN(12) == 0 {
			s.Greedy(parent, name)
		} else {
			s.Block(parent, chaintest.Plan{Name: name, Pay: chaintest.Address(r.IntN(9)), Gap: []int64{-1, 1, 2, 9, 60}[r.IntN(5)]})
		}
		all = append(all, name)
		names = append(names, name)
	}
	return names
}
