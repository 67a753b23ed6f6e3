package daemon_test

import (
	"context"
	"errors"
	"iter"
	"slices"
	"testing"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/daemon"
	"cairn/node"
	"cairn/store"
)

// raws are blocks as a store or a file holds them.
func raws(blocks ...*chain.Block) iter.Seq2[store.Raw, error] {
	return func(yield func(store.Raw, error) bool) {
		for _, b := range blocks {
			if !yield(store.Raw{ID: b.ID(), Bytes: b.Bytes()}, nil) {
				return
			}
		}
	}
}

// fork is a chain of so many blocks with a payment in each, and a lighter branch
// that leaves it half-way.
func fork(p *chain.Params, n int) (best, side []*chain.Block) {
	l := chaintest.Open(p)
	purse := chaintest.Funds(p, 0)
	for i := range n {
		if i == n/2 {
			s := chaintest.Open(p)
			for _, b := range best {
				s.Connect(chaintest.Check(p, b))
			}
			for range n / 4 {
				side = append(side, s.Add(chaintest.Plan{Name: "side", Pay: chaintest.Address(1)}).Block())
			}
		}
		var txs []*chain.Tx
		if p.Mature(purse, uint64(i+1)) {
			txs = append(txs, chaintest.Pay(p, purse, chaintest.Key(0), 10, chain.Output{Value: 5, To: chaintest.Address(2)}))
			purse = chaintest.Outs(txs[0], uint64(i+1))[1]
		}
		best = append(best, l.Add(chaintest.Plan{Name: "best", Pay: chaintest.Address(1), Txs: txs}).Block())
	}
	return best, side
}

