package node

import "cairn/chain"

// maxSights is of how many transactions and blocks a node remembers where it first
// heard of them.
const maxSights = 1 << 15

// Sight is when this node first took a transaction or a block's header in, and
// from whom.
type Sight struct {
	Time chain.Time
	From Peer // Self: our own user or miner
}

// sights keeps the latest, each by its id.
type sights struct {
	of   map[chain.Hash]Sight
	ring []chain.Hash // in order of arrival, the oldest at next once it is full
	next int
}

func (s *sights) note(id chain.Hash, now chain.Time, from Peer) {
	if _, known := s.of[id]; known {
		return
	}
	if s.of == nil {
		s.of = map[chain.Hash]Sight{}
	}
	if len(s.ring) < maxSights {
		s.ring = append(s.ring, id)
	} else {
		delete(s.of, s.ring[s.next])
		s.ring[s.next] = id
		s.next = (s.next + 1) % maxSights
	}
	s.of[id] = Sight{now, from}
}

// Sight tells where a transaction or a block came from; ok is false for what came
// before the start, or too long ago. A transaction that came inside a block alone
// has none.
func (n *Node) Sight(id chain.Hash) (s Sight, ok bool) {
	s, ok = n.sights.of[id]
	return s, ok
}
