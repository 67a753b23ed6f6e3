package p2p

import (
	"fmt"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/discovery/mdns"

	"cairn/chain"
)

// lanService is the name under which we call on the local network (DNS service
// discovery, RFC 6763): nodes of another genesis never hear of each other.
func lanService(genesis chain.Hash) string {
	return "_cairn-" + genesis.String()[:8] + "._udp"
}

// lan hears of peers on the local network.
type lan struct{ *Network }

// HandlePeerFound implements mdns.Notifee.
func (l lan) HandlePeerFound(found peer.AddrInfo) {
	if !l.inside.enter() {
		return
	}
	defer l.inside.leave()
	for _, a := range found.Addrs[:min(len(found.Addrs), maxAddrsEach)] {
		if l.memory.hear(full(a, found.ID), nil) {
			l.log.Debug("a peer is on the local network", "peer", found.ID, "addr", a)
		}
	}
	l.dialer.nudge()
}

// callOut calls on the local network, until stop is called, if the configuration
// says so. A network without multicast is no reason not to run.
func (n *Network) callOut() (stop func()) {
	if !n.cfg.LAN {
		return func() {}
	}
	service := mdns.NewMdnsService(n.host, lanService(n.cfg.Genesis), lan{n})
	if err := service.Start(); err != nil {
		n.log.Warn("not looking for peers on the local network", "error", fmt.Errorf("mDNS: %w", err))
	}
	return func() { _ = service.Close() }
}
