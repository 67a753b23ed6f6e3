package p2p

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"

	"cairn/chain"
	"cairn/node"
)

// eager redials without much ado.
func eager() Config {
	cfg := dev()
	cfg.Pace.Retry = 10 * time.Millisecond
	cfg.Pace.Near = 50 * time.Millisecond
	return cfg
}

func to(cfg Config, others ...player) Config {
	for _, o := range others {
		cfg.Peers = append(cfg.Peers, o.Addrs()[0])
	}
	return cfg
}

func TestPeersJoinAndAreDescribed(t *testing.T) {
	b := begin(t, dev())
	a := begin(t, to(dev(), b))
	acquainted(t, a, b)
	out, in := a.Peers(), b.Peers()
	if len(out) != 1 || len(in) != 1 {
		t.Fatalf("a sees %d peers, b %d", len(out), len(in))
	}
	if out[0].Peer != b.ID() || out[0].Inbound || out[0].Addr != b.Addrs()[0] || out[0].Agent != "cairn/test" {
		t.Errorf("a sees %+v", out[0])
	}
	if in[0].Peer != a.ID() || !in[0].Inbound || !strings.HasSuffix(in[0].Addr, Name(a.ID())) {
		t.Errorf("b sees %+v", in[0])
	}
	eventually(t, "latency and traffic are known", func() bool {
		p := a.Peers()[0]
		return p.Latency > 0 && p.In > 0 && p.Out > 0
	})
	silent(t, a.joined) // once, however many connections there are
}

func TestPeerWithoutItsID(t *testing.T) {
	b := begin(t, dev())
	where, _, _ := strings.Cut(b.Addrs()[0], "/p2p/")
	cfg := dev()
	cfg.Peers = []string{where}
	a := begin(t, cfg)
	expect(t, a.joined, b.ID())

	cfg.Peers = []string{"/ip4/127.0.0.1/udp/1/quic-v1"}
	cfg.Key = newKey(t)
	_, err := New(t.Context(), cfg, newEar())
	mustFail(t, err, "udp/1", "add /p2p/ID")
	mustFail(t, a.Connect(t.Context(), "127.0.0.1:29421"), "write it like /ip4")
	mustFail(t, a.Connect(t.Context(), "/p2p/"+Name(b.ID())), "where")
}

func TestOurOwnAddress(t *testing.T) {
	a := begin(t, dev())
	for _, addr := range []string{a.Addrs()[0], strings.Split(a.Addrs()[0], "/p2p/")[0]} {
		mustFail(t, a.Connect(t.Context(), addr), "this node itself")
	}
}

func TestAnotherGenesisNeverJoins(t *testing.T) {
	other := dev()
	other.Genesis = chain.Regtest().GenesisID()
	other.Pace.Stranger = time.Millisecond
	b := begin(t, other)
	cfg := dev()
	cfg.Pace.Stranger = time.Millisecond
	a := begin(t, to(cfg, b))
	eventually(t, "a has met b", func() bool { return a.roster.connected(peer.ID(b.ID())) })
	eventually(t, "they part", func() bool { return !a.roster.connected(peer.ID(b.ID())) })
	silent(t, a.joined)
	silent(t, b.joined)
	silent(t, a.left)
}

// A peer may offer our protocol only after it was identified.
func TestLateSpeakerJoins(t *testing.T) {
	cfg := dev()
	cfg.Pace.Settle = time.Millisecond
	a, h := begin(t, cfg), bare(t)
	if err := a.Connect(t.Context(), full(h.Addrs()[0], h.ID())); err != nil {
		t.Fatal(err)
	}
	eventually(t, "h is known not to speak it", func() bool { return len(a.roster.strangers(0)) == 1 })
	h.SetStreamHandler(a.protocol, func(s network.Stream) { _ = s.Close() })
	expect(t, a.joined, node.Peer(h.ID()))
}

