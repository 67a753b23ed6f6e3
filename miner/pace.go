package miner

import "time"

const (
	look         = time.Millisecond      // how long a thread searches between two looks at what is shown
	trial        = 10 * time.Millisecond // how long a thread searches before it judges its speed
	firstPortion = 1 << 10
	maxPortion   = 1 << 18 // bounds the hits of one portion at the easiest targets
)

// pace finds how many nonces take a thread as long as look.
type pace struct {
	portion uint64
	hashes  uint64 // since the speed was last judged
	busy    time.Duration
}

func newPace() pace { return pace{portion: firstPortion} }

// took notes a search. One look is too short for some clocks and for a busy
// machine, so many are judged together.
func (p *pace) took(n uint64, d time.Duration) {
	p.hashes += n
	p.busy += d
	if p.busy < trial {
		return
	}
	portion := float64(p.hashes) * float64(look) / float64(p.busy)
	p.portion = uint64(min(max(portion, 1), maxPortion))
	p.hashes, p.busy = 0, 0
}
