package p2p

import (
	"context"
	"testing"
	"time"
)

// The same with connections, on the loopback device, of which Linux has a whole
// range: two hundred from one address come first, then an honest newcomer from
// another. He gets in; who was here, and whom we chose, stay.
func TestCrowdOfOneAddress(t *testing.T) {
	cfg := eager()
	cfg.MaxPeers = 16
	cfg.Pace.Stranger = time.Hour // the attackers would say what it takes
	chosen := begin(t, eager())
	victim := begin(t, cfg)
	victim.memory.reached([]string{chosen.Addrs()[0]})
	victim.dialer.nudge()
	expect(t, chosen.joined, victim.ID())
	old := bare(t, "/ip4/127.0.0.2/tcp/0")
	connect(t, old, victim)
	attack := func(n int) {
		for range n {
			_ = bare(t).Connect(context.WithoutCancel(t.Context()), infoOf(victim.host))
		}
	}
	attack(200)
	room := victim.slots.all - victim.slots.reserved
	eventually(t, "they have all that they can get", func() bool { return victim.roster.tally(victim.gate.keeps).inbound == room })

	newcomer := bare(t, "/ip4/127.0.0.3/tcp/0")
	connect(t, newcomer, victim)
	eventually(t, "he has a place", func() bool { return victim.roster.links(newcomer.ID()) == 1 })
	attack(20)
	if victim.roster.links(old.ID()) == 0 || victim.roster.links(newcomer.ID()) == 0 || victim.roster.links(chosen.host.ID()) == 0 {
		t.Errorf("the old-timer has %d connections, the newcomer %d, the peer of our choice %d",
			victim.roster.links(old.ID()), victim.roster.links(newcomer.ID()), victim.roster.links(chosen.host.ID()))
	}
	if n := victim.roster.tally(victim.gate.keeps).all; n > cfg.MaxPeers {
		t.Errorf("%d peers where %d are allowed", n, cfg.MaxPeers)
	}
}
