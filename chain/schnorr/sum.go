package schnorr

import (
	"math/bits"
	"slices"

	"github.com/btcsuite/btcd/btcec/v2"
)

// A sum is Σ kᵢ·Pᵢ over many points, computed by Pippenger's buckets (Bernstein,
// Doumen, Lange, Oosterwijk: "Faster batch forgery identification", 2012, section
// 4): the points are cast into buckets by one digit of their scalars at a time.
type sum struct {
	points  []point
	scalars []half
}

func newSum(n int) *sum {
	return &sum{points: make([]point, 0, n), scalars: make([]half, 0, n)}
}

func (s *sum) add(k half, p *point) {
	s.points = append(s.points, *p)
	s.scalars = append(s.scalars, k)
}

// addSplit adds k·p as two halves.
func (s *sum) addSplit(k *btcec.ModNScalar, p *point) {
	k1, k2 := split(k)
	s.add(k1, p)
	q := point{y: p.y}
	q.x.Mul2(&p.x, &beta).Normalize()
	s.add(k2, &q)
}

// total computes the sum, from the highest digits of the scalars to the lowest, as
// many of them at once as make a pass long enough to share its inversions.
func (s *sum) total(out *btcec.JacobianPoint) {
	c := digitBits(len(s.points))
	digits := s.digits(c)
	var g groups
	pass := len(s.points) * max(1, passLength/len(s.points))
	for end := len(digits); end > 0; end -= pass {
		weighed := g.weigh(s.points, digits[max(0, end-pass):end], c)
		for _, p := range slices.Backward(weighed) {
			for range c {
				btcec.DoubleNonConst(out, out)
			}
			btcec.AddNonConst(out, &p, out)
		}
	}
}

// digits are the lowest digits of all scalars, then the next.
func (s *sum) digits(c int) []int16 {
	n := 128/c + 1 // one bit more than a half has: signed digits carry into it
	all := make([]int16, n*len(s.scalars))
	var one [128]int16
	for i, k := range s.scalars {
		k.digits(c, one[:n])
		for d, digit := range one[:n] {
			all[d*len(s.scalars)+i] = digit
		}
	}
	return all
}

// passLength points share an inversion, and still lie in a processor's cache.
const passLength = 8192

// digitBits balances the points, which are added once a digit, against the
// buckets, which are added up once a digit as well.
func digitBits(points int) int {
	return min(max(bits.Len(uint(points))-3, 2), 13)
}

// weigh computes Σ digit·point for each of a few digits. A bucket holds the points
// of one digit's value; with bucket number j = row·2^m + column, Σ j·Bⱼ is
// 2^m·Σ row·(sum of the row) + Σ column·(sum of the column): far fewer points are
// left to be weighed.
func (g *groups) weigh(points []point, digits []int16, c int) []btcec.JacobianPoint {
	n, m := len(digits)/len(points), (c-1)/2
	buckets := table{1<<(c-1) + 1}
	cells := make([]int32, len(digits))
	for i, d := range digits {
		cells[i] = buckets.cell(i/len(points), int(d))
	}
	g.cast(points, cells, n*buckets.width)
	sums, number := g.sums()

	weighed := make([]btcec.JacobianPoint, n)
	g.fold(sums, number, buckets, table{1<<(c-1-m) + 1}, func(j int) int { return j >> m }, weighed)
	for i := range weighed {
		for range m {
			btcec.DoubleNonConst(&weighed[i], &weighed[i])
		}
	}
	g.fold(sums, number, buckets, table{1 << m}, func(j int) int { return j & (1<<m - 1) }, weighed)
	return weighed
}

// A table has a line of groups for every digit, one for each weight below width.
type table struct{ width int }

// cell is the number of a group, negative for a negative weight, 0 for weight 0.
func (t table) cell(line, weight int) int32 {
	switch {
	case weight < 0:
		return -int32(line*t.width - weight)
	case weight > 0:
		return int32(line*t.width + weight)
	}
	return 0
}

// fold adds up what lies in one row or column and weighs it, by running sums from
// the highest weight down.
func (g *groups) fold(sums []point, number []int32, from, to table, weight func(int) int, totals []btcec.JacobianPoint) {
	cells := make([]int32, len(sums))
	for i, j := range number {
		cells[i] = to.cell(int(j)/from.width, weight(int(j)%from.width))
	}
	g.cast(sums, cells, len(totals)*to.width)
	g.reduce()
	for line := range totals {
		var running btcec.JacobianPoint
		for w := to.width - 1; w > 0; w-- {
			if p := g.only(line*to.width + w); p != nil {
				affine := p.jacobian()
				btcec.AddNonConst(&running, &affine, &running)
			}
			btcec.AddNonConst(&totals[line], &running, &totals[line])
		}
	}
}
