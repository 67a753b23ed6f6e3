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
// takes nothing delays nobody for long, nor do many that do so one after the other.

// backlog counts what waits to be sent, by peer.
type backlog struct {
	mu   sync.Mutex
	of   map[peer.ID]*pile // guarded by mu; of those that messages are sent to
	less chan struct{}     // guarded by mu; closed, and replaced, when a pile is not high any more

	left time.Duration // guarded by mu; that all together may still delay us, at that time
	at   time.Time     // guarded by mu
}

type pile struct {
	waits int       // messages; about, and below 0 while we hear of one late
	slow  time.Time // nobody waits for this peer until then
}

func newBacklog() *backlog {
	return &backlog{of: map[peer.ID]*pile{}, less: make(chan struct{}), left: backlogMost, at: time.Now()}
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
	began := time.Now()
	patience := b.patience(began)
	less := b.high(began)
	if less == nil {
		return
	}
	late := time.NewTimer(patience)
	defer late.Stop()
	defer func() { b.spend(time.Since(began)) }()
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

// patience is how long to wait at most. What all may delay us grows with time, and with
// what we publish: peers that take it quickly enough are waited for, however much it is.
func (b *backlog) patience(now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	grown := backlogEach + now.Sub(b.at)*backlogMost/backlogRest
	b.left, b.at = min(backlogMost, b.left+grown), now
	return min(backlogWait, b.left)
}

func (b *backlog) spend(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left = max(0, b.left-d)
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
