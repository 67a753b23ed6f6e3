package p2p

import (
	"slices"
	"testing"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"cairn/chain"
	"cairn/node"
)

// a, c and d know b alone; each hears of the others from b, and dials them. A
// peer of another genesis, at the same addresses, hears nothing.
func TestPeersHearOfEachOther(t *testing.T) {
	cfg := eager()
	cfg.DHT = true
	cfg.Pace.Wander = 400 * time.Millisecond
	b := begin(t, cfg)
	others := []player{begin(t, to(cfg, b)), begin(t, to(cfg, b)), begin(t, to(cfg, b))}
	elsewhere := to(cfg, b)
	elsewhere.Genesis = chain.Regtest().GenesisID()
	stranger := begin(t, elsewhere)
	for i, one := range others {
		for _, other := range others[i+1:] {
			eventually(t, "they have met", func() bool { return meets(one, other) && meets(other, one) })
		}
	}
	if list := stranger.memory.list(); len(list) != 0 {
		t.Errorf("a node of another genesis heard of %+v", list)
	}
}

func meets(a, b player) bool {
	return slices.ContainsFunc(a.Peers(), func(p PeerInfo) bool { return p.Peer == node.Peer(b.host.ID()) })
}

func TestAddressesWorthHearing(t *testing.T) {
	near, far := ma.StringCast("/ip4/127.0.0.1/tcp/1"), ma.StringCast("/ip4/203.0.113.7/tcp/1")
	if got := worthwhile([]ma.Multiaddr{near, far}); len(got) != 1 || !got[0].Equal(far) {
		t.Errorf("of both: %v", got)
	}
	if got := worthwhile([]ma.Multiaddr{near}); len(got) != 1 {
		t.Errorf("of one nearby: %v", got)
	}
	if got := worthwhile(slices.Repeat([]ma.Multiaddr{far}, 100)); len(got) != maxAddrsEach {
		t.Errorf("of a hundred: %d", len(got))
	}
}