// Who speaks our protocol is a peer at once, and can be asked, although its gossip is
// never heard. But only who settled is remembered, and dialled soon when it is lost.
func TestPeersNeedNoGossipToJoin(t *testing.T) {
	cfg := eager()
	cfg.Pace.Settle = time.Hour
	a, h := begin(t, cfg), bare(t)
	h.SetStreamHandler(a.protocol, say(framed((&node.Answer{}).Append(nil, node.WantPool)), true))
	addr, him := full(h.Addrs()[0], h.ID()), node.Peer(h.ID())
	wait := func() (wait time.Duration) {
		a.dialer.each(func(t *target) { wait = t.wait })
		return wait
	}
	if err := a.Connect(t.Context(), addr); err != nil {
		t.Fatal(err)
	}
	for before := wait(); wait() < cfg.Pace.Near; before = wait() {
		expect(t, a.joined, him)
		if _, err := a.Ask(t.Context(), him, node.Request{Want: node.WantPool}); err != nil {
			t.Fatal(err)
		}
		if n := len(a.Peers()); n != 1 {
			t.Errorf("%d peers", n)
		}
		_ = h.Network().ClosePeer(a.host.ID())
		expect(t, a.left, him)
		eventually(t, "a will wait longer", func() bool { return wait() > before })
	}
	silent(t, a.settled)
	if all := a.memory.list(); len(all) != 0 {
		t.Errorf("remembered: %+v", all)
	}
}

// One that we turn away is none, whatever it speaks and however soon it says so.
func TestWhoHasNoPlaceNeverJoins(t *testing.T) {
	r := newRoster(time.Hour)
	heard := func(want ...tiding) {
		t.Helper()
		for _, w := range want {
			if got, ok := r.next(); !ok || got.what != w {
				t.Errorf("heard %+v %v, want %v", got, ok, w)
			}
		}
		if got, ok := r.next(); ok {
			t.Errorf("heard %+v", got)
		}
	}
	refused, welcome := &oneWay{from: "203.0.113.7"}, &oneWay{from: "198.51.100.7"}
	r.identified(refused, true)
	r.opened(refused, false)
	for i := range topics {
		r.grafted("p", fmt.Sprint(i))
	}
	heard()
	r.opened(welcome, true)
	heard(hasJoined, hasSettled)
	r.closed(refused)
	r.grafted("p", "again")
	r.learned("p", true)
	heard()
	r.closed(welcome)
	heard(hasLeft)
	r.opened(welcome, true)
	r.identified(welcome, true)
	heard(hasJoined)
	for i := range topics {
		heard()
		r.grafted("p", fmt.Sprint(i))
	}
	heard(hasSettled)
}

func TestCutAndHeal(t *testing.T) {
	for name, listen := range map[string]string{"tcp": loopback, "quic": "/ip4/127.0.0.1/udp/0/quic-v1"} {
		t.Run(name, func(t *testing.T) { cutAndHeal(t, listen) })
	}
}

func cutAndHeal(t *testing.T, listen string) {
	cfg := eager()
	cfg.Listen = []string{listen}
	b := begin(t, cfg)
	a := begin(t, to(cfg, b))
	acquainted(t, a, b)
	for range 2 {
		a.SetActive(false)
		expect(t, a.left, b.ID())
		expect(t, b.left, a.ID())
		if err := a.Connect(t.Context(), b.Addrs()[0]); !errors.Is(err, ErrInactive) {
			t.Errorf("got %v, want ErrInactive", err)
		}
		if err := b.Connect(t.Context(), a.Addrs()[0]); err == nil {
			// The dialler may stand before the other side hangs up.
			eventually(t, "a hangs up", func() bool { return !b.roster.connected(peer.ID(a.ID())) })
		}
		silent(t, a.joined)
		a.SetActive(true)
		acquainted(t, a, b)
	}
}

func TestBlockedPeersStayOut(t *testing.T) {
	b := begin(t, eager())
	a := begin(t, to(eager(), b))
	acquainted(t, a, b)
	b.Block(a.ID())
	expect(t, a.left, b.ID())
	expect(t, b.left, a.ID())
	if err := b.Connect(t.Context(), a.Addrs()[0]); !errors.Is(err, ErrBlocked) {
		t.Errorf("got %v, want ErrBlocked", err)
	}
	// a keeps knocking, in vain; others are welcome.
	c := begin(t, to(eager(), b))
	acquainted(t, b, c)
	silent(t, b.joined)
	b.Unblock(a.ID())
	acquainted(t, b, a)
}

