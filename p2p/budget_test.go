package p2p

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"golang.org/x/time/rate"

	"cairn/chain"
	"cairn/node"
)

// What one peer holds is bounded, what one area, what all who came, and what all
// hold; who gives up or gives back leaves nothing behind.
func TestBytesInFlightAreBounded(t *testing.T) {
	b := newBudget(chain.Main().MaxBlock)
	const piece = 2 << 20 // more than is sure
	var all []*held
	fill := func(from string, peers int) (total int) {
		for p := range peers {
			mine := 0
			for {
				soon, cancel := context.WithTimeoutCause(t.Context(), 20*time.Millisecond, ErrSlow)
				h, err := b.take(soon, peer.ID(fmt.Sprint(from, p)), from, piece)
				cancel()
				if err != nil {
					if !errors.Is(err, ErrSlow) {
						t.Fatal(err)
					}
					break
				}
				mine++
				all = append(all, h)
			}
			if mine*piece > maxFlightEach {
				t.Errorf("one peer holds %d MiB", mine)
			}
			total += mine * piece
		}
		return total
	}
	if n := fill("a", 5); n != maxFlightArea {
		t.Errorf("one area holds %d bytes", n)
	}
	if n := fill("b", 5) + fill("c", 5); n != maxFlightIn-maxFlightArea {
		t.Errorf("two more hold %d bytes", n)
	}
	if n := fill("", 5); n != maxFlight-maxFlightIn {
		t.Errorf("whom we chose hold %d bytes", n)
	}
	small, err := b.take(t.Context(), "one more", "a", smallAnswer)
	if err != nil {
		t.Errorf("a small answer waits: %v", err)
	}
	for _, h := range append(all, small) {
		h.keep(10)
		h.keep(20) // never more than before
		h.free()
	}
	if len(b.shares) != 0 {
		t.Errorf("%d shares are still held", len(b.shares))
	}
}

// Where others hold all that there is, each peer still gets a block, one at a time.
func TestABlockIsSure(t *testing.T) {
	maxBlock := chain.Main().MaxBlock
	b := newBudget(maxBlock)
	none, cancel := context.WithCancel(t.Context())
	cancel() // who does not wait
	for _, from := range []string{"", "a", "b", "c"} {
		for p := range 6 {
			for full := false; !full; {
				_, err := b.take(none, peer.ID(fmt.Sprint(from, p)), from, 4<<20)
				full = err != nil
			}
		}
	}
	one := countBytes + maxBlock
	first, err := b.take(t.Context(), "late", "d", one)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.take(none, "late", "d", one); err == nil {
		t.Error("a second one finds room")
	}
	if _, err := b.take(none, "late", "d", one+1); err == nil {
		t.Error("more than a block finds room")
	}
	other, err := b.take(t.Context(), "later", "d", one)
	if err != nil {
		t.Fatal("another peer finds none")
	}
	first.keep(1000)
	first.free()
	if first, err = b.take(t.Context(), "late", "d", one); err != nil {
		t.Fatal("and none when the first is gone")
	}
	other.free()
	first.free()
	for name := range b.shares {
		if strings.Contains(name, "late") {
			t.Errorf("%q is still held", name)
		}
	}
}

// However many names of one range read slowly, they hold no more than the range's share
// and a few blocks; who comes from another range gets his.
func TestNamesOfOneRangeHoldFewBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		maxBlock := chain.Main().MaxBlock
		b, one := newBudget(maxBlock), countBytes+maxBlock
		var bytes int64
		take := func(p, from string) bool {
			soon, cancel := context.WithTimeoutCause(t.Context(), time.Second, ErrSlow)
			defer cancel()
			h, err := b.take(soon, peer.ID(p), from, one)
			if err == nil {
				bytes += h.bytes
			}
			return err == nil
		}
		for p := range 200 {
			for take(fmt.Sprint("a", p), "a") {
			}
		}
		if most := maxFlightArea + maxSureArea*int64(one); bytes > most || bytes < maxFlightArea {
			t.Errorf("they hold %d bytes, %d at most", bytes, most)
		}
		for p := range 200 {
			if !take(fmt.Sprint("b", p), fmt.Sprint("b", p)) {
				t.Fatalf("the %d. who comes from elsewhere gets no block", p+1)
			}
		}
	})
}

