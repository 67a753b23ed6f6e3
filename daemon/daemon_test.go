package daemon_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/daemon"
	"cairn/p2p"
	"cairn/rpc"
	"cairn/store"
)

// libp2p's bandwidth meter keeps one goroutine for the whole process.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/libp2p/go-flow-metrics.(*sweeper).runActive"))
}

// patience bounds how long a test waits for what must come; no test waits for
// it in vain unless it fails.
const patience = 60 * time.Second

// player is one real node on loopback with a store in memory.
type player struct {
	*daemon.Daemon
	rpc.Backend
	t *testing.T
}

func start(t *testing.T, p *chain.Params, peers ...*player) *player {
	t.Helper()
	key, err := p2p.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	cfg := daemon.Config{
		Params: p, Store: store.NewMemory(p), Pay: chaintest.Address(9), HasPay: true, Threads: 1,
		Network: p2p.Config{Key: key, Listen: []string{"/ip4/127.0.0.1/tcp/0"}, Agent: "cairn/test"},
	}
	for _, other := range peers {
		cfg.Network.Peers = append(cfg.Network.Peers, other.Daemon.Network().Addrs()[0])
	}
	d, err := daemon.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return &player{Daemon: d, Backend: d.Backend(), t: t}
}

// until waits until the condition holds; it looks whenever a tip moves, and
// every few milliseconds for what moves no tip.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(patience)
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for !holds() {
		select {
		case <-look.C:
		case <-deadline:
			t.Fatalf("waited %v in vain: %s", patience, what)
		}
	}
}

func (p *player) tip() chain.State {
	s, err := p.Open()
	if err != nil {
		p.t.Fatal(err)
	}
	defer s.Close()
	e, err := s.Tip()
	if err != nil {
		p.t.Fatal(err)
	}
	return e.State
}

func (p *player) generate(n int) []chain.Hash {
	p.t.Helper()
	ids, err := p.Mining.Generate(context.Background(), n, chaintest.Address(9), 0)
	if err != nil {
		p.t.Fatal(err)
	}
	return ids
}

func (p *player) submit(tx *chain.Tx) {
	p.t.Helper()
	if err := p.Pool.Submit(context.Background(), tx); err != nil {
		p.t.Fatal(err)
	}
}

func (p *player) online(on bool) {
	if err := p.Backend.Network.SetActive(context.Background(), on); err != nil {
		p.t.Fatal(err)
	}
}

func pay(p *chain.Params, from int, fee chain.Amount, to int) *chain.Tx {
	coin := chaintest.Funds(p, from)
	return chaintest.Pay(p, coin, chaintest.Key(from), fee, chain.Output{Value: coin.Value - fee, To: chaintest.Address(to)})
}

func sameTip(players ...*player) func() bool {
	return func() bool {
		return !slices.ContainsFunc(players, func(p *player) bool { return p.tip() != players[0].tip() })
	}
}

func TestOneBlockReachesEveryNode(t *testing.T) {
	p := chain.Regtest()
	a := start(t, p)
	b := start(t, p, a)
	c := start(t, p, b)
	until(t, "the nodes are linked", func() bool { return len(b.Backend.Network.Peers()) == 2 })
	tx := pay(p, 0, 1000, 1)
	a.submit(tx)
	until(t, "the payment is in every pool", func() bool {
		return !slices.ContainsFunc([]*player{a, b, c}, func(p *player) bool { _, ok := p.Pool.Get(tx.ID()); return !ok })
	})
	ids := c.generate(1)
	until(t, "the block is everybody's tip", func() bool { return a.tip().ID == ids[0] && b.tip().ID == ids[0] })
	until(t, "a knows that the payment is one deep on all it is linked to", func() bool {
		agreed, err := a.Convergence.Tx(tx.ID())
		return err == nil && agreed.All != nil && *agreed.All == 1 && agreed.Counted == 2
	})
	if n := a.Pool.Info().Count; n != 0 {
		t.Errorf("a's pool still holds %d transactions", n)
	}
}

func TestLateNodeCatchesUp(t *testing.T) {
	p := chain.Regtest()
	a := start(t, p)
	a.generate(2100) // more than one answer of headers holds
	b := start(t, p, a)
	until(t, "b has a's chain", sameTip(a, b))
}

func TestHealedSplitAgreesAndNamesTheLoser(t *testing.T) {
	p := chain.Regtest()
	a := start(t, p)
	b := start(t, p, a)
	until(t, "the nodes are linked", func() bool {
		return len(a.Backend.Network.Peers()) == 1 && len(b.Backend.Network.Peers()) == 1
	})
	a.generate(2)
	until(t, "b follows", sameTip(a, b))

	b.online(false)
	until(t, "the link is cut", func() bool { return len(a.Backend.Network.Peers()) == 0 })
	left, right, bystander := pay(p, 0, 1000, 1), pay(p, 0, 2000, 2), pay(p, 3, 1000, 4)
	a.submit(left)
	b.submit(right)
	a.submit(bystander)
	a.generate(2)
	won := b.generate(3)
	b.online(true)

	until(t, "both follow the heavier branch", func() bool { return a.tip().ID == won[2] && sameTip(a, b)() })
	until(t, "both tell that the payment on the lighter branch is ruled out, and by which", func() bool {
		return !slices.ContainsFunc([]*player{a, b}, func(p *player) bool {
			lost, err := p.Convergence.Tx(left.ID())
			return err != nil || lost.Self.Depth == nil || *lost.Self.Depth != -1 || lost.Conflict == nil || *lost.Conflict != right.ID()
		})
	})
	if r := a.Control.Reorgs(); r.Count != 1 || r.Deepest != 2 {
		t.Errorf("a counts %+v", r)
	}
	until(t, "the bystander is back in both pools", func() bool {
		_, here := a.Pool.Get(bystander.ID())
		_, there := b.Pool.Get(bystander.ID())
		return here && there
	})
	b.generate(1)
	until(t, "it is confirmed on both", func() bool {
		agreed, err := a.Convergence.Tx(bystander.ID())
		return err == nil && agreed.All != nil && *agreed.All == 1 && agreed.Counted == 2
	})
}

func TestMinersOnTwoNodesAgree(t *testing.T) {
	easy := chain.NewGenesis(uint32(time.Now().Unix()), 0x1f7fffff, "a test", nil)
	for limit, _ := easy.Header.Bits.Target(); !limit.Met(easy.ID()); {
		easy.Header.Nonce++
	}
	p, err := chain.NewParams(chain.DevLike("quick", easy))
	if err != nil {
		t.Fatal(err)
	}
	a := start(t, p)
	b := start(t, p, a)
	for _, m := range []*player{a, b} {
		if err := m.Mining.Start(context.Background(), 1); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "ten blocks are found", func() bool { return a.tip().Height >= 10 && b.tip().Height >= 10 })
	for _, m := range []*player{a, b} {
		if err := m.Mining.Stop(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	// A tie may stay until somebody breaks it: that is the rule, not a fault.
	until(t, "the nodes agree once one of them mines on", func() bool {
		if sameTip(a, b)() {
			return true
		}
		a.generate(1)
		return false
	})
}
