package stratum

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// run lets a miner of so many hashes a second work for some time, and returns the
// shares that it sent and the levels that it got.
func run(p *pace, r *rand.Rand, now *time.Time, hashrate float64, d time.Duration) (shares int, levels []Level) {
	end := now.Add(d)
	tick := now.Add(30 * time.Second)
	for now.Before(end) {
		at := p.wish
		wait := time.Duration(r.ExpFloat64() * at.hashes() / hashrate * 1e9)
		if wait < 0 || now.Add(wait).After(tick) {
			*now = tick
			tick = tick.Add(30 * time.Second)
		} else {
			*now = now.Add(wait)
			p.share(at)
			shares++
		}
		if p.look(*now, at) {
			levels = append(levels, p.wish)
		}
	}
	return shares, levels
}

// From a pocket calculator to a hall of machines, shares come about every five
// seconds within two minutes, and the level then stays where it is but for what
// chance does in an hour.
func TestPaceSettles(t *testing.T) {
	for _, hashrate := range []float64{1e4, 1e6, 2.5e7, 1e9, 1e12, 1e15} {
		r := rand.New(rand.NewPCG(3, uint64(hashrate)))
		now := time.Unix(1_800_000_000, 0)
		p := newPace(5, first, now)
		early, _ := run(&p, r, &now, hashrate, 2*time.Minute)
		if early > 1000 {
			t.Errorf("%g H/s: %d shares before it settled", hashrate, early)
		}
		shares, levels := run(&p, r, &now, hashrate, time.Hour)
		if every := 3600 / float64(shares); every < 2 || every > 12 {
			t.Errorf("%g H/s: a share every %.1f s", hashrate, every)
		}
		low, high := p.wish, p.wish
		for _, l := range levels {
			low, high = min(low, l), max(high, l)
		}
		if high-low > 2 || len(levels) > 10 {
			t.Errorf("%g H/s: the level wanders: %v", hashrate, levels)
		}
	}
}

// A miner that slows down a thousandfold is heard of again.
func TestPaceComesDown(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 5))
	now := time.Unix(1_800_000_000, 0)
	p := newPace(5, first, now)
	run(&p, r, &now, 1e9, 10*time.Minute)
	high := p.wish
	run(&p, r, &now, 1e6, 10*time.Minute)
	if p.wish > high-8 || p.wish < high-12 {
		t.Errorf("level %d at 1 GH/s, %d at 1 MH/s", high, p.wish)
	}
}

func TestPaceLooksWhenThereIsSomethingToSee(t *testing.T) {
	start := time.Unix(1_800_000_000, 0)
	p := newPace(5, 0, start)
	for range enough - 1 {
		p.share(0)
	}
	if p.look(start.Add(time.Second), 0) {
		t.Error("seven shares were enough")
	}
	p.share(0)
	if !p.look(start.Add(time.Second), 0) || p.wish != 5 { // 8 a second where 0.2 are wished for: 2^5.3
		t.Errorf("eight shares in a second lead to level %d", p.wish)
	}
	for range 2 * enough {
		p.share(5)
	}
	if p.look(start.Add(31*time.Second), 5) { // 16 in 30 s where 6 are wished for: not yet certain
		t.Errorf("a factor of less than four leads to level %d", p.wish)
	}
	for range 2 * enough {
		p.share(5)
	}
	if !p.look(start.Add(61*time.Second), 5) || p.wish != 6 {
		t.Errorf("32 in a minute lead to level %d", p.wish)
	}
	if !p.look(start.Add(61*time.Second+patient), 6) || p.wish != 3 {
		t.Errorf("silence leads to level %d", p.wish)
	}
	p.wish = easiest
	p.look(start.Add(time.Hour), easiest)
	if p.wish != easiest {
		t.Error("it fell through the floor")
	}
}

// Equal shares at equal times are the rate that they say, early and late, and a
// miner that left fades away.
func TestSpeed(t *testing.T) {
	start := time.Unix(1_800_000_000, 0)
	var s speed
	s.fade(start)
	want := Level(3).hashes() / 2 // one share every two seconds
	for i := 1; i <= 600; i++ {
		now := start.Add(time.Duration(2*i) * time.Second)
		s.share(now, 3)
		if got := s.rate(now); i >= 20 && math.Abs(got/want-1) > 0.06 {
			t.Fatalf("after %d shares %g H/s, want %g", i, got, want)
		}
	}
	if got := s.rate(start.Add(time.Hour)); got > want/1e6 {
		t.Errorf("long after it left it still has %g H/s", got)
	}
}
