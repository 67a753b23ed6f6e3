package node

import (
	"slices"

	"cairn/chain"
)

// arrival is a block on its way in: announced, or whole.
type arrival struct {
	from     Peer
	announce chain.CheckedAnnouncement
	body     *chain.CheckedBlock // nil if it was only announced
}

func (a arrival) header() chain.Header { return a.announce.Announcement().Header }
func (a arrival) id() chain.Hash       { return a.announce.ID() }

// size is about how many bytes it takes to keep a.
func (a arrival) size() int {
	if a.body != nil {
		return a.body.Size()
	}
	return chain.HeaderSize + chain.MaxCoinbase + len(chain.Hash{})*len(a.announce.Announcement().IDs)
}

// aside holds arrivals that cannot enter the tree yet, in the order in which they
// came.
type aside struct {
	list  []arrival
	bytes int
}

// put keeps a. When there is no room, evict chooses who goes.
func (s *aside) put(a arrival, evict func([]arrival) int) {
	for i, old := range s.list {
		if old.id() != a.id() {
			continue
		}
		if old.body != nil || a.body == nil {
			return
		}
		s.drop(i)
		break
	}
	s.list = append(s.list, a)
	s.bytes += a.size()
	for len(s.list) > maxAside || s.bytes > maxAsideBytes {
		s.drop(evict(s.list))
	}
}

func (s *aside) drop(i int) {
	s.bytes -= s.list[i].size()
	s.list = slices.Delete(s.list, i, i+1)
}

// take removes and returns those that match.
func (s *aside) take(match func(arrival) bool) (taken []arrival) {
	s.list = slices.DeleteFunc(s.list, func(a arrival) bool {
		if !match(a) {
			return false
		}
		taken = append(taken, a)
		s.bytes -= a.size()
		return true
	})
	return taken
}

// loudest is the oldest arrival of the peer who brought most of them: whoever
// floods us loses what is its own.
func loudest(list []arrival) int {
	count := map[Peer]int{}
	most := 0
	for _, a := range list {
		count[a.from]++
		most = max(most, count[a.from])
	}
	return slices.IndexFunc(list, func(a arrival) bool { return count[a.from] == most })
}

// latest is the arrival whose time lies farthest ahead: nobody honest is far.
func latest(list []arrival) int {
	last := 0
	for i, a := range list {
		if a.header().Time >= list[last].header().Time {
			last = i
		}
	}
	return last
}
