package schnorr

import (
	"encoding/binary"
	"math/big"
	"math/bits"

	"github.com/btcsuite/btcd/btcec/v2"
)

// A half is a scalar of at most 128 bits, with a sign.
type half struct {
	lo, hi   uint64
	negative bool
}

// halfOf reads a scalar that is a half, or the negative of one.
func halfOf(k *btcec.ModNScalar) (h half) {
	abs := *k
	if h.negative = abs.IsOverHalfOrder(); h.negative {
		abs.Negate()
	}
	n := limbs(&abs)
	if n[2]|n[3] != 0 {
		panic("schnorr: a scalar was to be short")
	}
	h.lo, h.hi = n[0], n[1]
	return h
}

// digits writes h as signed digits of c bits, the lowest first: h is the sum of
// digit·2^(c·i), and no digit's amount is over 2^(c-1).
func (h half) digits(c int, out []int16) {
	carry := 0
	for i := range out {
		d := h.bits(i*c, c) + carry
		if carry = 0; d > 1<<(c-1) {
			d, carry = d-1<<c, 1
		}
		if h.negative {
			d = -d
		}
		out[i] = int16(d)
	}
}

func (h half) bits(from, n int) int {
	v := h.hi >> max(from-64, 0)
	if from < 64 {
		v = h.lo>>from | h.hi<<(64-from)
	}
	return int(v & (1<<n - 1))
}

// The curve has points λP = (βx, y), so that k·P = k1·P + k2·λP with halves k1
// and k2 (Gallant, Lambert, Vanstone: "Faster Point Multiplication on Elliptic
// Curves with Efficient Endomorphisms", 2001; the basis (a1, b1), (a2, b2) of
// short vectors with a + bλ = 0 is Guide to Elliptic Curve Cryptography's,
// algorithm 3.74).
var (
	order  = btcec.S256().N
	lambda = number("5363ad4cc05c30e0a5261c028812645a122e22ea20816678df02967c1b23bd72")
	beta   = fieldOf(number("7ae96a2b657c07106e64479eac3434e99cf0497512f58995c1396c28719501ee"))
	minB1  = number("e4437ed6010e88286f547fa90abfe4c3")
	b2     = number("3086d221a7d46bcde86c90e49284eb15")

	negLambda, plusMinB1, negB2 = scalarOf(neg(lambda)), scalarOf(minB1), scalarOf(neg(b2))

	// b/n in 384 binary places: a multiplication stands for the division by n.
	perOrder1, perOrder2 = quotient(b2), quotient(minB1)
)

// split finds k1 and k2 with k = k1 + k2·λ: the multiple of the two short vectors
// that is nearest to (k, 0) is what is subtracted.
func split(k *btcec.ModNScalar) (k1, k2 half) {
	n := limbs(k)
	c1, c2 := nearest(&n, &perOrder1), nearest(&n, &perOrder2)
	s2 := c1.Mul(&plusMinB1).Add(c2.Mul(&negB2))
	var s1 btcec.ModNScalar
	s1.Mul2(s2, &negLambda).Add(k)
	return halfOf(&s1), halfOf(s2)
}

// nearest is k·g/2^384, rounded.
func nearest(k, g *[4]uint64) *btcec.ModNScalar {
	var product [8]uint64
	for i := range k {
		var high uint64
		for j := range g {
			hi, lo := bits.Mul64(k[i], g[j])
			lo, carry := bits.Add64(lo, product[i+j], 0)
			hi += carry
			product[i+j], carry = bits.Add64(lo, high, 0)
			high = hi + carry
		}
		product[i+4] = high
	}
	lo, carry := bits.Add64(product[6], product[5]>>63, 0)
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], product[7]+carry)
	binary.BigEndian.PutUint64(b[8:], lo)
	var out btcec.ModNScalar
	out.SetByteSlice(b[:])
	return &out
}

// limbs are the 64-bit words of k, the lowest first.
func limbs(k *btcec.ModNScalar) (n [4]uint64) {
	b := k.Bytes()
	for i := range n {
		n[i] = binary.BigEndian.Uint64(b[24-8*i:])
	}
	return n
}

func number(hex string) *big.Int {
	n, ok := new(big.Int).SetString(hex, 16)
	if !ok {
		panic("schnorr: no number: " + hex)
	}
	return n
}

func neg(n *big.Int) *big.Int { return new(big.Int).Sub(order, n) }

func scalarOf(n *big.Int) (s btcec.ModNScalar) {
	s.SetByteSlice(n.Bytes())
	return s
}

func fieldOf(n *big.Int) (f btcec.FieldVal) {
	f.SetByteSlice(n.Bytes())
	return f
}

// quotient is b·2^384/n, rounded.
func quotient(b *big.Int) [4]uint64 {
	q := new(big.Int).Lsh(b, 385)
	q.Div(q, order).Add(q, big.NewInt(1)).Rsh(q, 1)
	s := new(big.Int).Set(q)
	var n [4]uint64
	for i := range n {
		n[i] = new(big.Int).Rsh(s, uint(64*i)).Uint64()
	}
	return n
}
