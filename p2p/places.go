package p2p

import (
	"sync"

	"cairn/node"
)

// Places bounds what is done at a time, for each peer and for all: whoever finds no
// place is turned away. It is safe for concurrent use.
type Places struct {
	most, each int

	mu    sync.Mutex
	all   int               // guarded by mu
	taken map[node.Peer]int // guarded by mu
}

// NewPlaces makes so many places, of which one peer gets no more than each.
func NewPlaces(most, each int) *Places {
	return &Places{most: most, each: each, taken: map[node.Peer]int{}}
}

// Take takes a place for a peer, if there is one; then Give must follow.
func (s *Places) Take(p node.Peer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all >= s.most || s.taken[p] >= s.each {
		return false
	}
	s.all++
	s.taken[p]++
	return true
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
