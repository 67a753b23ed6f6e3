package p2p

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/metrics"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/x/simlibp2p"
	"github.com/marcopolo/simnet"
	ma "github.com/multiformats/go-multiaddr"
	"go.uber.org/goleak"

	"cairn/chain"
	"cairn/node"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// One sweeper measures traffic for the whole process, and never ends.
		goleak.IgnoreTopFunction("github.com/libp2p/go-flow-metrics.(*sweeper).runActive"),
		goleak.IgnoreTopFunction("github.com/libp2p/go-flow-metrics.(*sweeper).run"),
		// Looking for a router, libp2p waits some seconds for answers, come what may.
		goleak.IgnoreAnyFunction("github.com/libp2p/go-libp2p/p2p/net/nat/internal/nat.discoverNATs.func1"),
	)
}

// patience is when a test gives up waiting; nothing is measured by it.
const patience = 30 * time.Second

const loopback = "/ip4/127.0.0.1/tcp/0"

// heard is one thing that somebody said.
type heard[T any] struct {
	from node.Peer
	what T
}

// ear is a driver that notes what it hears. Unset verdicts accept, an unset
// answer is empty.
type ear struct {
	txs          chan heard[*chain.Tx]
	blocks       chan heard[*chain.Brief]
	tips         chan heard[node.TipClaim]
	joined, left chan node.Peer
	settled      chan node.Peer
	missed       chan node.Peer

	mu      sync.Mutex
	verdict func(from node.Peer, memo string) node.Verdict // guarded by mu; of transactions
	answer  func(context.Context, node.Peer, node.Request) (node.Answer, error)
}

func newEar() *ear {
	return &ear{
		txs:     make(chan heard[*chain.Tx], 256),
		blocks:  make(chan heard[*chain.Brief], 256),
		tips:    make(chan heard[node.TipClaim], 256),
		joined:  make(chan node.Peer, 256),
		settled: make(chan node.Peer, 256),
		left:    make(chan node.Peer, 256),
		missed:  make(chan node.Peer, 4096),
	}
}

func (e *ear) judge(f func(from node.Peer, memo string) node.Verdict) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.verdict = f
}

func (e *ear) answers(f func(context.Context, node.Peer, node.Request) (node.Answer, error)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.answer = f
}

func (e *ear) GossipTx(_ context.Context, from node.Peer, tx *chain.Tx) node.Verdict {
	e.mu.Lock()
	verdict := e.verdict
	e.mu.Unlock()
	e.txs <- heard[*chain.Tx]{from, tx}
	if verdict == nil {
		return node.Accept
	}
	return verdict(from, string(tx.Memo))
}

func (e *ear) GossipBlock(_ context.Context, from node.Peer, b *chain.Brief) node.Verdict {
	e.blocks <- heard[*chain.Brief]{from, b}
	return node.Accept
}

func (e *ear) GossipTip(_ context.Context, from node.Peer, t node.TipClaim) node.Verdict {
	e.tips <- heard[node.TipClaim]{from, t}
	return node.Accept
}

func (e *ear) Answer(ctx context.Context, from node.Peer, q node.Request) (node.Answer, error) {
	e.mu.Lock()
	answer := e.answer
	e.mu.Unlock()
	if answer == nil {
		return node.Answer{}, nil
	}
	return answer(ctx, from, q)
}

func (e *ear) Joined(p node.Peer)  { e.joined <- p }
func (e *ear) Settled(p node.Peer) { e.settled <- p }
func (e *ear) Left(p node.Peer)    { e.left <- p }
func (e *ear) Missed(p node.Peer)  { e.missed <- p }

// player is a network and the ear that listens to it.
type player struct {
	*Network
	*ear
}

func dev() Config {
	p := chain.Dev()
	return Config{Genesis: p.GenesisID(), MaxBlock: p.MaxBlock, Listen: []string{loopback}, Agent: "cairn/test"}
}

// begin starts a player; its key is new unless cfg has one.
func begin(t *testing.T, cfg Config) player {
	t.Helper()
	if cfg.Key == nil {
		cfg.Key = newKey(t)
	}
	e := newEar()
	n, err := New(t.Context(), cfg, e)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	return player{n, e}
}

