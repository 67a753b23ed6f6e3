package p2p

import (
	"context"
	"maps"
	"net/netip"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"

	"cairn/node"
)

// budget bounds the bytes of large answers that are held at a time: for each peer,
// for all who dialled us from one area, for all who dialled us, and for all.
// Whoever finds no room waits; who reads slowly keeps his own share busy, and who we
// chose finds room beside all who came. Beside all that each peer may hold one block, and
// an area a few: or a few who read slowly could keep new blocks from all others.
type budget struct {
	each, area, in, all, sure int64

	mu     sync.Mutex
	shares map[string]*share // guarded by mu; of whom somebody holds something or waits
}

type share struct {
	name  string
	users int // who hold or wait; guarded by budget.mu
	bytes *semaphore.Weighted
}

// newBudget leaves room for the largest frame, whatever the bounds say; and for
// several peers', so that no few slow ones can stop the others.
func newBudget(maxBlock int) *budget {
	each := max(maxFlightEach, int64(largestAnswer(maxBlock)))
	return &budget{
		sure: int64(countBytes + maxBlock),
		each: each, area: max(maxFlightArea, 2*each), in: max(maxFlightIn, 4*each), all: max(maxFlight, 5*each),
		shares: map[string]*share{},
	}
}

// take waits until p may hold n more bytes, and returns what holds them. From is the
// area that p dialled us from; empty if we chose it. A small answer never waits.
func (b *budget) take(ctx context.Context, p peer.ID, from string, n int) (*held, error) {
	h := &held{budget: b, bytes: int64(n)}
	if n <= smallAnswer {
		return h, nil
	}
	b.want(h, "peer "+string(p), b.each)
	if from != "" {
		b.want(h, "area "+from, b.area)
		b.want(h, "callers", b.in)
	}
	b.want(h, "all", b.all)
	if b.now(h) {
		return h, nil
	}
	if h.bytes <= b.sure {
		b.leave(h.shares)
		h.shares = nil
		b.want(h, "block of "+string(p), b.sure)
		if from != "" {
			b.want(h, "blocks of "+from, maxSureArea*b.sure)
		}
	}
	for i, s := range h.shares {
		if err := s.bytes.Acquire(ctx, h.bytes); err != nil {
			b.release(h.shares[:i], h.bytes)
			b.leave(h.shares)
			return nil, context.Cause(ctx)
		}
	}
	return h, nil
}

// now takes what is wanted if nobody need wait.
func (b *budget) now(h *held) bool {
	for i, s := range h.shares {
		if !s.bytes.TryAcquire(h.bytes) {
			b.release(h.shares[:i], h.bytes)
			return false
		}
	}
	return true
}

// want adds a share to those that bound what is held.
func (b *budget) want(h *held, name string, size int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.shares[name]
	if s == nil {
		s = &share{name: name, bytes: semaphore.NewWeighted(size)}
		b.shares[name] = s
	}
	s.users++
	h.shares = append(h.shares, s)
}

func (b *budget) release(of []*share, n int64) {
	for _, s := range of {
		s.bytes.Release(n)
	}
}

func (b *budget) leave(all []*share) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range all {
		if s.users--; s.users == 0 {
			delete(b.shares, s.name)
		}
	}
}

// held is bytes that somebody holds.
type held struct {
	budget *budget
	shares []*share // all that they count in; none for a small answer
	bytes  int64
}

// keep gives back all but n bytes.
func (h *held) keep(n int) {
	if back := h.bytes - int64(n); back > 0 {
		h.bytes -= back
		h.budget.release(h.shares, back)
	}
}

// free gives everything back.
func (h *held) free() {
	h.keep(0)
	h.budget.leave(h.shares)
}

// meters measure what each peer makes us do. Names are free and addresses are not:
// all peers at one host's addresses share a meter, and who comes back under another
// name finds it as he left it. Nearby, where many nodes share one, it is the name's.
type meters struct {
	share rate.Limit // of the work for all who dialled us, for each that may have

	mu sync.Mutex
	of map[string]*meter // guarded by mu; by a host's addresses, or by name
}

