package p2p

import (
	"slices"
	"testing"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/record"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/multiformats/go-varint"
)

// Nobody makes us dial: not who tells of others when he sends us away from his mesh
// (gossipsub's peer exchange), nor any part of libp2p that was told where somebody
// is. Whom we dial at a stranger's word would pass for a peer of our own choice.
func TestNobodyMakesUsDial(t *testing.T) {
	a, liar, other := begin(t, eager()), bare(t), bare(t)
	came := make(chan struct{}, 9)
	other.Network().Notify(&network.NotifyBundle{ConnectedF: func(network.Network, network.Conn) { came <- struct{}{} }})
	connect(t, liar, a)
	s, err := liar.NewStream(t.Context(), a.host.ID(), pubsub.GossipSubID_v11)
	if err != nil {
		t.Fatal(err)
	}
	about := field(1, []byte(other.ID()), field(2, signed(t, other)))
	prune := field(3, field(4, field(1, []byte(topic(a.cfg.Genesis, "tip/1")), field(2, about))))
	then := field(2, field(2, tx("after it").Bytes(), field(4, []byte(topic(a.cfg.Genesis, "tx/1")))))
	for _, rpc := range [][]byte{prune, then} {
		if _, err := s.Write(framed(rpc)); err != nil {
			t.Fatal(err)
		}
	}
	next(t, a.txs) // gossip reads in order
	if err := a.host.Connect(t.Context(), infoOf(other)); err == nil {
		t.Error("libp2p dials by itself")
	}
	silent(t, came)
	if err := a.Connect(t.Context(), full(other.Addrs()[0], other.ID())); err != nil {
		t.Errorf("a cannot dial on its own: %v", err)
	}
	next(t, came)
}

// field is a field of bytes in a protobuf message, and those behind it.
func field(number byte, value []byte, rest ...[]byte) []byte {
	head := append([]byte{number<<3 | 2}, varint.ToUvarint(uint64(len(value)))...)
	return slices.Concat(head, value, slices.Concat(rest...))
}

// signed is a host's word where it is.
func signed(t *testing.T, h host.Host) []byte {
	t.Helper()
	envelope, err := record.Seal(peer.PeerRecordFromAddrInfo(infoOf(h)), h.Peerstore().PrivKey(h.ID()))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := envelope.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// Only the address that we call is dialled, whatever others said of where its peer
// is; behind a name any may answer.
func TestOnlyWhatIsCalledIsDialled(t *testing.T) {
	g := newGate()
	here, there := multiaddr("203.0.113.7"), multiaddr("192.168.1.1")
	if g.InterceptPeerDial("p") || g.InterceptAddrDial("p", here) {
		t.Error("dialled without a call")
	}
	done := g.calling(call{id: "p", addr: here})
	again := g.calling(call{id: "p", addr: here})
	if !g.InterceptPeerDial("p") || !g.InterceptAddrDial("p", here) || g.InterceptAddrDial("p", there) || g.InterceptPeerDial("q") {
		t.Error("more, or less, is dialled than was called")
	}
	done()
	if !g.InterceptAddrDial("p", here) {
		t.Error("one of two calls ended both")
	}
	again()
	if g.InterceptPeerDial("p") || len(g.calls) != 0 {
		t.Error("a call never ends")
	}
	defer g.calling(call{id: "p", addr: ma.StringCast("/dns4/example.org/tcp/1")})()
	if !g.InterceptAddrDial("p", here) {
		t.Error("nobody answers behind a name")
	}
}
