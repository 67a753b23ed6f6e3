package sha256d

import (
	"encoding/binary"
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
			for s.begin(1, first, n); s.next(); got = s.collect(got) {
				for i := range s.masks {
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
	s.begin(1, 1000, 64)
	s.next()
	copy(s.masks[:], []uint16{0, 1<<15 | 1, 0b1010 << 4, 1 << 15})
	got := s.collect([]uint32{7})
	if want := []uint32{7, 1016, 1031, 1037, 1039, 1063}; !slices.Equal(got, want) {
		t.Errorf("read %d, want %d", got, want)
	}
}

// Over ranges of several portions, with hits in half of all lanes and the
// greatest nonce somewhere within, each kernel names what plain Go names.
func TestSearchCrossesPortions(t *testing.T) {
	target := compact(0x207fffff)
	eachKernel(t, func(t *testing.T, k Kernel) {
		r := chance(t)
		for range 3 {
			var h Header
			fill(r, h[:])
			job := NewJob(&h, &target)
			n := 2*portion*batch + r.Uint64N(portion*batch)
			first := uint32(-r.Uint64N(n))
			want := searchPortable(job, first, n, nil)
			if got := k.Search(job, first, n, nil); !slices.Equal(got, want) {
				t.Fatalf("header %x, %d from %d: %d hits, want %d", h, n, first, len(got), len(want))
			}
		}
	})
}

// Every lane must compare with the target itself: a target just at a nonce's
// word is reached by it, one less is not, wherever in a batch it stands.
func TestEveryLaneComparesExactly(t *testing.T) {
	eachKernel(t, func(t *testing.T, k Kernel) {
		r := chance(t)
		var h Header
		fill(r, h[:])
		first := r.Uint32()
		for i := range uint32(2 * batch) {
			word := lastWord(NewJob(&h, new(Target)), first+i)
			for _, top := range []uint32{word, word - 1} {
				var target Target
				binary.LittleEndian.PutUint32(target[28:], top)
				job := NewJob(&h, &target)
				want := searchPortable(job, first, 2*batch, nil)
				if got := k.Search(job, first, 2*batch, nil); !slices.Equal(got, want) {
					t.Fatalf("header %x, from %d, target word %#x: found %d, want %d", h, first, top, got, want)
				}
			}
		}
	})
}
