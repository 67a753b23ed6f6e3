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

// tried is decided once, at first use: which kernels are right, and in what order.
var tried = sync.OnceValues(func() ([]Kernel, []error) {
	right, wrong := qualify(known)
	return rank(right, measure), wrong
})

// Kernels returns the kernels that this machine can run and that passed their
// self-test, in the order of their measured speed, fastest last.
func Kernels() []Kernel {
	right, _ := tried()
	return slices.Clone(right)
}

// Rejected returns, for each kernel that this machine can run but that failed
// its self-test, the reason.
func Rejected() []error {
	_, wrong := tried()
	return slices.Clone(wrong)
}

// Best returns the fastest of Kernels. It panics if there is none: then this
// machine cannot hash, whichever way it is asked.
func Best() Kernel {
	right, wrong := tried()
	if len(right) == 0 {
		panic(fmt.Sprintf("sha256d: no kernel is right: %v", errors.Join(wrong...)))
	}
	return right[len(right)-1]
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

// rank orders kernels by the time that they take, fastest last. Where a coarse
// clock cannot tell two apart, expectation decides: their order stays.
func rank(kernels []Kernel, measure func([]Kernel) []time.Duration) []Kernel {
	took := measure(kernels)
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

// measure returns how long each kernel takes for the same few thousand nonces,
// some milliseconds in all. They take turns and the shortest turn counts, so
// that a machine busy with other things delays the choice but does not make it.
func measure(kernels []Kernel) []time.Duration {
	const turns, portion = 5, 1 << 11
	job := NewJob(new(Header), new(Target))
	least := slices.Repeat([]time.Duration{math.MaxInt64}, len(kernels))
	for range turns {
		for i, k := range kernels {
			start := time.Now()
			k.Search(job, 0, portion, nil)
			least[i] = min(least[i], time.Since(start))
		}
	}
	return least
}