// Who asks for much and reads nothing gets no more than its share prepared, and
// others are served meanwhile.
func TestSlowReadersHoldTheirShareAlone(t *testing.T) {
	cfg := dev()
	cfg.MaxBlock = chain.Main().MaxBlock
	b := begin(t, cfg)
	block := &chain.Block{Coinbase: &chain.Coinbase{}, Txs: []*chain.Tx{tx("large")}}
	block.Txs[0].Outputs = make([]chain.Output, cfg.MaxBlock/40-50)
	full := node.Answer{Blocks: slices.Repeat([]chain.RawBlock{block.Bytes()}, 5)}
	var built atomic.Int32
	b.answers(func(_ context.Context, _ node.Peer, q node.Request) (node.Answer, error) {
		if q.Want != node.WantBodies {
			return node.Answer{}, nil
		}
		built.Add(1)
		return full, nil
	})
	h := bare(t)
	q := node.Request{Want: node.WantBodies, IDs: make([]chain.Hash, node.MaxBodies)}
	for range maxServedEach {
		if _, err := rawStream(t, h, b).Write(framed(q.Append(nil))); err != nil {
			t.Fatal(err)
		}
	}
	const most = maxFlightEach / (4 << 20)
	eventually(t, "its share is prepared", func() bool { return built.Load() > 0 })
	a := begin(t, cfg)
	link(t, a, b)
	for range 20 {
		if _, err := a.Ask(t.Context(), b.ID(), node.Request{Want: node.WantPool}); err != nil {
			t.Fatal(err)
		}
	}
	if n := built.Load(); n > most {
		t.Errorf("%d answers of 5 MB are in memory for one peer, at most %d fit", n, most)
	}
}

// Many who ask for much and read nothing, and many who ask nothing on every stream
// that they get, keep nobody waiting: a newcomer is greeted, and peers that we chose
// are served.
func TestManySlowReadersStopNobody(t *testing.T) {
	cfg := dev()
	cfg.MaxBlock = chain.Main().MaxBlock
	cfg.Pace.Stranger = time.Hour // they would say what it takes
	b := begin(t, cfg)
	block := &chain.Block{Coinbase: &chain.Coinbase{}, Txs: []*chain.Tx{tx("large")}}
	block.Txs[0].Outputs = make([]chain.Output, cfg.MaxBlock/40-50)
	full := node.Answer{Blocks: slices.Repeat([]chain.RawBlock{block.Bytes()}, 4)}
	var asked atomic.Int32
	b.answers(func(_ context.Context, _ node.Peer, q node.Request) (node.Answer, error) {
		if q.Want != node.WantBodies {
			return node.Answer{}, nil
		}
		asked.Add(1)
		return full, nil
	})
	chosen := begin(t, cfg)
	link(t, b, chosen)
	bodies := framed((&node.Request{Want: node.WantBodies, IDs: make([]chain.Hash, node.MaxBodies)}).Append(nil))
	for i := range 30 {
		h := bare(t)
		for range maxServedEach {
			s := rawStream(t, h, b)
			if i%3 > 0 {
				_, _ = s.Write(bodies)
			} else {
				_, _ = s.Write(bodies[:1])
			}
		}
	}
	eventually(t, "they hold what they get", func() bool { return asked.Load() >= 4 && b.served.busy() >= maxServed })
	newcomer := begin(t, cfg)
	link(t, newcomer, b)
	for range 20 {
		if _, err := newcomer.Ask(t.Context(), b.ID(), node.Request{Want: node.WantPool}); err != nil {
			t.Fatalf("a newcomer is not answered: %v", err)
		}
	}
	a, err := chosen.Ask(t.Context(), b.ID(), node.Request{Want: node.WantBodies, IDs: make([]chain.Hash, node.MaxBodies)})
	if err != nil || len(a.Blocks) != 4 {
		t.Errorf("a peer that we chose gets %d blocks: %v", len(a.Blocks), err)
	}
	if n := b.ledger.score(newcomer.host.ID()); n != 0 {
		t.Errorf("who found the house full is blamed by %v", n)
	}
}

// A flood of requests beyond what we serve at a time is a fault.
func TestKnockingOnAFullHouse(t *testing.T) {
	b, h := begin(t, dev()), bare(t)
	b.answers(func(ctx context.Context, _ node.Peer, _ node.Request) (node.Answer, error) {
		<-ctx.Done()
		return node.Answer{}, ctx.Err()
	})
	pool := framed((&node.Request{Want: node.WantPool}).Append(nil))
	connect(t, h, b)
	eventually(t, "it is banned", func() bool {
		for range 20 {
			if s, err := h.NewStream(network.WithNoDial(t.Context(), "a test"), b.host.ID(), b.protocol); err == nil {
				_, _ = s.Write(pool)
			}
		}
		_, hit := b.bans.hit(h.ID(), nil, false)
		return hit
	})
}

// At any moment one peer can make us do no more than its allowance, and an honest
// one that fetches a chain is far from that.
func TestWorkIsRationed(t *testing.T) {
	for name, e := range exchanges() {
		m := newMeters(DefaultMaxPeers).get("a")
		n := 0
		for now := time.Now(); m.work.AllowN(now, cost(e.q)); {
			n++
		}
		if n*cost(e.q) > workBurst || n < 40 {
			t.Errorf("%s: %d at once", name, n)
		}
	}
}

