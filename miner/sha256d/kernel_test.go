package sha256d

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func names(kernels []Kernel) (out []string) {
	for _, k := range kernels {
		out = append(out, k.Name)
	}
	return out
}

func TestKernelsOfThisMachineAreRight(t *testing.T) {
	if wrong := Rejected(); len(wrong) != 0 {
		t.Errorf("rejected: %v", wrong)
	}
	got := names(Kernels())
	for _, name := range []string{"portable", "stdlib"} {
		if !slices.Contains(got, name) {
			t.Errorf("kernels are %v, without %s", got, name)
		}
	}
	if best := Best().Name; best != got[len(got)-1] {
		t.Errorf("best is %s, kernels are %v", best, got)
	}
}

func TestCallersCannotReorderKernels(t *testing.T) {
	want := names(Kernels())
	slices.Reverse(Kernels())
	if got := names(Kernels()); !slices.Equal(got, want) {
		t.Errorf("kernels are now %v, were %v", got, want)
	}
}

// Each of these is wrong in one way in which fast kernels go wrong.
func TestSelfTestRejectsWrongKernels(t *testing.T) {
	type search = func(*Job, uint32, uint64, []uint32) []uint32
	bad := map[string]search{
		"finds nothing": func(_ *Job, _ uint32, _ uint64, hits []uint32) []uint32 { return hits },
		"leaves out the last nonce": func(j *Job, first uint32, n uint64, hits []uint32) []uint32 {
			return searchPortable(j, first, max(n, 1)-1, hits)
		},
		"leaves out the rest of its lanes": func(j *Job, first uint32, n uint64, hits []uint32) []uint32 {
			return searchPortable(j, first, n&^15, hits)
		},
		"fills its lanes": func(j *Job, first uint32, n uint64, hits []uint32) []uint32 {
			return searchPortable(j, first, (n+15)&^15, hits)
		},
		"stops at the greatest nonce": func(j *Job, first uint32, n uint64, hits []uint32) []uint32 {
			return searchPortable(j, first, min(n, 1<<32-uint64(first)), hits)
		},
		"compares signed": func(j *Job, first uint32, n uint64, hits []uint32) []uint32 {
			for i := range n {
				if nonce := first + uint32(i); int32(lastWord(j, nonce)) <= int32(j.top) {
					hits = append(hits, nonce)
				}
			}
			return hits
		},
		"takes less for at most": func(j *Job, first uint32, n uint64, hits []uint32) []uint32 {
			for i := range n {
				if nonce := first + uint32(i); lastWord(j, nonce) < j.top {
					hits = append(hits, nonce)
				}
			}
			return hits
		},
		"forgets earlier hits": func(j *Job, first uint32, n uint64, hits []uint32) []uint32 {
			return searchPortable(j, first, n, hits[:0])
		},
		"goes backwards": func(j *Job, first uint32, n uint64, hits []uint32) []uint32 {
			known := len(hits)
			hits = searchPortable(j, first, n, hits)
			slices.Reverse(hits[known:])
			return hits
		},
		"drops a term of the schedule": func(j *Job, first uint32, n uint64, hits []uint32) []uint32 {
			lame := *j
			lame.fixed[17] = 0
			return searchPortable(&lame, first, n, hits)
		},
	}
	for name, search := range bad {
		right, wrong := qualify([]Kernel{{Name: name, Available: everywhere, Search: search}, portable})
		if got := names(right); !slices.Equal(got, []string{"portable"}) {
			t.Errorf("right are %v, want portable alone", got)
		}
		if len(wrong) != 1 || !strings.Contains(wrong[0].Error(), name) {
			t.Errorf("rejected are %v, want one that %s", wrong, name)
		}
	}
}

// Where a kernel's instructions are missing, to try it is to crash.
func TestUnavailableKernelIsNeverRun(t *testing.T) {
	alien := Kernel{
		Name:      "alien",
		Available: func() bool { return false },
		Search:    func(*Job, uint32, uint64, []uint32) []uint32 { panic("illegal instruction") },
	}
	if right, wrong := qualify([]Kernel{alien}); len(right)+len(wrong) != 0 {
		t.Errorf("right %v, rejected %v, want neither", names(right), wrong)
	}
}

func TestRankPutsTheFastestLast(t *testing.T) {
	kernels := []Kernel{{Name: "a"}, {Name: "b"}, {Name: "c"}}
	for _, c := range []struct {
		took []time.Duration
		want string
	}{
		{[]time.Duration{3, 2, 1}, "abc"},
		{[]time.Duration{1, 2, 3}, "cba"},
		{[]time.Duration{2, 1, 2}, "acb"},
		{[]time.Duration{0, 0, 0}, "abc"}, // a clock too coarse to tell
	} {
		got := rank(kernels, c.took)
		if order := strings.Join(names(got), ""); order != c.want {
			t.Errorf("times %v rank %s, want %s", c.took, order, c.want)
		}
	}
}

func BenchmarkSearch(b *testing.B) {
	for _, k := range Kernels() {
		b.Run(k.Name, func(b *testing.B) {
			b.ReportAllocs()
			NewJob(header(b, second), new(Target)).searchWith(k, 0, uint64(b.N), nil)
			reportRate(b)
		})
	}
}

func reportRate(b *testing.B) {
	b.ReportMetric(float64(b.N)/1e6/b.Elapsed().Seconds(), "MH/s")
}
