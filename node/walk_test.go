package node

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"

	"cairn/chain"
)

// land is a store that holds entries alone, and counts how often it is read.
type land struct {
	Store
	p     *chain.Params
	all   map[chain.Hash]Entry
	best  []chain.Hash
	reads int
}

func (l *land) Entry(id chain.Hash) (Entry, error) {
	l.reads++
	if e, ok := l.all[id]; ok {
		return e, nil
	}
	return Entry{}, ErrUnknown
}

func (l *land) At(height uint64) (chain.Hash, error) {
	l.reads++
	if height < uint64(len(l.best)) {
		return l.best[height], nil
	}
	return chain.Hash{}, ErrUnknown
}

func settle(p *chain.Params) *land {
	s := p.GenesisState()
	first := Entry{Header: p.Genesis.Header, State: s, Status: Complete}
	return &land{p: p, all: map[chain.Hash]Entry{s.ID: first}, best: []chain.Hash{s.ID}}
}

// grow puts so many blocks on one, and lists them with it.
func (l *land) grow(on chain.Hash, blocks int) []chain.Hash {
	ids := []chain.Hash{on}
	for range blocks {
		parent := l.all[ids[len(ids)-1]]
		h := chain.Header{Prev: parent.State.ID}
		binary.LittleEndian.PutUint64(h.Root[:], uint64(len(l.all)))
		s := parent.State
		s.ID, s.Height = h.ID(), s.Height+1
		l.all[s.ID] = Entry{Header: h, State: s, Status: Complete}
		ids = append(ids, s.ID)
	}
	return ids
}

func (l *land) node() *Node {
	t := newTree(l, nil)
	return &Node{p: l.p, tree: t, tip: &entry{Entry: l.all[l.best[len(l.best)-1]], stored: true}}
}

// A branch beside ours is long, and its blocks are on disk: however often somebody asks
// for what is on it, each question reads little, and soon each is answered.
func TestFarBranchesAreReadOnce(t *testing.T) {
	l := settle(chain.Regtest())
	l.best = l.grow(l.best[0], 60_000)
	side := l.grow(l.best[10], 50_000)
	n := l.node()
	questions := 0
	ask := func(most int, toward chain.Hash, locator ...chain.Hash) []chain.Header {
		t.Helper()
		questions++
		l.reads = 0
		way, hs, err := n.headersAfter(locator, toward)
		if err != nil {
			t.Fatal(err)
		}
		if l.reads > most {
			t.Errorf("question %d reads %d times, allowed %d", questions, l.reads, most)
		}
		a := Answer{Way: way, Headers: hs}
		if err := a.Follow(l.Entry); err != nil {
			t.Fatal(err)
		}
		return a.Headers
	}
	const first, later = 4 * maxWalk, 1000
	end := side[len(side)-1]
	for len(ask(first, end, l.best[60_000])) == 0 { // the asker knows our chain
		if questions > 5 {
			t.Fatalf("%d questions, and no answer", questions)
		}
	}
	ask(first, end, l.best[5])
	for _, c := range []struct {
		toward  chain.Hash
		locator []chain.Hash
		want    []chain.Hash
	}{
		{end, []chain.Hash{l.best[30_000], l.best[5]}, append(slices.Clone(l.best[6:11]), side[1:MaxHeaders-4]...)},
		{end, []chain.Hash{l.best[40_000], side[30_000], side[7]}, side[30_001:][:MaxHeaders]},
		{end, []chain.Hash{side[49_990], side[7]}, side[49_991:]},
		{side[31_234], []chain.Hash{side[40_000], side[30_000]}, side[30_001:31_235]},
		{side[20_000], nil, append(slices.Clone(l.best[1:11]), side[1:MaxHeaders-9]...)},
		{l.best[50_000], []chain.Hash{side[49_000], l.best[9]}, l.best[10:][:MaxHeaders]},
	} {
		var got []chain.Hash
		for _, h := range ask(later, c.toward, c.locator...) {
			got = append(got, h.ID())
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("question %d: %d headers, want %d", questions, len(got), len(c.want))
		}
	}
}

// A locator that is as long as it may be, and goes astray everywhere, costs no more.
func TestStrayLocatorsAreReadLittle(t *testing.T) {
	l := settle(chain.Regtest())
	l.best = l.grow(l.best[0], 40_000)
	a, b := l.grow(l.best[1], 39_000), l.grow(l.best[1], 39_000)
	n := l.node()
	var astray []chain.Hash
	for i := range MaxLocator {
		astray = append(astray, b[len(b)-1-i*601])
	}
	for range 10 {
		l.reads = 0
		if _, _, err := n.headersAfter(astray, a[len(a)-1]); err != nil {
			t.Fatal(err)
		}
		if most := 4 * maxWalk; l.reads > most {
			t.Errorf("%d reads, allowed %d", l.reads, most)
		}
	}
}

// Walks find in any tree what a step from parent to parent finds, however often what
// they left behind is forgotten.
func TestWalksAtRandom(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 1))
	l := settle(chain.Regtest())
	l.best = l.grow(l.best[0], 9000)
	all := slices.Clone(l.best)
	for range 6 {
		all = append(all, l.grow(all[r.IntN(len(all))], r.IntN(9000))[1:]...)
	}
	n := l.node()
	for i := range 400 {
		if i%100 == 99 {
			for j := range maxSkips - len(n.tree.skips) {
				n.tree.skips[skip{stride: uint64(j)}] = chain.Hash{}
			}
		}
		from := l.all[all[r.IntN(len(all))]]
		height := r.Uint64N(from.State.Height + 2)
		want := from
		for want.State.Height > height {
			want = l.all[want.Header.Prev]
		}
		got, err := n.tree.ancestor(&entry{Entry: from}, height)
		if err != nil || got.id() != want.State.ID {
			t.Fatalf("seed %d: from %d to %d: %v", seed, from.State.Height, height, err)
		}
		if len(n.tree.skips) > maxSkips {
			t.Fatalf("%d skips", len(n.tree.skips))
		}
	}
}
