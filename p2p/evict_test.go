package p2p

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// hall is the places for those who dial us, without a network.
type hall struct {
	*door
	places  int
	all     []caller
	minute  int
	evicted []peer.ID
}

func newHall(places int) *hall { return &hall{door: newDoor(), places: places} }

// knock tells whether one more gets in.
func (h *hall) knock(c caller) bool {
	h.minute++
	c.since = time.Unix(int64(60*h.minute), 0)
	if len(h.all) >= h.places {
		p := h.yields(h.all, c.area, false)
		if p == "" {
			return false
		}
		h.evicted = append(h.evicted, p)
		h.all = slices.DeleteFunc(h.all, func(o caller) bool { return o.id == p })
	}
	h.all = append(h.all, c)
	return true
}

func (h *hall) holds(p peer.ID) bool {
	return slices.ContainsFunc(h.all, func(c caller) bool { return c.id == p })
}

func names(n int, of string, areas ...string) (cs []caller) {
	for i := range n {
		cs = append(cs, caller{id: peer.ID(fmt.Sprintf("%s %d", of, i)), area: areas[i%len(areas)], ping: time.Millisecond})
	}
	return cs
}

// Two hundred hostile names of a few address ranges come first and never stop
// coming. Honest newcomers get in, one from everywhere else; whoever was here
// before stays; and the door does not revolve.
func TestFewRangesKeepNobodyOut(t *testing.T) {
	h := newHall(56)
	friend := caller{id: "friend", area: "203.0.0.0/16"}
	if !h.knock(friend) {
		t.Fatal("an empty house is full")
	}
	hostile := names(200, "hostile", "11.0.0.0/16", "12.0.0.0/16", "13.0.0.0/16")
	flood := func() {
		for range 50 {
			for _, c := range hostile {
				if !h.holds(c.id) {
					h.knock(c)
				}
			}
		}
	}
	flood()
	if n := len(h.evicted); n > 3*evictBurst {
		t.Errorf("%d were cut for others of the same ranges", n)
	}
	honest := make([]caller, 15)
	for i := range honest {
		honest[i] = caller{id: peer.ID(fmt.Sprint("honest ", i)), area: fmt.Sprintf("20.%d.0.0/16", i)}
		if !h.knock(honest[i]) {
			t.Fatalf("honest newcomer %d finds no room", i)
		}
	}
	flood()
	for _, c := range append(honest, friend) {
		if !h.holds(c.id) {
			t.Errorf("%s was pushed out", c.id)
		}
	}
	if n := len(h.evicted); n > len(honest)+3*evictBurst+1 {
		t.Errorf("%d were cut in all", n)
	}
}

// Many small ranges keep hardly anybody out: where two of each are here, a newcomer from
// another range takes the place of one of them. The limit is as many ranges as places.
func TestManyRangesKeepFewOut(t *testing.T) {
	h := newHall(56)
	for i := range 400 {
		brought := time.Unix(int64(i+1), 0)
		h.knock(caller{id: peer.ID(fmt.Sprint("hostile ", i)), area: fmt.Sprintf("11.%d.0.0/16", i%28), ping: time.Millisecond, block: brought, tx: brought})
	}
	in := 0
	for i := range 30 {
		if h.knock(caller{id: peer.ID(fmt.Sprint("honest ", i)), area: fmt.Sprintf("20.%d.0.0/16", i)}) {
			in++
		}
	}
	if in < 20 {
		t.Errorf("two of each range are here, and only %d of 30 newcomers from others get in", in)
	}
}

// Somebody has peers in two hundred ranges, each of which knocks again and again, for
// hours. Whoever brings us a block or a payment first now and then stays, although he came
// last; and the attacker's own make room for each other.
func TestManyRangesKeepTheUseful(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHall(56)
		var hostile []caller
		for i := range 200 {
			hostile = append(hostile, caller{id: peer.ID(fmt.Sprint("hostile ", i)), area: fmt.Sprintf("11.%d.0.0/16", i), ping: time.Millisecond})
		}
		for _, c := range hostile[:32] {
			h.knock(c)
		}
		var useful []peer.ID
		for i := range 24 {
			c := caller{id: peer.ID(fmt.Sprint("useful ", i)), area: fmt.Sprintf("20.%d.0.0/16", i), ping: time.Second, tx: time.Now()}
			useful = append(useful, c.id)
			h.knock(c)
		}
		for minute := range 150 {
			time.Sleep(time.Minute)
			h.bring(useful[minute%len(useful)], minute%2 == 0)
			for _, c := range hostile {
				if !h.holds(c.id) {
					h.knock(c)
				}
			}
		}
		for _, p := range useful {
			if !h.holds(p) {
				t.Errorf("%s was pushed out", string(p))
			}
		}
		if n := len(h.evicted); n < 100 {
			t.Errorf("only %d of the attacker's made room for each other", n)
		}
	})
}

