package converge

import (
	"math"
	"sort"
)

// farthest is the largest depth that DepthFor looks at.
const farthest = 1 << 31

// Reversal is the probability that an attacker with a share q of all work ever
// undoes a payment that lies z deep, if he began when the payment's block did
// and a tie suffices him: P(z) = I_{4pq}(z, ½) with p = 1−q (C. Grunspan and
// R. Pérez-Marco, Double spend races, 2018, Theorem 1; equal to M. Rosenfeld,
// Analysis of hashrate-based double-spending, 2014, equation 1). It is 1 for
// q ≥ ½ or z < 1. Rounding takes away about 10⁻¹⁶/(1−2q)² of the result.
func Reversal(q float64, z int) float64 {
	if q >= 0.5 || z < 1 {
		return 1
	}
	if q <= 0 {
		return 0
	}
	a, x, lead := float64(z), 4*(1-q)*q, 1-2*q // lead² = 1−x without its rounding
	first := lead * central(z) * math.Exp(a*logX(q))
	// The two forms are the same number; each converges fast on its side, and the
	// textbook form, 1 minus a sum, would cancel on the side of small risks.
	if x < (a+1)/(a+2.5) {
		return first * fraction(a, 0.5, x)
	}
	return 1 - 2*a*first*fraction(0.5, a, lead*lead)
}

// logX is ln(4pq), exact where 4pq is near 1.
func logX(q float64) float64 {
	if q < 0.25 {
		return math.Log(4 * (1 - q) * q)
	}
	return math.Log1p(-(1 - 2*q) * (1 - 2*q))
}

// central is C(2z, z)/4^z.
func central(z int) float64 {
	const exact = 200
	if z > exact {
		i := 1 / float64(z)
		return math.Sqrt(i/math.Pi) * (1 + i*(-1./8+i*(1./128+i*(5./1024+i*(-21./32768)))))
	}
	c := 1.0
	for i := 1; i <= z; i++ {
		c *= float64(2*i-1) / float64(2*i)
	}
	return c
}

// fraction is the continued fraction of the incomplete beta function: I_x(a, b)
// = x^a (1−x)^b / (a B(a, b)) times it (NIST DLMF 8.17.22), by Lentz's method in
// the form of W. Press et al., Numerical Recipes, 6.4.
func fraction(a, b, x float64) float64 {
	const enough = 1e-15
	c, d := 1.0, 1/(1-(a+b)*x/(a+1))
	h := d
	for m := 1.0; ; m++ {
		even := m * (b - m) * x / ((a + 2*m - 1) * (a + 2*m))
		odd := -(a + m) * (a + b + m) * x / ((a + 2*m) * (a + 2*m + 1))
		d = 1 / (1 + even*d)
		c = 1 + even/c
		h *= d * c
		d = 1 / (1 + odd*d)
		c = 1 + odd/c
		h *= d * c
		if off := math.Abs(d*c - 1); off <= enough || math.IsNaN(off) {
			return h
		}
	}
}

// Nakamoto is the same probability by the formula of S. Nakamoto, Bitcoin, 2008,
// section 11. It takes the attacker's progress for a Poisson number and so
// understates the risk; it is here to be compared with.
func Nakamoto(q float64, z int) float64 {
	if q >= 0.5 || z < 1 {
		return 1
	}
	if q <= 0 {
		return 0
	}
	n, r := float64(z), q/(1-q)
	// The attacker's mean is nr. Beside the probability of exactly z, every term of
	// the paper's sum is a product of ratios: no term cancels another.
	all := 1.0
	for t, k := 1.0, n; k > 0 && t > all*1e-18; k-- { // k−1 found, the rest caught up
		t *= k / n
		all += t
	}
	for t, k := 1.0, n+1; t > all*1e-18; k++ { // k found
		t *= n * r / k
		all += t
	}
	return all * math.Exp(n*(math.Log(r)+1-r)+stirling(n))
}

// stirling is ln(n^n e^−n / n!).
func stirling(n float64) float64 {
	if n < 100 {
		g, _ := math.Lgamma(n + 1)
		return n*math.Log(n) - n - g
	}
	i := 1 / n
	return -math.Log(2*math.Pi*n)/2 - i*(1./12-i*i*(1./360-i*i/1260))
}

// DepthFor is the smallest depth at which an attacker with a share q of all work
// has a chance below risk. There is none for q ≥ ½, for risk ≤ 0, or within
// 2³¹ blocks.
func DepthFor(q, risk float64) (z int, ok bool) {
	limit := 1
	for ; limit < farthest && !(Reversal(q, limit) < risk); limit *= 2 {
		if q >= 0.5 || risk <= 0 {
			return 0, false
		}
	}
	if limit >= farthest {
		return 0, false
	}
	z = sort.Search(limit, func(z int) bool { return Reversal(q, z) < risk })
	return z, true
}
