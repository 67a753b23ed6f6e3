package chain_test

import (
	"flag"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"cairn/chain"
)

var update = flag.Bool("update", false, "write golden files anew: a change of consensus")

// golden holds got against a file of testdata.
func golden(t *testing.T, name string, got []string) {
	t.Helper()
	if *update {
		head := "# Frozen: a change is a change of consensus.\n"
		if err := os.WriteFile("testdata/"+name, []byte(head+strings.Join(got, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want := lines(t, name)
	for i := range max(len(want), len(got)) {
		var g, w string
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if g != w {
			t.Errorf("%s, line %d:\n got %s\nwant %s", name, i, g, w)
		}
	}
}

// The twin of the kernel: floats, and no fixed point. Within 0.013 % of the cubic
// and 2⁻¹⁵ of the compact form.
func naiveRatio(p *chain.Params, gap uint32) float64 {
	capped := math.Min(float64(gap), float64(p.Spacing+p.HalfLife))
	return math.Exp2((capped - float64(p.Spacing)) / float64(p.HalfLife))
}

const kernelError = 0.00013 + 1.0/(1<<15) + 0.0001 // and 1/65536 of exponent, at most

func size(b chain.Bits) float64 {
	target, _ := b.Target()
	raw := target.Bytes()
	f, _ := new(big.Float).SetInt(new(big.Int).SetBytes(raw[:])).Float64()
	return f
}

// TestNextBits tells the rule's story case by case, freezes the numbers, and holds
// them against the twin.
func TestNextBits(t *testing.T) {
	var got []string
	for _, p := range []*chain.Params{chain.Main(), chain.Dev()} {
		spacing, life := uint32(p.Spacing), uint32(p.HalfLife)
		start := p.Genesis.Header.Bits
		for _, c := range []struct {
			name   string
			height uint64
			bits   chain.Bits
			gap    uint32
		}{
			{"child of genesis", 0, start, 0},
			{"an old genesis says nothing", 1, start, 400_000_000},
			{"nor a young one", 1, start, 0},
			{"on time", 2, start, spacing},
			{"on time, hard", 2, 0x1b04864c, spacing},
			{"gap 0", 2, start, 0},
			{"gap 0, hard", 77, 0x1b04864c, 0},
			{"one second", 77, 0x1b04864c, 1},
			{"a second early", 77, 0x1b04864c, spacing - 1},
			{"a second late", 77, 0x1b04864c, spacing + 1},
			{"twice the spacing", 77, 0x1b04864c, 2 * spacing},
			{"half a half-life late", 77, 0x1b04864c, spacing + life/2},
			{"just below the cap", 77, 0x1b04864c, spacing + life - 1},
			{"at the cap", 77, 0x1b04864c, spacing + life},
			{"above the cap", 77, 0x1b04864c, spacing + life + 1},
			{"after a night's sleep", 77, 0x1b04864c, 9 * 3600},
			{"the longest gap", 77, 0x1b04864c, math.MaxUint32},
			{"easiest, late: clamped", 77, p.Easiest, spacing + 5},
			{"easiest, a night: clamped", 77, p.Easiest, 9 * 3600},
			{"easiest, gap 0", 77, p.Easiest, 0},
			{"nearly easiest: clamped", 77, p.Easiest - 0x100, spacing + life},
			{"hardest, gap 0", 77, 0x01010000, 0},
			{"mantissa at the sign bit", 77, 0x1c008000, 0},
			{"mantissa grows a byte", 77, 0x1b7fffff, spacing + life/3},
			{"a far height", 1 << 40, 0x1802aee8, 2},
		} {
			next := chain.NextBits(p, chain.State{Height: c.height, Bits: c.bits, Gap: c.gap})
			got = append(got, fmt.Sprintf("%-4s height %d bits %v gap %d: %v # %s", p.Name, c.height, c.bits, c.gap, next, c.name))
			want := size(c.bits)
			if c.height >= 2 {
				want = math.Min(want*naiveRatio(p, c.gap), size(p.Easiest))
			}
			if off := size(next)/want - 1; math.Abs(off) > kernelError && want > 1<<20 {
				t.Errorf("%s, %s: %v, %.3g away from the twin", p.Name, c.name, next, off)
			}
		}
	}
	golden(t, "nextbits.txt", got)
}

func TestNextBitsAgreesWithItsTwin(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, p := range []*chain.Params{chain.Main(), chain.Dev()} {
		worst := 0.0
		for range 50_000 {
			parent := chain.State{Height: 2 + r.Uint64N(1e9), Gap: r.Uint32N(uint32(2 * (p.Spacing + p.HalfLife)))}
			parent.Bits = chain.Bits(0x10+r.Uint32N(0x0e))<<24 | chain.Bits(0x8000+r.Uint32N(0x7f8000))
			want := math.Min(size(parent.Bits)*naiveRatio(p, parent.Gap), size(p.Easiest))
			worst = math.Max(worst, math.Abs(size(chain.NextBits(p, parent))/want-1))
		}
		t.Logf("%s: at most %.5f %% apart", p.Name, 100*worst)
		if worst > kernelError {
			t.Errorf("%s: %.5f %% apart, allowed %.5f %%", p.Name, 100*worst, 100*kernelError)
		}
	}
}

func TestOnDemandIsAlwaysEasiest(t *testing.T) {
	p := chain.Regtest()
	for _, parent := range []chain.State{{}, {Height: 1, Gap: 9}, {Height: 99, Bits: 0x1d00ffff}, {Height: 5, Bits: p.Easiest, Gap: 1 << 31}} {
		if got := chain.NextBits(p, parent); got != p.Easiest {
			t.Errorf("after %+v: %v", parent, got)
		}
	}
}

// world is a chain of headers that miners of a given rate find at random: seconds
// as a clock with fractions sees them, whole ones in the headers.
type world struct {
	p     *chain.Params
	r     *rand.Rand
	tip   chain.State
	clock float64 // seconds
	rate  float64 // hashes a second
	stamp func(w *world) uint32
}

func newWorld(p *chain.Params, rate float64, seed uint64) *world {
	tip := p.GenesisState()
	return &world{p: p, r: rand.New(rand.NewPCG(seed, 7)), tip: tip, clock: float64(tip.Time), rate: rate}
}

// honest is what a template carries: the clock, and never less than the parent.
func honest(w *world) uint32 { return max(uint32(w.clock), w.tip.Time) }

// mine finds one block and returns how long it took.
func (w *world) mine(t *testing.T) (took float64) {
	t.Helper()
	bits := chain.NextBits(w.p, w.tip)
	work, _ := new(big.Float).SetInt(bits.Work().Big()).Float64()
	took = w.r.ExpFloat64() * work / w.rate
	w.clock += took
	stamp := honest
	if w.stamp != nil {
		stamp = w.stamp
	}
	h := chain.Header{Version: 1, Prev: w.tip.ID, Time: stamp(w), Bits: bits, Nonce: uint32(w.tip.Height)}
	next, err := chain.ConnectHeader(w.p, w.tip, h)
	if err != nil {
		t.Fatal(err)
	}
	w.tip = next
	return took
}

// run mines n blocks: the mean interval in units of the spacing, and the mean and
// standard deviation of ln(hash rate wanted / hash rate there is).
func (w *world) run(t *testing.T, n int) (mean, level, spread float64) {
	t.Helper()
	var time, sum, squares float64
	for range n {
		time += w.mine(t)
		work, _ := new(big.Float).SetInt(w.tip.Bits.Work().Big()).Float64()
		x := math.Log(work / float64(w.p.Spacing) / w.rate)
		sum += x
		squares += x * x
	}
	level = sum / float64(n)
	return time / float64(n) / float64(w.p.Spacing), level, math.Sqrt(squares/float64(n) - level*level)
}

// A jump of the hash rate by a factor f moves the difficulty by the same factor,
// half-life by half-life: half-life/spacing · log2 f blocks in excess, then some
// multiples of the time constant 1/a, a = ln 2 · spacing/half-life, until what is
// left is noise. In balance ln target has the standard deviation √(a/(2−a)), and
// since the exponents of n blocks add up to one difference of it, the mean interval
// of n blocks has the error √2·√(a/(2−a))/(a·n).
func TestDifficultyFollowsTheHashRate(t *testing.T) {
	for _, p := range []*chain.Params{chain.Main(), chain.Dev()} {
		t.Run(p.Name, func(t *testing.T) {
			lives := float64(p.HalfLife) / float64(p.Spacing)
			a := math.Ln2 / lives
			noise := math.Sqrt(a / (2 - a))
			settle := int(lives*math.Log2(100) + 8/a)
			const n = 20_000
			bound := 4*math.Sqrt2*noise/(a*n) + 0.004 // 0.4 %: the cubic's and the compact form's bias
			w := newWorld(p, 0, 42)
			for _, rate := range []float64{100e6, 10e9, 100e6, 1e6 * 50, 5e9, 100e6} {
				w.rate = rate
				w.run(t, settle)
				mean, level, spread := w.run(t, n)
				t.Logf("%.0e hashes/s, after %d blocks: interval %.4f ± %.4f spacings, level %+.4f, spread %.4f, theory %.4f", rate, settle, mean, bound, level, spread, noise)
				if math.Abs(mean-1) > bound {
					t.Errorf("at %.0e hashes/s the interval is %.4f spacings, allowed 1 ± %.4f", rate, mean, bound)
				}
				if math.Abs(spread/noise-1) > 0.15 {
					t.Errorf("at %.0e hashes/s the difficulty spreads by %.4f, want %.4f", rate, spread, noise)
				}
			}
		})
	}
}

// Upwards the price of a jump is fixed: half-life/spacing · log2 f blocks more than
// time would give. Downwards the difficulty follows within a few blocks, each at
// most a doubling, and nothing is owed: no burst follows.
func TestAJumpCostsWhatTheHalfLifeSays(t *testing.T) {
	for _, p := range []*chain.Params{chain.Main(), chain.Dev()} {
		t.Run(p.Name, func(t *testing.T) {
			lives := float64(p.HalfLife) / float64(p.Spacing)
			a := math.Ln2 / lives
			settle := int(lives*math.Log2(100) + 8/a)
			const runs = 40
			var up, slow, after float64
			for seed := range uint64(runs) {
				w := newWorld(p, 50e6, seed)
				w.run(t, 2*settle)
				w.rate *= 100
				mean, _, _ := w.run(t, settle)
				up += float64(settle) * (1 - mean) / runs
				w.rate /= 100
				mean, _, _ = w.run(t, 12)
				slow += 12 * mean / runs
				mean, _, _ = w.run(t, settle)
				after += float64(settle) * (1 - mean) / runs
			}
			want := lives * math.Log2(100)
			t.Logf("100 times the rate: %.1f blocks in excess, theory %.1f; a hundredth: 12 blocks in %.1f spacings, then %+.1f blocks in excess", up, want, slow, after)
			if math.Abs(up/want-1) > 0.05 {
				t.Errorf("%.1f blocks in excess, want %.1f", up, want)
			}
			if limit := 12 * (lives + 1) * 2; slow > limit {
				t.Errorf("12 blocks took %.1f spacings, allowed %.1f", slow, limit)
			}
			if after > lives {
				t.Errorf("a burst of %.1f blocks follows, allowed %.1f", after, lives)
			}
		})
	}
}

// A network that slept: the first block after the night doubles the target at most,
// and no race after a schedule follows.
func TestANightsSleepIsForgotten(t *testing.T) {
	p := chain.Dev()
	lives := float64(p.HalfLife) / float64(p.Spacing)
	settle := int(16 * lives)
	var burst float64
	const runs = 40
	for seed := range uint64(runs) {
		w := newWorld(p, 1e6, seed)
		w.run(t, settle)
		before := w.tip.Bits
		w.clock += 9 * 3600
		w.mine(t)
		if got := size(chain.NextBits(p, w.tip)) / size(before); got > 2.3 {
			t.Errorf("seed %d: a night makes the target %.2f times as large", seed, got)
		}
		mean, _, _ := w.run(t, settle)
		burst += float64(settle) * (1 - mean) / runs
	}
	t.Logf("a night is followed by %.1f blocks in excess, a half-life is %.0f", burst, lives)
	if burst > 1.2*lives {
		t.Errorf("a burst of %.1f blocks follows a night, allowed %.1f", burst, 1.2*lives)
	}
}

// Whatever times a branch carries, after n blocks it is no easier than the schedule
// that its last time allows: start · 2^((passed − n·spacing)/half-life). Caps and
// clamps only make it harder, so nobody gains by how the time is spread.
func TestNoTimestampsMakeABranchEasierThanItsSchedule(t *testing.T) {
	var r *rand.Rand
	styles := map[string]func(p *chain.Params) uint32{
		"equal times":     func(*chain.Params) uint32 { return 0 },
		"on time":         func(p *chain.Params) uint32 { return uint32(p.Spacing) },
		"late":            func(p *chain.Params) uint32 { return uint32(p.Spacing + 1) },
		"mixed":           func(p *chain.Params) uint32 { return r.Uint32N(uint32(3 * p.Spacing)) },
		"sprints, sleeps": func(p *chain.Params) uint32 { return uint32(p.HalfLife) * 2 * (r.Uint32N(40) / 39) },
		"at the cap":      func(p *chain.Params) uint32 { return uint32(p.Spacing+p.HalfLife) * (r.Uint32N(31) / 30) },
	}
	for _, p := range []*chain.Params{chain.Main(), chain.Dev()} {
		for name, gap := range styles {
			r = rand.New(rand.NewPCG(3, 4))
			tip := chain.State{Height: 5000, Bits: 0x1c7fffff, Time: 2_000_000_000, Gap: uint32(p.Spacing)}
			if p.Name == "main" {
				tip.Bits = 0x1b7fffff
			}
			start, passed := math.Log2(size(tip.Bits)), 0.0
			for n := 1; n <= 400; n++ {
				h := chain.Header{Version: 1, Prev: tip.ID, Bits: chain.NextBits(p, tip), Time: tip.Time + gap(p)}
				next, err := chain.ConnectHeader(p, tip, h)
				if err != nil {
					t.Fatal(err)
				}
				tip = next
				passed += float64(tip.Gap)
				schedule := start + (passed-float64(n)*float64(p.Spacing))/float64(p.HalfLife)
				easy := math.Log2(size(chain.NextBits(p, tip)))
				if easy > schedule+float64(n)*math.Log2(1+kernelError) {
					t.Fatalf("%s, %s, block %d: target 2^%.4f, its schedule allows 2^%.4f", p.Name, name, n, easy, schedule)
				}
			}
		}
	}
}

// A miner of a tenth of the rate, alone on a branch, gets at most a tenth of the
// work done, whatever times it writes.
func TestATenthOfTheRateGetsATenthOfTheWork(t *testing.T) {
	styles := map[string]func(w *world) uint32{
		"honest":               honest,
		"the parent's always":  func(w *world) uint32 { return w.tip.Time },
		"as far as peers bear": func(w *world) uint32 { return max(uint32(w.clock)+uint32(w.p.Ahead), w.tip.Time) },
		"now and then a leap": func(w *world) uint32 {
			if w.tip.Height%50 == 0 {
				return max(uint32(w.clock)+uint32(w.p.Ahead), w.tip.Time)
			}
			return w.tip.Time
		},
	}
	for _, p := range []*chain.Params{chain.Main(), chain.Dev()} {
		for name, stamp := range styles {
			w := newWorld(p, 100e6, 11)
			w.run(t, int(16*p.HalfLife/p.Spacing))
			fork, began := w.tip, w.clock
			w.rate /= 10
			w.stamp = stamp
			for range 3000 {
				w.mine(t)
				if w.clock-began > 4000*float64(p.Spacing) {
					break
				}
			}
			blocks := w.tip.Height - fork.Height
			gained, _ := new(big.Float).SetInt(w.tip.Work.Minus(fork.Work).Big()).Float64()
			share := gained / ((w.clock - began) * 100e6)
			t.Logf("%s, %s: %d blocks in %.0f spacings hold %.3f of what the network could do", p.Name, name, blocks, (w.clock-began)/float64(p.Spacing), share)
			if share > 0.14 {
				t.Errorf("%s, %s: a tenth of the rate got %.3f of the work", p.Name, name, share)
			}
			if allowed := (w.clock-began+float64(p.Ahead))/float64(p.Spacing) + 100; float64(blocks) > allowed {
				t.Errorf("%s, %s: %d blocks, the time allows %.0f", p.Name, name, blocks, allowed)
			}
		}
	}
}
