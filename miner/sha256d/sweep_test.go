package sha256d

import (
	"math"
	"slices"
	"testing"
)

// A sweep under masks that name every nonce, beyond the end as well, must find
// just the range, cut into portions of no more than the masks hold.
func TestSweepNamesTheRangeAndNothingElse(t *testing.T) {
	const most = portion * batch
	for _, first := range []uint32{0, 12345, math.MaxUint32 - 5, math.MaxUint32 - most} {
		for _, n := range []uint64{0, 1, 15, 16, 17, 31, most - 1, most, most + 1, 2*most + 7} {
			var s sweep
			var got, want []uint32
			for s.begin(first, n); s.next(); got = s.collect(got) {
				for i := range s.batches() {
					s.masks[i] = math.MaxUint16
				}
			}
			for i := range n {
				want = append(want, first+uint32(i))
			}
			if !slices.Equal(got, want) {
				t.Errorf("%d from %d: named %d nonces", n, first, len(got))
			}
		}
	}
}

// Each bit of a mask is a nonce, in order.
func TestSweepReadsEveryBit(t *testing.T) {
	var s sweep
	s.begin(1000, 64)
	s.next()
	for i, mask := range []uint16{0, 1<<15 | 1, 0b1010 << 4, 1 << 15} {
		s.masks[i] = mask
	}
	got := s.collect([]uint32{7})
	if want := []uint32{7, 1016, 1031, 1037, 1039, 1063}; !slices.Equal(got, want) {
		t.Errorf("read %d, want %d", got, want)
	}
}
