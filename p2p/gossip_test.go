package p2p

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"

	"cairn/chain"
	"cairn/node"
)

// a — b — c: what a says reaches c through b.
func line(t *testing.T) (a, b, c player) {
	t.Helper()
	a, b, c = begin(t, dev()), begin(t, dev()), begin(t, dev())
	link(t, a, b)
	link(t, b, c)
	return a, b, c
}

func claim(counter uint64) node.TipClaim {
	g := chain.Dev().Genesis.Header
	return node.TipClaim{Header: g, Height: 7, Work: g.Bits.Work(), Counter: counter}
}

func TestGossipPassesThroughTheMiddle(t *testing.T) {
	a, b, c := line(t)

	said := tx("hello")
	if err := a.PublishTx(said); err != nil {
		t.Fatal(err)
	}
	for _, hop := range []struct {
		at   player
		from player
	}{{b, a}, {c, b}} {
		got := next(t, hop.at.txs)
		if got.from != hop.from.ID() || got.what.ID() != said.ID() {
			t.Errorf("heard %v from %s", got.what, Name(got.from))
		}
	}

	block := chain.Dev().Genesis.Announce().Brief(0)
	if err := a.PublishBlock(block); err != nil {
		t.Fatal(err)
	}
	next(t, b.blocks)
	if got := next(t, c.blocks); got.from != b.ID() || !bytes.Equal(got.what.Bytes(), block.Bytes()) {
		t.Errorf("heard %v from %s", got.what, Name(got.from))
	}

	if err := a.PublishTip(claim(1)); err != nil {
		t.Fatal(err)
	}
	next(t, b.tips)
	want := claim(1)
	want.Peer = a.ID()
	if got := next(t, c.tips); got.from != b.ID() || got.what != want {
		t.Errorf("heard %+v from %s, want %+v", got.what, Name(got.from), want)
	}
	silent(t, a.txs) // our own word is not judged again
	silent(t, a.blocks)
	silent(t, a.tips)
}

func TestIgnoredGoesNoFurtherUntilPublished(t *testing.T) {
	a, b, c := line(t)
	b.judge(func(_ node.Peer, memo string) node.Verdict {
		if memo == "orphan" {
			return node.Ignore
		}
		return node.Accept
	})
	publish := func(from player, memo string) {
		t.Helper()
		if err := from.PublishTx(tx(memo)); err != nil {
			t.Fatal(err)
		}
	}
	publish(a, "orphan")
	next(t, b.txs)
	publish(a, "plain")
	next(t, b.txs)
	if got := next(t, c.txs); string(got.what.Memo) != "plain" {
		t.Fatalf("%q went through", got.what.Memo)
	}
	// The parent came: b publishes what it ignored before, and it does go out.
	publish(b, "orphan")
	if got := next(t, c.txs); string(got.what.Memo) != "orphan" || got.from != b.ID() {
		t.Fatalf("heard %q", got.what.Memo)
	}
	if !a.roster.connected(peer.ID(b.ID())) || b.gate.welcome(peer.ID(a.ID()), nil) != nil {
		t.Error("ignoring cost the sender its connection")
	}
}

func TestWhoSendsWhatIsRejectedIsCutOff(t *testing.T) {
	a, b, c := line(t)
	b.judge(func(node.Peer, string) node.Verdict { return node.Reject })
	for i := range 4 {
		if err := a.PublishTx(tx(fmt.Sprint("bad ", i))); err != nil {
			t.Fatal(err)
		}
	}
	expect(t, b.left, a.ID())
	if why := b.gate.welcome(peer.ID(a.ID()), nil); why != ErrBanned {
		t.Errorf("a may come back: %v", why)
	}
	silent(t, b.left)
	silent(t, c.txs)

	// Forgiven, it is heard again, although gossip bears grudges.
	b.judge(nil)
	b.ClearBans()
	link(t, a, b)
	if err := a.PublishTx(tx("good")); err != nil {
		t.Fatal(err)
	}
	for said := next(t, b.txs); string(said.what.Memo) != "good"; {
		said = next(t, b.txs)
	}
}

func TestWhoSendsGarbageIsCutOff(t *testing.T) {
	for _, of := range []string{"tx", "block", "tip"} {
		t.Run(of, func(t *testing.T) {
			a, b := begin(t, dev()), begin(t, dev())
			link(t, a, b)
			topics := map[string]*pubsub.Topic{"tx": a.gossip.tx, "block": a.gossip.block, "tip": a.gossip.tip}
			for i := range 4 {
				if err := topics[of].Publish(t.Context(), []byte{0xff, byte(i)}); err != nil {
					t.Fatal(err)
				}
			}
			expect(t, b.left, a.ID())
			silent(t, b.txs)
			silent(t, b.blocks)
			silent(t, b.tips)
		})
	}
}

func TestTooLongForGossip(t *testing.T) {
	a := begin(t, dev())
	mustFail(t, a.PublishBlock(&chain.Brief{Coinbase: &chain.Coinbase{}, Width: 6, Short: make([]uint64, maxGossip/6+1)}), "too long")
}

