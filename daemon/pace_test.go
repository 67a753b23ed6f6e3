package daemon

import (
	"testing"

	"cairn/chain"
)

func TestPace(t *testing.T) {
	var p pace
	says := func(s paceSample, wantBlocks, wantTxs float64) {
		t.Helper()
		if blocks, txs := p.until(s); blocks != wantBlocks || txs != wantTxs {
			t.Errorf("%+v: %v blocks and %v transactions a second, want %v and %v", s, blocks, txs, wantBlocks, wantTxs)
		}
	}
	says(paceSample{5000, 10, 20}, 0, 0)
	p.add(paceSample{10_000, 100, 0})
	says(paceSample{10_000, 100, 0}, 0, 0)
	says(paceSample{12_000, 300, 1000}, 100, 500)
	for i := range 30 { // what is long ago does not count
		p.add(paceSample{20_000 + chain.Time(i)*1000, 1000 + uint64(i), 0})
	}
	says(paceSample{50_000, 1030, 5}, 1, 5.0/11)
}
