package p2p

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/metrics"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// Traffic counts bytes since the start.
type Traffic struct{ In, Out int64 }

// flows counts what goes over streams. libp2p's own counter never lets a peer go,
// not even where it is told to (TrimIdle of go-flow-metrics v0.3.0 removes
// nothing), and names are free: it hears of protocols only.
type flows struct {
	*metrics.BandwidthCounter
	toll  atomic.Pointer[func(of protocol.ID, from peer.ID, bytes int)] // returns when what was read may be handled; nil: it may
	mu    sync.Mutex
	peers map[peer.ID]Traffic // guarded by mu; of those that are connected
	all   Traffic             // guarded by mu; of those that are gone too
}

func newFlows() *flows {
	return &flows{BandwidthCounter: metrics.NewBandwidthCounter(), peers: map[peer.ID]Traffic{}}
}

const anyone = peer.ID("")

// LogSentMessageStream implements metrics.Reporter.
func (s *flows) LogSentMessageStream(size int64, of protocol.ID, to peer.ID) {
	s.BandwidthCounter.LogSentMessageStream(size, of, anyone)
	s.add(to, Traffic{Out: size})
}

// LogRecvMessageStream implements metrics.Reporter. libp2p calls it between reading and
// handing on what was read, and does not mind how long that takes.
func (s *flows) LogRecvMessageStream(size int64, of protocol.ID, from peer.ID) {
	s.BandwidthCounter.LogRecvMessageStream(size, of, anyone)
	s.add(from, Traffic{In: size})
	if toll := s.toll.Load(); toll != nil {
		(*toll)(of, from, int(size))
	}
}

func (s *flows) add(p peer.ID, more Traffic) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.peers[p]
	s.peers[p] = Traffic{t.In + more.In, t.Out + more.Out}
	s.all = Traffic{s.all.In + more.In, s.all.Out + more.Out}
}

// with is what went to a peer and came from it.
func (s *flows) with(p peer.ID) Traffic {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.peers[p]
}

// keep forgets the peers that are not here.
func (s *flows) keep(here func(peer.ID) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.peers, func(p peer.ID, _ Traffic) bool { return !here(p) })
}

// Traffic is what went over streams since the start, with peers that are gone
// too. It is zero on a host that was handed in.
func (n *Network) Traffic() Traffic {
	if n.traffic == nil {
		return Traffic{}
	}
	n.traffic.mu.Lock()
	defer n.traffic.mu.Unlock()
	return n.traffic.all
}

// ByProtocol is what went over streams, by the name of their protocol. It is
// empty on a host that was handed in.
func (n *Network) ByProtocol() map[string]Traffic {
	all := map[string]Traffic{}
	if n.traffic == nil {
		return all
	}
	for name, s := range n.traffic.GetBandwidthByProtocol() {
		all[string(name)] = Traffic{s.TotalIn, s.TotalOut}
	}
	return all
}

// ByTopic is the payload of gossip, by topic: tx, block and tip. What comes twice
// counts twice.
func (n *Network) ByTopic() map[string]Traffic {
	n.topics.mu.Lock()
	defer n.topics.mu.Unlock()
	return maps.Clone(n.topics.bytes)
}

// traffic counts what gossip carries, and what of it waits. It traces messages for that.
type traffic struct {
	meshes
	short   map[string]string // a topic's name to tx, block or tip
	backlog *backlog
	vain    func(from peer.ID) // hears of each message that nobody needed

	mu    sync.Mutex
	bytes map[string]Traffic // guarded by mu; by short name
}

func newTraffic(r *roster, names []string, vain func(peer.ID)) *traffic {
	t := &traffic{meshes: meshes{r}, short: map[string]string{}, backlog: newBacklog(), vain: vain, bytes: map[string]Traffic{}}
	for i, what := range []string{"tx", "block", "tip"} {
		t.short[names[i]] = what
		t.bytes[what] = Traffic{}
	}
	return t
}

// RecvRPC implements pubsub.RawTracer.
func (t *traffic) RecvRPC(r *pubsub.RPC) { t.count(r, func(s *Traffic, n int64) { s.In += n }) }

// SendRPC implements pubsub.RawTracer.
func (t *traffic) SendRPC(r *pubsub.RPC, to peer.ID) {
	t.backlog.grows(to)
	t.count(r, func(s *Traffic, n int64) { s.Out += n })
}

// OnNewOutboundStream implements pubsub.RawTracer.
func (t *traffic) OnNewOutboundStream(to peer.ID, _ protocol.ID) { t.backlog.opens(to) }

// SendRPCCompleted implements pubsub.RawTracer.
func (t *traffic) SendRPCCompleted(_ *pubsub.RPC, to peer.ID, _ time.Duration) { t.backlog.sent(to) }

// OnClosedOutboundStream implements pubsub.RawTracer.
func (t *traffic) OnClosedOutboundStream(to peer.ID) { t.backlog.ends(to) }

// RejectMessage implements pubsub.RawTracer: what is not passed on was in vain; and what
// was not even looked at, for too much came at a time, gossip will not bring again.
func (t *traffic) RejectMessage(m *pubsub.Message, why string) {
	t.vain(m.ReceivedFrom)
	unread := why == pubsub.RejectValidationThrottled || why == pubsub.RejectValidationQueueFull
	if unread && t.short[m.GetTopic()] == "tx" {
		t.roster.missed(m.ReceivedFrom)
	}
}

// DeliverMessage implements pubsub.RawTracer: the first to bring what we take is of
// use to us.
func (t *traffic) DeliverMessage(m *pubsub.Message) {
	t.roster.brought(m.ReceivedFrom, t.short[m.GetTopic()], time.Now())
}

func (t *traffic) count(r *pubsub.RPC, add func(*Traffic, int64)) {
	for _, m := range r.GetPublish() {
		what, ours := t.short[m.GetTopic()]
		if !ours {
			continue // a peer may name any topic
		}
		t.mu.Lock()
		s := t.bytes[what]
		add(&s, int64(len(m.GetData())))
		t.bytes[what] = s
		t.mu.Unlock()
	}
}
