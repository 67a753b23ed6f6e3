package daemon

import (
	"testing"

	"cairn/chain"
	"cairn/node"
)

// All of a block goes out before any of it goes out again, whoever asks for what.
func TestShelfGivesWhatWentOutLeast(t *testing.T) {
	const n = 5 * maxDrawn
	b := &chain.Block{}
	var index []uint32
	for i := range uint32(n) {
		b.Txs = append(b.Txs, &chain.Tx{Memo: []byte{byte(i), byte(i >> 8)}})
		index = append(index, i)
	}
	g := shelf(b)
	for round := 1; round <= 2; round++ {
		gave := map[*chain.Tx]bool{}
		for range n / maxDrawn {
			for _, tx := range g.share(t.Context(), index) {
				gave[tx] = true
			}
		}
		if len(gave) != n {
			t.Errorf("round %d: %d of %d went out", round, len(gave), n)
		}
	}
	if txs := g.share(t.Context(), index[7:9]); len(txs) != 2 || txs[0] != b.Txs[7] || txs[1] != b.Txs[8] {
		t.Errorf("asked for two: %v", txs)
	}
	if txs, _ := g.held([]uint32{3, 3, 2, n}); len(txs) != 1 {
		t.Errorf("%d transactions for one, for one that was named twice, one out of order, and one that is not there", len(txs))
	}
}

func TestGatheringsAreBounded(t *testing.T) {
	s := gatherings{of: map[chain.Hash]*gathering{}}
	for i := range byte(10) {
		s.shelve(chain.Hash{i}, &gathering{})
	}
	if len(s.of) != maxShelves || s.of[chain.Hash{9}] == nil {
		t.Errorf("%d blocks on %d shelves", len(s.of), maxShelves)
	}
	begun := 0
	for i := range byte(10) {
		if s.begin(chain.Hash{i, 1}, newGathering(node.Ask{}, nil)) {
			begun++
		}
	}
	if begun != maxGatherings || s.begin(chain.Hash{0, 1}, &gathering{}) {
		t.Errorf("%d gatherings begun, %d allowed, each block once", begun, maxGatherings)
	}
	s.end(chain.Hash{0, 1})
	if !s.begin(chain.Hash{0, 1}, &gathering{}) {
		t.Error("no room after one ended")
	}
}
