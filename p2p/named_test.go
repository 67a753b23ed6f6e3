package p2p

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"cairn/chain"
)

// A peer that a person asked for is cut off when it breaks the rules, told of, and
// back after a moment: nobody bans it behind that person's back.
func TestNamedPeersAreSentAwayNotBanned(t *testing.T) {
	log := &diary{}
	b := begin(t, eager())
	cfg := to(eager(), b)
	cfg.Pace.Rest = time.Hour // only a test ends it
	cfg.Bans = FileBook(t.TempDir() + "/bans")
	cfg.Logger = slog.New(slog.NewTextHandler(log, nil))
	a := begin(t, cfg)
	acquainted(t, a, b)
	for range maxFaults {
		a.Blame(b.ID())
	}
	expect(t, a.left, b.ID())
	expect(t, b.left, a.ID())
	if bans := a.Bans(); len(bans) != 0 {
		t.Errorf("banned: %+v", bans)
	}
	if w := a.Wanted(); len(w) != 1 || w[0].Connected || time.Until(w[0].Rests) < 50*time.Minute || !strings.Contains(w[0].Why, "faults") {
		t.Errorf("it is told of as %+v", w)
	}
	if n := log.count("asked for by name"); n != 1 {
		t.Errorf("told %d times in the log", n)
	}
	if err := a.Connect(t.Context(), b.Addrs()[0]); !errors.Is(err, ErrResting) {
		t.Errorf("dialled meanwhile: %v", err)
	}
	if err := b.Connect(t.Context(), a.Addrs()[0]); err == nil {
		eventually(t, "it is not let in", func() bool { return !b.roster.connected(a.host.ID()) })
	}
	silent(t, a.joined)
	a.gate.sendAway(b.host.ID(), rest{until: time.Now()}) // the moment is over
	expect(t, a.joined, b.ID())
	if w := a.Wanted(); !w[0].Rests.IsZero() {
		t.Errorf("it is back, and told of as %+v", w)
	}
	a.Blame(b.ID())
	silent(t, a.left) // what it did before is forgiven
}

// What our rules say of an address does not keep out whom a person named there;
// what a person says does.
func TestNamedPeersAndBannedAddresses(t *testing.T) {
	g := newGate()
	addr := ma.StringCast("/ip4/203.0.113.7/tcp/1")
	ban := until(time.Hour)
	ban.Who, ban.Why = "203.0.113.7", "several peers there"
	if err := g.bans.put(ban); err != nil {
		t.Fatal(err)
	}
	g.keep("named", true)
	if err := g.welcome("named", addr); err != nil {
		t.Errorf("a named peer at a banned address: %v", err)
	}
	if err := g.admit("", addr, true); err != nil {
		t.Errorf("a named address that is banned: %v", err)
	}
	if err := g.welcome("other", addr); !errors.Is(err, ErrBanned) {
		t.Errorf("another one there: %v", err)
	}
	hand := until(time.Hour)
	hand.Who = "203.0.113.0/24"
	if err := g.bans.put(hand); err != nil {
		t.Fatal(err)
	}
	if err := g.welcome("named", addr); !errors.Is(err, ErrBanned) {
		t.Errorf("a person banned its range: %v", err)
	}
}

// A peer that is being dialled by name finds room; when that fails, it keeps what it
// was given meanwhile, and nothing else.
func TestFailedCallTakesNothingBack(t *testing.T) {
	a := begin(t, eager())
	deaf, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close()
	addr, err := manet.FromNetAddr(deaf.Addr())
	if err != nil {
		t.Fatal(err)
	}
	for _, given := range []bool{false, true} {
		p, err := peer.IDFromPrivateKey(newKey(t))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		failed := make(chan error)
		go func() {
			_, err := a.reach(ctx, target{addr: addr, id: p})
			failed <- err
		}()
		c, err := deaf.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if !a.gate.keeps(p) {
			t.Error("who is being called finds no room")
		}
		if given {
			a.gate.keep(p, true) // as somebody names it
		}
		cancel()
		if err := next(t, failed); err == nil {
			t.Error("a listener that says nothing was reached")
		}
		_ = c.Close()
		if a.gate.keeps(p) != given {
			t.Errorf("named meanwhile: %v, and kept: %v", given, !given)
		}
	}
}

// A ban of its own does not outlive that a person names the peer, and a person ends
// its rest.
func TestUnbanEndsARest(t *testing.T) {
	b := begin(t, eager())
	a := begin(t, to(eager(), b))
	expect(t, a.joined, b.ID())
	a.punish(b.host.ID(), "a test")
	expect(t, a.left, b.ID())
	if err := a.Unban(Name(b.ID())); err != nil {
		t.Fatal(err)
	}
	expect(t, a.joined, b.ID())
	if err := a.Unban(Name(b.ID())); !errors.Is(err, ErrNotBanned) {
		t.Errorf("twice: %v", err)
	}
}

