package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"cairn/chain"
	"cairn/mempool"
	"cairn/miner"
	"cairn/node"
	"cairn/p2p"
)

// Store is what a daemon needs of what is remembered. Its reads may run beside
// the loop's commits.
type Store interface {
	node.Store
	TxBlocks(tx chain.Hash) ([]chain.Hash, error)
	Spenders(chain.OutPoint) ([]chain.Hash, error)
	Owned(chain.Address) ([]chain.Coin, error)
}

// Reader is one moment of a Store; whoever opened it closes it.
type Reader interface {
	Tip() (node.Entry, error)
	Entry(chain.Hash) (node.Entry, error)
	At(height uint64) (chain.Hash, error)
	Body(chain.Hash) (chain.CheckedBlock, error)
	Coins([]chain.OutPoint) (chain.Coins, error)
	TxBlocks(tx chain.Hash) ([]chain.Hash, error)
	Owned(chain.Address) ([]chain.Coin, error)
	Close()
}

// Config is what a daemon is made from. The caller closes Store, after Close.
type Config struct {
	Params   *chain.Params
	Store    Store
	Network  p2p.Config // Genesis and MaxBlock are filled in
	Pool     mempool.Config
	Pay      chain.Address // whom our blocks pay; HasPay tells whether there is one
	HasPay   bool
	Mine     bool    // start mining at once
	Threads  int     // of the miner; 0 is one for each core
	HashRate float64 // hashes a second, 0 is no limit
	Version  string
	Logger   *slog.Logger
	Clock    func() time.Time                                                     // nil is the machine's
	Player   func(*node.Node) node.Player                                         // nil: an honest one
	Open     func(context.Context, p2p.Config, p2p.Handler) (*p2p.Network, error) // nil: p2p.New; tests hand in hosts of their own
	Stop     func()                                                               // begins to stop the program, for whoever may ask; nil: nobody may
}

// Daemon is one running node.
type Daemon struct {
	cfg    Config
	p      *chain.Params
	loop   *loop
	net    *p2p.Network
	miner  *miner.Miner
	log    *slog.Logger
	start  time.Time
	life   context.Context
	cancel context.CancelCauseFunc
	all    sync.WaitGroup // every goroutine of ours
	mu     sync.Mutex     // guards closing, so that nothing starts after Close began to wait
	closed bool

	off    atomic.Bool   // setnetworkactive false
	fees   chan struct{} // the pool changed
	say    chan struct{} // our tip moved: tell the peers
	greet  chan struct{} // net is set
	skewed atomic.Bool   // the peers' clocks were reported to be ahead
}