func TestTipNeedsItsSpeakersSignature(t *testing.T) {
	key := newKey(t)
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	genesis := chain.Dev().GenesisID()
	mine := claim(3)
	mine.Peer = node.Peer(id)
	good, err := sealTip(key, genesis, mine)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := openTip(genesis, good); err != nil || got != mine {
		t.Fatalf("opened %+v: %v", got, err)
	}
	for i := range good {
		bent := bytes.Clone(good)
		bent[i] ^= 1
		if _, err := openTip(genesis, bent); err == nil {
			t.Errorf("a claim with byte %d bent passes", i)
		}
	}
	if _, err := openTip(genesis, append(bytes.Clone(good), 0)); err == nil {
		t.Error("a byte behind the signature passes")
	}
	if _, err := openTip(chain.Regtest().GenesisID(), good); err == nil {
		t.Error("a claim of another network passes")
	}
	forged, err := sealTip(newKey(t), genesis, mine)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openTip(genesis, forged); err == nil {
		t.Error("a claim signed by another passes")
	}
}

func claimOf(p string, counter uint64) node.TipClaim {
	return node.TipClaim{Peer: node.Peer(p), Counter: counter}
}

func TestClaimsAreRationed(t *testing.T) {
	c := &claims{every: time.Hour, from: map[peer.ID]*claimer{}}
	nobody := func(peer.ID) bool { return false }
	for i, want := range []struct {
		counter uint64
		heard   bool
	}{
		{5, true},
		{5, false}, // a replay
		{4, false}, // an older one
		{6, true},  // replays took nothing away
		{7, false}, // too soon
	} {
		if got := c.allow(claimOf("a", want.counter), nobody); got != want.heard {
			t.Errorf("claim %d, counter %d: heard %v, want %v", i, want.counter, got, want.heard)
		}
	}
	if !c.allow(claimOf("b", 1), nobody) {
		t.Error("b pays for a")
	}
}

func TestClaimersAreBoundedAndConnectedOnesGoFirst(t *testing.T) {
	c := &claims{every: time.Hour, from: map[peer.ID]*claimer{}}
	friends := func(p peer.ID) bool { return p == "friend" || p == "old friend" }
	c.allow(claimOf("old friend", 1), friends)
	for i := 1; i < maxClaimers; i++ {
		if !c.allow(claimOf(fmt.Sprint(i), 1), friends) {
			t.Fatalf("claimer %d finds no room", i)
		}
	}
	if c.allow(claimOf("one more", 1), friends) {
		t.Error("a stranger finds room in a full table")
	}
	if !c.allow(claimOf("friend", 1), friends) || c.from["old friend"] == nil {
		t.Error("a connected peer finds no room, or took another's")
	}
	for _, who := range c.from {
		who.last = who.last.Add(-2 * claimerGone)
	}
	if !c.allow(claimOf("one more", 1), friends) || len(c.from) != 1 {
		t.Errorf("%d silent claimers keep their places", len(c.from)-1)
	}
}

// Claims under names without end are dropped before anybody verifies them: what is
// under a wrong signature is only seen where there is room to hear it.
func TestClaimsWithoutRoomAreNotVerified(t *testing.T) {
	a := begin(t, dev())
	forged := func(name peer.ID) []byte {
		c := claimOf(string(name), 1)
		data, err := sealTip(newKey(t), a.cfg.Genesis, c)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	hear := func(name peer.ID) pubsub.ValidationResult { return a.hearTip(t.Context(), "from", forged(name)) }
	if got := hear("somebody"); got != pubsub.ValidationReject {
		t.Errorf("a forged claim with room: %v", got)
	}
	for i := range maxClaimers {
		a.claims.allow(claimOf(fmt.Sprint(i), 1), a.roster.connected)
	}
	for _, name := range []peer.ID{"one more", "0"} { // a name without room, and a replay
		if got := hear(name); got != pubsub.ValidationIgnore {
			t.Errorf("a forged claim of %q: %v", name, got)
		}
	}
	a.claims.from["0"].last = time.Now().Add(-2 * claimerGone)
	if got := hear("one more"); got != pubsub.ValidationReject || len(a.claims.from) != maxClaimers {
		t.Errorf("with room again: %v, and %d are heard", got, len(a.claims.from))
	}
}

// What is longer than any block's brief is refused before it is read.
func TestOverlongBriefsGoUnread(t *testing.T) {
	a := begin(t, dev())
	b := &chain.Brief{Coinbase: &chain.Coinbase{}, Width: 3, Short: make([]uint64, 1000)}
	if v := a.hearBlock(t.Context(), "peer", b.Bytes()); v != pubsub.ValidationAccept {
		t.Errorf("a short one: %v", v)
	}
	next(t, a.blocks)
	b.Short = make([]uint64, chain.LargestBrief(a.cfg.MaxBlock)/3)
	if v := a.hearBlock(t.Context(), "peer", b.Bytes()); v != pubsub.ValidationReject {
		t.Errorf("%d names: %v", len(b.Short), v)
	}
	silent(t, a.blocks)
}
