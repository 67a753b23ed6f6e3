package node_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/node"
	"cairn/store"
)

// chainOf makes headers, one on the other.
func chainOf(p *chain.Params, n int) []chain.Header {
	hs := make([]chain.Header, n)
	at := p.GenesisState()
	for i := range hs {
		h := chain.Header{Version: 1, Prev: at.ID, Time: at.Time + 2, Bits: chain.NextBits(p, at)}
		next, err := chain.ConnectHeader(p, at, h)
		if err != nil {
			panic(err)
		}
		hs[i], at = h, next
	}
	return hs
}

// learner is a node that learns headers in batches, from a peer that claims them.
func learner(b testing.TB, p *chain.Params, hs []chain.Header) *node.Node {
	now := chain.Time(hs[len(hs)-1].Time) * 1000
	n, err := node.New(now, node.Config{Params: p, Store: store.NewMemory(p)})
	if err != nil {
		b.Fatal(err)
	}
	claim := node.TipClaim{Header: hs[len(hs)-1], Work: chain.NewWork(1 << 60), Counter: 1}
	if _, err := n.Hello(now, "peer", node.Hello{Genesis: p.GenesisID(), Time: now, Tip: claim}); err != nil {
		b.Fatal(err)
	}
	for at := 0; at < len(hs); at += node.MaxHeaders {
		if out, err := n.Headers(now, "peer", hs[at:min(at+node.MaxHeaders, len(hs))]); err != nil || out.Verdict != node.Accept {
			b.Fatal(out.Why, err)
		}
	}
	if h, _ := n.Syncing(); h != uint64(len(hs)) {
		b.Fatalf("headers up to %d", h)
	}
	return n
}

// BenchmarkHeaders should take the same time a header, however many there are.
func BenchmarkHeaders(b *testing.B) {
	p := chaintest.Retargeting()
	all := chainOf(p, 100_000)
	for _, n := range []int{10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				learner(b, p, all[:n])
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/header")
		})
	}
}

// BenchmarkMemory tells what a header costs while its body is still to come.
func BenchmarkMemory(b *testing.B) {
	p := chaintest.Retargeting()
	all := chainOf(p, 50_000)
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		n := learner(b, p, all)
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(n.InMemory()), "bytes/header")
	}
}

// TestNoiseDoesNoHarm throws every call at a node in any order, with whatever a
// peer may send, and holds it to its bounds.
func TestNoiseDoesNoHarm(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 4))
			s := tell(t, []*chain.Params{chaintest.Easy(), chaintest.Retargeting()}[seed%2])
			s.slack = true
			names := append(s.grow(r, 60), "0")
			s.given = ids(s, names...)
			for range 400 {
				s.noise(r, names)
			}
			if s.n.Flying() > node.MaxInFlight+60 {
				t.Errorf("%d in flight", s.n.Flying())
			}
		})
	}
}

func (s *story) noise(r *rand.Rand, names []string) {
	s.Helper()
	name := names[r.IntN(len(names)-1)]
	b := s.blocks[name]
	peer := node.Peer("peer" + itoa(r.IntN(4)))
	q := node.Request{Want: node.Want(1 + r.IntN(8)), IDs: ids(s, name, names[r.IntN(len(names))]), Locator: ids(s, name), Toward: b.ID()}
	switch r.IntN(14) {
	case 0, 1:
		s.done(s.n.Block(s.now, peer, b))
	case 2:
		s.done(s.n.Announced(s.now, peer, b.Announce()))
	case 3, 4:
		s.done(s.n.Headers(s.now, peer, s.headers(name, names[r.IntN(len(names)-1)])))
	case 5:
		s.done(s.n.Failed(s.now, peer, q))
	case 6:
		s.done(s.n.Filled(s.now, peer, b.ID(), nil))
	case 7:
		s.done(s.n.Broken(s.now, peer, s.falsehood(r), chain.BadSignature.Err()))
	case 8:
		s.meet(peer, names[r.IntN(len(names))])
	case 9:
		s.n.Left(s.now, peer)
	case 10:
		s.claims(peer, peer, name, r.Uint64())
	case 11:
		if _, err := s.n.Answer(s.now, peer, q); err != nil {
			s.Fatal(err)
		}
	case 12:
		s.now += chain.Time(r.IntN(100_000))
		s.done(s.n.Tick(s.now))
	case 13:
		s.done(s.n.Broken(s.now, peer, b.ID(), chain.Mutated.Err()))
	}
}

// falsehood is the id of a false block, or of none: what Broken may say.
func (s *story) falsehood(r *rand.Rand) chain.Hash {
	list := slices.SortedFunc(maps.Keys(s.wrong), chain.Hash.Compare)
	list = append(list, chain.SumHash(nil))
	return list[r.IntN(len(list))]
}
