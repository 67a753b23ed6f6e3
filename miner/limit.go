package miner

import (
	"context"
	"math"
	"time"

	"golang.org/x/time/rate"
)

// Under a cap a thread asks for at most capPortion's worth of hashes at a time:
// larger portions would make blocks arrive on a beat instead of at random. A
// thread that overslept finds up to capBurst's worth of them saved.
const (
	capPortion = 20 * time.Millisecond
	capBurst   = 50 * time.Millisecond
)

// limit is the cap on the hash rate, shared by all threads. A nil limit is none.
type limit struct {
	bucket  *rate.Limiter
	portion uint64
}

// newLimit caps at r hashes a second; nil if r is no cap.
func newLimit(r float64) *limit {
	if !(r > 0) || math.IsInf(r, 1) {
		return nil
	}
	worth := func(d time.Duration) int { return int(min(max(r*d.Seconds(), 1), math.MaxInt32)) }
	portion := worth(capPortion)
	return &limit{
		bucket:  rate.NewLimiter(rate.Limit(r), max(portion, worth(capBurst))),
		portion: uint64(portion),
	}
}

// lanes is how many nonces kernels hash at once.
const lanes = 16

// width is how many of the wanted headers a thread searches together: only one if
// a portion is too small to fill the lanes of all.
func (l *limit) width(want int) int {
	if l != nil && l.portion < lanes*uint64(want) {
		return 1
	}
	return want
}

// take returns how many of the wanted hashes the thread may do now, as many on
// each of so many headers, after sleeping until it may.
func (l *limit) take(ctx context.Context, want, wide uint64) (uint64, error) {
	if l == nil {
		return want, ctx.Err()
	}
	n := min(want, l.portion)
	n -= n % wide
	return n, l.bucket.WaitN(ctx, int(n))
}