// All who dialled us have one allowance between them, and beside it a small one each, that
// others cannot take; whom we chose have their own.
func TestCrowdIsRationed(t *testing.T) {
	cfg := dev()
	cfg.Pace.Whole = 500 * time.Millisecond
	a, caller, chosen := begin(t, cfg), begin(t, dev()), begin(t, dev())
	link(t, caller, a)
	link(t, a, chosen)
	a.crowd.SetLimit(rate.Limit(1)) // what is taken does not come back meanwhile
	if _, err := caller.Ask(t.Context(), a.ID(), node.Request{Want: node.WantPool}); err != nil {
		t.Fatal(err)
	}
	if n := a.crowd.Tokens(); n > crowdBurst-400 {
		t.Errorf("%v of %d are left after a request", n, crowdBurst)
	}
	for a.crowd.AllowN(time.Now(), 1) { // the others
	}
	if _, err := caller.Ask(t.Context(), a.ID(), node.Request{Want: node.WantPool}); err != nil {
		t.Errorf("others took a caller's share: %v", err)
	}
	if n := a.crowd.Tokens(); n > -400 {
		t.Errorf("a share does not come out of what all may have: %v of that are left", n)
	}
	share := a.meter(caller.host.ID()).share
	share.SetLimit(rate.Limit(1))
	for share.AllowN(time.Now(), 1) {
	}
	if _, err := caller.Ask(t.Context(), a.ID(), node.Request{Want: node.WantPool}); err == nil {
		t.Error("a caller is served beyond what all may have")
	}
	if _, err := chosen.Ask(t.Context(), a.ID(), node.Request{Want: node.WantPool}); err != nil {
		t.Errorf("whom we chose is not served: %v", err)
	}
}

// However many peers are allowed, what is left to each is no more in all than all may
// have together, and enough for any request.
func TestSharesAddUpToTheCrowds(t *testing.T) {
	for _, peers := range []int{1, 8, DefaultMaxPeers, 500, 3000} {
		m, all := newMeters(peers), 0.0
		for i := range peers {
			all += float64(m.get(fmt.Sprint(i)).share.Limit())
		}
		if all > crowdRate+1 || all < crowdRate-1 {
			t.Errorf("%d peers have shares of %.0f units a second in all, of %d", peers, all, crowdRate)
		}
	}
	for name, e := range exchanges() {
		if cost(e.q) > shareBurst {
			t.Errorf("%s costs %d, more than a share ever holds", name, cost(e.q))
		}
	}
}

// Whoever asks for one transaction of a large block pays for what it takes to find it.
func TestTakingABlockApartIsPaid(t *testing.T) {
	a, b := begin(t, dev()), begin(t, dev())
	link(t, a, b)
	const asks, read = 20, 1 << 20
	b.answers(func(context.Context, node.Peer, node.Request) (node.Answer, error) {
		return node.Answer{Txs: []*chain.Tx{tx("one")}, Read: read}, nil
	})
	m := b.meter(a.host.ID())
	m.work.SetLimit(1) // what is taken does not come back meanwhile
	b.crowd.SetLimit(1)
	q := node.Request{Want: node.WantTxs, IDs: []chain.Hash{{1}}, Index: []uint32{0}}
	for range asks {
		if _, err := a.Ask(t.Context(), b.ID(), q); err != nil {
			t.Fatal(err)
		}
	}
	const least = asks * read / bytesPerPart
	if paid := workBurst - m.work.Tokens(); paid < least {
		t.Errorf("it paid %.0f for what costs %d", paid, least)
	}
	if paid := crowdBurst - b.crowd.Tokens(); paid < least {
		t.Errorf("of what all may have it took %.0f for what costs %d", paid, least)
	}
}

// counter is a driver that counts what it is asked to check.
type counter struct {
	*ear
	checked atomic.Int64
}

func (c *counter) GossipTx(context.Context, node.Peer, *chain.Tx) node.Verdict {
	c.checked.Add(1)
	return node.Ignore
}

// Of transactions that conflict, or spend what nobody has, only so many are
// verified; the sender is not blamed, for honest nodes differ.
func TestUselessTransactionsGoUnread(t *testing.T) {
	a := begin(t, dev())
	c := &counter{ear: a.ear}
	a.Network.handler = c
	raw := tx("in vain").Bytes()
	const sent = 5 * vainBurst
	refused := 0
	for range sent {
		if a.hearTx(t.Context(), "flooder", raw) == pubsub.ValidationReject {
			refused++
		}
	}
	if n := c.checked.Load(); n > 2*vainBurst || n < vainBurst || refused > 0 {
		t.Errorf("%d of %d were checked, %d refused", n, sent, refused)
	}
	before := c.checked.Load()
	a.hearTx(t.Context(), "another", raw)
	if c.checked.Load() != before+1 {
		t.Error("another peer pays for it")
	}
}