// New starts a node: it serves peers and mines from now on, until Close.
func New(cfg Config) (*Daemon, error) {
	d := &Daemon{
		cfg: cfg, p: cfg.Params, log: cfg.Logger, start: time.Now(),
		fees: make(chan struct{}, 1), say: make(chan struct{}, 1), greet: make(chan struct{}),
	}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Open == nil {
		cfg.Open = p2p.New
	}
	d.life, d.cancel = context.WithCancelCause(context.Background())
	if err := d.open(cfg); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

func (d *Daemon) open(cfg Config) error {
	name, err := peer.IDFromPrivateKey(cfg.Network.Key)
	if err != nil {
		return fmt.Errorf("host key: %w", err)
	}
	now := chain.Time(cfg.Clock().UnixMilli())
	n, err := node.New(now, node.Config{
		Params: cfg.Params, Store: cfg.Store, Pool: cfg.Pool,
		Peer: node.Peer(name), Agent: cfg.Network.Agent, Salt: rand.Uint64(),
	})
	if err != nil {
		return err
	}
	var player node.Player = n
	if cfg.Player != nil {
		player = cfg.Player(n)
	}
	d.loop = newLoop(n, player, cfg.Clock)
	d.all.Go(func() { d.loop.run(d.life) })
	d.miner, err = miner.New(miner.Config{
		Params: cfg.Params, Source: source{d}, Found: d.found,
		Threads: cfg.Threads, HashRate: cfg.HashRate, Log: d.log,
	})
	if err != nil {
		return err
	}
	cfg.Network.Genesis, cfg.Network.MaxBlock = cfg.Params.GenesisID(), cfg.Params.MaxBlock
	if d.net, err = cfg.Open(d.life, cfg.Network, d); err != nil {
		return err
	}
	close(d.greet)
	d.all.Go(d.tick)
	d.all.Go(d.tellTip)
	d.all.Go(d.renewOnFees)
	if cfg.Mine {
		d.miner.Start()
	}
	return nil
}

// Close stops the node and waits until nothing of it runs any more. What was
// acknowledged is on disk.
func (d *Daemon) Close() {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	if d.miner != nil {
		d.miner.Close()
	}
	if d.net != nil {
		d.net.Close()
	}
	d.cancel(ErrStopped)
	d.all.Wait()
}

// Done is closed when the node stops by itself, because its disk or its logic
// failed; Err tells why.
func (d *Daemon) Done() <-chan struct{} { return d.life.Done() }

// Err is why the node stopped by itself; nil if it did not.
func (d *Daemon) Err() error {
	if err := context.Cause(d.life); err != nil && !errors.Is(err, ErrStopped) {
		return err
	}
	return nil
}

// Network is the node's link to its peers.
func (d *Daemon) Network() *p2p.Network { return d.net }

// Moved returns a channel that is closed when the best chain moves next.
func (d *Daemon) Moved() <-chan struct{} { return d.loop.Moved() }

// fail stops the node: going on could break what it holds.
func (d *Daemon) fail(err error) {
	d.log.Error("the node stops: its own disk or logic failed", "err", err)
	d.cancel(fmt.Errorf("the node stopped: %w", err))
}

// goes runs f beside us, unless we are closing.
func (d *Daemon) goes(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.closed {
		d.all.Go(f)
	}
}

// call lets the player act in the loop, and carries out what came of it.
func (d *Daemon) call(ctx context.Context, act func(now chain.Time, p node.Player) (node.Outcome, error)) (node.Outcome, error) {
	var out node.Outcome
	var fault error
	err := d.loop.do(ctx, func(now chain.Time) {
		if out, fault = act(now, d.loop.player); out.Moved {
			d.loop.wake()
		}
	})
	if fault != nil {
		d.fail(fault)
		return node.Outcome{Verdict: node.Ignore}, fault
	}
	if err != nil {
		return node.Outcome{Verdict: node.Ignore, Why: err}, err
	}
	d.follow(out)
	return out, nil
}

// follow carries out an outcome, but for its verdict.
func (d *Daemon) follow(out node.Outcome) {
	if out.Moved {
		d.miner.Renew()
		signal(d.say)
	}
	if out.Fees {
		signal(d.fees)
	}
	for _, a := range out.Ask {
		d.goes(func() { d.ask(a) })
	}
	if len(out.Announce)+len(out.Relay) > 0 {
		d.goes(func() { d.publish(out) })
	}
}

func (d *Daemon) publish(out node.Outcome) {
	for _, a := range out.Announce {
		d.logPublish(d.net.PublishBlock(a.Announcement()))
	}
	for _, tx := range out.Relay {
		d.logPublish(d.net.PublishTx(tx.Tx()))
	}
}

func (d *Daemon) logPublish(err error) {
	if err != nil && d.life.Err() == nil {
		d.log.Debug("not published", "err", err)
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// tick lets the node do what time brings.
func (d *Daemon) tick() {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-d.life.Done():
			return
		case <-t.C:
		}
		_, _ = d.call(d.life, func(now chain.Time, p node.Player) (node.Outcome, error) { return p.Tick(now) })
		d.watchClock()
	}
}

// watchClock says once when our clock is behind, and once when it is right again.
func (d *Daemon) watchClock() {
	var behind chain.Time
	if d.loop.do(d.life, func(chain.Time) { behind = d.loop.node.Behind() }) != nil {
		return
	}
	bad := int64(behind) > d.p.Ahead*1000
	if bad == d.skewed.Swap(bad) {
		return
	}
	if bad {
		d.log.Warn("your clock is behind your peers': set it; this node does not mine until then", "seconds", behind.Seconds())
	} else {
		d.log.Info("the clock agrees with the peers' again")
	}
}

const (
	tipEvery = 10 * time.Second       // a claim is said again
	tipPause = time.Second            // and never more often than that
	feeDelay = 100 * time.Millisecond // one template serves all the transactions of so long
)

// tellTip tells the peers which tip we follow.
func (d *Daemon) tellTip() {
	every := time.NewTicker(tipEvery)
	defer every.Stop()
	for {
		select {
		case <-d.life.Done():
			return
		case <-d.say:
		case <-every.C:
		}
		var claim node.TipClaim
		if d.loop.do(d.life, func(now chain.Time) { claim = d.loop.node.OurTip(now) }) == nil {
			d.logPublish(d.net.PublishTip(claim))
		}
		if !d.pause(tipPause) {
			return
		}
	}
}

// renewOnFees gives the miner a new template when better fees wait.
func (d *Daemon) renewOnFees() {
	for {
		select {
		case <-d.life.Done():
			return
		case <-d.fees:
		}
		if !d.pause(feeDelay) {
			return
		}
		d.miner.Renew()
	}
}

// pause waits, and tells whether the node still runs.
func (d *Daemon) pause(t time.Duration) bool {
	select {
	case <-d.life.Done():
		return false
	case <-time.After(t):
		return true
	}
}
