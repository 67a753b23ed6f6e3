package p2p

import (
	"context"
	"maps"
	"sync"

	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"

	"cairn/node"
)

// budget bounds the bytes of answers that are held at a time, for each peer and
// for all. Whoever finds no room waits.
type budget struct {
	each int64
	all  *semaphore.Weighted

	mu     sync.Mutex
	shares map[peer.ID]*share // guarded by mu; of peers that hold something or wait
}

type share struct {
	users int // who hold or wait; guarded by budget.mu
	bytes *semaphore.Weighted
}

// newBudget leaves room for the largest frame, whatever the bounds say; and for
// several peers', so that no few slow ones can stop the others.
func newBudget(largest int) *budget {
	each := max(maxFlightEach, int64(largest))
	return &budget{each: each, all: semaphore.NewWeighted(max(maxFlight, 5*each)), shares: map[peer.ID]*share{}}
}

// take waits until p may hold n more bytes, and returns what holds them.
func (b *budget) take(ctx context.Context, p peer.ID, n int) (*held, error) {
	h := &held{budget: b, peer: p}
	b.mu.Lock()
	s := b.shares[p]
	if s == nil {
		s = &share{bytes: semaphore.NewWeighted(b.each)}
		b.shares[p] = s
	}
	s.users++
	b.mu.Unlock()
	if err := s.bytes.Acquire(ctx, int64(n)); err != nil {
		b.leave(p, s)
		return nil, context.Cause(ctx)
	}
	if err := b.all.Acquire(ctx, int64(n)); err != nil {
		s.bytes.Release(int64(n))
		b.leave(p, s)
		return nil, context.Cause(ctx)
	}
	h.share, h.bytes = s, int64(n)
	return h, nil
}

func (b *budget) leave(p peer.ID, s *share) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s.users--; s.users == 0 {
		delete(b.shares, p)
	}
}

// held is bytes that somebody holds.
type held struct {
	budget *budget
	share  *share
	peer   peer.ID
	bytes  int64
}

// keep gives back all but n bytes.
func (h *held) keep(n int) {
	if back := h.bytes - int64(n); back > 0 {
		h.bytes -= back
		h.share.bytes.Release(back)
		h.budget.all.Release(back)
	}
}

// free gives everything back.
func (h *held) free() {
	h.keep(0)
	h.budget.leave(h.peer, h.share)
}

// meters measure what each peer makes us do.
type meters struct {
	mu sync.Mutex
	of map[peer.ID]*meter // guarded by mu; of peers that are connected
}

// meter is what one peer may still make us do.
type meter struct {
	work    *rate.Limiter // answering requests, each at its cost: more of it waits
	knocks  *rate.Limiter // requests that find no place: more of them are a fault
	useless *rate.Limiter // transactions that were verified in vain: more go unread
}

func (m *meters) get(p peer.ID) *meter {
	m.mu.Lock()
	defer m.mu.Unlock()
	mine := m.of[p]
	if mine == nil {
		mine = &meter{
			work:    rate.NewLimiter(workRate, workBurst),
			knocks:  rate.NewLimiter(knockRate, knockBurst),
			useless: rate.NewLimiter(uselessRate, uselessBurst),
		}
		m.of[p] = mine
	}
	return mine
}

func (m *meters) drop(p peer.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.of, p)
}

// keep drops those of peers that are not here.
func (m *meters) keep(here func(peer.ID) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.DeleteFunc(m.of, func(p peer.ID, _ *meter) bool { return !here(p) })
}

// cost is what it costs to answer q, in the units of workRate.
func cost(q node.Request) int {
	switch q.Want {
	case node.WantHello:
		return 50
	case node.WantHeaders:
		return 200
	case node.WantPool:
		return 500
	case node.WantBodies:
		return 4 + len(q.IDs)
	case node.WantTxs:
		return 20 + len(q.Index)/16
	case node.WantPoolTxs:
		return 20 + len(q.IDs)/16
	}
	return 20
}
