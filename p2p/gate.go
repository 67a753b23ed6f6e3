package p2p

import (
	"errors"
	"sync"

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
	ErrFull     = errors.New("as many peers as allowed")
)

// gate says who may be connected to us. libp2p asks it as a connection gater
// before a connection stands; on a host that was made without it, it is asked
// right after.
type gate struct {
	crowded func() bool // has nobody room who dials us
	bans    *bans

	mu      sync.Mutex
	off     bool             // guarded by mu
	blocked map[peer.ID]bool // guarded by mu
	kept    map[peer.ID]bool // guarded by mu; peers that always find room
}

func newGate() *gate {
	return &gate{
		crowded: func() bool { return false },
		blocked: map[peer.ID]bool{},
		kept:    map[peer.ID]bool{},
		bans:    newBans(),
	}
}

// welcome returns why p may not be connected, at an address if that is known, or
// nil.
func (g *gate) welcome(p peer.ID, at ma.Multiaddr) error {
	g.mu.Lock()
	off, blocked := g.off, g.blocked[p]
	g.mu.Unlock()
	switch {
	case off:
		return ErrInactive
	case blocked:
		return ErrBlocked
	}
	if _, hit := g.bans.hit(p, at); hit {
		return ErrBanned
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

// InterceptPeerDial implements connmgr.ConnectionGater.
func (g *gate) InterceptPeerDial(p peer.ID) bool { return g.welcome(p, nil) == nil }

// InterceptAddrDial implements connmgr.ConnectionGater.
func (g *gate) InterceptAddrDial(p peer.ID, at ma.Multiaddr) bool { return g.welcome(p, at) == nil }

// InterceptAccept implements connmgr.ConnectionGater.
func (g *gate) InterceptAccept(c network.ConnMultiaddrs) bool {
	return g.welcome("", c.RemoteMultiaddr()) == nil
}

// InterceptSecured implements connmgr.ConnectionGater.
func (g *gate) InterceptSecured(d network.Direction, p peer.ID, c network.ConnMultiaddrs) bool {
	return g.welcome(p, c.RemoteMultiaddr()) == nil && (d == network.DirOutbound || g.room(p) == nil)
}

// InterceptUpgraded implements connmgr.ConnectionGater.
func (g *gate) InterceptUpgraded(c network.Conn) (bool, control.DisconnectReason) {
	return g.welcome(c.RemotePeer(), c.RemoteMultiaddr()) == nil, 0
}
