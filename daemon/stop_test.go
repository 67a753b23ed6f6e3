package daemon_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/daemon"
	"cairn/node"
	"cairn/p2p"
	"cairn/store"
)

var errDisk = errors.New("the disk is gone")

// failing is a store whose commits fail once it is told to.
type failing struct {
	*store.Memory
	fail  atomic.Bool
	tries atomic.Int64 // since then
}

func (f *failing) Commit(steps ...node.Step) error {
	if f.fail.Load() {
		f.tries.Add(1)
		return errDisk
	}
	return f.Memory.Commit(steps...)
}

// A disk fails under a node that gossip, a miner and users speak to.
func TestStoreFailureStopsTheNodeAndBlamesNobody(t *testing.T) {
	p := chain.Regtest()
	a := start(t, p)
	cfg := config(t, p, a)
	disk := &failing{Memory: store.NewMemory(p)}
	cfg.Store = disk
	b := begin(t, cfg)
	linked(t, 1, a, b)
	a.generate(2)
	until(t, "b follows", sameTip(a, b))

	disk.fail.Store(true)
	a.generate(20)
	finish(t, "b stops by itself", func() { <-b.Done() })
	if err := b.Err(); !errors.Is(err, errDisk) {
		t.Errorf("b stopped for %v, want %v", err, errDisk)
	}
	if _, err := b.Mining.Generate(t.Context(), 1, chaintest.Address(9), 0); err == nil {
		t.Error("a stopped node makes blocks")
	}
	if err := b.Pool.Submit(t.Context(), pay(p, 0, 1000, 1)); err == nil {
		t.Error("a stopped node takes payments")
	}
	finish(t, "b closes", b.Close)
	if n := b.faults.Load(); n != 0 {
		t.Errorf("b blamed %d times for its own disk", n)
	}
	if n := disk.tries.Load(); n != 1 {
		t.Errorf("b wrote %d times, the first failure must be the last", n-1)
	}
	if a.Err() != nil || a.tip().Height != 22 {
		t.Errorf("a suffered: %v at height %d", a.Err(), a.tip().Height)
	}
}

var errLogic = errors.New("the logic is broken")

// broken is a player whose Answer, or everything that goes through Tick, fails.
type broken struct {
	node.Player
	answer, tick bool
}

func (b broken) Answer(now chain.Time, from node.Peer, q node.Request) (node.Answer, error) {
	if b.answer {
		return node.Answer{}, errLogic
	}
	return b.Player.Answer(now, from, q)
}

func (b broken) Tick(now chain.Time) (node.Outcome, error) {
	if b.tick {
		return node.Outcome{}, errLogic
	}
	return b.Player.Tick(now)
}

func TestPlayerThatFailsStopsTheNode(t *testing.T) {
	p := chain.Regtest()
	for name, flaw := range map[string]broken{"in an answer": {answer: true}, "in time": {tick: true}} {
		t.Run(name, func(t *testing.T) {
			a := start(t, p)
			cfg := config(t, p, a)
			cfg.Player = func(n *node.Node) node.Player {
				flaw.Player = n
				return flaw
			}
			b := begin(t, cfg)
			finish(t, "b stops by itself", func() { <-b.Done() })
			if err := b.Err(); !errors.Is(err, errLogic) || !strings.Contains(err.Error(), "the node stopped") {
				t.Errorf("b stopped for %v", err)
			}
			if w := b.Control.Warnings(); len(w) != 1 || !strings.Contains(w[0], errLogic.Error()) {
				t.Errorf("b warns of %q", w)
			}
		})
	}
}

// Two nodes mine and pay, and users ask all there is to ask, while both close.
func TestCloseUnderLoad(t *testing.T) {
	before := goleak.IgnoreCurrent()
	p := quick(t)
	a := start(t, p)
	b := start(t, p, a)
	linked(t, 1, a, b)
	var users sync.WaitGroup
	end := make(chan struct{})
	for i, n := range []*player{a, b, a, b} {
		if err := n.Mining.Start(t.Context(), 2); err != nil {
			t.Fatal(err)
		}
		tx := pay(p, i, 1000, 9)
		users.Go(func() {
			for {
				select {
				case <-end:
					return
				default:
					bother(n, tx)
				}
			}
		})
	}
	until(t, "blocks flow", func() bool { return a.tip().Height > 5 && b.tip().Height > 5 })
	var closing sync.WaitGroup
	for _, n := range []*player{a, b, a} {
		closing.Go(n.Close)
	}
	finish(t, "both close", closing.Wait)
	close(end)
	finish(t, "no user waits for ever", users.Wait)
	if a.Err() != nil || b.Err() != nil {
		t.Errorf("to close is no failure: %v, %v", a.Err(), b.Err())
	}
	goleak.VerifyNone(t, append(sweepers, before)...)
}

