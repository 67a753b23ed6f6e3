package daemon

import (
	"time"

	"cairn/chain"
)

// steady time is a node's: it must not go back, whatever the machine's clock
// does. Nor may it stand still: requests would never be given up, payments never be
// said again. Where the clock went back, time goes on at half its pace until the
// clock has caught up, as daemons that set clocks do it (adjtime, RFC 5905 §11.3).
type steady struct {
	clock func() time.Time
	last  chain.Time
	slow  bool       // time goes at half its pace
	from  chain.Time // since it did
	since time.Time  // and since when; only its monotonic reading counts
}

// now is the time at a moment of which only the monotonic reading counts.
func (t *steady) now(moment time.Time) chain.Time {
	clock := t.shown()
	if clock >= t.last {
		t.last, t.slow = clock, false
		return clock
	}
	if !t.slow {
		t.slow, t.from, t.since = true, t.last, moment
	}
	t.last = max(t.last, t.from+chain.Time(moment.Sub(t.since).Milliseconds()/2))
	return t.last
}

// ahead is how far the clock lies behind the node's time: it went back.
func (t *steady) ahead() chain.Time {
	return max(0, t.last-t.shown())
}

// shown is what the clock shows.
func (t *steady) shown() chain.Time { return chain.Time(t.clock().UnixMilli()) }
