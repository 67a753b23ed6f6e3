package p2p

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
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
)

// A target is an address that we want to be connected to.
type target struct {
	addr  ma.Multiaddr // without the peer's id
	id    peer.ID      // empty until it is known
	named bool         // the id was given with the address: nobody else will do
	page  string       // the book's name for it: we chose it ourselves; empty if it was asked for
	feel  bool         // only to see whether somebody is there

	wait   time.Duration // before the next try but one
	due    time.Time     // of the next try
	busy   bool          // being tried
	failed bool          // the last try did
	alien  bool          // who answers there is of another network
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
	book   *memory
	slots  slots
	dial   func(target) (peer.ID, error) // says who it reached
	keep   func(peer.ID)                 // always finds room from now on
	drop   func(peer.ID, time.Time)      // finds none any more, and what we dialled since goes
	wake   chan struct{}

	mu      sync.Mutex
	targets map[string]*target // guarded by mu
	felt    time.Time          // guarded by mu; when we last felt for somebody
}

// add wants a target.
func (d *dialer) add(t target) {
	d.mu.Lock()
	if old := d.targets[t.key()]; old == nil {
		t.wait = d.pace.Retry
		d.targets[t.key()] = &t
	} else {
		old.due = time.Time{}
	}
	d.mu.Unlock()
	if t.id != "" {
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

// lost hears that the last connection to p is gone. If p did not settle here it may
// be closing on us, and we knock less and less often.
func (d *dialer) lost(p peer.ID, settled bool) {
	d.each(func(t *target) {
		if t.id != p {
			return
		}
		if settled {
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
	d.book.putOff(p)
}

// disown notes that p is of another network, for whoever asked for it.
func (d *dialer) disown(p peer.ID) {
	d.each(func(t *target) { t.alien = t.alien || t.id == p })
}

// met notes that p is of this network.
func (d *dialer) met(p peer.ID) {
	d.each(func(t *target) { t.alien = t.alien && t.id != p })
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

// ready takes the targets whose time has come: those that were asked for, and of
// our own choice as many as there are places for.
func (d *dialer) ready() (now []target) {
	d.mu.Lock()
	defer d.mu.Unlock()
	chosen := d.book.busy()
	free := dialsAtOnce - len(chosen)
	for _, t := range d.targets {
		if t.busy {
			free--
		}
	}
	for _, t := range d.targets {
		if free <= 0 || !d.wanted(t) || time.Now().Before(t.due) {
			continue
		}
		free--
		t.busy = true
		now = append(now, *t)
	}
	return append(now, d.choose(free, chosen)...)
}

// choose takes addresses from the book, each from another range than our peers
// and those that are being tried. It expects mu to be held.
func (d *dialer) choose(free int, spans []string) (now []target) {
	t := d.roster.tally(d.gate.keeps)
	open := d.slots.freeOutbound(t) - len(spans)
	feel := open <= 0 && d.timeToFeel()
	if feel {
		open = 1
	}
	spans = append(spans, t.spans...)
	for range min(free, open) {
		p := d.book.pick(time.Now(), func(p *page) bool {
			return d.gate.welcome(p.id, p.addr) == nil && !d.roster.connected(p.id) && !d.asked(p.id) &&
				(feel || p.span == "" || !slices.Contains(spans, p.span))
		})
		if p == nil {
			break
		}
		spans = append(spans, p.span)
		now = append(now, target{addr: p.addr, id: p.id, named: true, page: p.Addr, feel: feel})
	}
	return now
}

// timeToFeel tells whether to try an address of the book although we have peers
// enough, so that the book stays true. It expects mu to be held.
func (d *dialer) timeToFeel() bool {
	if time.Since(d.felt) < d.pace.Feel {
		return false
	}
	d.felt = time.Now()
	return true
}

// asked tells whether p was asked for by name. It expects mu to be held.
func (d *dialer) asked(p peer.ID) bool {
	for _, t := range d.targets {
		if t.id == p {
			return true
		}
	}
	return false
}

// wanted expects mu to be held.
func (d *dialer) wanted(t *target) bool {
	return !t.busy && d.gate.admit(t.id, t.addr, true) == nil && (t.id == "" || !d.roster.connected(t.id))
}

// pause is how long nothing is due. Peers come and go without a word to us, so
// it is never long.
func (d *dialer) pause() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	pause := time.Second
	for _, t := range d.targets {
		if d.wanted(t) {
			pause = min(pause, time.Until(t.due))
		}
	}
	return max(pause, 10*time.Millisecond)
}

// try dials one target and notes what came of it. If nobody wants it any more, the
// connection goes again.
func (d *dialer) try(t target) {
	began := time.Now()
	id, err := d.dial(t)
	if t.page != "" {
		d.book.tried(t.page, err == nil)
		d.nudge()
		return
	}
	d.mu.Lock()
	if now := d.targets[t.key()]; now != nil {
		now.alien = now.alien && now.id == id
		now.busy = false
		now.failed = err != nil
		now.id = id
		if err != nil {
			now.due = time.Now().Add(d.step(now))
		}
	}
	wanted := d.asked(id)
	d.mu.Unlock()
	switch {
	case err != nil:
	case wanted:
		d.keep(id)
	default:
		d.drop(id, began)
	}
	d.nudge()
}

// ErrUnreached says that a try to connect failed; another may not.
var ErrUnreached = errors.New("cannot be reached now")

// reach connects to a target and returns who it is. A peer whose id was not
// given with its address is asked for it anew after a failure: it may have
// become another.
func (n *Network) reach(ctx context.Context, t target) (id peer.ID, err error) {
	if err := n.gate.admit(t.id, t.addr, t.page == ""); err != nil {
		return t.id, err
	}
	ctx, cancel := n.bound(ctx, dialTimeout)
	defer cancel()
	id = t.id
	if id == "" {
		if id, err = whois(ctx, t.addr); err != nil {
			return "", fmt.Errorf("%s %w: %w", t.addr, ErrUnreached, err)
		}
	}
	if id == n.host.ID() {
		return id, fmt.Errorf("%s is this node itself", t.addr)
	}
	defer n.gate.calling(call{id, t.addr, t.page == ""})()
	// Without force libp2p's own back-off, of up to five minutes, is in the way.
	err = n.host.Connect(network.WithForceDirectDial(ctx, "redial"), peer.AddrInfo{ID: id, Addrs: []ma.Multiaddr{t.addr}})
	if err != nil && !t.named {
		id = ""
	}
	if err != nil {
		return id, fmt.Errorf("%s %w: %w", t.addr, ErrUnreached, err)
	}
	if t.page == "" {
		n.gate.keep(id, true) // before the call ends, or it could lose its place to another
	}
	return id, nil
}

// redial is what the dialer does to one target.
func (n *Network) redial(t target) (peer.ID, error) {
	id, err := n.reach(n.ctx, t)
	if err == nil && t.page != "" {
		err = n.inspectChoice(t)
	}
	switch {
	case id == n.host.ID():
		n.dialer.remove(func(o *target) bool { return o.key() == t.key() })
		n.memory.forget(t.key())
		n.log.Debug("a peer address is our own", "addr", t.addr)
	case err == nil || errors.Is(err, ErrInactive):
	case t.failed || t.page != "":
		n.log.Debug("still cannot reach a peer", "addr", t.addr, "error", err)
	default:
		n.log.Info("cannot reach a peer, trying again", "addr", t.addr, "error", err)
	}
	return id, err
}

// inspectChoice looks at a peer from the book that was just reached: it must be
// one of ours, and leaves again if we only felt for it.
func (n *Network) inspectChoice(t target) error {
	ours := n.speaks(t.id)
	if t.feel || !ours {
		n.cut(t.id)
	}
	if !ours {
		return fmt.Errorf("reach %s: %w", t.addr, errStranger)
	}
	return nil
}

var errStranger = errors.New("the peer is of another network")
