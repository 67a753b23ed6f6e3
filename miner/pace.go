package miner

import "time"

const (
	look         = time.Millisecond      // how long a thread searches between two looks at what is shown
	trial        = 10 * time.Millisecond // how long a thread searches before it judges its speed
	firstPortion = 1 << 10
	maxPortion   = 1 << 18 // bounds the hits of one portion at the easiest targets
)

// pace finds how many hashes take a thread as long as look.
type pace struct {
	wide    uint64 // what a portion is a multiple of: headers searched together
	portion uint64
	hashes  uint64 // since the speed was last judged
	busy    time.Duration
}

func newPace(wide int) pace {
	p := pace{wide: uint64(wide)}
	p.portion = p.whole(firstPortion)
	return p
}

// whole is about n hashes, as many on each header.
func (p *pace) whole(n uint64) uint64 { return max(n/p.wide, 1) * p.wide }

// took notes a search. One look is too short for some clocks and for a busy
// machine, so many are judged together.
func (p *pace) took(n uint64, d time.Duration) {
	p.hashes += n
	p.busy += d
	if p.busy < trial {
		return
	}
	portion := float64(p.hashes) * float64(look) / float64(p.busy)
	p.portion = p.whole(uint64(min(portion, maxPortion)))
	p.hashes, p.busy = 0, 0
}
