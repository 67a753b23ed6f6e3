package p2p

import (
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/control"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// Reasons not to connect to a peer.
var (
	ErrInactive = errors.New("the network is switched off here")
	ErrBlocked  = errors.New("the peer is blocked")
	ErrBanned   = errors.New("the peer is banned")
	ErrResting  = errors.New("the peer broke the rules and is let in again in a moment")
	ErrFull     = errors.New("as many peers as allowed")
	errUncalled = errors.New("nobody here calls that address")
)

// gate says who may be connected to us. libp2p asks it as a connection gater
// before a connection stands; on a host that was made without it, it is asked
// right after.
type gate struct {
	crowded func(peer.ID, ma.Multiaddr) bool // finds one who dials us no room
	bans    *bans

	mu      sync.Mutex
	off     bool             // guarded by mu
	blocked map[peer.ID]bool // guarded by mu
	kept    map[peer.ID]bool // guarded by mu; peers that were asked for by name: they always find room
	rests   map[peer.ID]rest // guarded by mu; of them those that were sent away for a moment
	calls   []call           // guarded by mu; the addresses that we are dialling
}

// rest keeps a peer out for a moment.
type rest struct {
	until time.Time
	why   string
}

// call is an address that we dial, and whom we want to reach there.
type call struct {
	id    peer.ID
	addr  ma.Multiaddr
	named bool // somebody asked for it: whom we reach finds room
}

func newGate() *gate {
	return &gate{
		crowded: func(peer.ID, ma.Multiaddr) bool { return false },
		blocked: map[peer.ID]bool{},
		kept:    map[peer.ID]bool{},
		rests:   map[peer.ID]rest{},
		bans:    newBans(),
	}
}

// welcome returns why p may not be connected, at an address if that is known, or
// nil.
func (g *gate) welcome(p peer.ID, at ma.Multiaddr) error { return g.admit(p, at, g.keeps(p)) }

// admit is welcome where it is known whether somebody asked for the peer, or the
// address, by name: a person's own choice is not undone by our rules alone.
func (g *gate) admit(p peer.ID, at ma.Multiaddr, named bool) error {
	g.mu.Lock()
	off, blocked := g.off, g.blocked[p]
	_, resting := g.resting(p)
	g.mu.Unlock()
	switch {
	case off:
		return ErrInactive
	case blocked:
		return ErrBlocked
	case resting:
		return ErrResting
	}
	if _, hit := g.bans.hit(p, at, named); hit {
		return ErrBanned
	}
	return nil
}

// banned tells whether p is kept out by a ban.
func (g *gate) banned(p peer.ID, at ma.Multiaddr) bool {
	_, hit := g.bans.hit(p, at, g.keeps(p))
	return hit
}

// resting expects mu to be held.
func (g *gate) resting(p peer.ID) (r rest, yes bool) {
	if r, yes = g.rests[p]; yes && !time.Now().Before(r.until) {
		delete(g.rests, p)
		return rest{}, false
	}
	return r, yes
}

// sentAway is until when p is kept out for a moment, and why; zero if it is not.
func (g *gate) sentAway(p peer.ID) rest {
	g.mu.Lock()
	defer g.mu.Unlock()
	r, _ := g.resting(p)
	return r
}

// sendAway keeps p out for a moment, and tells whether that is new.
func (g *gate) sendAway(p peer.ID, r rest) (fresh bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, yet := g.resting(p)
	g.rests[p] = r
	return !yet
}

// calling lets us dial an address until done is called: libp2p asks other peers
// where somebody is, believes them, and would dial whatever they say.
func (g *gate) calling(one call) (done func()) {
	g.change(func() { g.calls = append(g.calls, one) })
	same := func(c call) bool { return c.id == one.id && c.named == one.named && c.addr.Equal(one.addr) }
	return func() {
		g.change(func() {
			i := slices.IndexFunc(g.calls, same)
			g.calls = slices.Delete(g.calls, i, i+1)
		})
	}
}

// called returns why p may not be dialled, at an address if that is known, or nil.
// Where a name was called, any address of its may answer.
func (g *gate) called(p peer.ID, at ma.Multiaddr) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	ours := func(c call) bool {
		_, ip := ipOf(c.addr)
		return c.id == p && (at == nil || !ip || c.addr.Equal(at))
	}
	if !slices.ContainsFunc(g.calls, ours) {
		return errUncalled
	}
	return nil
}

// keeps tells whether p always finds room.
func (g *gate) keeps(p peer.ID) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.kept[p] || slices.ContainsFunc(g.calls, func(c call) bool { return c.named && c.id == p })
}

func (g *gate) setActive(on bool) { g.change(func() { g.off = !on }) }

func (g *gate) block(p peer.ID, yes bool) { g.change(func() { set(g.blocked, p, yes) }) }

// keep makes p one that was asked for by name, or no longer.
func (g *gate) keep(p peer.ID, yes bool) {
	g.change(func() {
		set(g.kept, p, yes)
		if !yes {
			delete(g.rests, p)
		}
	})
}

// wake ends p's rest, and tells whether it had one.
func (g *gate) wake(p peer.ID) (had bool) {
	g.change(func() {
		_, had = g.resting(p)
		delete(g.rests, p)
	})
	return had
}

func (g *gate) change(f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f()
}

func set(m map[peer.ID]bool, p peer.ID, yes bool) {
	if yes {
		m[p] = true
	} else {
		delete(m, p)
	}
}

// InterceptPeerDial implements connmgr.ConnectionGater.
func (g *gate) InterceptPeerDial(p peer.ID) bool { return g.mayDial(p, nil) }

// InterceptAddrDial implements connmgr.ConnectionGater.
func (g *gate) InterceptAddrDial(p peer.ID, at ma.Multiaddr) bool { return g.mayDial(p, at) }

func (g *gate) mayDial(p peer.ID, at ma.Multiaddr) bool {
	return g.called(p, at) == nil && g.welcome(p, at) == nil
}

// InterceptAccept implements connmgr.ConnectionGater.
func (g *gate) InterceptAccept(c network.ConnMultiaddrs) bool {
	return g.welcome("", c.RemoteMultiaddr()) == nil
}

// InterceptSecured implements connmgr.ConnectionGater.
func (g *gate) InterceptSecured(d network.Direction, p peer.ID, c network.ConnMultiaddrs) bool {
	return g.welcome(p, c.RemoteMultiaddr()) == nil && (d == network.DirOutbound || !g.crowded(p, c.RemoteMultiaddr()))
}

// InterceptUpgraded implements connmgr.ConnectionGater.
func (g *gate) InterceptUpgraded(c network.Conn) (bool, control.DisconnectReason) {
	return g.welcome(c.RemotePeer(), c.RemoteMultiaddr()) == nil, 0
}
