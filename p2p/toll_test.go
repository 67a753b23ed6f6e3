package p2p

import (
	"context"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
)

// drained is a peer that has used up what it may cost.
func drained(n *Network, p peer.ID) { n.meter(p).work.ReserveN(time.Now(), workBurst) }

// A flood of pings is answered as fast as its sender may cost us, and no faster; and so is
// one of streams that lead nowhere.
func TestFloodsOfOtherProtocolsAreRead(t *testing.T) {
	const pings, streams = 4000, 500
	for name, flood := range map[string]struct {
		units int
		begin func(t *testing.T, from *Network, to peer.ID)
	}{
		"pings": {pings * costRead, func(t *testing.T, from *Network, to peer.ID) {
			s := openTo(t, from, to, ping.ID)
			defer s.Reset()
			go func() { _, _ = s.Write(make([]byte, pings*ping.PingSize)) }()
			if _, err := io.ReadFull(s, make([]byte, pings*ping.PingSize)); err != nil {
				t.Error(err)
			}
		}},
		"streams": {streams * costRead, func(t *testing.T, from *Network, to peer.ID) {
			for range streams {
				if s, err := from.host.NewStream(network.WithNoDial(t.Context(), "a test"), to, "/nobody/speaks/this"); err == nil {
					_ = s.Reset()
				}
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := imagined(t, 0)
				drained(b.Network, a.host.ID())
				began := time.Now()
				flood.begin(t, a.Network, b.host.ID())
				if took, least := time.Since(began), time.Duration(flood.units)*time.Second/workRate; took < least {
					t.Errorf("it took %v of imagined time, where %v are due", took, least)
				}
			})
		})
	}
}

// Messages that are of no use are read as fast as their sender may cost us, many as they
// may be in a piece: each is remembered for a while.
func TestGossipInVainIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const seconds = 4
		useless := func(i int) []byte { return tx(fmt.Sprintf("of no use %9d", i)).Bytes() }
		a, b := imagined(t, 0)
		b.Network.handler = &counter{ear: b.ear} // needs nothing
		drained(b.Network, a.host.ID())
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			for i := 0; ctx.Err() == nil; i++ {
				if err := a.publish(a.gossip.tx, useless(i)); err != nil {
					t.Error(err)
				}
				if i%50 == 0 {
					time.Sleep(time.Millisecond)
				}
			}
		}()
		time.Sleep(seconds * time.Second)
		stop()
		<-done
		const most = seconds*workRate/costVain + 2*queue
		if n := int(b.ByTopic()["tx"].In) / len(useless(0)); n > most || n < most/4 {
			t.Errorf("%d messages are read in %d seconds, allowed %d", n, seconds, most)
		}
	})
}

func openTo(t *testing.T, from *Network, to peer.ID, what protocol.ID) network.Stream {
	t.Helper()
	s, err := from.host.NewStream(network.WithNoDial(t.Context(), "a test"), to, what)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Gossip pays little by the piece, large pieces pay as many small ones, and our own
// requests pay elsewhere.
func TestPrices(t *testing.T) {
	n := begin(t, dev()).Network
	sum := func(of protocol.ID, bytes int) (units int) {
		for range 4000 {
			units += n.price(of, bytes)
		}
		return units
	}
	for _, c := range []struct {
		of          protocol.ID
		bytes       int
		least, most int
	}{
		{n.protocol, 1 << 20, 0, 0},
		{"", 1, 8000, 8000},
		{ping.ID, 32, 8000, 8000},
		{ping.ID, bytesPerRead, 16000, 16000},
		{dhtProtocol(n.cfg.Genesis), 100, 40000, 40000},
		{"/meshsub/1.1.0", 1, 800, 1200},
		{"/meshsub/1.3.0", 7 * bytesPerRead, 8000, 8000},
	} {
		if got := sum(c.of, c.bytes); got < c.least || got > c.most {
			t.Errorf("4000 pieces of %d bytes of %q cost %d", c.bytes, c.of, got)
		}
	}
}

// However many requests of others wait for work, gossip is read.
func TestRequestsDoNotHoldGossipUp(t *testing.T) {
	a, b := begin(t, dev()), begin(t, dev())
	link(t, a, b)
	b.crowd.SetLimit(0) // nobody's turn comes any more
	b.crowd.ReserveN(time.Now(), crowdBurst)
	b.crowd.ReserveN(time.Now(), crowdBurst)
	for i := range 3 * talkPerCost {
		if err := a.PublishTx(tx(fmt.Sprint("meanwhile ", i))); err != nil {
			t.Fatal(err)
		}
		next(t, b.txs)
	}
}
