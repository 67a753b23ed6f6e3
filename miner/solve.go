package miner

import (
	"context"
	"sync"
	"sync/atomic"

	"cairn/chain"
)

// Solve searches for the proof of one block with all threads, on or off and
// without the cap, until it is found. The block is a template as of Source and
// stays as it is; the result is handed to nobody. It returns ErrClosed after
// Close, and the context's cause if that ends first.
func (m *Miner) Solve(ctx context.Context, b *chain.Block) (*chain.Block, error) {
	t, err := newTask(m.cfg.Params, b)
	if err != nil {
		return nil, err
	}
	threads, err := m.enter()
	if err != nil {
		return nil, err
	}
	defer m.all.Done()
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	defer context.AfterFunc(m.life, func() { end(ErrClosed) })()
	if found := m.race(ctx, t, threads); found != nil {
		return found, nil
	}
	return nil, context.Cause(ctx)
}

// enter lets a caller in whom Close will wait for.
func (m *Miner) enter() (threads int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return 0, ErrClosed
	}
	m.all.Add(1)
	return m.threads, nil
}

// race searches t with several threads until the first finds a block; nil if
// ctx ended before.
func (m *Miner) race(ctx context.Context, t *task, threads int) *chain.Block {
	var found atomic.Pointer[chain.Block]
	var crew sync.WaitGroup
	for range threads {
		crew.Go(func() {
			defer bring()()
			for d := newDigger(m, m.width); ctx.Err() == nil && found.Load() == nil; {
				if b := d.dig(t, d.pace.portion); b != nil {
					found.CompareAndSwap(nil, b)
				}
			}
		})
	}
	crew.Wait()
	return found.Load()
}
