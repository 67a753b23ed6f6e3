package p2p

import (
	"context"
	"testing"
	"time"

	"cairn/node"
)

// A hundred who dial us take every place that they can have. The peers of our
// own choice keep theirs, and find it again after they were away.
func TestInboundFloodDoesNotEclipse(t *testing.T) {
	const attackers = 100
	cfg := eager()
	cfg.MaxPeers = 16
	cfg.Pace.Stranger = time.Hour // the attackers would say what it takes
	honest := []player{begin(t, eager()), begin(t, eager())}
	victim := begin(t, cfg)
	for _, h := range honest {
		victim.memory.reached([]string{h.Addrs()[0]})
	}
	victim.dialer.nudge()
	meet := func() {
		t.Helper()
		for _, h := range honest {
			expect(t, h.joined, victim.ID())
			next(t, victim.joined)
		}
	}
	meet()
	room := victim.slots.all - victim.slots.reserved
	flood := func(n int) {
		t.Helper()
		for range n {
			_ = bare(t).Connect(context.WithoutCancel(t.Context()), infoOf(victim.host))
		}
		eventually(t, "the attackers have what they can get", func() bool { return victim.roster.tally(victim.gate.keeps).inbound == room })
	}
	flood(attackers)
	for _, h := range honest {
		if !victim.roster.connected(h.host.ID()) {
			t.Error("an honest peer lost its place")
		}
		h.Block(victim.ID())
		expect(t, h.left, victim.ID())
		next(t, victim.left)
	}
	flood(20) // in vain: the free places are not theirs
	for _, h := range honest {
		h.Unblock(victim.ID())
	}
	meet()
	if n := victim.roster.tally(victim.gate.keeps).all; n > cfg.MaxPeers {
		t.Errorf("%d peers where %d are allowed", n, cfg.MaxPeers)
	}
	silent(t, victim.left)
}

// Of the peers that we choose no two lie in one address range, as far as
// addresses tell; and no more are tried than there are places.
func TestChoicesLieApart(t *testing.T) {
	d := &dialer{
		pace: Pace{Feel: 1 << 60}, gate: newGate(), roster: newRoster(0), book: newMemory(Pace{}.orDefaults()),
		slots: newSlots(64), targets: map[string]*target{},
	}
	for i := range 40 {
		d.book.reached([]string{at("/ip4/203.0.113.%d/tcp/1", i)})
	}
	if got := d.ready(); len(got) != 1 {
		t.Errorf("%d addresses of one range are tried at a time", len(got))
	}
	for i := range 40 {
		d.book.reached([]string{at("/ip4/11.%d.0.1/tcp/1", i)})
	}
	d.ready()
	if got := len(d.book.busy()); got != maxOutbound {
		t.Errorf("%d are tried, want %d", got, maxOutbound)
	}
	if got := d.ready(); len(got) != 0 {
		t.Errorf("%d more are tried", len(got))
	}
}

// With peers enough we still look, now and then, whether an address of the book
// holds, and leave again.
func TestFeelingForPeers(t *testing.T) {
	cfg := eager()
	cfg.MaxPeers = 1
	cfg.Pace.Feel = 1 // always
	a, b, c := begin(t, cfg), begin(t, eager()), begin(t, eager())
	link(t, a, b)
	heard := c.Addrs()[0]
	if !a.memory.hear(heard, nil) {
		t.Fatal("no room in the book")
	}
	a.dialer.nudge()
	eventually(t, "a has felt for c", func() bool {
		for _, p := range a.memory.list() {
			if p.Addr == heard {
				return !p.hearsay()
			}
		}
		return false
	})
	eventually(t, "and left", func() bool { return !a.roster.connected(c.host.ID()) && !c.roster.connected(a.host.ID()) })
	if got := a.Peers(); len(got) != 1 || got[0].Peer != node.Peer(b.host.ID()) {
		t.Errorf("a has the peers %+v", got)
	}
}

func TestSlotsAreShared(t *testing.T) {
	for _, c := range []struct{ most, outbound, reserved int }{{64, 8, 8}, {16, 8, 4}, {3, 3, 0}, {1, 1, 0}} {
		s := newSlots(c.most)
		if s.outbound != c.outbound || s.reserved != c.reserved {
			t.Errorf("of %d places: %+v", c.most, s)
		}
		if full := (tally{all: c.most}); s.roomInbound(full) || s.freeOutbound(full) > 0 {
			t.Errorf("%d places are not all", c.most)
		}
	}
}