func TestDisconnectForgetsTheAddress(t *testing.T) {
	b := begin(t, eager())
	a := begin(t, to(eager(), b))
	acquainted(t, a, b)
	where, _, _ := strings.Cut(b.Addrs()[0], "/p2p/")
	for _, who := range []string{b.Addrs()[0], Name(b.ID()), where} {
		if err := a.Disconnect(who); err != nil {
			t.Fatal(err)
		}
		expect(t, a.left, b.ID())
		expect(t, b.left, a.ID())
		a.dialer.each(func(still *target) { t.Errorf("%v is still wanted", still.addr) })
		if err := a.Disconnect(who); !errors.Is(err, ErrGone) {
			t.Errorf("got %v, want ErrGone", err)
		}
		link(t, a, b)
	}
	mustFail(t, a.Disconnect("nobody"), "nobody", "neither")
}

func TestTakenPort(t *testing.T) {
	for _, of := range []string{"tcp", "udp"} {
		t.Run(of, func(t *testing.T) {
			held := "/ip4/127.0.0.1/tcp/0"
			if of == "udp" {
				held = "/ip4/127.0.0.1/udp/0/quic-v1"
			}
			cfg := dev()
			cfg.Listen = []string{held}
			a := begin(t, cfg)
			taken, _, _ := strings.Cut(a.Addrs()[0], "/p2p/")
			cfg.Key = newKey(t)
			cfg.Listen = []string{taken}
			_, err := New(t.Context(), cfg, newEar())
			mustFail(t, err, taken, "in use")
		})
	}
}

// freePort is a TCP address that nobody holds just now.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", l.Addr().(*net.TCPAddr).Port)
}

func TestRedialAfterTheOtherSideRestarts(t *testing.T) {
	key := newKey(t)
	cfg := eager()
	cfg.Key = key
	cfg.Listen = []string{freePort(t)}
	b := begin(t, cfg)
	a := begin(t, to(eager(), b))
	expect(t, a.joined, b.ID())
	b.Close()
	expect(t, a.left, b.ID())
	eventually(t, "a tries in vain", func() (failed bool) {
		a.dialer.each(func(only *target) { failed = only.failed })
		return failed
	})
	again := begin(t, cfg)
	acquainted(t, a, again)
}

// libp2p would not try again for five seconds, and longer each time.
func TestRedialDoesNotWaitForLibp2p(t *testing.T) {
	a := begin(t, dev())
	dead := freePort(t) + "/p2p/" + bare(t).ID().String()
	for range 3 {
		err := a.Connect(t.Context(), dead)
		if err == nil || errors.Is(err, swarm.ErrDialBackoff) || strings.Contains(err.Error(), swarm.ErrDialBackoff.Error()) {
			t.Errorf("got %v", err)
		}
	}
}

// A host that was handed in has no gater of ours.
func TestHandedInHostRefusesToo(t *testing.T) {
	h := bare(t)
	e := newEar()
	cfg := dev()
	cfg.Listen = nil
	n, err := NewOn(t.Context(), cfg, h, e)
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	b := begin(t, dev())
	n.Block(b.ID())
	_ = b.Connect(t.Context(), n.Addrs()[0]) // it may stand for a moment
	eventually(t, "it is closed", func() bool { return !b.roster.connected(h.ID()) && !n.roster.connected(b.host.ID()) })
	silent(t, e.joined)
}

// Without an id in its address, the one who answers there is the peer, even if
// it has become another.
func TestRedialFindsAnotherPeerAtThePlace(t *testing.T) {
	cfg := eager()
	cfg.Listen = []string{freePort(t)}
	b := begin(t, cfg)
	mine := eager()
	mine.Peers = cfg.Listen
	a := begin(t, mine)
	expect(t, a.joined, b.ID())
	b.Close()
	expect(t, a.left, b.ID())
	c := begin(t, cfg)
	expect(t, a.joined, c.ID())
}

