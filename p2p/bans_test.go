package p2p

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/marcopolo/simnet"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/multiformats/go-varint"
)

func until(d time.Duration) Ban { return Ban{Since: time.Now(), Until: time.Now().Add(d)} }

func TestBansByNameAndByAddress(t *testing.T) {
	b := newBans()
	for _, who := range []string{somebody, "203.0.113.0/24", "2001:db8::7", "198.51.100.9"} {
		ban := until(time.Hour)
		ban.Who = who
		if err := b.put(ban); err != nil {
			t.Fatal(err)
		}
		if err := b.put(ban); !errors.Is(err, ErrBannedYet) {
			t.Errorf("%s twice: %v", who, err)
		}
	}
	id, _ := peer.Decode(somebody)
	for _, c := range []struct {
		p    peer.ID
		addr string
		hit  bool
	}{
		{id, "/ip4/127.0.0.1/tcp/1", true},
		{"other", "/ip4/127.0.0.1/tcp/1", false},
		{"other", "/ip4/203.0.113.200/tcp/1", true},
		{"other", "/ip4/203.0.114.200/tcp/1", false},
		{"other", "/ip6/2001:db8::7/udp/1/quic-v1", true},
		{"other", "/ip6/::ffff:198.51.100.9/tcp/1", true},
		{"other", "/dns4/example.org/tcp/1", false},
	} {
		if _, hit := b.hit(c.p, ma.StringCast(c.addr), false); hit != c.hit {
			t.Errorf("%s at %s: kept out %v, want %v", c.p, c.addr, hit, c.hit)
		}
	}
	if err := b.lift("203.0.113.7/24"); err != nil {
		t.Error(err)
	}
	if err := b.lift("203.0.113.0/24"); !errors.Is(err, ErrNotBanned) {
		t.Errorf("lifted twice: %v", err)
	}
	for _, who := range []string{"", "nobody", "300.1.1.1", "fe80::1%eth0"} {
		if err := b.lift(who); !errors.Is(err, ErrNoTarget) {
			t.Errorf("%q: %v", who, err)
		}
	}
	if got := len(b.list()); got != 3 {
		t.Errorf("%d bans are left", got)
	}
}

func TestBansEndAndAreBounded(t *testing.T) {
	b := newBans()
	over := until(-time.Second)
	over.Who = somebody
	if err := b.put(over); err != nil {
		t.Fatal(err)
	}
	id, _ := peer.Decode(somebody)
	if _, hit := b.hit(id, nil, false); hit || len(b.list()) != 0 {
		t.Error("a ban that is over still holds")
	}
	person := until(time.Minute)
	person.Who = "203.0.113.7"
	if err := b.put(person); err != nil {
		t.Fatal(err)
	}
	for i := range maxBans + 9 { // as many identities as anybody likes
		b.mu.Lock()
		full := len(b.peers)+len(b.nets) >= maxBans
		if full && !b.forgetOne() {
			t.Fatal("nothing can be forgotten")
		}
		b.peers[peer.ID(fmt.Sprint(i))] = Ban{Until: time.Now().Add(time.Hour), Why: "a rule"}
		b.mu.Unlock()
	}
	if got := len(b.list()); got != maxBans {
		t.Errorf("%d bans are kept", got)
	}
	if err := b.lift("203.0.113.7"); err != nil {
		t.Errorf("what a person said was forgotten: %v", err)
	}
}

