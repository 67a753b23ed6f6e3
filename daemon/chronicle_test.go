package daemon

import (
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
