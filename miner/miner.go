package miner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"cairn/chain"
	"cairn/miner/sha256d"
)

// ErrClosed tells that the miner was closed.
var ErrClosed = errors.New("the miner is closed")

// MaxThreads is the most that search: more than any machine has cores.
const MaxThreads = 1024

// nonceSpace is how many nonces one header has.
const nonceSpace = 1 << 32

// Source gives templates.
type Source interface {
	// Template returns a block that lacks only its proof: parent, time and bits
	// are set, and the coinbase's Extra has at least ExtraNonce bytes, which the
	// miner overwrites. The miner changes nothing of the block itself. An error
	// is a reason to wait: it is shown in Status, and Template is asked again
	// about a second later.
	Template(ctx context.Context) (*chain.Block, error)
}

// Config is what a Miner needs.
type Config struct {
	Params *chain.Params // of the network that the blocks are for
	Source Source

	// Found takes a block with its proof, through the same door as anyone's
	// block. Its context ends with Close, not with Stop. After nil the miner
	// rests until Renew, because only a sibling could follow from the same
	// template; an error is treated as one of Source. Found must not call Close.
	Found func(context.Context, *chain.Block) error

	Threads  int          // goroutines that search; 0 is one for each core
	HashRate float64      // hashes a second, of all threads together; 0 is no cap
	Nice     int          // how far the threads stand back behind all others on the machine: 0, not at all, to 19; on Linux only
	Log      *slog.Logger // nil is silence
}

// Miner searches for blocks while it is on. All methods may be called from any
// goroutine, and none but Close and Solve waits for anything.
type Miner struct {
	cfg   Config
	space uint64 // nonces searched under one extra nonce, on each header
	width int    // headers that a thread without a cap searches together
	life  context.Context
	end   context.CancelFunc
	all   sync.WaitGroup // every goroutine of ours

	extra  atomic.Uint64 // the next extra nonce; never set back, so no work is done twice
	hashes atomic.Uint64
	blocks atomic.Uint64
	stale  atomic.Uint64

	mu      sync.Mutex // guards what follows; held only to look or to change
	closed  bool
	shift   *shift  // nil while off
	hands   []*hand // the shift's threads
	threads int
	rate    float64
	limit   *limit
}

// New makes a miner that is off. It measures which hash kernel is fastest here,
// once per process, which takes some milliseconds.
func New(cfg Config) (*Miner, error) {
	if cfg.Params == nil || cfg.Source == nil || cfg.Found == nil {
		return nil, errors.New("a miner needs params, a source of templates and a taker of blocks")
	}
	if cfg.Threads < 0 || cfg.Threads > MaxThreads || cfg.HashRate < 0 || math.IsNaN(cfg.HashRate) {
		return nil, fmt.Errorf("a miner cannot have %d threads and %v hashes a second", cfg.Threads, cfg.HashRate)
	}
	if cfg.Nice < 0 || cfg.Nice > 19 {
		return nil, fmt.Errorf("nice %d: give a number from 0 to 19", cfg.Nice)
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	for _, err := range sha256d.Rejected() {
		cfg.Log.Warn("hash kernel not used", "err", err)
	}
	cfg.Log.Debug("miner ready", "kernel", sha256d.Best().Name, "headers together", sha256d.Width())
	m := &Miner{cfg: cfg, space: nonceSpace, width: sha256d.Width()}
	m.life, m.end = context.WithCancel(context.Background())
	m.extra.Store(rand.Uint64()) // two miners of one address must not do the same work
	m.SetThreads(cfg.Threads)
	m.SetHashRate(cfg.HashRate)
	return m, nil
}

// Start turns the miner on. On a miner that is on, or closed, it does nothing.
func (m *Miner) Start() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed || m.shift != nil {
		return
	}
	s := newShift(m)
	m.shift = s
	m.all.Go(s.keep)
	m.hire()
}

// Stop turns the miner off. It does not wait: the threads leave within
// milliseconds, and a block that is being handed over still arrives.
func (m *Miner) Stop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.shift != nil {
		m.shift.end()
		m.shift, m.hands = nil, nil
	}
}

// Close turns the miner off for good and returns when its last goroutine has
// ended, Found and Solve included.
func (m *Miner) Close() {
	m.Stop()
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.end()
	m.all.Wait()
}

// SetThreads sets how many goroutines search, at most MaxThreads; 0 or less is one
// for each core.
func (m *Miner) SetThreads(n int) {
	if n <= 0 {
		n = cores()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.threads = min(n, MaxThreads)
	m.hire()
}

// SetHashRate caps all threads together, in hashes a second; 0 or less is no
// cap.
func (m *Miner) SetHashRate(r float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.limit = newLimit(r)
	m.rate = 0
	if m.limit != nil {
		m.rate = r
	}
	m.hire()
}

// hire replaces the threads of a running shift; m.mu is held. The old ones
// leave after the portion they are at, or at once if the cap has them asleep.
func (m *Miner) hire() {
	s, limit := m.shift, m.limit
	if s == nil || m.closed {
		return
	}
	s.dismiss()
	ctx, dismiss := context.WithCancel(s.ctx)
	s.dismiss = dismiss
	m.hands = make([]*hand, m.threads)
	for i := range m.hands {
		h := newHand(time.Now())
		m.hands[i] = h
		m.all.Go(func() { s.work(ctx, limit, h) })
	}
}

// Renew says that there is a better template: the tip moved, or fees grew. The
// threads go on with the old one until the new one is there. A block that was
// found on the old one is from now on handed over only if the new one has the
// same parent. Calls that come while a template is being fetched become one.
func (m *Miner) Renew() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.shift == nil {
		return
	}
	select {
	case m.shift.renew <- struct{}{}:
	default: // the keeper has yet to see the last one
	}
}

// Status is what a miner does at one moment.
type Status struct {
	On       bool
	Threads  int
	HashRate float64   // hashes a second, measured over the last ten seconds; 0 while off
	Rates    []float64 // the same of each thread; a thread is new after each change of their number or of the cap
	Cap      float64   // hashes a second; 0 is none
	Blocks   uint64    // handed over and taken
	Stale    uint64    // found too late, or refused
	Hashes   uint64    // since New, those of Solve included
	Since    time.Time // when it was turned on; zero while off
	Waiting  string    // why nobody searches although it is on; empty while they do
}

// Status tells what the miner does.
func (m *Miner) Status() Status {
	m.mu.Lock()
	now := time.Now()
	st := Status{Threads: m.threads, Cap: m.rate, Rates: m.rates(now)}
	s := m.shift
	m.mu.Unlock()
	st.Blocks, st.Stale, st.Hashes = m.blocks.Load(), m.stale.Load(), m.hashes.Load()
	if s != nil {
		st.On, st.Since = true, s.since
		st.HashRate = s.meter.rate(now, s.hashes.Load())
		st.Waiting = s.shown.Load().why
	}
	return st
}
