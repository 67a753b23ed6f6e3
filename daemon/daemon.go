package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"cairn/chain"
	"cairn/mempool"
	"cairn/miner"
	"cairn/node"
	"cairn/p2p"
	"cairn/rpc"
	"cairn/store"
)

// Store is what a daemon needs of what is remembered. Its reads may run beside
// the loop's commits.
type Store interface {
	node.Store
	BodyBytes(chain.Hash) ([]byte, error) // a body's encoding; of a complete entry, else node.ErrUnknown
	Reader() (*store.Reader, error)
	Get(name string) (value []byte, ok bool, err error)
	Put(name string, value []byte) error
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
	Nice     int     // how far its threads stand back behind all others, 0 to 19; on Linux only
	HashRate float64 // hashes a second, 0 is no limit
	Version  string
	Logger   *slog.Logger
	Logs     Logs                                                                 // what of it may change while the node runs; nil: nothing
	Place    string                                                               // where Store keeps things, to tell people; may be empty
	Clock    func() time.Time                                                     // nil is the machine's
	Player   func(*node.Node) node.Player                                         // nil: an honest one
	Open     func(context.Context, p2p.Config, p2p.Handler) (*p2p.Network, error) // nil: p2p.New; tests hand in hosts of their own
	Room     func() error                                                         // why the disk has no room for more, nil if it has; nil: it always has
	Stop     func()                                                               // begins to stop the program, for whoever may ask; nil: nobody may
}

// Daemon is one running node.
type Daemon struct {
	cfg     Config
	p       *chain.Params
	loop    *loop
	net     *p2p.Network // read only after linked
	miner   *miner.Miner
	log     *slog.Logger
	start   time.Time
	life    context.Context
	cancel  context.CancelCauseFunc
	all     sync.WaitGroup // every goroutine of ours
	mu      sync.Mutex
	closed  bool        // guarded by mu; nothing starts after Close began to wait
	stratum rpc.Stratum // guarded by mu; nil if there is none

	linked    chan struct{} // closed once net is set: peers may speak before
	desk      desk
	guests    guests
	inquiries *p2p.Places // briefs that wait for their senders' answers
	waits     *p2p.Places // claims that wait for a brief
	hearing   hearing
	reads     chan struct{} // one entry for each brief that is held against the pool
	gathers   gatherings
	keep      keeper
	herald    herald
	story     story
	revived   chain.Time // what was heard of until then was here before the start
	chronicle *chronicle
	meter     *meter
	holes     holes
	pace      pace
	told      *rpc.Feed
	news      chan struct{} // something may have changed: tell the watchers
	announces chan []chain.CheckedAnnouncement
	relays    chan []chain.CheckedTx
	loads     chan struct{}         // one entry for each answer that reads bodies
	cores     chan struct{}         // one entry for each piece that is being checked
	fees      chan struct{}         // the pool changed
	say       chan struct{}         // our tip moved: tell the peers
	joins     atomic.Bool           // the chain is being fetched: loose transactions are not even checked
	off       atomic.Bool           // setnetworkactive false
	full      atomic.Pointer[error] // why the disk has no room; nil while it has
	verified  atomic.Uint64         // transactions whose signatures were checked
	skewed    bool                  // the peers' clocks were reported to be ahead; owned by tick
	jumped    bool                  // the clock was reported to have gone back; owned by tick
}

const (
	maxLoads  = 4   // answers that read bodies at a time: each may hold many megabytes
	maxOutbox = 256 // outcomes whose blocks wait to be published, and as many whose transactions do
)

