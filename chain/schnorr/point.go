package schnorr

import (
	"github.com/btcsuite/btcd/btcec/v2"
)

// A point of the curve, in affine coordinates, both normalised. The point at
// infinity has none and is left out of every group.
type point struct{ x, y btcec.FieldVal }

// lift finds the point with this x and an even y (BIP340, lift_x). It fails for an
// x that no point has, or that is not below the field's size.
func (p *point) lift(x *[32]byte) bool {
	return p.x.SetBytes(x) == 0 && btcec.DecompressY(&p.x, false, &p.y)
}

func (p *point) jacobian() (j btcec.JacobianPoint) {
	j.X, j.Y = p.x, p.y
	j.Z.SetInt(1)
	return j
}

func (p *point) negate() {
	p.y.Negate(1).Normalize()
}

// denominator is what the slope of the line through p and q is divided by: of the
// tangent if they are one point, of nothing if they cancel each other.
func denominator(p, q *point, out *btcec.FieldVal) {
	switch {
	case !p.x.Equals(&q.x):
		out.NegateVal(&p.x, 1).Add(&q.x)
	case p.y.Equals(&q.y):
		out.Set(&p.y).MulInt(2)
	default:
		out.SetInt(1)
	}
}

// plus adds q to p, given the inverse of their denominator. It fails if they
// cancel each other.
func (p *point) plus(q *point, inverse *btcec.FieldVal) bool {
	var slope, x btcec.FieldVal
	if p.x.Equals(&q.x) {
		if !p.y.Equals(&q.y) {
			return false
		}
		slope.SquareVal(&p.x).MulInt(3).Mul(inverse)
	} else {
		slope.NegateVal(&p.y, 1).Add(&q.y).Mul(inverse)
	}
	x.Add2(&p.x, &q.x).Negate(2)
	x.Add(new(btcec.FieldVal).SquareVal(&slope)).Normalize()
	p.y.Negate(1)
	p.y.Add(p.x.Add(new(btcec.FieldVal).NegateVal(&x, 1)).Mul(&slope)).Normalize()
	p.x = x
	return true
}

// invert inverts all of them at the price of one inversion and three
// multiplications each (Montgomery's trick). None may be 0. The products are
// scratch, as long as all.
func invert(all, products []btcec.FieldVal) {
	var product btcec.FieldVal
	product.SetInt(1)
	for i := range all {
		products[i] = product
		product.Mul(&all[i])
	}
	product.Inverse()
	for i := len(all) - 1; i >= 0; i-- {
		products[i].Mul(&product)
		product.Mul(&all[i])
		all[i] = products[i]
	}
}

// groups of points, each to be added up.
type groups struct {
	points      []point
	start, size []int

	denominators, products []btcec.FieldVal // scratch
}

// cast puts points into n groups. The numbers are those of all points, once or
// several times over: a point goes into the group of that number, its negative if
// the number is negative, and nowhere for 0.
func (g *groups) cast(points []point, number []int32, n int) {
	g.start, g.size = resize(g.start, n), resize(g.size, n)
	g.layOut(number)
	for i, j := range number {
		if j == 0 {
			continue
		}
		a := max(j, -j)
		at := &g.points[g.start[a]+g.size[a]]
		g.size[a]++
		if *at = points[i%len(points)]; j < 0 {
			at.negate()
		}
	}
}

// layOut gives every group its room, and leaves all empty.
func (g *groups) layOut(number []int32) {
	clear(g.size)
	for _, j := range number {
		g.size[max(j, -j)]++
	}
	g.size[0] = 0
	end := 0
	for j, size := range g.size {
		g.start[j], g.size[j] = end, 0
		end += size
	}
	g.points = resize(g.points, end)
}

func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// reduce leaves every group its sum, and no point to one that is empty or whose
// points cancel each other.
func (g *groups) reduce() {
	for g.halve() {
	}
}

// only is the point that reduce left, or nil.
func (g *groups) only(j int) *point {
	if g.size[j] == 0 {
		return nil
	}
	return &g.points[g.start[j]]
}

// sums are the groups' sums and their numbers, in rising order.
func (g *groups) sums() (sums []point, number []int32) {
	g.reduce()
	for j := range g.size {
		if p := g.only(j); p != nil {
			sums = append(sums, *p)
			number = append(number, int32(j))
		}
	}
	return sums, number
}

// halve adds the points of every group in pairs, and says if there were any:
// affine additions are the cheapest when thousands share one inversion.
func (g *groups) halve() bool {
	g.denominators = g.denominators[:0]
	for j, size := range g.size {
		in := g.points[g.start[j]:][:size]
		for i := 1; i < size; i += 2 {
			g.denominators = append(g.denominators, btcec.FieldVal{})
			denominator(&in[i-1], &in[i], &g.denominators[len(g.denominators)-1])
		}
	}
	g.products = resize(g.products, len(g.denominators))
	invert(g.denominators, g.products)
	inverses := g.denominators
	for j, size := range g.size {
		in := g.points[g.start[j]:][:size]
		g.size[j] = addPairs(in, inverses[:size/2])
		inverses = inverses[size/2:]
	}
	return len(g.denominators) > 0
}

// addPairs puts the sums of pairs, and a last single point, to the front.
func addPairs(in []point, inverses []btcec.FieldVal) (n int) {
	for i := range inverses {
		if sum := in[2*i]; sum.plus(&in[2*i+1], &inverses[i]) {
			in[n] = sum
			n++
		}
	}
	if len(in)%2 == 1 {
		in[n] = in[len(in)-1]
		n++
	}
	return n
}
