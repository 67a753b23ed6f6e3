package stratum

import (
	"math"
	"time"
)

const (
	enough  = 8               // shares that tell a gross error,
	plenty  = 20              // and those that tell a factor of two from chance
	patient = time.Minute     // how long to wait for enough,
	weary   = 5 * time.Minute // and for plenty
	down    = 3               // levels that one look may go down at most
	faded   = 2 * time.Minute // after so long a share counts 1/e in the hash rate
)

// pace finds the level at which a worker's shares come at the pace that is
// wished for (vardiff). Time is handed in.
type pace struct {
	every  float64 // seconds between two shares
	wish   Level
	since  time.Time // of the last look
	shares int       // accepted since then,
	sum    float64   // and the sum of their difficulties
}

func newPace(every float64, wish Level, now time.Time) pace {
	return pace{every: every, wish: wish, since: now}
}

// share counts one, at the level of its job.
func (p *pace) share(at Level) {
	p.shares++
	p.sum += at.Difficulty()
}

// look changes the wish if the shares say so, and tells whether it did. Less than
// a factor of two is chance, and less than four is if the shares are few.
func (p *pace) look(now time.Time, handed Level) bool {
	elapsed := now.Sub(p.since)
	if p.shares < enough && elapsed < patient {
		return false
	}
	step := p.step(elapsed, handed)
	if max(step, -step) < 2 && p.shares < plenty && elapsed < weary {
		return false
	}
	old := p.wish
	p.wish = max(easiest, min(hardest, p.wish+max(-down, step)))
	p.since, p.shares, p.sum = now, 0, 0
	return p.wish != old
}

// step is how many whole levels the wish is off. Who sent no share is taken for
// half a share at what was handed out: silence says little.
func (p *pace) step(elapsed time.Duration, handed Level) Level {
	sum := max(p.sum, handed.Difficulty()/2)
	seconds := max(elapsed, time.Millisecond).Seconds()
	return Level(math.Log2(sum/seconds*p.every) - float64(p.wish)) // toward zero
}

// speed estimates a hash rate from shares, the latest counting most.
type speed struct {
	began, last time.Time
	sum         float64 // hashes, faded until last
}

// share counts one.
func (s *speed) share(now time.Time, at Level) {
	s.fade(now)
	s.sum += at.hashes()
}

// fade ages what was counted.
func (s *speed) fade(now time.Time) {
	if s.began.IsZero() {
		s.began, s.last = now, now
	}
	s.sum *= math.Exp(-now.Sub(s.last).Seconds() / faded.Seconds())
	s.last = now
}

// rate is the estimate in hashes a second. The first second would divide by
// almost nothing.
func (s *speed) rate(now time.Time) float64 {
	s.fade(now)
	age := max(now.Sub(s.began), time.Second)
	return s.sum / (faded.Seconds() * -math.Expm1(-age.Seconds()/faded.Seconds()))
}