// newMeters shares the work for all who dial us among as many as may: all shares together
// are no more than it.
func newMeters(peers int) *meters {
	return &meters{share: crowdRate / rate.Limit(peers), of: map[string]*meter{}}
}

// meter is what a peer may still make us do.
type meter struct {
	work   *rate.Limiter // answering requests, each at its cost: more of it waits
	share  *rate.Limiter // of it what is left when all who dialled us together have no more
	knocks *rate.Limiter // requests that find no place: more of them are a fault
	vain   *tab          // signatures that were verified in vain: more go unread
}

func (m *meters) get(who string) *meter {
	m.mu.Lock()
	defer m.mu.Unlock()
	mine := m.of[who]
	if mine == nil && len(m.of) >= maxMeters {
		maps.DeleteFunc(m.of, func(_ string, o *meter) bool { return o.idle() })
		if len(m.of) >= maxMeters {
			who = "" // the crowd shares one
			mine = m.of[who]
		}
	}
	if mine == nil {
		mine = &meter{
			work:   rate.NewLimiter(workRate, workBurst),
			share:  rate.NewLimiter(m.share, shareBurst),
			knocks: rate.NewLimiter(knockRate, knockBurst),
			vain:   &tab{left: vainBurst, at: time.Now()},
		}
		m.of[who] = mine
	}
	return mine
}

// idle tells whether a meter is as good as new.
func (m *meter) idle() bool {
	return m.work.Tokens() >= workBurst && m.share.Tokens() >= shareBurst && m.knocks.Tokens() >= knockBurst && m.vain.full()
}

// keep drops those that are as good as new, and those of names that are not here.
func (m *meters) keep(here func(peer.ID) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.DeleteFunc(m.of, func(who string, o *meter) bool {
		_, noAddress := netip.ParsePrefix(who)
		return o.idle() || noAddress != nil && !here(peer.ID(who))
	})
}

// meter is p's.
func (n *Network) meter(p peer.ID) *meter {
	return n.meters.get(n.Account(node.Peer(p)))
}

// Account names whom it is charged to what a peer makes us do: all that speak from one
// host's addresses, or the peer alone if that is nearby.
func (n *Network) Account(p node.Peer) string {
	return account(peer.ID(p), n.farAddress(peer.ID(p)))
}

// account is the name of the meter of a peer that speaks from an address; that is not
// valid if it is nearby.
func account(p peer.ID, from netip.Addr) string {
	if where := hostOf(from); where.IsValid() {
		return where.String()
	}
	return string(p)
}

// tab is paid before signatures are verified, and what was of use is paid back:
// however many come at a time, little is verified in vain.
type tab struct {
	mu   sync.Mutex
	left float64   // guarded by mu; at that time
	at   time.Time // guarded by mu
}

// now expects mu to be held.
func (t *tab) now() float64 {
	now := time.Now()
	t.left = min(vainBurst, t.left+vainRate*now.Sub(t.at).Seconds())
	t.at = now
	return t.left
}

func (t *tab) full() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.now() >= vainBurst
}

// pay pays for n, if that much is left before; it may lead into debt.
func (t *tab) pay(n, left int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.now() < float64(left) {
		return false
	}
	t.left -= float64(n)
	return true
}

func (t *tab) back(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.left = t.now() + float64(n)
}

// Bear tells whether to verify so many signatures that a peer answers with: they may
// be in vain, for honest nodes differ, and nobody is blamed for that. Of what was of
// use Thank must tell. Half of what is borne is left for what the peer passes on.
func (n *Network) Bear(p node.Peer, signatures int) bool {
	return n.meter(peer.ID(p)).vain.pay(signatures, vainBurst/2)
}

// Thank tells that so many signatures were of use.
func (n *Network) Thank(p node.Peer, signatures int) { n.meter(peer.ID(p)).vain.back(signatures) }

// cost is what it costs to answer q, in the units of workRate.
func cost(q node.Request) int {
	switch q.Want {
	case node.WantHello:
		return 50
	case node.WantHeaders:
		return 600
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
