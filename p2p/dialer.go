package p2p

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

const (
	dialTimeout = 10 * time.Second
	dialsAtOnce = 8
	enough      = 8 // peers; with fewer we try those that we remember
)

// A target is an address that we want to be connected to.
type target struct {
	addr  ma.Multiaddr // without the peer's id
	id    peer.ID      // empty until it is known
	named bool         // the id was given with the address: nobody else will do
	spare bool         // from the book: dialled only while we have few peers

	wait   time.Duration // before the next try but one
	due    time.Time     // of the next try
	busy   bool          // being tried
	failed bool          // the last try did
}

func (t *target) key() string {
	if t.named {
		return full(t.addr, t.id)
	}
	return t.addr.String()
}

// full is the address with the peer's id.
func full(addr ma.Multiaddr, id peer.ID) string { return addr.String() + "/p2p/" + id.String() }

// dialer dials what is wanted and not connected, again and again: libp2p does
// not.
type dialer struct {
	pace   Pace
	gate   *gate
	roster *roster
	enough int                           // peers; with fewer, spare targets are dialled
	dial   func(target) (peer.ID, error) // says who it reached
	keep   func(peer.ID)                 // always finds room from now on
	wake   chan struct{}

	mu      sync.Mutex
	targets map[string]*target // guarded by mu
}

// add wants a target. One that was spare may become wanted, never the reverse.
func (d *dialer) add(t target) {
	d.mu.Lock()
	if old := d.targets[t.key()]; old == nil {
		t.wait = d.pace.Retry
		d.targets[t.key()] = &t
	} else {
		old.spare = old.spare && t.spare
		old.due = time.Time{}
	}
	d.mu.Unlock()
	if !t.spare && t.id != "" {
		d.keep(t.id)
	}
	d.nudge()
}

// remove no longer wants what match says, and returns it.
func (d *dialer) remove(match func(*target) bool) (gone []*target) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for k, t := range d.targets {
		if match(t) {
			delete(d.targets, k)
			gone = append(gone, t)
		}
	}
	return gone
}

func (d *dialer) nudge() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// again tries everything at once, as if nothing had failed before.
func (d *dialer) again() {
	d.each(func(t *target) { t.wait, t.due = d.pace.Retry, time.Time{} })
	d.nudge()
}

// lost hears that the last connection to p is gone. If p never spoke our
// protocol it may be closing on us, and we knock less and less often.
func (d *dialer) lost(p peer.ID, joined bool) {
	d.each(func(t *target) {
		if t.id != p {
			return
		}
		if joined {
			t.wait = d.pace.Retry
		}
		if due := time.Now().Add(d.step(t)); due.After(t.due) {
			t.due = due
		}
	})
	d.nudge()
}

// putOff puts p off for as long as may be: it is no peer of this network.
func (d *dialer) putOff(p peer.ID) {
	d.each(func(t *target) {
		if t.id == p {
			t.due = time.Now().Add(d.pace.Far)
		}
	})
}

func (d *dialer) each(f func(*target)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, t := range d.targets {
		f(t)
	}
}

// step is how long to wait now, a little shorter or longer by chance, so that
// two nodes do not keep missing each other; the next wait is twice as long.
func (d *dialer) step(t *target) time.Duration {
	longest := d.pace.Far
	if manet.IsIPLoopback(t.addr) {
		longest = d.pace.Near
	}
	wait := min(t.wait, longest)
	t.wait = min(2*wait, longest)
	return time.Duration(float64(wait) * (0.75 + 0.5*rand.Float64()))
}

// run dials until ctx ends.
func (d *dialer) run(ctx context.Context, spawn func(func()) bool) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.wake:
		case <-timer.C:
		}
		for _, t := range d.ready() {
			spawn(func() { d.try(t) })
		}
		timer.Reset(d.pause())
	}
}

// ready takes the targets whose time has come.
func (d *dialer) ready() (now []target) {
	d.mu.Lock()
	defer d.mu.Unlock()
	free, missing := dialsAtOnce, d.enough-d.roster.count()
	for _, t := range d.targets {
		if t.busy {
			free--
			missing--
		}
	}
	for _, t := range d.targets {
		if free <= 0 || !d.wanted(t) || time.Now().Before(t.due) || t.spare && missing <= 0 {
			continue
		}
		free--
		missing--
		t.busy = true
		now = append(now, *t)
	}
	return now
}

// wanted expects mu to be held.
func (d *dialer) wanted(t *target) bool {
	return !t.busy && d.gate.welcome(t.id) == nil && (t.id == "" || !d.roster.connected(t.id))
}

// pause is how long nothing is due. Peers come and go without a word to us, so
// it is never long.
func (d *dialer) pause() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	pause := time.Second
	for _, t := range d.targets {
		if d.wanted(t) && !t.spare {
			pause = min(pause, time.Until(t.due))
		}
	}
	return max(pause, 10*time.Millisecond)
}

// try dials one target and notes what came of it.
func (d *dialer) try(t target) {
	id, err := d.dial(t)
	d.mu.Lock()
	if now := d.targets[t.key()]; now != nil {
		now.busy = false
		now.failed = err != nil
		now.id = id
		if err != nil {
			now.due = time.Now().Add(d.step(now))
		}
		t = *now
	}
	d.mu.Unlock()
	if err == nil && !t.spare {
		d.keep(id)
	}
	d.nudge()
}

// reach connects to a target and returns who it is. A peer whose id was not
// given with its address is asked for it anew after a failure: it may have
// become another.
func (n *Network) reach(ctx context.Context, t target) (id peer.ID, err error) {
	if err := n.gate.welcome(t.id); err != nil {
		return t.id, err
	}
	ctx, cancel := n.bound(ctx, dialTimeout)
	defer cancel()
	id = t.id
	if id == "" {
		if id, err = whois(ctx, t.addr); err != nil {
			return "", fmt.Errorf("reach %s: %w", t.addr, err)
		}
	}
	if id == n.host.ID() {
		return id, fmt.Errorf("%s is this node itself", t.addr)
	}
	// Without force libp2p's own back-off, of up to five minutes, is in the way.
	err = n.host.Connect(network.WithForceDirectDial(ctx, "redial"), peer.AddrInfo{ID: id, Addrs: []ma.Multiaddr{t.addr}})
	if err != nil && !t.named {
		id = ""
	}
	if err != nil {
		return id, fmt.Errorf("reach %s: %w", t.addr, err)
	}
	return id, nil
}

// redial is what the dialer does to one target.
func (n *Network) redial(t target) (peer.ID, error) {
	id, err := n.reach(n.ctx, t)
	switch {
	case id == n.host.ID():
		n.dialer.remove(func(o *target) bool { return o.key() == t.key() })
		n.log.Debug("a peer address is our own", "addr", t.addr)
	case err == nil || errors.Is(err, ErrInactive):
	case t.failed || t.spare:
		n.log.Debug("still cannot reach a peer", "addr", t.addr, "error", err)
	default:
		n.log.Info("cannot reach a peer, trying again", "addr", t.addr, "error", err)
	}
	return id, err
}
