package daemon_test

import (
	"errors"
	"slices"
	"testing"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/mempool"
	"cairn/node"
	"cairn/rpc"
)

func TestRulingABlockOut(t *testing.T) {
	p := chain.Regtest()
	a := start(t, p)
	ids := a.generate(4)
	moved := a.Branches.Moved()
	if err := a.Branches.Invalidate(t.Context(), ids[2]); err != nil {
		t.Fatal(err)
	}
	select {
	case <-moved:
	default:
		t.Error("nobody was woken")
	}
	if tip := a.tip(); tip.ID != ids[1] {
		t.Errorf("the tip is %v at %d", tip.ID, tip.Height)
	}
	s, err := a.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	tips, err := s.Tips()
	if err != nil || len(tips) != 2 || tips[1].State.ID != ids[3] || tips[1].Status != node.Condemned {
		t.Errorf("tips %+v, %v", tips, err)
	}
	for id, want := range map[chain.Hash]error{{1}: node.ErrUnknown, p.GenesisID(): node.ErrGenesis} {
		if err := a.Branches.Invalidate(t.Context(), id); !errors.Is(err, want) {
			t.Errorf("%v: %v, want %v", id, err, want)
		}
	}
	if err := a.Branches.Reconsider(t.Context(), ids[3]); err != nil {
		t.Fatal(err)
	}
	if tip := a.tip(); tip.ID != ids[3] {
		t.Errorf("back on %v at %d", tip.ID, tip.Height)
	}
}

func TestHistoryAndCoinsOfOneMoment(t *testing.T) {
	p := chain.Regtest()
	a := start(t, p)
	tx := pay(p, 0, 1000, 1)
	a.submit(tx)
	ids := a.generate(2)
	s, err := a.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	before, err := s.SetInfo(t.Context())
	if err != nil || before.Tip.ID != ids[1] || before.Coins != 9+1+2 || before.Digest == (chain.Hash{}) {
		t.Errorf("set %+v, %v", before, err)
	}
	a.generate(1)
	if again, err := s.SetInfo(t.Context()); err != nil || again != before {
		t.Errorf("the moment's set became %+v, %v", again, err)
	}
	deeds, err := s.History(chaintest.Address(1), rpc.Newest, 10)
	if err != nil || len(deeds) != 2 || deeds[0].Tx != tx.ID() || deeds[0].Place != (rpc.Place{Height: 1, Position: 1}) || deeds[0].Received == 0 {
		t.Fatalf("deeds %+v, %v", deeds, err)
	}
	if rest, err := s.History(chaintest.Address(1), deeds[0].Place, 10); err != nil || !slices.Equal(rest, deeds[1:]) {
		t.Errorf("below it %+v, %v", rest, err)
	}
}

// A child may be tried behind its parent, and one that pays more behind what it
// would replace.
func TestTryingInOrder(t *testing.T) {
	p := chain.Regtest()
	a := start(t, p)
	parent := pay(p, 0, 1000, 1)
	child := chaintest.Pay(p, chaintest.Outs(parent, mempool.Height)[0], chaintest.Key(1), 1000)
	forged := pay(p, 2, 1000, 1)
	forged.Inputs[0].Sig[0] ^= 1
	errs := a.Pool.Try(t.Context(), []*chain.Tx{parent, forged, child, pay(p, 0, 100_000, 3)})
	if errs[0] != nil || chain.KindOf(errs[1]) != chain.BadSignature || errs[2] != nil || errs[3] != nil {
		t.Errorf("tried: %v", errs)
	}
	errs = a.Pool.Try(t.Context(), []*chain.Tx{child, parent})
	if chain.KindOf(errs[0]) != chain.MissingCoin || errs[1] != nil {
		t.Errorf("backwards: %v", errs)
	}
	if n := a.Pool.Info().Count; n != 0 {
		t.Errorf("the pool holds %d", n)
	}
}

// What a person ruled out stays so over a restart, until it is reconsidered.
func TestRuledOutOverARestart(t *testing.T) {
	p := chain.Regtest()
	cfg := config(t, p)
	a := begin(t, cfg)
	ids := a.generate(3)
	if err := a.Branches.Invalidate(t.Context(), ids[1]); err != nil {
		t.Fatal(err)
	}
	a.Close()
	b := begin(t, cfg)
	if tip := b.tip(); tip.ID != ids[0] {
		t.Errorf("the tip is %v at %d", tip.ID, tip.Height)
	}
	if err := b.Branches.Reconsider(t.Context(), ids[1]); err != nil {
		t.Fatal(err)
	}
	b.Close()
	if tip := begin(t, cfg).tip(); tip.ID != ids[2] {
		t.Errorf("reconsidered, the tip is %v at %d", tip.ID, tip.Height)
	}
}