func TestNoMorePeersThanAllowed(t *testing.T) {
	cfg := dev()
	cfg.MaxPeers = 2
	hub := begin(t, cfg)
	first, second, third := begin(t, dev()), begin(t, dev()), begin(t, dev())
	link(t, first, hub)
	link(t, second, hub)
	if err := third.Connect(t.Context(), hub.Addrs()[0]); err == nil {
		eventually(t, "the hub hangs up", func() bool { return !third.roster.connected(peer.ID(hub.ID())) })
	}
	silent(t, hub.joined)
	if n := len(hub.Peers()); n != 2 {
		t.Errorf("the hub has %d peers", n)
	}
	// Whom the hub itself wants finds room: who dialled it last makes way.
	link(t, hub, third)
	expect(t, hub.left, second.ID())
	eventually(t, "the hub has two peers again", func() bool { return len(hub.Peers()) == 2 })
}

func TestPeersAreRemembered(t *testing.T) {
	b := begin(t, eager())
	cfg := eager()
	cfg.Key = newKey(t)
	cfg.Book = FileBook(filepath.Join(t.TempDir(), "peers.json"))
	a := begin(t, cfg)
	link(t, a, b)
	a.Close()
	expect(t, b.left, a.ID())
	again := begin(t, cfg) // nobody tells it of b
	acquainted(t, again, b)
	if err := again.Disconnect(Name(b.ID())); err != nil {
		t.Fatal(err)
	}
	again.Close()
	raw, err := cfg.Book.Load()
	if err != nil || strings.Contains(string(raw), Name(b.ID())) {
		t.Errorf("b was to be forgotten: %s %v", raw, err)
	}
}

// In virtual time, for there everybody can be waited for until nothing moves.
func TestCloseWaitsForTheHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := imagined(t, time.Millisecond)
		asked, hold := make(chan struct{}), make(chan struct{})
		b.answers(func(ctx context.Context, _ node.Peer, _ node.Request) (node.Answer, error) {
			close(asked)
			<-hold
			return node.Answer{}, ctx.Err()
		})
		done, closed := make(chan error, 1), make(chan struct{}, 2)
		go func() {
			_, err := a.Ask(t.Context(), b.ID(), node.Request{Want: node.WantPool})
			done <- err
		}()
		next(t, asked)
		for range 2 { // twice is fine
			go func() {
				b.Close()
				closed <- struct{}{}
			}()
		}
		mustFail(t, next(t, done))
		synctest.Wait()
		silent(t, closed)
		close(hold)
		next(t, closed)
		next(t, closed)
	})
}

func TestConfigIsChecked(t *testing.T) {
	for name, bend := range map[string]func(*Config){
		"MaxBlock":       func(c *Config) { c.MaxBlock = 0 },
		"MaxPeers":       func(c *Config) { c.MaxPeers = -1 },
		"Key":            func(c *Config) { c.Key = nil },
		"listen address": func(c *Config) { c.Listen = []string{"localhost"} },
		"peer address":   func(c *Config) { c.Peers = []string{"localhost"} },
	} {
		cfg := dev()
		cfg.Key = newKey(t)
		bend(&cfg)
		_, err := New(t.Context(), cfg, newEar())
		mustFail(t, err, name)
	}
}

// Real networks in virtual time: half a second of light between two nodes, and
// no second of ours is spent.
func TestVirtualTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const latency = 250 * time.Millisecond
		began := time.Now()
		a, b := imagined(t, latency)
		if err := a.PublishTx(tx("far")); err != nil {
			t.Fatal(err)
		}
		if got := next(t, b.txs); string(got.what.Memo) != "far" {
			t.Errorf("heard %q", got.what.Memo)
		}
		asked := time.Now()
		if _, err := a.Ask(t.Context(), b.ID(), node.Request{Want: node.WantPool}); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(asked); took < 2*latency {
			t.Errorf("an answer took %v, light takes %v", took, 2*latency)
		}
		t.Logf("%v of imagined time", time.Since(began))
	})
}
