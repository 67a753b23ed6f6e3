package p2p

import (
	"context"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/identify"
)

// Identities are free: whoever comes with one after the other leaves nothing here
// that was measured of him.
func TestNothingIsKeptOfWhoIsGone(t *testing.T) {
	a, b := begin(t, eager()), begin(t, eager())
	link(t, a, b)
	var gone []peer.ID
	var went Traffic
	for range 5 {
		h := bare(t)
		if err := h.Connect(context.WithoutCancel(t.Context()), infoOf(a.host)); err != nil {
			t.Fatal(err)
		}
		p := h.ID()
		eventually(t, "a has heard of it", func() bool { return a.traffic.with(p).In > 0 })
		went.In += a.traffic.with(p).In
		if err := h.Close(); err != nil {
			t.Fatal(err)
		}
		a.meter(p) // a message that it sent before is judged late
		gone = append(gone, p)
	}
	eventually(t, "nothing is left of them", func() bool {
		a.forget()
		for _, p := range gone {
			a.meters.mu.Lock()
			_, measured := a.meters.of[string(p)]
			a.meters.mu.Unlock()
			if measured || a.traffic.with(p) != (Traffic{}) || len(a.host.Peerstore().Addrs(p)) > 0 {
				return false
			}
		}
		return len(a.traffic.GetBandwidthByPeer()) <= 1
	})
	if all, here := a.Traffic(), a.Peers()[0]; all.In < went.In+here.In || all.Out <= here.Out {
		t.Errorf("in all %+v, where %+v came from those who are gone and %+v is here", all, went, here)
	}
	if info := a.Peers(); len(info) != 1 || info[0].In == 0 || info[0].Out == 0 {
		t.Errorf("of who is here: %+v", info)
	}
	eventually(t, "protocols are counted", func() bool {
		all := a.ByProtocol()[identify.ID]
		return all.In > 0 && all.Out > 0
	})
}
