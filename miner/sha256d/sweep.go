package sha256d

import (
	"iter"
	"math/bits"
)

// A sweep cuts a range of nonces into portions for assembly and reads the masks
// that come back: of every 16 nonces one for each header.
//
// Assembly cannot be interrupted, and a garbage collection waits for it: a
// portion is some tenths of a millisecond of work.
type sweep struct {
	wide  int    // headers
	first uint32 // of this portion
	took  uint64 // nonces of this portion
	left  uint64 // nonces after it
	masks [portion]uint16
}

const (
	batch   = 16  // nonces that share a mask
	portion = 512 // masks
)

// begin begins with an empty portion, just before first.
func (s *sweep) begin(wide int, first uint32, n uint64) {
	s.wide, s.first, s.took, s.left = wide, first, 0, n
}

// next moves on to the next portion and reports whether there is one.
func (s *sweep) next() bool {
	s.first += uint32(s.took)
	s.took = min(s.left, uint64(portion/s.wide)*batch)
	s.left -= s.took
	return s.took > 0
}

// batches is how many masks of each header this portion takes. The last may be
// of nonces beyond the range.
func (s *sweep) batches() int { return int((s.took + batch - 1) / batch) }

// named yields the hits that this portion's masks name.
func (s *sweep) named() iter.Seq2[int, uint32] {
	return func(yield func(header int, nonce uint32) bool) {
		for i, mask := range s.masks[:s.batches()*s.wide] {
			if mask == 0 {
				continue
			}
			at := uint64(i/s.wide) * batch
			if beyond := s.took - at; beyond < batch {
				mask &= 1<<beyond - 1
			}
			for ; mask != 0; mask &= mask - 1 {
				if !yield(i%s.wide, s.first+uint32(at)+uint32(bits.TrailingZeros16(mask))) {
					return
				}
			}
		}
	}
}

// collect appends to hits the nonces that this portion's masks name.
func (s *sweep) collect(hits []uint32) []uint32 {
	for _, nonce := range s.named() {
		hits = append(hits, nonce)
	}
	return hits
}
