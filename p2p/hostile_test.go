package p2p

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/multiformats/go-varint"

	"cairn/chain"
	"cairn/node"
)

// diary is a log that tests read while it is written.
type diary struct {
	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
}

func (d *diary) Write(b []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.text.Write(b)
}

func (d *diary) count(words string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Count(d.text.String(), words)
}

// A peer of another genesis is cut off each time, and told of once.
func TestAnotherGenesisIsToldOnce(t *testing.T) {
	other := dev()
	other.Genesis = chain.Regtest().GenesisID()
	b := begin(t, other)
	log := &diary{}
	cfg := dev()
	cfg.Pace.Stranger = time.Millisecond
	cfg.Logger = slog.New(slog.NewTextHandler(log, nil))
	a := begin(t, cfg)
	for range 3 {
		if err := b.Connect(t.Context(), a.Addrs()[0]); err != nil {
			t.Fatal(err)
		}
		eventually(t, "they part", func() bool { return !a.roster.connected(b.host.ID()) })
		_ = b.Disconnect(Name(a.ID()))
	}
	silent(t, a.joined)
	if n := log.count("another network"); n != 1 {
		t.Errorf("told %d times", n)
	}
	if len(a.Bans()) != 0 {
		t.Errorf("banned for being of another network: %+v", a.Bans())
	}
}

// Whoever begins gossip streams and never ends a message holds one stream, and
// others are heard meanwhile.
func TestSlowLorisOnGossip(t *testing.T) {
	a, b := begin(t, dev()), begin(t, dev())
	link(t, b, a)
	h := bare(t)
	connect(t, h, a)
	half := append(varint.ToUvarint(maxGossip-1), make([]byte, 100)...)
	for range 50 {
		s, err := h.NewStream(network.WithNoDial(t.Context(), "a test"), a.host.ID(), pubsub.GossipSubID_v11)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = s.Write(half)
	}
	eventually(t, "one stream is left", func() bool {
		streams := 0
		for _, c := range a.host.Network().ConnsToPeer(h.ID()) {
			for _, s := range c.GetStreams() {
				if s.Stat().Direction == network.DirInbound && s.Protocol() == pubsub.GossipSubID_v11 {
					streams++
				}
			}
		}
		return streams == 1
	})
	if err := b.PublishTx(tx("meanwhile")); err != nil {
		t.Fatal(err)
	}
	if got := next(t, a.txs); string(got.what.Memo) != "meanwhile" {
		t.Errorf("heard %q", got.what.Memo)
	}
	if score := a.ledger.score(h.ID()); score < faultWeight {
		t.Errorf("slowness weighs %v", score)
	}
}

// A flood of connections, from many peers at a time, never makes more of them
// than there are places, and peers are served meanwhile.
func TestConnectionFlood(t *testing.T) {
	cfg := dev()
	cfg.MaxPeers = 12
	a, friend := begin(t, cfg), begin(t, dev())
	link(t, friend, a)
	var flood sync.WaitGroup
	for range 8 {
		flood.Go(func() {
			for range 5 {
				_ = bare(t).Connect(context.WithoutCancel(t.Context()), infoOf(a.host))
			}
		})
	}
	flood.Wait()
	eventually(t, "no more than allowed are left", func() bool { return len(a.host.Network().Peers()) <= cfg.MaxPeers })
	if err := friend.PublishTx(tx("still here")); err != nil {
		t.Fatal(err)
	}
	if got := next(t, a.txs); got.from != friend.ID() {
		t.Errorf("heard %+v", got)
	}
}

// stuck is a driver that does not come to an end with transactions.
type stuck struct {
	*ear
	now, most atomic.Int64
	hold      chan struct{}
}

func (s *stuck) GossipTx(context.Context, node.Peer, *chain.Tx) node.Verdict {
	if n := s.now.Add(1); n > s.most.Load() {
		s.most.Store(n)
	}
	defer s.now.Add(-1)
	<-s.hold
	return node.Accept
}

// A flood of gossip on one topic is judged so many at a time, and the rest is
// dropped; the other topics are heard meanwhile.
func TestGossipQueuesAreBounded(t *testing.T) {
	a, b := begin(t, dev()), begin(t, dev())
	s := &stuck{ear: b.ear, hold: make(chan struct{})}
	b.Network.handler = s
	link(t, a, b)
	sent := 0
	eventually(t, "b has its hands full", func() bool {
		for range 100 {
			sent++
			if err := a.PublishTx(tx(fmt.Sprint("flood ", sent))); err != nil {
				t.Fatal(err)
			}
		}
		return s.now.Load() == txsAtOnce && sent > 2*(txsAtOnce+queue)
	})
	if err := a.PublishTip(claim(1)); err != nil {
		t.Fatal(err)
	}
	next(t, b.tips)
	close(s.hold)
	eventually(t, "b is idle again", func() bool { return s.now.Load() == 0 })
	if n := s.most.Load(); n > txsAtOnce {
		t.Errorf("%d are judged at a time", n)
	}
}
