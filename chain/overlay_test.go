package chain_test

import (
	"errors"
	"maps"
	"math/rand/v2"
	"testing"

	"cairn/chain"
)

// An overlay shows what the diffs would have left, and asks below for nothing that
// they touch.
func TestAnOverlayShowsWhatDiffsLeave(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 2))
		var all []chain.OutPoint
		below, whole := chain.Coins{}, chain.Coins{}
		for i := range uint32(12) {
			o := chain.OutPoint{Index: i}
			all = append(all, o)
			if r.IntN(2) == 0 {
				below[o] = chain.Coin{OutPoint: o, Value: 1}
			}
		}
		maps.Copy(whole, below)
		touched := map[chain.OutPoint]bool{}
		var over chain.Overlay
		for step := range uint64(6) {
			got, err := over.Find(all, func(want []chain.OutPoint) (chain.Coins, error) {
				found := chain.Coins{}
				for _, o := range want {
					if touched[o] {
						t.Fatalf("seed %d: asks below for %v, which a diff touched", seed, o)
					}
					if c, ok := below[o]; ok {
						found[o] = c
					}
				}
				return found, nil
			})
			if err != nil || !maps.Equal(got, whole) {
				t.Fatalf("seed %d, step %d: %v, want %v (%v)", seed, step, got, whole, err)
			}
			var d chain.Diff
			for _, o := range all {
				c, there := whole[o]
				switch {
				case r.IntN(3) > 0:
					continue
				case there:
					d.Spent = append(d.Spent, c)
				default:
					d.Created = append(d.Created, chain.Coin{OutPoint: o, Value: 1, Height: step})
				}
				touched[o] = true
			}
			over.Apply(d)
			whole.Apply(d)
		}
		fault := errors.New("the disk")
		over = chain.Overlay{}
		if _, err := over.Find(all, func([]chain.OutPoint) (chain.Coins, error) { return nil, fault }); !errors.Is(err, fault) {
			t.Errorf("the error is %v", err)
		}
	}
}
