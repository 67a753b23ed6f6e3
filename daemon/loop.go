package daemon

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"cairn/chain"
	"cairn/node"
	"cairn/store"
)

// ErrStopped tells that the node is stopping and takes no more calls.
var ErrStopped = errors.New("the node is stopping")

// loop is the one goroutine that owns the node. Everybody else posts closures.
type loop struct {
	player node.Player // what peers, miner and users deal with: the node, or a traitor around it
	node   *node.Node  // owned by run

	calls chan func(now chain.Time)
	looks chan func(now chain.Time) // these only look at the node: they are served during commits too
	ended chan struct{}
	time  steady // owned by run
	steps steps

	mu    sync.Mutex
	moved chan struct{} // closed, and replaced, when the best chain moves
}

// newLoop makes a loop whose node is still to be set.
func newLoop(clock func() time.Time) *loop {
	return &loop{
		time:  steady{clock: clock},
		calls: make(chan func(chain.Time), 256), looks: make(chan func(chain.Time), 256),
		ended: make(chan struct{}), moved: make(chan struct{}),
	}
}

// run serves calls until ctx ends, and none after that: a node that failed must
// not decide anything more.
func (l *loop) run(ctx context.Context) {
	defer close(l.ended)
	for {
		select {
		case <-ctx.Done():
			return
		case call := <-l.calls:
			if ctx.Err() != nil {
				return
			}
			l.serve(call)
		case look := <-l.looks:
			l.serve(look)
		}
	}
}

// serve is where all that concerns the node happens: how long it takes is how
// long others wait.
func (l *loop) serve(call func(chain.Time)) {
	began := time.Now()
	call(l.now())
	end := time.Now()
	l.steps.took(end.Sub(began), end)
}

// meanwhile runs work, which does not touch the node, and serves looks until it
// is done. It is called in the loop.
func (l *loop) meanwhile(work func() error) error {
	done := make(chan error, 1)
	go func() { done <- work() }()
	for {
		select {
		case err := <-done:
			return err
		case look := <-l.looks:
			look(l.now())
		}
	}
}

// attentive is the store as the node sees it: the loop answers questions while a
// commit waits for the disk. They find the node as it was before, and the store
// too: it changes step by step, and what it told of two moments would not fit.
type attentive struct {
	Store
	loop   *loop
	before *store.Reader // the moment before the commit that is under way; owned by the loop
}

// Commit returns when the steps are on disk.
func (s *attentive) Commit(steps ...node.Step) error {
	before, err := s.Reader()
	if err != nil {
		return err
	}
	s.before = before
	defer func() {
		s.before = nil
		before.Close()
	}()
	return s.loop.meanwhile(func() error { return s.Store.Commit(steps...) })
}

// moment is what the loop may read.
func (s *attentive) moment() interface {
	Tip() (node.Entry, error)
	Entry(chain.Hash) (node.Entry, error)
	At(height uint64) (chain.Hash, error)
	Recent(n int) ([]node.Entry, error)
	Body(chain.Hash) (chain.CheckedBlock, error)
	Diff(chain.CheckedBlock) (chain.Diff, error)
	Coins([]chain.OutPoint) (chain.Coins, error)
} {
	if s.before != nil {
		return s.before
	}
	return s.Store
}

// What a node reads of its store, see node.Store.

func (s *attentive) Tip() (node.Entry, error) { return s.moment().Tip() }

func (s *attentive) Entry(id chain.Hash) (node.Entry, error) { return s.moment().Entry(id) }

func (s *attentive) At(height uint64) (chain.Hash, error) { return s.moment().At(height) }

func (s *attentive) Recent(n int) ([]node.Entry, error) { return s.moment().Recent(n) }

func (s *attentive) Body(id chain.Hash) (chain.CheckedBlock, error) { return s.moment().Body(id) }

func (s *attentive) Diff(of chain.CheckedBlock) (chain.Diff, error) { return s.moment().Diff(of) }

func (s *attentive) Coins(of []chain.OutPoint) (chain.Coins, error) { return s.moment().Coins(of) }

// now is the node's time.
func (l *loop) now() chain.Time { return l.time.now(time.Now()) }

// do runs f in the loop and waits for it. An error means that f did not run and
// never will: ErrStopped, or the cause of ctx, which ended before f's turn came.
func (l *loop) do(ctx context.Context, f func(now chain.Time)) error {
	return l.post(ctx, l.calls, f)
}

// look is do for an f that changes nothing: it does not wait for the disk.
func (l *loop) look(ctx context.Context, f func(now chain.Time)) error {
	return l.post(ctx, l.looks, f)
}

func (l *loop) post(ctx context.Context, line chan<- func(chain.Time), f func(now chain.Time)) error {
	var taken atomic.Bool // by the loop, or by a caller who gave up
	done := make(chan struct{})
	call := func(now chain.Time) {
		if !taken.Swap(true) {
			defer close(done)
			f(now)
		}
	}
	select {
	case line <- call:
	case <-l.ended:
		return ErrStopped
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case <-done:
		return nil
	case <-l.ended:
	case <-ctx.Done():
		if !taken.Swap(true) {
			return context.Cause(ctx)
		}
	}
	return l.outcome(done)
}

// outcome waits for a call that the loop has begun, or will never begin.
func (l *loop) outcome(done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-l.ended:
	}
	select {
	case <-done:
		return nil
	default:
		return ErrStopped
	}
}

// Moved returns a channel that is closed when the best chain moves next. Take it
// before you look at the chain, and no move is missed.
func (l *loop) Moved() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.moved
}

func (l *loop) wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.moved)
	l.moved = make(chan struct{})
}
