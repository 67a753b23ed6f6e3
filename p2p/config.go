package p2p

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/prometheus/client_golang/prometheus"

	"cairn/chain"
	"cairn/node"
)

// Handler is the driver: it says what to make of what peers say. Its methods are
// called from many goroutines and may block until ctx ends, but for Joined, Settled,
// Left and Missed: these come one at a time, in order, and return soon. None of them
// may call Close.
type Handler interface {
	GossipTx(ctx context.Context, from node.Peer, tx *chain.Tx) node.Verdict
	GossipBlock(ctx context.Context, from node.Peer, b *chain.Brief) node.Verdict
	// GossipTip hears a claim whose signature is right; from only passed it on.
	GossipTip(ctx context.Context, from node.Peer, t node.TipClaim) node.Verdict
	// Answer answers every request, a hello too. An error resets the stream.
	Answer(ctx context.Context, from node.Peer, q node.Request) (node.Answer, error)
	// Joined says that a peer is connected and speaks our protocol: time for hello.
	Joined(p node.Peer)
	// Settled says that a peer that had joined gets our gossip from now on, or waited
	// in vain for that: time for another hello, for gossip does not repeat what was
	// said meanwhile. It comes once at most, soon after Joined.
	Settled(p node.Peer)
	// Left says that the last connection to a peer that had joined is gone.
	Left(p node.Peer)
	// Missed says that transactions that a peer passed on were dropped unread, for too
	// many came at a time. Gossip does not bring them again; its pool holds them.
	Missed(p node.Peer)
}

// Config is what a Network is made from.
type Config struct {
	Genesis  chain.Hash            // names the network in every topic and protocol
	MaxBlock int                   // bytes of the largest legal block: bounds answers
	Key      crypto.PrivKey        // the host's identity, Ed25519; not for NewOn
	Listen   []string              // multiaddresses; none: nobody can dial us
	Peers    []string              // multiaddresses of peers to stay connected to
	MaxPeers int                   // peers at most; those of Peers push out who dialled us last; 0 means DefaultMaxPeers
	LAN      bool                  // look for peers on the local network (mDNS), and be found there
	DHT      bool                  // ask peers for the addresses of others (a distributed hash table), and answer
	NAT      bool                  // ask the router to let peers in, and peers whether we can be reached
	Book     Book                  // remembers peers from one run to the next; nil: nothing does
	Bans     Book                  // remembers who is banned; nil: nothing does
	Agent    string                // our program's name and version, for people
	Logger   *slog.Logger          // nil: silent. libp2p's own warnings appear at debug level, for the first Network of a process
	Metrics  prometheus.Registerer // libp2p counts here; nil: nowhere
	Pace     Pace                  // zero: the defaults
}

// DefaultMaxPeers is how many peers a node has at most unless told otherwise.
const DefaultMaxPeers = 64

// Pace holds deadlines and waits. A zero field means its default.
type Pace struct {
	First    time.Duration // until the first byte of a request or an answer; 5 s
	Whole    time.Duration // for a whole exchange; 60 s
	Rate     int           // bytes a second that a sender must reach; 50 KiB
	Retry    time.Duration // before the first redial; doubles; 250 ms
	Near     time.Duration // longest wait between redials on loopback; 5 s
	Far      time.Duration // longest wait between redials elsewhere; 60 s
	Settle   time.Duration // longest wait of a new peer for a place in the gossip mesh, before Settled; 3 s
	Stranger time.Duration // until a peer without our protocol is cut; 5 s
	Ban      time.Duration // how long a peer that was blamed too often is kept out; 1 h
	Rest     time.Duration // how long a peer of Peers is kept out for that; 1 min
	Claim    time.Duration // between two tip claims of one peer; 1 s
	Wander   time.Duration // between two questions for the addresses of others; 1 min
	Feel     time.Duration // between looks whether an address of the book still holds, when we have peers enough; 2 min
}

func (p Pace) orDefaults() Pace {
	or(&p.First, 5*time.Second)
	or(&p.Whole, 60*time.Second)
	or(&p.Rate, 50<<10)
	or(&p.Retry, 250*time.Millisecond)
	or(&p.Near, 5*time.Second)
	or(&p.Far, 60*time.Second)
	or(&p.Settle, 3*time.Second)
	or(&p.Stranger, 5*time.Second)
	or(&p.Ban, time.Hour)
	or(&p.Rest, time.Minute)
	or(&p.Claim, time.Second)
	or(&p.Feel, 2*time.Minute)
	or(&p.Wander, time.Minute)
	return p
}

func or[T comparable](v *T, byDefault T) {
	var zero T
	if *v == zero {
		*v = byDefault
	}
}

func (c Config) orDefaults() (Config, error) {
	if c.MaxBlock <= 0 {
		return c, errors.New("p2p: MaxBlock must be the network's block size in bytes")
	}
	if c.MaxPeers < 0 {
		return c, errors.New("p2p: MaxPeers must not be negative")
	}
	or(&c.MaxPeers, DefaultMaxPeers)
	or(&c.Logger, slog.New(slog.DiscardHandler))
	c.Pace = c.Pace.orDefaults()
	return c, nil
}
