package p2p

import (
	"errors"
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
	ErrShunned  = errors.New("the peer broke the rules too often")
	ErrFull     = errors.New("as many peers as allowed")
)

// gate says who may be connected to us. libp2p asks it as a connection gater
// before a connection stands; on a host that was made without it, it is asked
// right after.
type gate struct {
	crowded func() bool // has nobody room who dials us

	mu      sync.Mutex
	off     bool                  // guarded by mu
	blocked map[peer.ID]bool      // guarded by mu
	kept    map[peer.ID]bool      // guarded by mu; peers that always find room
	shunned map[peer.ID]time.Time // guarded by mu; until when
}

func newGate() *gate {
	return &gate{
		crowded: func() bool { return false },
		blocked: map[peer.ID]bool{},
		kept:    map[peer.ID]bool{},
		shunned: map[peer.ID]time.Time{},
	}
}

// welcome returns why p may not be connected, or nil.
func (g *gate) welcome(p peer.ID) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	until, shunned := g.shunned[p]
	if shunned && !time.Now().Before(until) {
		delete(g.shunned, p)
		shunned = false
	}
	switch {
	case g.off:
		return ErrInactive
	case g.blocked[p]:
		return ErrBlocked
	case shunned:
		return ErrShunned
	}
	return nil
}

// room returns why an inbound connection of p may not stand, or nil.
func (g *gate) room(p peer.ID) error {
	if !g.keeps(p) && g.crowded() {
		return ErrFull
	}
	return nil
}

// keeps tells whether p always finds room.
func (g *gate) keeps(p peer.ID) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.kept[p]
}

func (g *gate) setActive(on bool) { g.change(func() { g.off = !on }) }

func (g *gate) block(p peer.ID, yes bool) { g.change(func() { set(g.blocked, p, yes) }) }

func (g *gate) keep(p peer.ID, yes bool) { g.change(func() { set(g.kept, p, yes) }) }

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

// shun keeps p out until then. Identities are free, so the list forgets who was
// on it longest when it is full.
func (g *gate) shun(p peer.ID, until time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.shunned) >= maxFaulty {
		first := p
		for q, t := range g.shunned {
			if first == p || t.Before(g.shunned[first]) {
				first = q
			}
		}
		delete(g.shunned, first)
	}
	g.shunned[p] = until
}

// InterceptPeerDial implements connmgr.ConnectionGater.
func (g *gate) InterceptPeerDial(p peer.ID) bool { return g.welcome(p) == nil }

// InterceptAddrDial implements connmgr.ConnectionGater.
func (g *gate) InterceptAddrDial(peer.ID, ma.Multiaddr) bool { return true }

// InterceptAccept implements connmgr.ConnectionGater.
func (g *gate) InterceptAccept(network.ConnMultiaddrs) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return !g.off
}

// InterceptSecured implements connmgr.ConnectionGater.
func (g *gate) InterceptSecured(d network.Direction, p peer.ID, _ network.ConnMultiaddrs) bool {
	return g.welcome(p) == nil && (d == network.DirOutbound || g.room(p) == nil)
}

// InterceptUpgraded implements connmgr.ConnectionGater.
func (g *gate) InterceptUpgraded(c network.Conn) (bool, control.DisconnectReason) {
	return g.welcome(c.RemotePeer()) == nil, 0
}
