package store

import (
	"maps"
	"math/rand/v2"
	"testing"

	"cairn/chain"
)

// A list of fates and its clones are what maps would be, also where somebody makes ids
// that go by one mark.
func TestFatesAsMaps(t *testing.T) {
	const seed = 5
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	f, twin := newFates(), map[chain.OutPoint]fate{}
	var order []chain.OutPoint
	for i := range 60_000 {
		o := chain.OutPoint{Tx: number('o', i/2), Index: uint32(i % 2)}
		if i%3 == 0 {
			clear(o.Tx[:8])
			o.Index = 7
		}
		switch n := r.IntN(6000); {
		case n == 0:
			for gone := range twin {
				if r.IntN(3) > 0 {
					f.drop(gone)
					delete(twin, gone)
				}
			}
		case n < 4:
			old := f
			f = old.clone()
			sameFates(t, &old, twin)
			for gone := range twin {
				old.drop(gone)
			}
		case n < 2000 && len(order) > 0:
			some := order[r.IntN(len(order))]
			if f.drop(some); n%2 > 0 {
				delete(twin, some)
			} else if is, known := twin[some]; known {
				f.add(some, is)
			}
		default:
			is := fate{value: chain.Amount(i), made: true}
			f.add(o, is)
			twin[o], order = is, append(order, o)
			some := order[r.IntN(len(order))]
			if is := f.find(some); is != nil {
				is.spent = uint64(i)
				twin[some] = *is
			}
		}
	}
	sameFates(t, &f, twin)
	if f.find(chain.OutPoint{Tx: number('n', 1)}) != nil {
		t.Error("knows what nobody told")
	}
}

func sameFates(t *testing.T, f *fates, want map[chain.OutPoint]fate) {
	t.Helper()
	if got := maps.Collect(f.all()); !maps.Equal(got, want) || f.count != len(want) {
		t.Fatalf("lists %d fates and counts %d, want %d", len(got), f.count, len(want))
	}
	for o, is := range want {
		if got := f.find(o); got == nil || *got != is {
			t.Fatalf("%v: %v, want %v", o, got, is)
		}
	}
}
