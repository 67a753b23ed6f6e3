package daemon_test

import (
	"context"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/daemon"
	"cairn/node"
	"cairn/p2p"
	"cairn/rpc"
	"cairn/store"
)

// libp2p's bandwidth meter keeps one goroutine for the whole process.
var sweepers = []goleak.Option{
	goleak.IgnoreTopFunction("github.com/libp2p/go-flow-metrics.(*sweeper).runActive"),
	goleak.IgnoreTopFunction("github.com/libp2p/go-flow-metrics.(*sweeper).run"), // while nothing moves
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, sweepers...) }

// patience bounds how long a test waits for what must come; no test waits for
// it in vain unless it fails.
const patience = 60 * time.Second

// player is one real node on loopback with a store in memory.
type player struct {
	*daemon.Daemon
	rpc.Backend
	t      *testing.T
	faults *atomic.Int64 // of peers, as the node told
	self   node.Peer
}

func config(t *testing.T, p *chain.Params, peers ...*player) daemon.Config {
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
		cfg.Network.Peers = append(cfg.Network.Peers, other.addr())
	}
	return cfg
}

func begin(t *testing.T, cfg daemon.Config) *player {
	t.Helper()
	faults := new(atomic.Int64)
	cfg.Logger = slog.New(ear{faults})
	d, err := daemon.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return &player{d, d.Backend(), t, faults, d.Network().ID()}
}

func start(t *testing.T, p *chain.Params, peers ...*player) *player {
	t.Helper()
	return begin(t, config(t, p, peers...))
}

// ear counts what a node says of peers that break the rules.
type ear struct{ faults *atomic.Int64 }

func (e ear) Enabled(context.Context, slog.Level) bool { return true }
func (e ear) WithAttrs([]slog.Attr) slog.Handler       { return e }
func (e ear) WithGroup(string) slog.Handler            { return e }
func (e ear) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "a peer breaks the rules" {
		e.faults.Add(1)
	}
	return nil
}

// until waits until the condition holds.
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

// finish waits for work that must end.
func finish(t *testing.T, what string, work func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		work()
	}()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatalf("waited %v in vain: %s", patience, what)
	}
}

func (p *player) addr() string { return p.Daemon.Network().Addrs()[0] }

func (p *player) peers() []rpc.Peer { return p.Backend.Network.Peers() }

func (p *player) tip() chain.State {
	p.t.Helper()
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
	p.t.Helper()
	if err := p.Backend.Network.SetActive(context.Background(), on); err != nil {
		p.t.Fatal(err)
	}
}

// linked waits until each is connected to so many peers, and hears their gossip.
func linked(t *testing.T, n int, players ...*player) {
	t.Helper()
	until(t, "the nodes are linked", func() bool {
		return !slices.ContainsFunc(players, func(p *player) bool { return len(p.peers()) != n || p.Gossiping() != n })
	})
}

func pay(p *chain.Params, from int, fee chain.Amount, to int) *chain.Tx {
	return payAll(p, chaintest.Funds(p, from), from, fee, to)
}

func payAll(p *chain.Params, coin chain.Coin, from int, fee chain.Amount, to int) *chain.Tx {
	return chaintest.Pay(p, coin, chaintest.Key(from), fee, chain.Output{Value: coin.Value - fee, To: chaintest.Address(to)})
}

func sameTip(players ...*player) func() bool {
	return func() bool {
		return !slices.ContainsFunc(players, func(p *player) bool { return p.tip() != players[0].tip() })
	}
}

// hard is a network on which nobody here finds a block.
func hard(t testing.TB) *chain.Params {
	t.Helper()
	p := chain.DevLike("hard", chain.NewGenesis(uint32(time.Now().Unix()), 0x1900ffff, "a test", chain.PrefundedOutputs()))
	p.Maturity = 1
	p.Proof = func(chain.Header) bool { return true } // of the genesis; miners look at the target alone
	return checked(t, p)
}

// quick is a network on which a block takes some milliseconds.
func quick(t *testing.T) *chain.Params {
	t.Helper()
	g := chain.NewGenesis(uint32(time.Now().Unix()), 0x1f7fffff, "a test", chain.PrefundedOutputs())
	for limit, _ := g.Header.Bits.Target(); !limit.Met(g.ID()); {
		g.Header.Nonce++
	}
	return checked(t, chain.DevLike("quick", g))
}

func checked(t testing.TB, p *chain.Params) *chain.Params {
	t.Helper()
	p, err := chain.NewParams(p)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
