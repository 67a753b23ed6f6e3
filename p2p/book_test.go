package p2p

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

const somebody = "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA"

func at(format string, args ...any) string { return fmt.Sprintf(format, args...) + "/p2p/" + somebody }

func TestBookIsBoundedAndForgivesDamage(t *testing.T) {
	m := newMemory(Pace{}.orDefaults())
	const most = maxRemembered - maxHearsay
	for i := range most + 5 {
		addr := at("/ip4/127.0.0.1/tcp/%d", i+1)
		if !m.reached([]string{addr}) || m.reached([]string{addr}) {
			t.Fatalf("%s is not new, or stays so", addr)
		}
		m.pages[addr].Seen = time.Unix(int64(i), 0)
	}
	raw, err := json.Marshal(m.list())
	if err != nil {
		t.Fatal(err)
	}
	again := newMemory(Pace{}.orDefaults())
	if err := again.recall(raw); err != nil {
		t.Fatal(err)
	}
	list := again.list()
	if len(list) != most || len(m.pages) != most {
		t.Fatalf("%d addresses are remembered", len(list))
	}
	if newest := list[0].Addr; newest != at("/ip4/127.0.0.1/tcp/%d", most+5) {
		t.Errorf("the newest is %s", newest)
	}
	if again.recall(raw[:len(raw)/2]) == nil {
		t.Error("half a book reads as a whole one")
	}
}

// A million addresses, of as many ranges as there are, fill no more than the
// share of hearsay and push out nobody that we know.
func TestAMillionAddresses(t *testing.T) {
	m := newMemory(Pace{}.orDefaults())
	friend := at("/ip4/192.0.2.1/tcp/9421")
	m.reached([]string{friend})
	tellers := 0
	tell := func(i int) {
		from := multiaddr(fmt.Sprintf("21.%d.0.1", i%tellers))
		m.hear(at("/ip4/%d.%d.%d.7/tcp/9421", 11+i>>16%100, i>>8&255, i&255), from)
	}
	tellers = 1
	for i := range 1_000_000 {
		tell(i)
	}
	if n := len(m.pages); n > maxHearsayTold+1 {
		t.Errorf("who tells most has %d addresses in the book", n)
	}
	for tellers = 2; tellers < 40; tellers++ {
		for i := range 1000 {
			tell(i)
		}
	}
	for i := range 1000 {
		m.hear(at("/ip4/10.1.%d.%d/tcp/9421", i>>8, i&255), multiaddr("10.0.0.1"))
	}
	if n := len(m.pages); n > maxHearsay+1 || n < maxHearsay/2 {
		t.Errorf("%d addresses are kept", n)
	}
	spans := map[string]int{}
	for _, p := range m.pages {
		spans[p.span]++
	}
	for span, n := range spans {
		if n > maxHearsayNear {
			t.Errorf("%d addresses of the range %q", n, span)
		}
	}
	if m.pages[friend] == nil {
		t.Error("the friend is forgotten")
	}
	if size := len(mustJSON(t, m.list())); size > 200*maxRemembered {
		t.Errorf("the book takes %d bytes", size)
	}
}

// Whoever tells of addresses without end, all of which lead nowhere, silences nobody:
// what another tells is written down and tried.
func TestWhoTellsMostSilencesNobody(t *testing.T) {
	m := newMemory(Pace{}.orDefaults())
	for i := range 5000 {
		m.hear(at("/ip4/11.%d.%d.7/tcp/9421", i>>8, i&255), multiaddr("20.1.0.1"))
	}
	honest := at("/ip4/192.0.2.1/tcp/9421")
	if !m.hear(honest, multiaddr("20.2.0.1")) {
		t.Fatal("an honest peer is not heard")
	}
	for i := range 2 * maxAreas { // nor by many names of areas
		m.hear(at("/ip4/12.%d.%d.7/tcp/9421", i>>8, i&255), multiaddr(fmt.Sprintf("21.%d.0.1", i%256)))
	}
	if m.pages[honest] == nil || len(m.told) > maxAreas {
		t.Errorf("what the honest one told is there: %v; %d areas are counted", m.pages[honest] != nil, len(m.told))
	}
}

