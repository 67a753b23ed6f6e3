//go:build !race

// The race detector turns off an optimisation that spares crypto/sha256 an
// allocation, so only ordinary builds are held to this.

package sha256d

import "testing"

func TestSearchAllocatesNothingPerNonce(t *testing.T) {
	target := compact(0x207fffff)
	job := NewJob(header(t, genesis), &target)
	room := make([]uint32, 0, 5000)
	eachKernel(t, func(t *testing.T, k Kernel) {
		allocs := func(n uint64) float64 {
			return testing.AllocsPerRun(5, func() { k.Search(job, 0, n, room) })
		}
		if few, many := allocs(1), allocs(5000); many > few {
			t.Errorf("1 nonce takes %v allocations, 5000 take %v", few, many)
		}
	})
}