// A payment weighs what it takes to verify, however many come at a time; what was
// of use costs nothing.
func TestVainSignaturesAreCounted(t *testing.T) {
	b := &tab{left: vainBurst, at: time.Now()}
	n := 0
	for b.pay(700, 1) {
		n += 700
	}
	if n < vainBurst || n > vainBurst+700 {
		t.Errorf("%d signatures at once", n)
	}
	b.back(n)
	if !b.full() {
		t.Error("what was of use is not paid back")
	}
	b.back(n)
	if n = 0; !b.pay(vainBurst, 1) || b.pay(1, 1) {
		t.Error("credit can be saved up")
	}
	if b.back(vainBurst/2 - 10); b.pay(1, vainBurst/2) {
		t.Error("an answer takes what is left for gossip")
	}
	if !b.pay(vainBurst, 1) {
		t.Error("nothing is left for gossip")
	}
	b.left = 0
	b.at = b.at.Add(-time.Second)
	for b.pay(1, 1) {
		n++
	}
	if n < vainRate-1 || n > 2*vainRate {
		t.Errorf("%d signatures a second", n)
	}
}

// Names are free: whoever comes back under another from the same address finds
// what he spent there.
func TestMetersAreOfAddresses(t *testing.T) {
	m := newMeters(DefaultMaxPeers)
	nobody := func(peer.ID) bool { return false }
	owes := account("a", netip.MustParseAddr("203.0.113.7"))
	m.get(owes).vain.pay(vainBurst, 1)
	m.get(account("a", netip.MustParseAddr("198.51.100.7")))
	m.get(account("a name", netip.Addr{})).vain.pay(vainBurst, 1)
	m.keep(nobody)
	if len(m.of) != 1 || m.get(account("b", netip.MustParseAddr("203.0.113.7"))).vain.pay(1, 1) {
		t.Errorf("%d are kept, and the debt of an address is forgotten", len(m.of))
	}
	for i := range 2 * maxMeters {
		m.get(fmt.Sprint("name ", i)).vain.pay(1, 1)
	}
	if len(m.of) > maxMeters+1 {
		t.Errorf("%d meters", len(m.of))
	}
}

// A host's next address of IPv6 owes what the last one does; its neighbour's nothing.
func TestMetersAreOfHosts(t *testing.T) {
	m := newMeters(DefaultMaxPeers)
	at := func(ip string) *tab { return m.get(account("p", netip.MustParseAddr(ip))).vain }
	verified := 0
	for i := range 2000 {
		if at(fmt.Sprintf("2001:db8:1:1::%x", i+1)).pay(700, 1) {
			verified += 700
		}
	}
	if verified > 2*vainBurst {
		t.Errorf("%d signatures are verified in vain for one host, allowed %d", verified, vainBurst)
	}
	for _, ip := range []string{"2001:db8:1:2::1", "203.0.113.7", "203.0.113.8"} {
		if !at(ip).pay(700, 1) {
			t.Errorf("%s owes what another did", ip)
		}
	}
}

// A connection that ends in the middle of a frame is nobody's fault.
func TestBrokenConnectionsAreNobodysFault(t *testing.T) {
	for _, listen := range []string{loopback, "/ip4/127.0.0.1/udp/0/quic-v1"} {
		cfg := hasty()
		cfg.Listen = []string{listen}
		a, h := begin(t, cfg), bare(t, listen)
		h.SetStreamHandler(protocol.ID(syncProtocol(cfg.Genesis)), func(s network.Stream) {
			_, _ = s.Write(framed(make([]byte, 3000))[:100])
			_ = s.Conn().Close()
		})
		for range 8 {
			if err := a.Connect(t.Context(), full(h.Addrs()[0], h.ID())); err != nil {
				t.Fatal(err)
			}
			expect(t, a.joined, node.Peer(h.ID()))
			_, err := a.Ask(t.Context(), node.Peer(h.ID()), node.Request{Want: node.WantPool})
			var bad *BadPeerError
			if err == nil || errors.As(err, &bad) {
				t.Errorf("%s: blames who went: %v", listen, err)
			}
			expect(t, a.left, node.Peer(h.ID()))

		}
		b := begin(t, cfg)
		for range 8 {
			s := rawStream(t, h, b)
			_, _ = s.Write(framed(make([]byte, 300))[:100])
			_ = s.Conn().Close()
			eventually(t, "the connection is gone", func() bool { return !b.roster.connected(h.ID()) && b.served.busy() == 0 })
		}
		if score := a.ledger.score(h.ID()) + b.ledger.score(h.ID()); score != 0 {
			t.Errorf("%s: its faults weigh %v", listen, score)
		}
	}
}

// busy counts the requests that are being served.
func (s *Places) busy() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all
}
