package daemon_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/daemon"
	"cairn/miner"
	"cairn/node"
)

// watcher is a player that tells of every template.
type watcher struct {
	node.Player
	mu  sync.Mutex
	txs map[chain.Hash]bool // guarded by mu; that a template held
	all int                 // guarded by mu
}

func (w *watcher) Template(now chain.Time, pay chain.Address) (*chain.Block, error) {
	b, err := w.Player.Template(now, pay)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all++
	for i := range b.Txs {
		w.txs[b.Txs[i].ID()] = true
	}
	return b, err
}

func (w *watcher) templates() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.all
}

// watched makes a node's player tell of its templates.
func watched(cfg daemon.Config) (*watcher, daemon.Config) {
	w := &watcher{txs: map[chain.Hash]bool{}}
	cfg.Player = func(n *node.Node) node.Player {
		w.Player = n
		return w
	}
	return w, cfg
}

func (w *watcher) saw(id chain.Hash) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.txs[id]
}

// A miner fetches a template every five seconds in any case. Forty payments, each
// made when a template holds the one before, would try a test's patience.
func TestFeesRenewTheTemplate(t *testing.T) {
	p := hard(t)
	w, cfg := watched(config(t, p))
	cfg.HashRate, cfg.Mine = 1, true
	a := begin(t, cfg)
	whole, end := context.WithTimeout(t.Context(), patience)
	defer end()
	for i := range 10 {
		coin := chaintest.Funds(p, i)
		for range 4 {
			tx := payAll(p, coin, i, 1000, i)
			coin = chaintest.Outs(tx, 0)[0]
			a.submit(tx)
			until(t, "a template holds the payment", func() bool { return w.saw(tx.ID()) })
			if whole.Err() != nil {
				t.Fatalf("%d templates, at key %d: they come by time alone", w.templates(), i)
			}
		}
	}
}

func TestGenerateGivesUpAfterItsTries(t *testing.T) {
	p := hard(t)
	a := start(t, p)
	ids, err := a.Mining.Generate(t.Context(), 1, chaintest.Address(1), 10_000)
	if err != nil || len(ids) != 0 {
		t.Errorf("got %v, %v", ids, err)
	}
	easy := start(t, chain.Regtest())
	ids, err = easy.Mining.Generate(t.Context(), 3, chaintest.Address(1), 1_000_000)
	if err != nil || len(ids) != 3 || easy.tip().ID != ids[2] {
		t.Errorf("got %v, %v, tip %v", ids, err, easy.tip().ID)
	}
	ids, err = easy.Mining.Generate(t.Context(), 1000, chaintest.Address(1), 100)
	if err != nil || len(ids) == 0 || len(ids) > 100 || easy.tip().ID != ids[len(ids)-1] {
		t.Errorf("got %d blocks with 100 tries: %v", len(ids), err)
	}
}

func TestGenerateEndsWithItsCallerAndWithTheNode(t *testing.T) {
	p := hard(t)
	for name, tries := range map[string]uint64{"without end": 0, "with many tries": 1 << 60} {
		t.Run(name, func(t *testing.T) {
			w, cfg := watched(config(t, p))
			a := begin(t, cfg)
			impatient, leave := context.WithCancel(t.Context())
			leave()
			if _, err := a.Mining.Generate(impatient, 1, chaintest.Address(1), tries); !errors.Is(err, context.Canceled) {
				t.Errorf("a caller who left hears %v", err)
			}
			var caller sync.WaitGroup
			caller.Go(func() {
				_, err := a.Mining.Generate(context.Background(), 1, chaintest.Address(1), tries)
				if err == nil {
					t.Error("a block on a network where nobody finds one")
				}
			})
			until(t, "the search begins", func() bool { return w.templates() > 0 })
			finish(t, "the node closes", a.Close)
			finish(t, "the caller hears of it", caller.Wait)
		})
	}
}

// refuser is a player that takes no block of our own.
type refuser struct{ node.Player }

func (r refuser) Block(now chain.Time, from node.Peer, bs ...chain.CheckedBlock) (node.Outcome, error) {
	if from == node.Self {
		return node.Outcome{Verdict: node.Ignore, Why: node.ErrFull}, nil
	}
	return r.Player.Block(now, from, bs...)
}

func TestOwnBlockThatIsNotTakenSurfaces(t *testing.T) {
	p := quick(t)
	cfg := config(t, p)
	cfg.Player = func(n *node.Node) node.Player { return refuser{n} }
	a := begin(t, cfg)
	if _, err := a.Mining.Generate(t.Context(), 1, chaintest.Address(1), 0); !errors.Is(err, node.ErrFull) {
		t.Errorf("got error %v, want %v", err, node.ErrFull)
	}
	if err := a.Mining.Start(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	until(t, "the miner tells why it waits", func() bool {
		return strings.Contains(a.Mining.Status().Why, node.ErrFull.Error())
	})
	if found := a.Mining.Status().Found; found != 0 {
		t.Errorf("it counts %d blocks as found", found)
	}
}

// A miner goes on by itself after each block: a hundred of them, and each rests
// on the one before.
func TestOwnBlocksFollowEachOther(t *testing.T) {
	p := chain.Regtest()
	cfg := config(t, p)
	cfg.Mine = true
	a := begin(t, cfg)
	until(t, "a hundred blocks", func() bool { return a.tip().Height >= 100 })
}

func TestMiningNeedsAPayee(t *testing.T) {
	cfg := config(t, chain.Regtest())
	cfg.HasPay = false
	a := begin(t, cfg)
	if err := a.Mining.Start(t.Context(), 1); err == nil || !strings.Contains(err.Error(), "--mine-to") {
		t.Errorf("got error %v", err)
	}
	if a.Mining.Status().On {
		t.Error("it mines for nobody")
	}
}

// A node whose clock is far behind its peers' does not mine, and says why.
func TestClockBehindItsPeers(t *testing.T) {
	p := chain.Regtest()
	a, b := start(t, p), start(t, p)
	cfg := config(t, p, a, b)
	cfg.Clock = func() time.Time { return time.Now().Add(-time.Duration(p.Ahead)*time.Second - time.Minute) }
	late := begin(t, cfg)
	until(t, "it warns of its clock", func() bool {
		return slices.ContainsFunc(late.Control.Warnings(), func(w string) bool { return strings.Contains(w, "clock") })
	})
	until(t, "both peers' word stops its miner", func() bool {
		_, err := late.Mining.Generate(t.Context(), 1, chaintest.Address(1), 0)
		return errors.Is(err, node.ErrClock)
	})
	if off := late.Backend.Network.Local().Offset; time.Duration(off) < time.Minute {
		t.Errorf("it tells of %v", time.Duration(off))
	}
}

func TestClosedMinerSaysSo(t *testing.T) {
	a := start(t, chain.Regtest())
	a.Close()
	_, err := a.Mining.Generate(t.Context(), 1, chaintest.Address(1), 0)
	if err == nil {
		t.Fatal("a closed node makes blocks")
	}
	if errors.Is(err, context.Canceled) && !errors.Is(err, miner.ErrClosed) {
		t.Errorf("it tells of %v, which the caller did not do", err)
	}
}
