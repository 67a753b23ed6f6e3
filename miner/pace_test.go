package miner

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"cairn/chain"
)

// In these tests time passes only while every goroutine sleeps. Hashing takes
// none, so what the cap lets through is exact, and a thread that spun instead
// of sleeping would hang the test.
func TestCapHolds(t *testing.T) {
	for _, c := range []struct {
		rate    float64
		threads int
		seconds int
	}{
		{rate: 0.5, threads: 1, seconds: 600},
		{rate: 1, threads: 3, seconds: 300},
		{rate: 999, threads: 2, seconds: 60},
		{rate: 100_000, threads: 1, seconds: 5},
		{rate: 100_000, threads: 5, seconds: 5},
	} {
		for _, width := range []int{1, 16} {
			t.Run(fmt.Sprintf("%v with %d, %d together", c.rate, c.threads, width), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					m := newWorld(never).miner(t, c.threads, c.rate)
					m.width = width
					m.Start()
					time.Sleep(time.Duration(c.seconds) * time.Second)
					got, want := float64(m.Status().Hashes), c.rate*float64(c.seconds)
					burst := max(1, c.rate*capBurst.Seconds())
					if got < want-burst || got > want+burst {
						t.Errorf("%v hashes in %d s, cap allows %v", got, c.seconds, want)
					}
				})
			})
		}
	}
}

// Under a cap headers are searched together only if a portion fills their lanes,
// and no hash is paid for that is not done.
func TestCapNarrowsFamilies(t *testing.T) {
	for r, want := range map[float64]int{0: 16, 1: 1, 12_000: 1, 13_000: 16, 333_333: 16, 1e9: 16} {
		l := newLimit(r)
		wide := l.width(16)
		if wide != want {
			t.Errorf("at %v/s %d headers together, want %d", r, wide, want)
		}
		if n, err := l.take(t.Context(), 1600, uint64(wide)); err != nil || n == 0 || n%uint64(wide) != 0 {
			t.Errorf("at %v/s took %d for %d headers: %v", r, n, wide, err)
		}
	}
}

// No portion is worth more than 50 ms of the cap, or blocks would arrive on a
// beat.
func TestCapGivesSmallPortions(t *testing.T) {
	for _, r := range []float64{1e-9, 1, 30, 333_333, 1e9, 1e300} {
		l := newLimit(r)
		if worth := float64(l.portion) / r; l.portion > 1 && worth > 0.05 {
			t.Errorf("at %v/s a portion is worth %v s", r, worth)
		}
		if burst := l.bucket.Burst(); burst < int(l.portion) || l.portion < 1 {
			t.Errorf("at %v/s a portion of %d never fits a burst of %d", r, l.portion, burst)
		}
		if n, err := l.take(t.Context(), math.MaxUint64, 1); err != nil || n != l.portion {
			t.Errorf("at %v/s took %d: %v", r, n, err)
		}
	}
	for _, r := range []float64{0, -1, math.NaN(), math.Inf(1)} {
		if newLimit(r) != nil {
			t.Errorf("%v is a cap", r)
		}
	}
}

// A thread that would sleep for a quarter of an hour hears of a new cap at once.
func TestCapChangesWhileAsleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newWorld(never).miner(t, 2, 0.001)
		m.Start()
		time.Sleep(time.Minute)
		if n := m.Status().Hashes; n > 1 {
			t.Fatalf("%d hashes", n)
		}
		m.SetHashRate(1000)
		time.Sleep(10 * time.Second)
		if st := m.Status(); st.Hashes < 9_900 || st.Hashes > 10_100 || st.Cap != 1000 {
			t.Errorf("status %+v", st)
		}
		m.SetHashRate(0.001)
		synctest.Wait()
		m.Stop()
		begin := time.Now()
		m.Close()
		if d := time.Since(begin); d != 0 {
			t.Errorf("Close took %v of sleeping threads' time", d)
		}
	})
}

func TestStatusMeasuresTheLastTenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newWorld(never).miner(t, 2, 20_000)
		near := func(want float64) {
			t.Helper()
			st := m.Status()
			if got := st.HashRate; math.Abs(got-want) > 0.05*want {
				t.Errorf("measured %v, expected %v", got, want)
			}
			sum := 0.0
			for _, r := range st.Rates {
				sum += r
			}
			if len(st.Rates) != 2 {
				t.Errorf("rates of %d threads", len(st.Rates))
			}
			if at := m.rate; math.Abs(sum-at) > 0.05*at { // they are new since the cap changed
				t.Errorf("the threads did %v together, expected %v", sum, at)
			}
		}
		m.Start()
		time.Sleep(7 * time.Second)
		near(20_000)
		time.Sleep(20 * time.Second)
		near(20_000)
		m.SetHashRate(10_000)
		time.Sleep(5 * time.Second)
		near(15_000)
		time.Sleep(7 * time.Second)
		near(10_000)
	})
}

func TestMeterForgets(t *testing.T) {
	begin := time.Unix(1_800_000_000, 0)
	m := newMeter(begin, 5)
	if r := m.rate(begin, 5); r != 0 {
		t.Errorf("rate %v in no time", r)
	}
	for s := 1; s <= 1000; s++ {
		m.note(begin.Add(time.Duration(s)*time.Second), uint64(5+s*s))
	}
	want := float64(1000*1000-990*990) / 10
	if r := m.rate(begin.Add(1000*time.Second), 5+1000*1000); r != want {
		t.Errorf("rate %v, expected %v", r, want)
	}
	if n := len(m.marks); n != 11 {
		t.Errorf("%d marks kept", n)
	}
}

// A portion takes a millisecond at whatever speed, whatever the clock's grain.
func TestPaceFindsTheMillisecond(t *testing.T) {
	const tick = 15 * time.Millisecond // the coarsest clock that is around
	for _, wide := range []int{1, 16} {
		for _, perSecond := range []float64{2e4, 5e5, 5e6, 1e8} {
			p, clock := newPace(wide), time.Duration(0)
			for range 10_000 {
				before := clock.Truncate(tick)
				clock += time.Duration(float64(p.portion) / perSecond * float64(time.Second))
				p.took(p.portion, clock.Truncate(tick)-before)
			}
			if d := float64(p.portion) / perSecond; d > 5e-3 || d < 0.2e-3 {
				t.Errorf("at %v/s a portion takes %v s", perSecond, d)
			}
		}
	}
}

// However slow or fast it goes, a portion is a whole number of nonces on each
// header.
func TestPaceKeepsItsBounds(t *testing.T) {
	for _, wide := range []uint64{1, 3, 16} {
		p := newPace(int(wide))
		p.took(1, time.Hour)
		if p.portion != wide {
			t.Errorf("at the slowest a portion of %d on %d headers", p.portion, wide)
		}
		p.took(12_345, trial)
		if p.portion == 0 || p.portion%wide != 0 {
			t.Errorf("a portion of %d on %d headers", p.portion, wide)
		}
		p.took(math.MaxUint32, trial)
		if p.portion > maxPortion || p.portion%wide != 0 {
			t.Errorf("at the fastest a portion of %d on %d headers", p.portion, wide)
		}
	}
}

// Under a cap the time to a block must be memoryless. The distance between what
// was measured and the exponential distribution (Kolmogorov-Smirnov) stays under
// a bound that chance alone passes about once in ten million runs.
func TestTimeToABlockIsExponential(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const enough, rate = 400, 8192
		w := newWorld(some)
		m := w.miner(t, 2, rate)
		done := w.grow(m, enough)
		var took []float64 // seconds
		last, grow := time.Now(), w.onFound
		w.onFound = func(b *chain.Block) {
			took = append(took, time.Since(last).Seconds())
			last = time.Now()
			grow(b)
		}
		m.Start()
		<-done
		m.Close()
		mean := 4096.0 / rate
		if d, bound := distance(took, mean), 2.9/math.Sqrt(enough)+capPortion.Seconds()/mean; d > bound {
			t.Errorf("distance %v from the exponential distribution, allowed %v: %v", d, bound, took)
		}
	})
}

// distance is the greatest between the samples' distribution and the
// exponential one of this mean.
func distance(samples []float64, mean float64) (most float64) {
	slices.Sort(samples)
	for i, x := range samples {
		f, n := 1-math.Exp(-x/mean), float64(len(samples))
		most = max(most, math.Abs(f-float64(i)/n), math.Abs(f-float64(i+1)/n))
	}
	return most
}

// The test above would notice what it is for.
func TestDistanceNoticesABeat(t *testing.T) {
	beat := slices.Repeat([]float64{0.5}, 400)
	if d := distance(beat, 0.5); d < 0.5 {
		t.Errorf("distance of a beat is %v", d)
	}
}