// New starts a node: it serves peers and mines from now on, until Close.
func New(cfg Config) (*Daemon, error) {
	if cfg.Params == nil || cfg.Store == nil || cfg.Network.Key == nil {
		return nil, errors.New("daemon: params, store and the host's key are needed")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Open == nil {
		cfg.Open = p2p.New
	}
	cfg.Network.Genesis, cfg.Network.MaxBlock = cfg.Params.GenesisID(), cfg.Params.MaxBlock
	d := &Daemon{
		cfg: cfg, p: cfg.Params, log: cfg.Logger, start: time.Now(),
		linked: make(chan struct{}), guests: guests{here: map[node.Peer]*visit{}}, keep: newKeeper(), holes: holes{of: map[chain.Hash]bool{}},
		told: rpc.NewFeed(), chronicle: newChronicle(cfg.Params), meter: newMeter(), inquiries: p2p.NewPlaces(maxInquiries, maxInquiriesEach, 0),
		reads: make(chan struct{}, maxReads), waits: p2p.NewPlaces(maxWaits, maxWaitsEach, sureWaits),
		hearing: hearing{of: map[chain.Hash]chan struct{}{}, next: make(chan struct{})}, gathers: gatherings{of: map[chain.Hash]*gathering{}},
		news:      make(chan struct{}, 1),
		announces: make(chan []chain.CheckedAnnouncement, maxOutbox), relays: make(chan []chain.CheckedTx, maxOutbox), loads: make(chan struct{}, maxLoads), cores: make(chan struct{}, runtime.GOMAXPROCS(0)),
		fees: make(chan struct{}, 1), say: make(chan struct{}, 1),
	}
	disk, _ := cfg.Store.(interface{ Stats() store.Stats })
	d.meter.registry.MustRegister(gauges{d, disk})
	d.chronicle.agree = d.meter.agreed
	d.cfg.Store = timed{cfg.Store, d.meter.commits}
	if d.cfg.Network.Metrics == nil {
		d.cfg.Network.Metrics = d.meter.registry
	}
	d.desk = desk{ask: d.ask, spawn: d.goes, lines: map[node.Peer]*line{}}
	d.life, d.cancel = context.WithCancelCause(context.Background())
	if err := d.open(); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

func (d *Daemon) open() (err error) {
	if d.loop, err = d.newLoop(); err != nil {
		return err
	}
	d.all.Go(func() { d.loop.run(d.life) })
	d.miner, err = miner.New(miner.Config{
		Params: d.p, Source: source{d}, Found: d.found,
		Threads: d.cfg.Threads, Nice: d.cfg.Nice, HashRate: d.cfg.HashRate, Log: d.log,
	})
	if err != nil {
		return err
	}
	if d.net, err = d.cfg.Open(d.life, d.cfg.Network, d); err != nil {
		return err
	}
	close(d.linked)
	for _, f := range []func(){d.tick, d.tellTip, d.renewOnFees, d.announce, d.relay, d.keepPool, d.proclaim} {
		d.all.Go(f)
	}
	if s, ok := d.stored().(breakable); ok {
		d.all.Go(func() { d.heedStore(s) })
	}
	if d.cfg.Mine {
		d.miner.Start()
	}
	return nil
}

func (d *Daemon) newLoop() (*loop, error) {
	name, err := peer.IDFromPrivateKey(d.cfg.Network.Key)
	if err != nil {
		return nil, fmt.Errorf("host key: %w", err)
	}
	ruledOut, err := d.ruledOut()
	if err != nil {
		return nil, err
	}
	l := newLoop(d.cfg.Clock)
	n, err := node.New(chain.Time(d.cfg.Clock().UnixMilli()), node.Config{
		Params: d.p, Store: &attentive{Store: d.cfg.Store, loop: l}, Pool: d.cfg.Pool,
		Peer: node.Peer(name), Agent: d.cfg.Network.Agent, Salt: rand.Uint64(), RuledOut: ruledOut,
	})
	if err != nil {
		return nil, err
	}
	if err := d.revive(n, node.Peer(name)); err != nil {
		return nil, err
	}
	d.revived = chain.Time(d.cfg.Clock().UnixMilli())
	d.herald = newHerald(n)
	d.chronicle.begin(n)
	if err := d.story.load(d.cfg.Store); err != nil {
		return nil, err
	}
	l.node, l.player = n, n
	if d.cfg.Player != nil {
		l.player = d.cfg.Player(n)
	}
	return l, nil
}

// Close stops the node and waits until nothing of it runs any more. What was
// acknowledged is on disk. The loop goes last: miner and peers wait for it.
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

// Done is closed when the node has stopped: by itself, because its disk or its
// logic failed, or by Close. Err tells which. Close is needed in both cases.
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
func (d *Daemon) goes(f func()) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.closed {
		d.all.Go(f)
	}
	return !d.closed
}

// met tells whether the network is known: peers may speak before New knows it.
func (d *Daemon) met() bool {
	select {
	case <-d.linked:
		return true
	default:
		return false
	}
}

// ready waits until we can speak to peers, and tells whether the node still runs.
func (d *Daemon) ready() bool {
	select {
	case <-d.linked:
		return d.life.Err() == nil
	case <-d.life.Done():
		return false
	}
}
