package schnorr

import (
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
)

func randomScalar(r *rand.Rand) *btcec.ModNScalar {
	var b [32]byte
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	var k btcec.ModNScalar
	k.SetBytes(&b)
	return &k
}

// corners are scalars at which digits carry, signs change or roundings turn.
func corners() (list []btcec.ModNScalar) {
	for shift := range uint(256) {
		for d := int64(-1); d <= 1; d++ {
			list = append(list, scalarOf(new(big.Int).Mod(plus(new(big.Int).Lsh(big.NewInt(1), shift), d), order)))
		}
	}
	half := new(big.Int).Rsh(order, 1)
	for _, n := range []*big.Int{order, half, lambda, neg(lambda), minB1, b2, new(big.Int).Mul(lambda, b2)} {
		for d := int64(-2); d <= 2; d++ {
			list = append(list, scalarOf(new(big.Int).Mod(plus(n, d), order)))
		}
	}
	return list
}

func (h half) scalar() *btcec.ModNScalar {
	n := new(big.Int).SetUint64(h.hi)
	n.Lsh(n, 64).Add(n, new(big.Int).SetUint64(h.lo))
	if h.negative {
		n.Neg(n)
	}
	k := scalarOf(n.Mod(n, order))
	return &k
}

func TestSplitScalarsAreShortAndWhole(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	all := corners()
	for range 5000 {
		all = append(all, *randomScalar(r))
	}
	l := scalarOf(lambda)
	for _, k := range all {
		k1, k2 := split(&k) // panics if one is too long
		if got := k2.scalar().Mul(&l).Add(k1.scalar()); !got.Equals(&k) {
			t.Fatalf("seed %d: %v is split into %v and %v", seed, &k, k1, k2)
		}
	}
}

func TestLambdaTimesAPointIsBetaTimesItsX(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		k := randomScalar(r)
		p, l := multiple(k), scalarOf(lambda)
		q := multiple(k.Mul(&l))
		if p.X.Mul(&beta).Normalize(); !p.X.Equals(&q.X) || !p.Y.Equals(&q.Y) {
			t.Fatal("λP is not (βx, y)")
		}
	}
}

func TestDigitsAddUp(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	halves := []half{{}, {lo: 1}, {lo: 1, negative: true}, {lo: 1 << 63, hi: 1 << 63}, {lo: 1<<64 - 1, hi: 1<<64 - 1}, {hi: 1 << 63}}
	for range 500 {
		halves = append(halves, half{r.Uint64(), r.Uint64(), r.Uint32()&1 == 0})
	}
	for c := 1; c <= 13; c++ {
		digits := make([]int16, 128/c+1)
		for _, h := range halves {
			h.digits(c, digits)
			sum := new(big.Int)
			for i := len(digits) - 1; i >= 0; i-- {
				if d := digits[i]; max(d, -d) > 1<<(c-1) {
					t.Fatalf("digit %d of %d bits", d, c)
				}
				sum.Lsh(sum, uint(c)).Add(sum, big.NewInt(int64(digits[i])))
			}
			if got := scalarOf(sum.Mod(sum, order)); !got.Equals(h.scalar()) {
				t.Fatalf("digits of %d bits of %+v are %v", c, h, digits)
			}
		}
	}
}

// The naive twin multiplies one by one.
func TestSumIsTheSumOfProducts(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	edges := corners()
	for _, n := range []int{1, 2, 3, 5, 30, 200, 1500} {
		s := newSum(2 * n)
		var want btcec.JacobianPoint
		var p point
		for i := range n {
			k := randomScalar(r)
			if i%3 == 0 {
				k = &edges[r.IntN(len(edges))]
			}
			if i%4 != 1 { // some points come twice
				j := multiple(randomScalar(r))
				p = point{j.X, j.Y}
			} else {
				p.negate()
			}
			s.addSplit(k, &p)
			var product btcec.JacobianPoint
			j := p.jacobian()
			btcec.ScalarMultNonConst(k, &j, &product)
			btcec.AddNonConst(&want, &product, &want)
		}
		var got btcec.JacobianPoint
		s.total(&got)
		if !got.EquivalentNonConst(&want) {
			t.Errorf("seed %d: the sum of %d products is another", seed, n)
		}
	}
}

func TestASumMayBeNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, n := range []int{1, 2, 10, 300} {
		s := newSum(4 * n)
		for range n {
			k, j := randomScalar(r), multiple(randomScalar(r))
			p := point{j.X, j.Y}
			s.addSplit(k, &p)
			p.negate()
			s.addSplit(k, &p)
		}
		var got, zero btcec.JacobianPoint
		s.total(&got)
		if !got.EquivalentNonConst(&zero) || !zero.EquivalentNonConst(&got) {
			t.Errorf("%d points and their negatives make %v", n, got)
		}
	}
}

func TestAffineAdditionMeetsItsCorners(t *testing.T) {
	for a := range 12 {
		for b := range 12 {
			if a == 0 || b == 0 {
				continue
			}
			p, q, want := small(a-6), small(b-6), small(a+b-12)
			if p == nil || q == nil {
				continue
			}
			var d [1]btcec.FieldVal
			denominator(p, q, &d[0])
			d[0].Normalize()
			invert(d[:], make([]btcec.FieldVal, 1))
			ok := p.plus(q, &d[0])
			if ok != (want != nil) {
				t.Fatalf("%d G + %d G is a point: %v", a-6, b-6, ok)
			}
			if ok && (!p.x.Equals(&want.x) || !p.y.Equals(&want.y)) {
				t.Errorf("%d G + %d G is another point", a-6, b-6)
			}
		}
	}
}

// small is n·G, nil at infinity.
func small(n int) *point {
	if n == 0 {
		return nil
	}
	var k btcec.ModNScalar
	if k.SetInt(uint32(max(n, -n))); n < 0 {
		k.Negate()
	}
	j := multiple(&k)
	return &point{j.X, j.Y}
}