// Of private networks only whoever speaks from there knows, and of what leads
// nowhere nobody.
func TestHearsayOfPrivateNetworks(t *testing.T) {
	for _, c := range []struct {
		told, teller string
		heard        bool
	}{
		{"203.0.113.9", "198.51.100.1", true},
		{"203.0.113.9", "10.0.0.1", true},
		{"10.1.2.3", "198.51.100.1", false},
		{"10.1.2.3", "10.200.0.1", true},
		{"10.1.2.3", "192.168.0.1", false},
		{"192.168.1.1", "", true}, // the local network itself tells
		{"127.0.0.1", "198.51.100.1", false},
		{"127.0.0.1", "192.168.0.1", false},
		{"127.0.0.1", "127.0.0.1", true},
		{"169.254.1.1", "2001:db8::1", false},
		{"fd00::7", "2001:db8::1", false},
		{"fd00::7", "fd99::1", true},
		{"fe80::7", "fd99::1", false},
		{"2001:db8::9", "198.51.100.1", true},
		{"0.0.0.0", "", false},
		{"0.0.0.1", "127.0.0.1", false},
		{"255.255.255.255", "198.51.100.1", false},
		{"224.0.0.1", "198.51.100.1", false},
		{"::", "127.0.0.1", false},
		{"ff02::1", "", false},
	} {
		var teller ma.Multiaddr
		if c.teller != "" {
			teller = multiaddr(c.teller)
		}
		m := newMemory(Pace{}.orDefaults())
		if got := m.hear(multiaddr(c.told).String()+"/p2p/"+somebody, teller); got != c.heard {
			t.Errorf("%s, told by %q: heard %v", c.told, c.teller, got)
		}
	}
}

func multiaddr(ip string) ma.Multiaddr {
	kind := "ip4"
	if netip.MustParseAddr(ip).Is6() {
		kind = "ip6"
	}
	return ma.StringCast("/" + kind + "/" + ip + "/tcp/9421")
}

// Whoever asked for a peer of another network can see that it is one, and no longer
// when one of ours answers there.
func TestNamedPeerOfAnotherNetworkIsTold(t *testing.T) {
	other := eager()
	other.Genesis = chain.Regtest().GenesisID()
	other.Pace.Stranger = time.Hour // the one side, or the other, finds out
	for _, mine := range []time.Duration{time.Millisecond, time.Hour} {
		other.Key, other.Listen = newKey(t), []string{loopback}
		b := begin(t, other)
		cfg := to(eager(), b)
		cfg.Pace.Stranger = mine
		a := begin(t, cfg)
		eventually(t, "they met", func() bool { return a.roster.connected(b.host.ID()) || a.Wanted()[0].Alien })
		if mine == time.Hour {
			eventually(t, "b named its protocols", func() bool { return len(a.roster.strangers(0)) == 1 })
			b.cut(a.host.ID())
		}
		eventually(t, "it is told", func() bool { return a.Wanted()[0].Alien })
		cfg = eager()
		cfg.Key, cfg.Listen = other.Key, []string{b.host.Addrs()[0].String()}
		b.Close()
		begin(t, cfg)
		a.dialer.again()
		expect(t, a.joined, b.ID())
		if w := a.Wanted()[0]; w.Alien || !w.Connected {
			t.Errorf("one of ours answers now, and is told of as %+v", w)
		}
	}
}

// Whom a person dropped while it was being dialled does not come back by that.
func TestDisconnectedWhileDialled(t *testing.T) {
	a, b := begin(t, eager()), begin(t, eager())
	dial, dialling, proceed, reached := a.dialer.dial, make(chan struct{}), make(chan struct{}), make(chan error, 1)
	a.dialer.dial = func(one target) (peer.ID, error) {
		close(dialling)
		<-proceed
		id, err := dial(one)
		reached <- err
		return id, err
	}
	if err := a.Want(b.Addrs()[0]); err != nil {
		t.Fatal(err)
	}
	next(t, dialling)
	if err := a.Disconnect(Name(b.ID())); err != nil {
		t.Fatal(err)
	}
	close(proceed)
	expect(t, reached, nil)
	eventually(t, "it is cut off", func() bool { return !a.gate.keeps(b.host.ID()) && !a.roster.connected(b.host.ID()) })
	if w := a.Wanted(); len(w) != 0 {
		t.Errorf("wanted: %+v", w)
	}
}

// Whom a person no longer wants stays if it was connected before, for another reason, when
// a call to it ends.
func TestCallThatIsTakenBackCutsNobody(t *testing.T) {
	a, b := begin(t, eager()), begin(t, eager())
	link(t, b, a)
	dropped := make(chan struct{})
	drop := a.dialer.drop
	a.dialer.drop = func(p peer.ID, since time.Time) {
		drop(p, since)
		close(dropped)
	}
	dial := a.dialer.dial
	a.dialer.dial = func(one target) (peer.ID, error) {
		a.dialer.remove(func(*target) bool { return true })
		return dial(one)
	}
	if err := a.Want(b.host.Addrs()[0].String()); err != nil {
		t.Fatal(err)
	}
	next(t, dropped)
	if a.gate.keeps(b.host.ID()) || !a.roster.connected(b.host.ID()) {
		t.Error("it is kept, or was cut off")
	}
	silent(t, a.left)
}
