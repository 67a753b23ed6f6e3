package p2p

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"time"

	dht "github.com/libp2p/go-libp2p-kad-dht"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/core/routing"
	ma "github.com/multiformats/go-multiaddr"

	"cairn/chain"
)

// A distributed hash table of our own (Maymounkov and Mazières, "Kademlia",
// 2002) tells of peers whom no neighbour of ours is connected to. We take nothing
// from it but addresses, and those as hearsay: it never dials anybody, and the
// book decides whom we turn to.

// dhtPrefix begins the name of the protocol.
func dhtPrefix(genesis chain.Hash) protocol.ID {
	return protocol.ID("/cairn/" + genesis.String()[:8])
}

// dhtProtocol is its whole name.
func dhtProtocol(genesis chain.Hash) protocol.ID { return dhtPrefix(genesis) + "/kad/1.0.0" }

// openDHT takes part in the table, if the configuration says so.
func (n *Network) openDHT() (err error) {
	if !n.cfg.DHT {
		return nil
	}
	n.table, err = dht.New(watchful{n.host, n.Blame},
		dht.ProtocolPrefix(dhtPrefix(n.cfg.Genesis)), dht.Mode(dht.ModeServer),
		dht.DisableProviders(), dht.DisableValues(), dht.DisableAutoRefresh(),
		dht.QueryFilter(n.isHere),
	)
	if err != nil {
		return fmt.Errorf("p2p: distributed hash table: %w", err)
	}
	return nil
}

// isHere tells whether to ask a peer during a walk: only whoever is connected is
// asked.
func (n *Network) isHere(_ any, p peer.AddrInfo) bool {
	return n.host.Network().Connectedness(p.ID) == network.Connected
}

// hearOfPeers hears of peers during a walk, until it is over.
func (n *Network) hearOfPeers(walk <-chan *routing.QueryEvent) {
	for e := range walk {
		if e.Type != routing.PeerResponse {
			continue
		}
		if cs := n.host.Network().ConnsToPeer(e.ID); len(cs) > 0 {
			n.hearOf(e.Responses, cs[0].RemoteMultiaddr())
		}
	}
}

// hearOf hears of peers from somebody at an address.
func (n *Network) hearOf(peers []*peer.AddrInfo, teller ma.Multiaddr) {
	fresh := false
	for _, found := range peers {
		for _, a := range worthwhile(found.Addrs) {
			fresh = n.memory.hear(full(a, found.ID), teller) || fresh
		}
	}
	if fresh {
		n.dialer.nudge()
	}
}

// worthwhile are a peer's addresses out in the world or, if it names none, those
// nearby; a few of them.
func worthwhile(addrs []ma.Multiaddr) []ma.Multiaddr {
	far := slices.DeleteFunc(slices.Clone(addrs), func(a ma.Multiaddr) bool {
		ip, ok := ipOf(a)
		return ok && nearby(ip)
	})
	if len(far) == 0 {
		far = addrs
	}
	return far[:min(len(far), maxAddrsEach)]
}

// wander walks the table now and then toward a place that chance names: each
// walk tells of other peers.
func (n *Network) wander() {
	wait := n.cfg.Pace.Wander / 8 // soon at first
	for {
		select {
		case <-n.ctx.Done():
			return
		case <-time.After(wait):
		}
		wait = n.cfg.Pace.Wander
		n.walk()
	}
}

func (n *Network) walk() {
	ctx, cancel := context.WithTimeout(n.ctx, n.cfg.Pace.Whole)
	defer cancel()
	ctx, told := routing.RegisterForQueryEvents(ctx)
	if !n.inside.run(func() { n.hearOfPeers(told) }) {
		return
	}
	if _, err := n.table.GetClosestPeers(ctx, rand.Text()); err != nil && n.ctx.Err() == nil {
		n.log.Debug("a walk through the table of peers failed", "error", err)
	}
}

func (n *Network) closeDHT() {
	if n.table == nil {
		return
	}
	if err := n.table.Close(); err != nil {
		n.log.Debug("closing the table of peers", "error", err)
	}
}
