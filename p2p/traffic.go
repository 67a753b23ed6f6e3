package p2p

import (
	"maps"
	"sync"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"
)

// Traffic counts bytes since the start.
type Traffic struct{ In, Out int64 }

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

// traffic counts what gossip carries. It traces messages for that.
type traffic struct {
	meshes
	short map[string]string // a topic's name to tx, block or tip

	mu    sync.Mutex
	bytes map[string]Traffic // guarded by mu; by short name
}

func newTraffic(r *roster, names []string) *traffic {
	t := &traffic{meshes: meshes{r}, short: map[string]string{}, bytes: map[string]Traffic{}}
	for i, what := range []string{"tx", "block", "tip"} {
		t.short[names[i]] = what
		t.bytes[what] = Traffic{}
	}
	return t
}

// RecvRPC implements pubsub.RawTracer.
func (t *traffic) RecvRPC(r *pubsub.RPC) { t.count(r, func(s *Traffic, n int64) { s.In += n }) }

// SendRPC implements pubsub.RawTracer.
func (t *traffic) SendRPC(r *pubsub.RPC, _ peer.ID) {
	t.count(r, func(s *Traffic, n int64) { s.Out += n })
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
