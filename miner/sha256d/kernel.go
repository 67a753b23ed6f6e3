package sha256d

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"
)

// Kernel is one way to search nonces.
type Kernel struct {
	Name string

	// Available reports whether this processor can run Search.
	Available func() bool

	// Search appends to hits each of the n nonces from first on, 0 following
	// the greatest, whose hash ends in four bytes that are, little-endian, at
	// most the last four of the target: exactly those, in the order of the
	// search. It names one too many about once in 2³² nonces, so it need not
	// compare further. n is at most 2³². Search must not change job.
	Search func(job *Job, first uint32, n uint64, hits []uint32) []uint32

	// SearchFamily, if there is one, does the same for every header of a family
	// in less time than Search does for one after the other, in any order.
	SearchFamily func(family *Family, first uint32, n uint64, hits []Hit) []Hit
}

// known are all kernels that this build holds, slowest first by expectation. A
// file for one processor appends to it in its init.
var known = []Kernel{portable, stdlib}

func everywhere() bool { return true }

// tried is decided once, at first use.
var tried = sync.OnceValue(func() (r ranking) {
	right, wrong := qualify(known)
	r.rejected = wrong
	r.alone = rank(right, measure(right, alone))
	r.together = rank(right, measure(right, together))
	return r
})

// A ranking is which kernels are right, and their order of speed, fastest last: on
// one header, and on families.
type ranking struct {
	alone, together []Kernel
	rejected        []error
}

// Kernels returns the kernels that this machine can run and that passed their
// self-test, in the order of their measured speed, fastest last.
func Kernels() []Kernel { return slices.Clone(tried().alone) }

// Rejected returns, for each kernel that this machine can run but that failed
// its self-test, the reason.
func Rejected() []error { return slices.Clone(tried().rejected) }

// Best returns the fastest of Kernels. It panics if there is none: then this
// machine cannot hash, whichever way it is asked.
func Best() Kernel { return tried().fastest(1) }

// fastest is the kernel for families of so many headers.
func (r ranking) fastest(wide int) Kernel {
	if len(r.alone) == 0 {
		panic(fmt.Sprintf("sha256d: no kernel is right: %v", errors.Join(r.rejected...)))
	}
	if wide == 1 {
		return r.alone[len(r.alone)-1]
	}
	return r.together[len(r.together)-1]
}

// usual is how many headers make a family worth its while: more gain little and
// fill the processor's nearest cache.
const usual = 16

// Width returns how many headers to search together for the most hashes a
// second on this machine: one if no kernel gains by families.
func Width() int {
	if tried().fastest(usual).SearchFamily == nil {
		return 1
	}
	return usual
}

// qualify tests those kernels that can run here.
func qualify(kernels []Kernel) (right []Kernel, wrong []error) {
	for _, k := range kernels {
		if !k.Available() {
			continue
		}
		if err := selfTest(k); err != nil {
			wrong = append(wrong, err)
			continue
		}
		right = append(right, k)
	}
	return right, wrong
}

// rank orders kernels by the time that they took, fastest last. Where a coarse
// clock cannot tell two apart, expectation decides: their order stays.
func rank(kernels []Kernel, took []time.Duration) []Kernel {
	order := make([]int, len(kernels))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(x, y int) int { return cmp.Compare(took[y], took[x]) })
	ranked := make([]Kernel, len(kernels))
	for i, from := range order {
		ranked[i] = kernels[from]
	}
	return ranked
}

// measured is how many hashes a measurement takes.
const measured = 1 << 11

// alone searches one header.
func alone(k Kernel) { k.Search(NewJob(new(Header), new(Target)), 0, measured, nil) }

// together searches a family.
func together(k Kernel) {
	f, err := NewFamily(make([]Header, usual), new(Target))
	if err != nil {
		panic(err) // headers that are alike end alike
	}
	f.name(k, 0, measured/usual, nil)
}

// measure returns how long each kernel takes for the same search, some
// milliseconds in all. They take turns and the shortest turn counts, so that a
// machine busy with other things delays the choice but does not make it.
func measure(kernels []Kernel, search func(Kernel)) []time.Duration {
	const turns = 5
	least := slices.Repeat([]time.Duration{math.MaxInt64}, len(kernels))
	for range turns {
		for i, k := range kernels {
			start := time.Now()
			search(k)
			least[i] = min(least[i], time.Since(start))
		}
	}
	return least
}
