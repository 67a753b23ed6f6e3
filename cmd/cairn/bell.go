package main

import (
	"context"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"cairn/rpc"
)

const (
	bellRetry = 3 * time.Second        // until a node that tells nothing is asked for its events again
	bellGap   = 100 * time.Millisecond // between two looks, however much rings
)

// A bell rings when nodes have news, so that whoever watches them need not look
// again and again. A nil bell never rings.
type bell struct {
	rung  chan struct{} // one ring is as good as many
	nodes int32
	heard atomic.Int32 // nodes that tell their events now
}

// hang hangs a bell up that nodes ring by their events, until it is taken down.
func hang(ctx context.Context, nodes ...func() (*rpc.Client, error)) (b *bell, down func()) {
	ctx, stop := context.WithCancel(ctx)
	b = &bell{rung: make(chan struct{}, 1), nodes: int32(len(nodes))}
	var all errgroup.Group
	for _, dial := range nodes {
		all.Go(func() error {
			b.hear(ctx, dial)
			return nil
		})
	}
	return b, func() {
		stop()
		_ = all.Wait() // none fails: a node that tells nothing is looked at
	}
}

// hear listens to one node, which may come and go.
func (b *bell) hear(ctx context.Context, dial func() (*rpc.Client, error)) {
	for ok := true; ok; ok = pause(ctx, bellRetry) {
		node, err := dial()
		if err != nil {
			continue
		}
		greeted := false
		_ = node.Follow(ctx, "", func(rpc.Told) {
			if !greeted {
				greeted = true
				b.heard.Add(1)
			}
			b.ring()
		})
		if greeted {
			b.heard.Add(-1)
			b.ring() // it may be gone: look
		}
	}
}

func (b *bell) ring() {
	select {
	case b.rung <- struct{}{}:
	default:
	}
}

// wait lets time pass until it is worth looking again, and tells whether there is
// any left. While all nodes tell their events that is at the next of them, and
// seldom without: what only grows old is no event. Else it is often.
func (b *bell) wait(ctx context.Context, often, seldom time.Duration) bool {
	if b == nil {
		return pause(ctx, often)
	}
	if b.heard.Load() == b.nodes {
		often = seldom
	}
	t := time.NewTimer(often)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	case <-b.rung:
		return pause(ctx, bellGap)
	}
}
