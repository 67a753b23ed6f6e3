package p2p

import (
	"sync"

	"cairn/node"
)

// Places bounds what is done at a time, for each peer and for all: whoever finds no
// place is turned away. It is safe for concurrent use.
type Places struct {
	most, each, sure int

	mu    sync.Mutex
	all   int               // guarded by mu
	taken map[node.Peer]int // guarded by mu
}

// NewPlaces makes so many places, of which one peer gets no more than each. As many
// as are sure it finds beside them, whatever others take.
func NewPlaces(most, each, sure int) *Places {
	return &Places{most: most, each: each, sure: sure, taken: map[node.Peer]int{}}
}

// Take takes a place for a peer, if there is one; then Give must follow.
func (s *Places) Take(p node.Peer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken[p] >= s.each || s.all >= s.most && s.taken[p] >= s.sure {
		return false
	}
	s.all++
	s.taken[p]++
	return true
}

// Greedy tells whether a peer holds all that one may.
func (s *Places) Greedy(p node.Peer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taken[p] >= s.each
}

// Give gives a place back.
func (s *Places) Give(p node.Peer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all--
	if s.taken[p]--; s.taken[p] == 0 {
		delete(s.taken, p)
	}
}