// bother asks a node all there is to ask. Answers do not matter.
func bother(n *player, tx *chain.Tx) {
	_ = n.Pool.Submit(context.Background(), tx)
	_ = n.Pool.Try(context.Background(), []*chain.Tx{tx})
	_, _ = n.Convergence.Tx(tx.ID())
	_, _ = n.Mining.Generate(context.Background(), 1, chaintest.Address(8), 10)
	n.peers()
	n.Pool.List()
	n.Control.Warnings()
	n.Backend.Network.Local()
	if s, err := n.Open(); err == nil {
		_, _ = s.Tips()
		_, _ = s.Owned(chaintest.Address(0))
		s.Close()
	}
}

func TestNewRefusesAndLeavesNothing(t *testing.T) {
	before := goleak.IgnoreCurrent()
	p := chain.Regtest()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	disk := &failing{Memory: store.NewMemory(p)}
	if err := disk.Close(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*daemon.Config){
		"no params":       func(c *daemon.Config) { c.Params = nil },
		"no store":        func(c *daemon.Config) { c.Store = nil },
		"no key":          func(c *daemon.Config) { c.Network.Key = nil },
		"a closed store":  func(c *daemon.Config) { c.Store = disk },
		"no such threads": func(c *daemon.Config) { c.Threads = -1 },
		"a taken port":    func(c *daemon.Config) { c.Network.Listen = []string{"/ip4/127.0.0.1/tcp/" + port} },
		"a bad peer":      func(c *daemon.Config) { c.Network.Peers = []string{"nowhere"} },
		"no network": func(c *daemon.Config) {
			c.Open = func(context.Context, p2p.Config, p2p.Handler) (*p2p.Network, error) { return nil, errDisk }
		},
	} {
		cfg := config(t, p)
		spoil(&cfg)
		if d, err := daemon.New(cfg); err == nil {
			t.Errorf("%s: it started", name)
			d.Close()
		}
	}
	goleak.VerifyNone(t, append(sweepers, before)...)
}

// A peer speaks to a node before New knows its network, and again after that
// failed.
func TestPeersMaySpeakBeforeTheNetworkIsThere(t *testing.T) {
	p := chain.Regtest()
	for _, fails := range []bool{false, true} {
		cfg := config(t, p)
		cfg.Open = func(ctx context.Context, c p2p.Config, h p2p.Handler) (*p2p.Network, error) {
			h.Joined("early")
			plan := chaintest.Plan{Txs: []*chain.Tx{pay(p, 2, 1000, 3)}} // to be asked for
			h.GossipBlock(ctx, "early", chaintest.Block(p, p.GenesisState(), plan).Announce().Brief(1))
			h.GossipTx(ctx, "early", pay(p, 0, 1000, 1))
			if fails {
				return nil, errDisk
			}
			return p2p.New(ctx, c, h)
		}
		d, err := daemon.New(cfg)
		if fails != (err != nil) {
			t.Fatalf("got error %v", err)
		}
		if err == nil {
			finish(t, "it closes", d.Close)
		}
	}
}

func TestRestartKeepsTheChainAndGoesOn(t *testing.T) {
	p := chain.Regtest()
	dir := t.TempDir()
	open := func() *store.Badger {
		s, err := store.Open(store.Config{Dir: dir, Params: p})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	disk := open()
	cfg := config(t, p)
	cfg.Store = disk
	a := begin(t, cfg)
	tx := pay(p, 0, 1000, 1)
	a.submit(tx)
	a.generate(5)
	was := a.tip()
	a.Close()
	if err := disk.Close(); err != nil {
		t.Fatal(err)
	}

	disk = open()
	t.Cleanup(func() {
		if err := disk.Close(); err != nil {
			t.Error(err)
		}
	})
	cfg.Store = disk
	a = begin(t, cfg)
	if got := a.tip(); got != was {
		t.Fatalf("it comes back at %+v, was at %+v", got, was)
	}
	agreed, err := a.Convergence.Tx(tx.ID())
	if err != nil || agreed.All == nil || *agreed.All != 5 {
		t.Errorf("the payment is %+v deep (%v), want 5", agreed, err)
	}
	a.generate(1)
	b := start(t, p, a)
	until(t, "b has the chain of both lives", func() bool { return b.tip().Height == 6 && sameTip(a, b)() })
}