func newKey(t *testing.T) crypto.PrivKey {
	t.Helper()
	key, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// link connects a to b and waits until both hear each other's gossip.
func link(t *testing.T, a, b player) {
	t.Helper()
	if err := a.Connect(t.Context(), b.Addrs()[0]); err != nil {
		t.Fatal(err)
	}
	acquainted(t, a, b)
}

// acquainted waits until two that connect hear each other's gossip.
func acquainted(t *testing.T, a, b player) {
	t.Helper()
	expect(t, a.joined, b.ID())
	expect(t, b.joined, a.ID())
	expect(t, a.settled, b.ID())
	expect(t, b.settled, a.ID())
}

// next waits for something to come.
func next[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatalf("waited in vain for a %T", *new(T))
		panic("unreachable")
	}
}

func expect[T comparable](t *testing.T, from <-chan T, want T) {
	t.Helper()
	if got := next(t, from); got != want {
		t.Fatalf("got %v, want %v", got, want)
	}
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(patience)
	for !holds() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// silent fails if something came.
func silent[T any](t *testing.T, from <-chan T) {
	t.Helper()
	select {
	case v := <-from:
		t.Fatalf("unexpected %+v", v)
	default:
	}
}

// bare is a libp2p host that knows nothing of us, and no bounds.
func bare(t *testing.T, listen ...string) host.Host {
	t.Helper()
	if len(listen) == 0 {
		listen = []string{loopback}
	}
	h, err := libp2p.New(
		libp2p.ListenAddrStrings(listen...),
		libp2p.ResourceManager(&network.NullResourceManager{}),
		libp2p.DisableRelay(),
		libp2p.DisableMetrics(),
	)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h
}

// imagined is two nodes that are connected, in a space and a time of their own: light
// takes so long from one to the other.
func imagined(t *testing.T, latency time.Duration) (a, b player) {
	t.Helper()
	space := &simnet.Simnet{LatencyFunc: simnet.StaticLatency(latency)}
	a = imagine(t, space, "/ip4/1.0.0.1/udp/8000/quic-v1", dev())
	b = imagine(t, space, "/ip4/1.0.0.2/udp/8000/quic-v1", dev())
	space.Start()
	t.Cleanup(func() {
		a.Close()
		b.Close()
		space.Close()
	})
	link(t, a, b)
	return a, b
}

// imagine starts a player in a space.
func imagine(t *testing.T, space *simnet.Simnet, addr string, cfg Config) player {
	t.Helper()
	link := simnet.LinkSettings{BitsPerSecond: 20 * simlibp2p.OneMbps}
	tolls := &tollGate{}
	h, err := libp2p.New(
		libp2p.ListenAddrs(ma.StringCast(addr)),
		libp2p.BandwidthReporter(tolls),
		libp2p.DisableIdentifyAddressDiscovery(),
		libp2p.ResourceManager(&network.NullResourceManager{}),
		libp2p.DisableMetrics(),
		simlibp2p.QUICSimnet(space, simnet.NodeBiDiLinkSettings{Downlink: link, Uplink: link}),
	)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Listen = nil
	e := newEar()
	n, err := NewOn(t.Context(), cfg, h, e)
	if err != nil {
		t.Fatal(err)
	}
	charge := n.charge
	tolls.toll.Store(&charge)
	return player{n, e}
}

// tollGate has what is read paid for, as flows do, and counts nothing: libp2p's counter
// starts a goroutine for the whole process, which must not belong to imagined time.
type tollGate struct {
	metrics.Reporter
	toll atomic.Pointer[func(protocol.ID, peer.ID, int)]
}

func (*tollGate) LogSentMessage(int64)                             {}
func (*tollGate) LogRecvMessage(int64)                             {}
func (*tollGate) LogSentMessageStream(int64, protocol.ID, peer.ID) {}
func (g *tollGate) LogRecvMessageStream(n int64, of protocol.ID, from peer.ID) {
	if toll := g.toll.Load(); toll != nil {
		(*toll)(of, from, int(n))
	}
}

func infoOf(h host.Host) peer.AddrInfo { return peer.AddrInfo{ID: h.ID(), Addrs: h.Addrs()} }

func tx(memo string) *chain.Tx {
	return &chain.Tx{
		Inputs:  []chain.Input{{Value: 2}},
		Outputs: []chain.Output{{Value: 1}},
		Memo:    []byte(memo),
	}
}

func mustFail(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, expected one about %q", words)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q does not mention %q", err, w)
		}
	}
}
