package node_test

import (
	"errors"
	"math/rand/v2"
	"testing"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/mempool"
	"cairn/node"
)

// mined is the template with its work.
func (s *story) mined(pay chain.Address) chain.CheckedBlock {
	s.Helper()
	b, err := s.n.Template(s.now, pay)
	if err != nil {
		s.Fatal(err)
	}
	chaintest.Mine(s.p, b)
	return chaintest.Check(s.p, b)
}

// take hands a mined block to the node and to the graph.
func (s *story) take(b chain.CheckedBlock) {
	s.Helper()
	name := "t" + b.ID().Short()
	s.blocks[name], s.names[b.ID()] = b, name
	s.states[name] = chaintest.After(s.p, s.n.Best(), b.Block())
	s.given = append(s.given, b.ID())
	s.done(s.n.Block(s.now, node.Self, b))
	s.verdict(node.Accept, nil)
	s.tip(name)
}

// TestATemplateIsAlwaysAccepted, whatever waits, and pays the subsidy and every
// fee within the bound.
func TestATemplateIsAlwaysAccepted(t *testing.T) {
	for seed := range uint64(8) {
		r := rand.New(rand.NewPCG(seed, 2))
		p := []*chain.Params{chaintest.Easy(), chaintest.Retargeting()}[seed%2]
		p.MaxBlock = chain.HeaderSize + 1 + chain.MaxCoinbase
		s := tell(t, p)
		coins := s.p.GenesisCoins().Created
		for round := range 40 {
			n := r.IntN(12)
			if round == 30 {
				n = 90 // more than a block holds
			}
			for range n {
				i := r.IntN(len(coins))
				coins = s.spend(r, coins, i)
			}
			b := s.mined(chaintest.Address(r.IntN(10)))
			want := s.p.Subsidy(s.n.Best().Height + 1)
			for _, tx := range b.Txs() {
				want += tx.Fee()
			}
			if paid := b.Block().Coinbase.Outputs[0].Value; paid != want || b.Size() > p.MaxBlock {
				t.Fatalf("seed %d: pays %v, want %v; %d bytes", seed, paid, want, b.Size())
			}
			s.now += chain.Time(r.IntN(5000))
			s.take(b)
		}
		if s.n.Best().Height != 40 || s.confirmed() < 20 {
			t.Errorf("seed %d: height %d, %d payments", seed, s.n.Best().Height, s.confirmed())
		}
	}
}

func (s *story) confirmed() int {
	_, txs := s.replay()
	return len(txs)
}

// spend pays with coin i, and returns the coins that can be paid with then.
func (s *story) spend(r *rand.Rand, coins []chain.Coin, i int) []chain.Coin {
	c := coins[i]
	for k := range 10 {
		if chaintest.Address(k) == c.Owner && c.Value > 10*chain.CRN {
			tx := chaintest.Pay(s.p, c, chaintest.Key(k), chain.Amount(400+r.IntN(5000)),
				chain.Output{Value: chain.CRN, To: chaintest.Address(r.IntN(10))})
			s.done(s.n.Tx(s.now, node.Self, chaintest.CheckTx(s.p, tx)))
			if s.out.Verdict == node.Accept {
				return append(append(coins[:i:i], coins[i+1:]...), chaintest.Outs(tx, mempool.Height)...)
			}
		}
	}
	return coins
}

// TestATemplateFitsItsBlock to the byte, however full the pool is.
func TestATemplateFitsItsBlock(t *testing.T) {
	p := chaintest.Easy()
	s := tell(t, p)
	s.Fork("0", "r1", "r2", "r3")
	s.give("r1", "r2", "r3")
	for i := range 10 {
		coin := chaintest.Funds(p, i)
		for range 8 {
			tx := chaintest.Pay(p, coin, chaintest.Key(i), 500)
			s.tx(node.Self, chaintest.CheckTx(p, tx))
			s.verdict(node.Accept, nil)
			coin = chaintest.Outs(tx, 0)[0]
		}
	}
	for p.MaxBlock = chain.HeaderSize + 1 + chain.MaxCoinbase; p.MaxBlock < 10_500; p.MaxBlock += 7 {
		b, err := s.n.Template(s.now, chaintest.Address(0))
		if err != nil {
			t.Fatal(err)
		}
		if size := len(b.Bytes()); size > p.MaxBlock || size < p.MaxBlock-600 {
			t.Fatalf("%d bytes of %d", size, p.MaxBlock)
		}
	}
}

func TestATemplateOfOneNodeDiffersFromAnothers(t *testing.T) {
	s := tell(t, chaintest.Easy())
	a := s.mined(chaintest.Address(0))
	s.cfg.Salt = 7
	s.start()
	if b := s.mined(chaintest.Address(0)); b.CoinbaseID() == a.CoinbaseID() {
		t.Error("two nodes mine the same block")
	}
}

func TestATemplateWaitsForTheClock(t *testing.T) {
	s := tell(t, chaintest.Easy())
	s.Block("0", chaintest.Plan{Name: "a1", Gap: int64(s.now)/1000 - int64(s.p.Genesis.Header.Time) + s.p.Ahead})
	s.give("a1")
	b, err := s.n.Template(s.now, chain.Address{})
	if err != nil || b.Header.Time != s.states["a1"].Time {
		t.Fatalf("%v, %v", b, err)
	}
	s.now -= 1000 // a clock that was set back while the node was off
	s.start()
	if _, err := s.n.Template(s.now, chain.Address{}); !errors.Is(err, node.ErrFuture) {
		t.Errorf("got %v", err)
	}
	for i, ahead := range []chain.Time{0, 0, 10_000_000, 10_000_000} {
		h := s.helloOf("0")
		h.Time = s.now + ahead
		s.done(s.n.Hello(s.now, node.Peer(itoa(i)), h))
		if s.n.Behind() != 0 {
			t.Errorf("after %d hellos %d ms behind", i+1, s.n.Behind())
		}
	}
	h := s.helloOf("0")
	h.Time = 1 << 62
	s.now += 1000
	s.done(s.n.Hello(s.now, "last", h))
	if _, err := s.n.Template(s.now, chain.Address{}); !errors.Is(err, node.ErrClock) || s.n.Behind() != 10_000_000 {
		t.Errorf("%d ms behind: %v", s.n.Behind(), err)
	}
	h.Time = -1 << 63
	s.done(s.n.Hello(s.now, "last", h))
	if s.n.Behind() != 0 {
		t.Errorf("%d ms behind", s.n.Behind())
	}
}