// A ban outlives the process, and so does its end.
func TestBansOutliveARestart(t *testing.T) {
	cfg := eager()
	cfg.Key = newKey(t)
	cfg.Bans = FileBook(filepath.Join(t.TempDir(), "bans.json"))
	a, b := begin(t, cfg), begin(t, eager())
	link(t, b, a)
	if err := a.Ban(Name(b.ID()), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	expect(t, a.left, b.ID())
	expect(t, b.left, a.ID())
	if err := a.Connect(t.Context(), b.Addrs()[0]); !errors.Is(err, ErrBanned) {
		t.Errorf("a dials whom it banned: %v", err)
	}
	a.Close()
	again := begin(t, cfg)
	if list := again.Bans(); len(list) != 1 || list[0].Who != Name(b.ID()) || time.Until(list[0].Until) < 50*time.Minute {
		t.Fatalf("after a restart: %+v", list)
	}
	if err := b.Connect(t.Context(), again.Addrs()[0]); err == nil {
		eventually(t, "it is cut off", func() bool { return !b.roster.connected(again.host.ID()) })
	}
	silent(t, again.joined)
	if err := again.Unban(Name(b.ID())); err != nil {
		t.Fatal(err)
	}
	link(t, b, again)
	if err := again.Ban("127.0.0.0/8", time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	expect(t, again.left, b.ID())
	again.ClearBans()
	if list := again.Bans(); len(list) != 0 {
		t.Errorf("bans are left: %+v", list)
	}
}

// Identities are free: a few of them banned at one address, and the address is.
// Nearby, where many nodes share one, it is not.
func TestAddressOfManyCulpritsIsBanned(t *testing.T) {
	b := newBans()
	far := netip.MustParseAddr("203.0.113.7")
	for i := range maxBannedAt {
		b.peers[peer.ID(fmt.Sprint(i))] = Ban{From: far, Until: time.Now().Add(time.Hour)}
	}
	if b.from(hostOf(far)) != maxBannedAt || b.from(hostOf(netip.MustParseAddr("203.0.113.8"))) != 0 {
		t.Errorf("%d culprits are counted", b.from(hostOf(far)))
	}
	a := begin(t, hasty())
	for range maxBannedAt + 1 {
		h := bare(t)
		rawStream(t, h, a)
		a.punish(h.ID(), "a test")
	}
	for _, ban := range a.Bans() {
		if strings.Contains(ban.Who, "127.") {
			t.Errorf("loopback is banned: %+v", ban)
		}
	}
}

// One host has a whole range of IPv6 addresses: it is banned for what was done at
// several of them, at all of them, and nobody beside it.
func TestHostWithManyAddressesIsBanned(t *testing.T) {
	b := newBans()
	var where netip.Prefix
	for i := range maxBannedAt {
		from := netip.MustParseAddr(fmt.Sprintf("2001:db8:1:1::%x", i+1))
		b.peers[peer.ID(fmt.Sprint(i))] = Ban{From: from, Until: time.Now().Add(time.Hour)}
		where = hostOf(from)
	}
	if n := b.from(where); n != maxBannedAt {
		t.Errorf("%d culprits are counted in %v", n, where)
	}
	if err := b.put(Ban{Who: where.String(), Until: time.Now().Add(time.Hour), Why: "a test"}); err != nil {
		t.Fatal(err)
	}
	for ip, banned := range map[string]bool{"2001:db8:1:1:ffff::9": true, "2001:db8:1:2::1": false, "203.0.113.7": false} {
		if _, hit := b.hit("p", multiaddr(ip), false); hit != banned {
			t.Errorf("%s: banned %v", ip, hit)
		}
	}
}

// Names are free, and so are bans for what is done under them: many that are spoken
// at a time are written together, and none is lost at the end.
func TestManyBansAreWrittenTogether(t *testing.T) {
	cfg := eager()
	book := &shelf{}
	cfg.Bans = book
	a := begin(t, cfg)
	const many = 200
	for range many {
		culprit, err := peer.IDFromPrivateKey(newKey(t))
		if err != nil {
			t.Fatal(err)
		}
		a.punish(culprit, "a test")
	}
	a.Close()
	var list []Ban
	if err := json.Unmarshal(book.raw, &list); err != nil || len(list) != many {
		t.Errorf("%d bans are written: %v", len(list), err)
	}
	if book.saved > many/4 {
		t.Errorf("written %d times", book.saved)
	}
}

// Who sends garbage is banned, whatever stream it takes.
func TestGarbageOnEveryStream(t *testing.T) {
	cfg := hasty()
	g := cfg.Genesis
	long := varint.ToUvarint(1 << 40)
	cfg.DHT = true
	for _, p := range []protocol.ID{protocol.ID(syncProtocol(g)), dhtProtocol(g), pubsub.GossipSubID_v11, pubsub.GossipSubID_v13} {
		for name, garbage := range map[string][]byte{
			"nonsense": framed(bytes.Repeat([]byte{0xff}, 40)),
			"too long": long,
		} {
			t.Run(string(p)+" "+name, func(t *testing.T) {
				a, h := begin(t, cfg), bare(t)
				connect(t, h, a)
				eventually(t, "it is banned", func() bool {
					send(t, h, a, p, garbage)
					_, hit := a.bans.hit(h.ID(), nil, false)
					return hit
				})
				if n := len(a.Bans()); n != 1 {
					t.Errorf("%d bans", n)
				}
			})
		}
	}
}

func connect(t *testing.T, h host.Host, to player) {
	t.Helper()
	if err := h.Connect(t.Context(), infoOf(to.host)); err != nil {
		t.Fatal(err)
	}
}

// send opens a stream, says these bytes and waits until the other side ends it.
func send(t *testing.T, h host.Host, to player, p protocol.ID, what []byte) {
	t.Helper()
	s, err := h.NewStream(network.WithNoDial(t.Context(), "a test"), to.host.ID(), p)
	if err != nil {
		return // cut off already
	}
	_ = s.SetDeadline(time.Now().Add(patience))
	_, _ = s.Write(what)
	_ = s.CloseWrite()
	_, _ = s.Read(make([]byte, 1))
	_ = s.Reset()
}

// Many peers at one address cost each other gossip, and nobody a ban: what a peer
// did is what it is banned for.
func TestNobodyIsBannedForItsNeighbours(t *testing.T) {
	a, b := begin(t, eager()), begin(t, eager())
	link(t, b, a)
	tell := func(s pubsub.PeerScoreSnapshot) {
		a.inspect(map[peer.ID]*pubsub.PeerScoreSnapshot{b.host.ID(): &s})
	}
	const others = 30
	tell(pubsub.PeerScoreSnapshot{Score: neighbourWeight * others * others, IPColocationFactor: others * others})
	if bans := a.Bans(); len(bans) != 0 || !a.roster.connected(b.host.ID()) {
		t.Fatalf("banned for its neighbours: %+v", bans)
	}
	tell(pubsub.PeerScoreSnapshot{Score: hearBelow - 1 + neighbourWeight*others*others, IPColocationFactor: others * others})
	if bans := a.Bans(); len(bans) != 1 {
		t.Errorf("not banned for what it did: %+v", bans)
	}
}

// shelf is a Book in memory.
type shelf struct {
	mu    sync.Mutex
	raw   []byte // guarded by mu
	saved int    // guarded by mu; times
}

func (s *shelf) Load() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.raw, nil
}

func (s *shelf) Save(raw []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.raw, s.saved = raw, s.saved+1
	return nil
}

// What our rules speak is written before any time passes, or a kill would forget it;
// and when many are spoken, not each by itself.
func TestBansAreWrittenAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		space := &simnet.Simnet{LatencyFunc: simnet.StaticLatency(time.Millisecond)}
		space.Start()
		defer space.Close()
		book := &shelf{}
		cfg := dev()
		cfg.Bans = book
		a := imagine(t, space, "/ip4/1.0.0.1/udp/8000/quic-v1", cfg)
		defer a.Close()
		time.Sleep(300 * time.Millisecond) // between two beats
		one, err := peer.Decode(somebody)
		if err != nil {
			t.Fatal(err)
		}
		a.punish(one, "a test")
		synctest.Wait()
		if !strings.Contains(book.text(), somebody) {
			t.Error("a ban is not written")
		}
		for range 100 {
			p, err := peer.IDFromPrivateKey(newKey(t))
			if err != nil {
				t.Fatal(err)
			}
			a.punish(p, "a test")
			synctest.Wait()
		}
		if book.saved > bansAtOnce {
			t.Errorf("written %d times", book.saved)
		}
		a.Close()
		if n := strings.Count(book.text(), "a test"); n != 101 {
			t.Errorf("%d bans are written in the end", n)
		}
	})
}

func (s *shelf) text() string {
	raw, _ := s.Load()
	return string(raw)
}