// Somebody has a peer in as many ranges as there are places, and each brings a payment now
// and then, which is cheap. Newcomers get in all the same, one a minute; and those of them
// who bring more of what is new than his do stay.
func TestPaymentsBuyNoPlaceForGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHall(56)
		for i := range h.places {
			h.knock(caller{id: peer.ID(fmt.Sprint("hostile ", i)), area: fmt.Sprintf("11.%d.0.0/16", i), ping: time.Millisecond})
		}
		in, busy := 0, map[peer.ID]bool{}
		for minute := range 24 * 60 {
			if minute%50 == 0 {
				for i := range h.places {
					h.bring(peer.ID(fmt.Sprint("hostile ", i)), false)
				}
			}
			time.Sleep(time.Minute)
			c := caller{id: peer.ID(fmt.Sprint("honest ", minute)), area: fmt.Sprintf("20.%d.0.0/16", minute)}
			if !h.knock(c) {
				continue
			}
			if in++; len(busy) < 8 {
				busy[c.id] = true
			}
			for p := range busy {
				h.bring(p, false)
			}
		}
		if in < 24*60*9/10 {
			t.Errorf("%d of %d newcomers get in", in, 24*60)
		}
		for p := range busy {
			if !h.holds(p) {
				t.Errorf("%s brought something every minute and was pushed out", string(p))
			}
		}
	})
}

// Those who only listen are not pushed out by somebody in two hundred ranges each of whose
// peers brings payments: many of his own go for the next, and who is here longest stays.
func TestPaymentsPushFewOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHall(56)
		for i := range h.places {
			h.knock(caller{id: peer.ID(fmt.Sprint("listener ", i)), area: fmt.Sprintf("20.%d.0.0/16", i)})
		}
		for minute := range 24 * 60 {
			time.Sleep(time.Minute)
			i := minute % 200
			c := caller{id: peer.ID(fmt.Sprint("hostile ", i)), area: fmt.Sprintf("11.%d.0.0/16", i), ping: time.Millisecond, tx: time.Now()}
			if !h.holds(c.id) {
				h.knock(c)
			}
			for i := minute % 50; i < 200; i += 50 {
				h.bring(peer.ID(fmt.Sprint("hostile ", i)), false)
			}
		}
		stay := 0
		for i := range h.places {
			if h.holds(peer.ID(fmt.Sprint("listener ", i))) {
				stay++
			}
		}
		if stay < 10 {
			t.Errorf("%d of %d who only listened are left", stay, h.places)
		}
	})
}

// bring notes that somebody who is here was the first with a block, or a transaction.
func (h *hall) bring(p peer.ID, block bool) {
	for i := range h.all {
		switch c := &h.all[i]; {
		case c.id != p:
		case block:
			c.block = time.Now()
		default:
			c.tx = time.Now()
		}
	}
}

// oneWay is a connection that goes one way, at an address.
type oneWay struct {
	network.Conn
	dir  network.Direction
	from string
}

func (w *oneWay) RemotePeer() peer.ID           { return "p" }
func (w *oneWay) IsClosed() bool                { return false }
func (w *oneWay) RemoteMultiaddr() ma.Multiaddr { return multiaddr(w.from) }
func (w *oneWay) Stat() (s network.ConnStats)   { s.Direction = w.dir; return s }

// Whom we dialled we chose, although his own call was here first.
func TestBothDialled(t *testing.T) {
	r, nobody := newRoster(0), func(peer.ID) bool { return false }
	ping := func(peer.ID) time.Duration { return 0 }
	r.opened(&oneWay{dir: network.DirInbound, from: "203.0.113.7"}, true)
	if got, all := r.tally(nobody), r.callers(nobody, ping); got.inbound != 1 || len(all) != 1 {
		t.Errorf("one called: %+v, %v", got, all)
	}
	r.opened(&oneWay{dir: network.DirOutbound, from: "198.51.100.7"}, true)
	got, all := r.tally(nobody), r.callers(nobody, ping)
	if got.inbound != 0 || !slices.Equal(got.spans, []string{"198.51.0.0/16"}) || len(all) != 0 {
		t.Errorf("we called as well: %+v, %v", got, all)
	}
	if c := chosen(r.members["p"].conns); c == nil || c.Stat().Direction != network.DirOutbound {
		t.Errorf("we chose it by %v", c)
	}
}

