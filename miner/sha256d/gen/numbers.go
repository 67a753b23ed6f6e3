package main

import (
	"math"
	"math/bits"
)

// iv is SHA-256's initial state and k its round constants: 32 bits behind the
// point of the square and cube roots of the first primes (FIPS 180-4, 4.2.2).
var (
	iv = roots(8, math.Sqrt)
	k  = roots(64, math.Cbrt)
)

// roots needs 32 bits of fraction; a float64 holds some 50.
func roots(n int, root func(float64) float64) (out []uint32) {
	for p := 2; len(out) < n; p++ {
		if prime(p) {
			_, frac := math.Modf(root(float64(p)))
			out = append(out, uint32(frac*(1<<32)))
		}
	}
	return out
}

func prime(p int) bool {
	for d := 2; d*d <= p; d++ {
		if p%d == 0 {
			return false
		}
	}
	return true
}

func rotr(x uint32, n int) uint32 { return bits.RotateLeft32(x, -n) }

// A spin is three rotations to the right that are xored; of a message word the
// last is a shift.
type spin struct {
	by    [3]int
	shift bool
}

var (
	sum0   = spin{by: [3]int{2, 13, 22}}
	sum1   = spin{by: [3]int{6, 11, 25}}
	sigma0 = spin{by: [3]int{7, 18, 3}, shift: true}
	sigma1 = spin{by: [3]int{17, 19, 10}, shift: true}
	none   = spin{}
)

func (s spin) of(x uint32) uint32 {
	switch {
	case s == none:
		return x
	case s.shift:
		return rotr(x, s.by[0]) ^ rotr(x, s.by[1]) ^ x>>s.by[2]
	}
	return rotr(x, s.by[0]) ^ rotr(x, s.by[1]) ^ rotr(x, s.by[2])
}
