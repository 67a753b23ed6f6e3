package p2p

import (
	"fmt"
	"testing"
	"time"

	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// nowhere is a connection without addresses.
type nowhere struct{}

func (nowhere) LocalMultiaddr() ma.Multiaddr  { return nil }
func (nowhere) RemoteMultiaddr() ma.Multiaddr { return nil }

func TestGateKeepsRoomForThoseWeWant(t *testing.T) {
	g := newGate()
	g.crowded = func(p peer.ID, _ ma.Multiaddr) bool { return !g.keeps(p) }
	if g.InterceptSecured(network.DirInbound, "a", nowhere{}) {
		t.Error("one more peer gets in")
	}
	if !g.InterceptSecured(network.DirOutbound, "a", nowhere{}) {
		t.Error("we cannot dial one more")
	}
	g.keep("a", true)
	if !g.InterceptSecured(network.DirInbound, "a", nowhere{}) {
		t.Error("a wanted peer finds no room")
	}
	g.keep("a", false)
	if g.InterceptSecured(network.DirInbound, "a", nowhere{}) {
		t.Error("a peer that was wanted once still finds room")
	}
}

func TestWaitsBetweenRedialsDouble(t *testing.T) {
	d := &dialer{pace: Pace{Near: 4 * time.Second, Far: 9 * time.Second}}
	for addr, waits := range map[string][]time.Duration{
		"/ip4/127.0.0.1/tcp/1": {1, 2, 4, 4, 4},
		"/ip4/192.0.2.1/tcp/1": {1, 2, 4, 8, 9, 9},
	} {
		a := &target{addr: ma.StringCast(addr), wait: time.Second}
		for i, want := range waits {
			want *= time.Second
			if got := d.step(a); got < want*3/4 || got > want*5/4 {
				t.Errorf("%s: wait %d is %v, want about %v", addr, i, got, want)
			}
		}
	}
}

func TestLedgerForgives(t *testing.T) {
	l := newLedger()
	for i := range maxFaults - 1 {
		if l.add("a") {
			t.Fatalf("too many after %d", i+1)
		}
	}
	if got := l.score("a"); got > faultWeight*(maxFaults-1)*0.99 || l.score("b") != 0 {
		t.Errorf("score %v", got)
	}
	old := l.faults["a"]
	l.faults["a"] = fault{old.count, old.at.Add(-faultHalf)}
	if got := l.faults["a"].now(); got < 1.99 || got > 2.01 {
		t.Errorf("%v faults are left of 4 after a half-life", got)
	}
	if l.add("a") {
		t.Error("old faults count in full")
	}
	for i := range 2 * maxFaulty {
		l.add(peer.ID(fmt.Sprint(i)))
	}
	if len(l.faults) > maxFaulty || l.faults["a"].now() < 2.9 {
		t.Errorf("%d are remembered, the worst with %v", len(l.faults), l.faults["a"].now())
	}
}

func TestMessageIDCoversTheTopic(t *testing.T) {
	id := func(topic, data string) string { return messageID(&pb.Message{Topic: &topic, Data: []byte(data)}) }
	if id("tx", "x") == id("block", "x") || id("tx", "x") == id("tx", "y") {
		t.Error("two messages share an id")
	}
	if n := len(id("tx", "x")); n != idBytes {
		t.Errorf("an id has %d bytes", n)
	}
}