// build puts blocks on a store, and moves to the heaviest branch.
func build(t *testing.T, p *chain.Params, s *store.Memory, blocks []*chain.Block) (tip chain.State, refused map[chain.Hash]error) {
	t.Helper()
	b, err := daemon.NewBuilder(chain.Time(blocks[len(blocks)-1].Header.Time)*1000, p, s)
	if err != nil {
		t.Fatal(err)
	}
	refused = map[chain.Hash]error{}
	err = daemon.Replay(context.Background(), p, raws(blocks...), func(raw store.Raw, c chain.CheckedBlock, broken error) error {
		if broken == nil {
			broken = b.Add(c)
		}
		if broken != nil {
			refused[raw.ID] = broken
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if tip, err = b.Settle(); err != nil {
		t.Fatal(err)
	}
	return tip, refused
}

// Whichever branch comes first, the store ends on the heavier one and is sound.
func TestBuilderEndsOnTheHeaviestBranch(t *testing.T) {
	p := chaintest.Easy()
	best, side := fork(p, 40)
	want := best[len(best)-1].ID()
	fork := len(best) / 2
	for name, order := range map[string][]*chain.Block{
		"best first": slices.Concat(best, side),
		"side first": slices.Concat(best[:fork], side, best[fork:]),
		"twice":      slices.Concat(best, best, side, side),
	} {
		s := store.NewMemory(p)
		tip, refused := build(t, p, s, order)
		if tip.ID != want || len(refused) > 0 {
			t.Errorf("%s: it ends at height %d, refused %v", name, tip.Height, refused)
		}
		if e, err := s.Tip(); err != nil || e.State != tip {
			t.Errorf("%s: the store ends at %v (%v)", name, e.State, err)
		}
		for _, b := range slices.Concat(best, side) {
			if e, err := s.Entry(b.ID()); err != nil || e.Status != node.Complete {
				t.Errorf("%s: block %v: %v", name, b.ID(), err)
			}
		}
		soundStore(t, p, s)
	}
}

func soundStore(t *testing.T, p *chain.Params, s *store.Memory) {
	t.Helper()
	a := s.Audit()
	err := daemon.Replay(context.Background(), p, a.Blocks(), func(raw store.Raw, b chain.CheckedBlock, broken error) error {
		a.Hold(raw, b, broken)
		return nil
	})
	if err := errors.Join(err, a.Finish()); err != nil {
		t.Error(err)
	}
	if list, _ := a.Faults(); len(list) > 0 {
		t.Errorf("not sound: %v", list)
	}
}

// Where a heavier branch comes in, the tip moves there as soon as it is heavier.
func TestBuilderMovesAtOnce(t *testing.T) {
	p := chaintest.Easy()
	best, _ := fork(p, 30)
	l := chaintest.Open(p)
	own := l.Grow(3, "own", chaintest.Address(5))
	s := store.NewMemory(p)
	b, err := daemon.NewBuilder(0, p, s)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range own {
		if err := b.Add(c); err != nil {
			t.Fatal(err)
		}
	}
	for i, block := range best[:10] {
		if err := b.Add(chaintest.Check(p, block)); err != nil {
			t.Fatal(err)
		}
		if err := b.Flush(); err != nil {
			t.Fatal(err)
		}
		tip, err := s.Tip()
		if want := max(3, i+1); err != nil || tip.State.Height != uint64(want) || i >= 3 && tip.State.ID != block.ID() {
			t.Errorf("after %d blocks the tip is %v at height %d (%v)", i+1, tip.State.ID, tip.State.Height, err)
		}
	}
	soundStore(t, p, s)
}

// A branch that breaks a rule is found out when it would become the best.
func TestBuilderRefusesAFalseBranch(t *testing.T) {
	p := chaintest.Easy()
	best, side := fork(p, 12)
	stem := len(best) / 2
	side[1].Coinbase.Outputs[0].Value++
	bad := chaintest.Seal(p, side[1])
	tip, refused := build(t, p, store.NewMemory(p), slices.Concat(best[:stem+1], side[:1], []*chain.Block{bad}))
	if tip.ID != best[stem].ID() || !errors.Is(refused[bad.ID()], daemon.ErrNoParent) || len(refused) != 1 {
		t.Errorf("it ends at height %d, refused %v", tip.Height, refused)
	}
}

// What is false is refused with all that builds on it, and the rest is taken.
func TestBuilderRefusesWhatIsFalse(t *testing.T) {
	p := chaintest.Easy()
	for name, c := range map[string]struct {
		spoil func(*chain.Block)
		kind  chain.Kind
	}{
		"a signature": {func(b *chain.Block) { b.Txs[0].Inputs[0].Sig[3] ^= 1 }, chain.BadSignature},
		"a reward":    {func(b *chain.Block) { b.Coinbase.Outputs[0].Value++ }, chain.BadReward},
	} {
		best, _ := fork(p, 12)
		chaintest.Seal(p, best[8])
		c.spoil(best[8])
		chaintest.Seal(p, best[8])
		for i := 9; i < 12; i++ {
			best[i].Header.Prev = best[i-1].ID()
			chaintest.Seal(p, best[i])
		}
		s := store.NewMemory(p)
		tip, refused := build(t, p, s, best)
		if tip.Height != 8 || len(refused) != 4 || chain.KindOf(refused[best[8].ID()]) != c.kind || !errors.Is(refused[best[9].ID()], daemon.ErrNoParent) {
			t.Errorf("%s: it ends at height %d, refused %v", name, tip.Height, refused)
		}
		soundStore(t, p, s)
	}
}

// Blocks come out in the order in which they went in; an error of either side ends
// it, and so does whoever gives up.
func TestReplayKeepsOrderAndEnds(t *testing.T) {
	p := chaintest.Easy()
	best, _ := fork(p, 30)
	var got []chain.Hash
	err := daemon.Replay(context.Background(), p, raws(best...), func(raw store.Raw, _ chain.CheckedBlock, _ error) error {
		got = append(got, raw.ID)
		return nil
	})
	if err != nil || !slices.EqualFunc(got, best, func(id chain.Hash, b *chain.Block) bool { return id == b.ID() }) {
		t.Errorf("out of order: %v", err)
	}
	why := errors.New("enough")
	if err := daemon.Replay(context.Background(), p, raws(best...), func(store.Raw, chain.CheckedBlock, error) error { return why }); !errors.Is(err, why) {
		t.Errorf("the taker's error: %v", err)
	}
	broken := func(yield func(store.Raw, error) bool) { yield(store.Raw{}, why) }
	if err := daemon.Replay(context.Background(), p, broken, nil); !errors.Is(err, why) {
		t.Errorf("the source's error: %v", err)
	}
	gone, leave := context.WithCancel(context.Background())
	taken := 0
	err = daemon.Replay(gone, p, raws(best...), func(store.Raw, chain.CheckedBlock, error) error {
		if taken++; taken == 5 {
			leave()
		}
		return gone.Err()
	})
	if !errors.Is(err, context.Canceled) || taken != 5 {
		t.Errorf("after %d blocks: %v", taken, err)
	}
}
