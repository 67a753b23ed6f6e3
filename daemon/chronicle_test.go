package daemon

import (
	"encoding/binary"
	"testing"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/node"
	"cairn/store"
)

// A claim of a tip is noted before its block comes, if it cost work; a made-up one
// is not, or one peer could fill the record and push out what happened.
func TestMadeUpTipsAreNotNoted(t *testing.T) {
	p := chain.Regtest()
	n, err := node.New(1_900_000_000_000, node.Config{Params: p, Store: store.NewMemory(p), Peer: "me"})
	if err != nil {
		t.Fatal(err)
	}
	c := newChronicle(p)
	c.begin(n)
	mined := chaintest.Block(p, p.GenesisState(), chaintest.Plan{}).Header
	hard := mined
	hard.Bits = 0x1d00ffff
	lazy := mined
	for ; chain.CheckHeader(p, lazy) == nil; lazy.Nonce++ {
	}
	bent := mined
	bent.Bits = 0
	for i, h := range []chain.Header{hard, lazy, bent, mined} {
		now := chain.Time(1_900_000_000_000 + i)
		if _, err := n.Tip(now, "liar", node.TipClaim{Peer: "liar", Header: h, Height: 7, Counter: uint64(i + 1)}); err != nil {
			t.Fatal(err)
		}
		c.watch(now, n, nil)
	}
	if list := c.blocks.list; len(list) != 2 || list[1].ID != mined.ID() {
		t.Errorf("noted: %+v", list)
	}
}

// counting counts how often it is asked where the best chain goes.
type counting struct {
	*store.Memory
	asked int
}

func (c *counting) At(height uint64) (chain.Hash, error) {
	c.asked++
	return c.Memory.At(height)
}

// Peers that follow a long branch beside ours cost as much as one of them, however many
// they are, and where on it each of them stands.
func TestFollowersOfOneBranchCostAsOne(t *testing.T) {
	p := chain.Regtest()
	const now, long, peers = 1_900_000_000_000, 60, 40
	s := &counting{Memory: store.NewMemory(p)}
	n, err := node.New(now, node.Config{Params: p, Store: s, Peer: "me"})
	if err != nil {
		t.Fatal(err)
	}
	grow := func(name string, length int) (hs []chain.Header) {
		for at := p.GenesisState(); len(hs) < length; {
			b := chaintest.Check(p, chaintest.Block(p, at, chaintest.Plan{Name: name}))
			if _, err := n.Block(now, "peer", b); err != nil {
				t.Fatal(err)
			}
			e, _ := n.Entry(b.ID())
			hs, at = append(hs, b.Header()), e.State
		}
		return hs
	}
	grow("ours", long+1)
	side := grow("theirs", long)
	c := newChronicle(p)
	c.begin(n)
	var counted []node.Peer
	asks := func(claims int) int {
		for i := range claims {
			who := node.Peer(rune('A' + i))
			counted = append(counted, who)
			claim := node.TipClaim{Peer: who, Header: side[long-1-i%long], Counter: uint64(len(counted))}
			if _, err := n.Tip(now, who, claim); err != nil {
				t.Fatal(err)
			}
		}
		before := s.asked
		c.watch(now, n, counted)
		return s.asked - before
	}
	one := asks(1)
	if all := asks(peers); all > 3*one {
		t.Errorf("one follower costs %d questions, %d cost %d", one, peers, all)
	}
}

// A peer stands further along a branch than is looked at, and one nearer to where it
// parts from ours. What was not found for the one is found for the other.
func TestWhoStandsNearIsNotTakenForFar(t *testing.T) {
	p := chain.Regtest()
	const now = 1_900_000_000_000
	n, err := node.New(now, node.Config{Params: p, Store: store.NewMemory(p), Peer: "me"})
	if err != nil {
		t.Fatal(err)
	}
	add := func(at chain.State, name string) chain.State {
		b := chaintest.Check(p, chaintest.Block(p, at, chaintest.Plan{Name: name}))
		if _, err := n.Block(now, "peer", b); err != nil {
			t.Fatal(err)
		}
		e, _ := n.Entry(b.ID())
		return e.State
	}
	fork := add(add(p.GenesisState(), "both"), "both")
	ours, theirs := add(fork, "ours"), fork
	var side []chain.Hash
	for range firstLook + 20 {
		ours, theirs = add(ours, "ours"), add(theirs, "theirs")
		side = append(side, theirs.ID)
	}
	if n.Best().ID != ours.ID {
		t.Fatal("the other branch won")
	}
	known := map[chain.Hash]uint64{}
	for _, c := range []struct {
		at   int
		want uint64
	}{{len(side) - 1, 0}, {firstLook, 0}, {firstLook / 2, fork.Height}, {10, fork.Height}, {len(side) - 1, 0}} {
		if got := sharedHeight(n, n.Best(), side[c.at], known); got != c.want {
			t.Errorf("block %d of the branch shares %d, want %d", c.at+1, got, c.want)
		}
	}
}

// Payments are noted when somebody asks. Those that others push out before that are
// never noted, and what is told is the same.
func TestPaymentsAreNotedWhenSomebodyAsks(t *testing.T) {
	c := newChronicle(chain.Regtest())
	const some = 1000
	id := func(i int) (h chain.Hash) {
		binary.BigEndian.PutUint64(h[:], uint64(i))
		return h
	}
	put := func(now chain.Time, from, to int) {
		for ; from < to; from += some {
			var ids []chain.Hash
			for i := from; i < min(from+some, to); i++ {
				ids = append(ids, id(i))
			}
			c.put(ids, now)
		}
	}
	put(1, 0, 5)
	put(2, 3, 7)
	for i, want := range []chain.Time{1, 1, 1, 1, 1, 2, 2} {
		if at, known := c.seenAt(id(i)); !known || at != want {
			t.Errorf("payment %d came at %d, %v: want %d", i, at, known, want)
		}
	}
	before := c.txs.next()
	put(3, 10_000, 10_000+5*keptTxs) // more than is kept
	if len(c.aside) > 2*keptTxs/some+1 || len(c.seen) != 0 {
		t.Errorf("%d pieces lie aside, %d payments are noted", len(c.aside), len(c.seen))
	}
	for i, want := range map[int]bool{0: false, 10_000: false, 10_000 + 4*keptTxs: true, 10_000 + 5*keptTxs - 1: true} {
		if _, known := c.seenAt(id(i)); known != want {
			t.Errorf("payment %d is known: %v, want %v", i, known, want)
		}
	}
	if n := c.txs.next() - before; n != 5*keptTxs {
		t.Errorf("%d payments were counted", n)
	}
	if len(c.seen) != len(c.txs.list) || len(c.seen) != keptTxs {
		t.Errorf("%d payments are noted, %d listed", len(c.seen), len(c.txs.list))
	}
	put(4, 1, 2)
	c.put(nil, 4+noteWait+1) // time passes
	if _, noted := c.seen[id(1)]; !noted {
		t.Error("nobody asked, and the payment is not noted yet")
	}
}
