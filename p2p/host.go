package p2p

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/crypto/pb"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/metrics"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/libp2p/go-libp2p/x/rate"
	ma "github.com/multiformats/go-multiaddr"
)

// newHost makes a libp2p host that does nothing but connect: no relay, no
// discovery, no NAT traversal unless it is asked for. It does not listen yet: whoever dials at once must
// find our protocols.
func newHost(cfg Config, g *gate, bw metrics.Reporter) (host.Host, error) {
	if cfg.Key == nil || cfg.Key.Type() != pb.KeyType_Ed25519 {
		return nil, errors.New("p2p: Key must be an Ed25519 key")
	}
	limits, err := resources(cfg)
	if err != nil {
		return nil, fmt.Errorf("p2p: resource limits: %w", err)
	}
	options := []libp2p.Option{
		libp2p.Identity(cfg.Key),
		libp2p.NoListenAddrs,
		libp2p.UserAgent(cfg.Agent),
		libp2p.ConnectionGater(g),
		// Places are ours to give (evict.go). libp2p's manager counts connections and
		// trims the oldest: who opened several would push the others out.
		libp2p.ConnectionManager(connmgr.NullConnMgr{}),
		libp2p.ResourceManager(limits),
		libp2p.BandwidthReporter(bw),
		// With port reuse a second node would share our port and steal peers.
		libp2p.Transport(tcp.NewTCPTransport, tcp.DisableReuseport()),
		libp2p.Transport(libp2pquic.NewTransport),
		libp2p.DisableRelay(),
		counters(cfg),
	}
	options = append(options, reachability(cfg)...)
	h, err := libp2p.New(options...)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("p2p: %w", err), limits.Close())
	}
	return h, nil
}

// reachability is what a node does to be reached behind a router: it asks that to
// map a port, and peers to dial it back and say whether they can.
func reachability(cfg Config) []libp2p.Option {
	if cfg.NAT {
		return []libp2p.Option{libp2p.NATPortMap(), libp2p.EnableAutoNATv2()}
	}
	return []libp2p.Option{libp2p.DisableIdentifyAddressDiscovery()}
}

func counters(cfg Config) libp2p.Option {
	if cfg.Metrics == nil {
		return libp2p.DisableMetrics()
	}
	return libp2p.PrometheusRegisterer(cfg.Metrics)
}

// listen opens every address, and names the one that it cannot have.
func listen(h host.Host, addrs []string) error {
	for _, text := range addrs {
		addr, err := ma.NewMultiaddr(text)
		if err != nil {
			return badListen(text)
		}
		switch err := open(h, addr); {
		case errors.Is(err, swarm.ErrNoTransport):
			return badListen(text)
		case err != nil:
			return fmt.Errorf("listen on %s: %w", text, err)
		}
	}
	return nil
}

func badListen(text string) error {
	return fmt.Errorf("listen address %q: write it like /ip4/127.0.0.1/tcp/29421, or /ip4/127.0.0.1/udp/29421/quic-v1", text)
}

// open listens on one address. The network's own Listen makes text of the reason,
// and hides what kind it is.
func open(h host.Host, addr ma.Multiaddr) error {
	if one, ok := h.Network().(interface{ AddListenAddr(ma.Multiaddr) error }); ok {
		return one.AddListenAddr(addr)
	}
	return h.Network().Listen(addr)
}

// resources bounds what all peers, and one peer, may make us hold. The defaults
// of libp2p are for the open internet: eight connections an address and one
// every five seconds would keep a private test network from forming.
func resources(cfg Config) (network.ResourceManager, error) {
	scaling := rcmgr.DefaultLimits
	libp2p.SetDefaultServiceLimits(&scaling)
	// Of a limit a fifth is kept back, so a stream may hold twice the largest
	// answer.
	largest := int64(largestAnswer(cfg.MaxBlock) + maxRequest)
	scaling.StreamBaseLimit.Memory = max(scaling.StreamBaseLimit.Memory, 2*largest)
	each, every := max(6*largest, 3*maxFlightEach), max(24*largest, 3*maxFlight+int64(maxServed+sureServed*cfg.MaxPeers)*smallAnswer)
	scaling.PeerBaseLimit.Memory = max(scaling.PeerBaseLimit.Memory, each)
	// Twice as many streams as we serve: whom we turn away ourselves, we can blame.
	one := streams(2*maxServedEach, maxAsksEach, each)
	all := streams(2*maxServed+2*sureServed*cfg.MaxPeers, maxServed, every)
	none := rcmgr.BaseLimitIncrease{}
	sync := protocol.ID(syncProtocol(cfg.Genesis))
	scaling.AddServiceLimit(service, all, none)
	scaling.AddServicePeerLimit(service, one, none)
	scaling.AddProtocolLimit(sync, all, none)
	scaling.AddProtocolPeerLimit(sync, one, none)
	table := dhtProtocol(cfg.Genesis)
	scaling.AddProtocolLimit(table, streams(maxServed, maxServed, maxFlight), none)
	scaling.AddProtocolPeerLimit(table, streams(maxServedEach, maxAsksEach, maxFlightEach), none)
	return rcmgr.NewResourceManager(
		rcmgr.NewFixedLimiter(scaling.AutoScale()),
		rcmgr.WithMetricsDisabled(),
		rcmgr.WithNetworkPrefixLimit(unlimited(nearby4), unlimited(nearby6)),
		rcmgr.WithConnRateLimiters(connRates()),
	)
}

func streams(in, out int, memory int64) rcmgr.BaseLimit {
	return rcmgr.BaseLimit{Streams: in + out, StreamsInbound: in, StreamsOutbound: out, Memory: memory}
}

// Loopback and private networks: many nodes there share an address.
var (
	nearby4 = prefixes("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16")
	nearby6 = prefixes("::1/128", "fc00::/7", "fe80::/10")
)

func prefixes(texts ...string) (ps []netip.Prefix) {
	for _, t := range texts {
		ps = append(ps, netip.MustParsePrefix(t))
	}
	return ps
}

func unlimited(ps []netip.Prefix) (limits []rcmgr.NetworkPrefixLimit) {
	for _, p := range ps {
		limits = append(limits, rcmgr.NetworkPrefixLimit{Network: p, ConnCount: math.MaxInt})
	}
	return limits
}

// connRates is libp2p's own limit on new connections, with all that is nearby
// exempt.
func connRates() *rate.Limiter {
	l := &rate.Limiter{SubnetRateLimiter: rate.SubnetLimiter{
		IPv4SubnetLimits: []rate.SubnetLimit{{PrefixLength: 32, Limit: rate.Limit{RPS: 0.2, Burst: 16}}},
		IPv6SubnetLimits: []rate.SubnetLimit{
			{PrefixLength: 56, Limit: rate.Limit{RPS: 0.2, Burst: 16}},
			{PrefixLength: 48, Limit: rate.Limit{RPS: 0.5, Burst: 80}},
		},
		GracePeriod: time.Minute,
	}}
	for _, p := range append(nearby4[:len(nearby4):len(nearby4)], nearby6...) {
		l.NetworkPrefixLimits = append(l.NetworkPrefixLimits, rate.PrefixLimit{Prefix: p})
	}
	return l
}