// Where everybody lies apart already, newcomers take few places, and none of those
// who are here longest.
func TestNewcomersTakeFewPlacesOfOthers(t *testing.T) {
	h := newHall(32)
	for i := range 32 {
		h.knock(caller{id: peer.ID(fmt.Sprint("old ", i)), area: fmt.Sprintf("20.%d.0.0/16", i)})
	}
	for i := range 1000 {
		h.knock(caller{id: peer.ID(fmt.Sprint("new ", i)), area: fmt.Sprintf("21.%d.0.0/16", i%250)})
	}
	if n := len(h.evicted); n != 1 {
		t.Errorf("%d gave their places up", n)
	}
	for i := range 12 {
		if !h.holds(peer.ID(fmt.Sprint("old ", i))) {
			t.Errorf("the %d. to come had to go", i+1)
		}
	}
}

// Who is of use is spared: near, or the last to bring a block or a transaction.
func TestWhoIsSpared(t *testing.T) {
	now := time.Now()
	all := names(32, "any", "11.0.0.0/16")
	for i := range all {
		all[i].since = now.Add(time.Duration(i) * time.Second)
	}
	all[31].block, all[30].tx, all[29].ping = now, now, 1
	rest := newDoor().expendable(all)
	for _, c := range rest {
		if i := slices.Index([]peer.ID{all[31].id, all[30].id, all[29].id, all[0].id}, c.id); i >= 0 {
			t.Errorf("%s is not spared", c.id)
		}
	}
	if len(rest) < 10 || worst(rest, crowds(rest), anybody).id == "" {
		t.Errorf("only %d are not spared", len(rest))
	}
	for n := range 4 {
		if got := newDoor().expendable(all[:n]); len(got) > n {
			t.Errorf("of %d, %d", n, len(got))
		}
	}
	if w := worst(nil, nil, anybody); w.id != "" {
		t.Errorf("of nobody %q goes", w.id)
	}
}

// Whoever comes and goes, our peers never lie closer together by it, who is spared
// stays, and what is counted of ranges is bounded.
func TestDoorAtRandom(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 1))
	h := newHall(24)
	for i := range 5000 {
		if len(h.all) > 0 && r.IntN(20) == 0 {
			h.all = slices.Delete(h.all, 0, 1)
		}
		c := caller{id: peer.ID(fmt.Sprint(i)), area: fmt.Sprint(r.IntN(1 + r.IntN(600))), ping: time.Duration(r.IntN(3))}
		before, full := slices.Clone(h.all), len(h.all) == h.places
		spared := len(before) - len(h.expendable(before))
		if !h.knock(c) || !full {
			continue
		}
		gone := h.evicted[len(h.evicted)-1]
		if !slices.ContainsFunc(h.expendable(before), func(c caller) bool { return c.id == gone }) || spared < h.places/2 {
			t.Fatalf("seed %d: %s was spared, with %d others, and goes", seed, gone, spared)
		}
		if crowding(h.all) > crowding(before) {
			t.Fatalf("seed %d: our peers lie closer together", seed)
		}
	}
	if len(h.evicted) == 0 || len(h.areas) > maxAreas {
		t.Errorf("seed %d: %d went, %d ranges are counted", seed, len(h.evicted), len(h.areas))
	}
}

// crowding is how many pairs share a range.
func crowding(all []caller) (pairs int) {
	for _, n := range crowds(all) {
		pairs += n * (n - 1) / 2
	}
	return pairs
}

// One peer has few connections, however often it dials, and nobody else loses his
// for it.
func TestConnectionsOfOnePeer(t *testing.T) {
	cfg := eager()
	cfg.MaxPeers = 4
	cfg.Pace.Stranger = time.Hour
	a, friend := begin(t, cfg), begin(t, eager())
	link(t, friend, a)
	key := newKey(t)
	var who peer.ID
	for range 12 {
		h := named(t, key)
		who = h.ID()
		_ = h.Connect(t.Context(), infoOf(a.host))
	}
	eventually(t, "few are left", func() bool {
		n := len(a.host.Network().ConnsToPeer(who))
		return n > 0 && n <= maxConnsEach
	})
	if !a.roster.connected(friend.host.ID()) {
		t.Error("a friend was pushed out")
	}
	silent(t, a.left)
}

// named is a bare host with a key that others may have too.
func named(t *testing.T, key crypto.PrivKey) host.Host {
	t.Helper()
	h, err := libp2p.New(libp2p.Identity(key), libp2p.NoListenAddrs, libp2p.DisableRelay(), libp2p.DisableMetrics(),
		libp2p.ResourceManager(&network.NullResourceManager{}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h
}