// Names are no addresses: whoever owns one owns any number, each of which would
// pass for a range of its own.
func TestHearsayNamesNoHosts(t *testing.T) {
	m := newMemory(Pace{}.orDefaults())
	for i, form := range []string{"/dns/n%d.example/tcp/9421", "/dns4/n%d.example/tcp/9421", "/dns6/n%d.example/udp/9421/quic-v1", "/dnsaddr/n%d.example"} {
		if m.hear(at(form, i), nil) {
			t.Errorf("took up %s", form)
		}
	}
	if !m.hear(at("/ip6/2001:db8::%d/tcp/9421", 1), nil) || len(m.pages) != 1 {
		t.Errorf("%d addresses are kept", len(m.pages))
	}
}

// What is allocated for a flood of addresses does not grow with it.
func TestAddressesCostLittle(t *testing.T) {
	m := newMemory(Pace{}.orDefaults())
	addr := at("/ip4/11.1.1.1/tcp/9421")
	for range 2 * maxHearsay { // the allowance is gone
		m.hear(addr, nil)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 100_000 {
		m.hear(addr, nil)
	}
	runtime.ReadMemStats(&after)
	if n := after.Mallocs - before.Mallocs; n > 50_000 {
		t.Errorf("%d allocations for 100,000 addresses", n)
	}
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// Who failed least is tried first; who fails waits longer each time; hearsay
// that never held is dropped.
func TestBookTriesTheBestFirst(t *testing.T) {
	m := newMemory(Pace{Retry: time.Second, Far: 8 * time.Second})
	good, heard := at("/ip4/192.0.2.1/tcp/1"), at("/ip4/192.0.2.2/tcp/1")
	m.hear(heard, nil)
	m.reached([]string{good})
	any := func(*page) bool { return true }
	now := time.Now()
	for _, want := range []string{good, heard} {
		if p := m.pick(now, any); p == nil || p.Addr != want {
			t.Fatalf("picked %+v, want %s", p, want)
		}
	}
	if p := m.pick(now, any); p != nil {
		t.Errorf("%s is tried twice at a time", p.Addr)
	}
	for i := 1; i <= 5; i++ {
		m.tried(good, false)
		wait := m.due(m.pages[good]).Sub(m.pages[good].Tried)
		if want := min(8*time.Second, time.Second<<i); wait != want {
			t.Errorf("after %d failures the wait is %v, want %v", i, wait, want)
		}
	}
	for range maxHearsayFails {
		m.tried(heard, false)
	}
	if m.pages[heard] != nil || m.pages[good] == nil {
		t.Error("hearsay that never held is kept, or what once held is not")
	}
	m.tried(good, true)
	if m.pages[good].Fails != 0 {
		t.Error("a success does not count")
	}
}

func TestRangesOfAddresses(t *testing.T) {
	for addr, want := range map[string]string{
		"/ip4/203.0.113.9/tcp/1":        "203.0.0.0/16",
		"/ip4/127.0.0.1/tcp/1":          "",
		"/ip4/192.168.7.7/tcp/1":        "",
		"/ip6/2001:db8:1:2::3/tcp/1":    "2001:db8::/32",
		"/ip6/::ffff:203.0.113.9/tcp/1": "203.0.0.0/16",
		"/dns4/example.org/tcp/1":       "example.org",
	} {
		p, err := newPage(at("%s", addr))
		if err != nil {
			t.Fatal(err)
		}
		if p.span != want {
			t.Errorf("%s lies in %q, want %q", addr, p.span, want)
		}
	}
	if _, err := newPage("/ip4/127.0.0.1/tcp/1"); err == nil || !strings.Contains(err.Error(), "names no peer") {
		t.Errorf("an address without a peer: %v", err)
	}
}
