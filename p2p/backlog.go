package p2p

import (
	"context"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// What waits to be sent to a peer has a bound, and gossip drops what comes over it
// without a word to us; nor does it say anything twice. So whoever publishes many
// transactions of ours waits until the peers took most of those before. A peer that
// takes nothing delays nobody for long.

// backlog counts what waits to be sent, by peer.
type backlog struct {
	mu   sync.Mutex
	of   map[peer.ID]*pile // guarded by mu; of those that messages are sent to
	less chan struct{}     // guarded by mu; closed, and replaced, when a pile is not high any more
}

type pile struct {
	waits int       // messages; about, and below 0 while we hear of one late
	slow  time.Time // nobody waits for this peer until then
}

func newBacklog() *backlog {
	return &backlog{of: map[peer.ID]*pile{}, less: make(chan struct{})}
}

// opens notes that messages are sent to a peer from now on.
func (b *backlog) opens(p peer.ID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.of[p] = &pile{}
}

// grows notes that a message waits to be sent.
func (b *backlog) grows(p peer.ID) { b.change(p, 1) }

// sent notes that a message went. It may have gone before we heard that it waits.
func (b *backlog) sent(p peer.ID) { b.change(p, -1) }

func (b *backlog) change(p peer.ID, by int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.of[p]
	if l == nil {
		return
	}
	if l.waits += by; by < 0 && l.waits == maxBacklog-1 {
		b.wake()
	}
}

// ends notes that what waited for a peer will not be sent.
func (b *backlog) ends(p peer.ID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.of, p)
	b.wake()
}

// wake expects mu to be held.
func (b *backlog) wake() {
	close(b.less)
	b.less = make(chan struct{})
}

// wait returns when no peer has many messages waiting, or after a while: those that
// took nothing in it hold nobody up for some time.
func (b *backlog) wait(ctx context.Context) {
	less := b.high(time.Now())
	if less == nil {
		return
	}
	late := time.NewTimer(backlogWait)
	defer late.Stop()
	for less != nil {
		select {
		case <-less:
		case <-ctx.Done():
			return
		case <-late.C:
			b.giveUp(time.Now())
			return
		}
		less = b.high(time.Now())
	}
}

// high is closed when there may be less to wait for; nil if there is nothing.
func (b *backlog) high(now time.Time) <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, l := range b.of {
		if l.high(now) {
			return b.less
		}
	}
	return nil
}

func (l *pile) high(now time.Time) bool { return l.waits >= maxBacklog && !now.Before(l.slow) }

// giveUp waits for nobody who makes us wait now.
func (b *backlog) giveUp(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, l := range b.of {
		if l.high(now) {
			l.slow = now.Add(backlogRest)
		}
	}
	b.wake()
}
