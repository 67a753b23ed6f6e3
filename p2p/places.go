package p2p

import "sync"

// Places bounds what is done at a time, for each peer, or whoever else goes by a name,
// and for all: whoever finds no place is turned away. It is safe for concurrent use.
type Places struct {
	most, each, sure int

	mu    sync.Mutex
	all   int            // guarded by mu
	taken map[string]int // guarded by mu
}

// NewPlaces makes so many places, of which each gets no more than each. As many
// as are sure he finds beside them, whatever others take.
func NewPlaces(most, each, sure int) *Places {
	return &Places{most: most, each: each, sure: sure, taken: map[string]int{}}
}

// Take takes a place for somebody, if there is one; then Give must follow.
func (s *Places) Take(who string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken[who] >= s.each || s.all >= s.most && s.taken[who] >= s.sure {
		return false
	}
	s.all++
	s.taken[who]++
	return true
}

// Greedy tells whether somebody holds all that one may.
func (s *Places) Greedy(who string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taken[who] >= s.each
}

// Give gives a place back.
func (s *Places) Give(who string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all--
	if s.taken[who]--; s.taken[who] == 0 {
		delete(s.taken, who)
	}
}
