package sha256d

import "math/bits"

// A sweep cuts a range of nonces into portions for assembly and reads the masks
// that come back.
//
// Assembly cannot be interrupted, and a garbage collection waits for it: a
// portion is some tenths of a millisecond of work.
type sweep struct {
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
func (s *sweep) begin(first uint32, n uint64) { s.first, s.took, s.left = first, 0, n }

// next moves on to the next portion and reports whether there is one.
func (s *sweep) next() bool {
	s.first += uint32(s.took)
	s.took = min(s.left, portion*batch)
	s.left -= s.took
	return s.took > 0
}

// batches is how many masks this portion takes. The last may be of nonces
// beyond the range.
func (s *sweep) batches() int { return int((s.took + batch - 1) / batch) }

// collect appends to hits the nonces that this portion's masks name.
func (s *sweep) collect(hits []uint32) []uint32 {
	for i, mask := range s.masks[:s.batches()] {
		if mask == 0 {
			continue
		}
		at := uint64(i) * batch
		if beyond := s.took - at; beyond < batch {
			mask &= 1<<beyond - 1
		}
		for ; mask != 0; mask &= mask - 1 {
			hits = append(hits, s.first+uint32(at)+uint32(bits.TrailingZeros16(mask)))
		}
	}
	return hits
}
