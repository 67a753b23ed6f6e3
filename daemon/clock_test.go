package daemon

import (
	"testing"
	"time"

	"cairn/chain"
)

// The clock jumps and the node's time does not: it never goes back, never stands
// still, and meets the clock again.
func TestTimeGoesOnWhateverTheClockDoes(t *testing.T) {
	clock, moment := time.UnixMilli(5000), time.Now()
	line := steady{clock: func() time.Time { return clock }}
	for _, at := range []struct{ passed, clock, want, ahead int64 }{
		{0, 5000, 5000, 0},
		{0, 4000, 5000, 1000}, // it goes back by a second
		{500, 4500, 5250, 750},
		{500, 5000, 5500, 500},
		{500, 3000, 5750, 2750}, // and back again on the way
		{3000, 5700, 7250, 1550},
		{5000, 11000, 11000, 0},      // caught up
		{10, 90_000, 90_000, 0},      // asleep, or set forward
		{10, 10_000, 90_000, 80_000}, // and back
		{20, 10_020, 90_010, 79_990},
	} {
		moment, clock = moment.Add(time.Duration(at.passed)*time.Millisecond), time.UnixMilli(at.clock)
		if got := line.now(moment); got != chain.Time(at.want) {
			t.Errorf("the clock shows %d: the time is %d, want %d", at.clock, got, at.want)
		}
		if got := line.ahead(); got != chain.Time(at.ahead) {
			t.Errorf("the clock shows %d: it is %d behind, want %d", at.clock, got, at.ahead)
		}
	}
}
