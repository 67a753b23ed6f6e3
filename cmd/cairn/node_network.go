package main

import (
	"errors"
	"fmt"
	"path/filepath"

	"cairn/chain"
	"cairn/p2p"
)

// Places to look for peers that nobody named.
const (
	discoverLAN  = "lan"
	discoverDHT  = "dht"
	discoverNone = "none"
)

// network is the node's part in the peer-to-peer network, but for its key.
func (o nodeOptions) network(p *chain.Params, dir string) (p2p.Config, error) {
	cfg := p2p.Config{
		Listen: o.listen, Peers: o.peers, MaxPeers: o.maxPeers,
		Agent: o.agent(),
		Book:  p2p.FileBook(filepath.Join(dir, peersFile)), Bans: p2p.FileBook(filepath.Join(dir, bansFile)),
	}
	if len(cfg.Listen) == 0 {
		cfg.Listen = whereToListen(p)
	}
	switch o.nat {
	case "auto":
		cfg.NAT = p.Name == "main"
	case "on", "off":
		cfg.NAT = o.nat == "on"
	default:
		return cfg, fmt.Errorf("--nat %q: choose auto, on or off", o.nat)
	}
	err := o.whereToLook(p, &cfg)
	return cfg, err
}

// public tells whether a network is meant for everybody: nodes of the others
// stay among themselves unless they are told otherwise.
func public(p *chain.Params) bool { return p.Name == "main" || p.Name == "test" }

func whereToListen(p *chain.Params) []string {
	host := "127.0.0.1"
	if public(p) {
		host = "0.0.0.0"
	}
	return []string{
		fmt.Sprintf("/ip4/%s/tcp/%d", host, p.Ports.P2P),
		fmt.Sprintf("/ip4/%s/udp/%d/quic-v1", host, p.Ports.P2P),
	}
}

func (o nodeOptions) whereToLook(p *chain.Params, cfg *p2p.Config) error {
	places := o.discover
	if len(places) == 0 && public(p) {
		places = []string{discoverLAN, discoverDHT}
	}
	for _, place := range places {
		switch place {
		case discoverLAN:
			cfg.LAN = true
		case discoverDHT:
			cfg.DHT = true
		case discoverNone:
			if len(places) > 1 {
				return errors.New("--discover none goes with nothing else")
			}
		default:
			return fmt.Errorf("--discover %q: choose %s, %s or %s", place, discoverLAN, discoverDHT, discoverNone)
		}
	}
	return nil
}
