package schnorr

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/btcsuite/btcd/btcec/v2"
)

// Signed is what Verify is asked about: Sig over Digest under the x-only Key.
type Signed struct {
	Key, Digest [32]byte
	Sig         [64]byte
}

func (s *Signed) verify() bool { return Verify(s.Key, s.Digest, s.Sig) }

// FirstFalse is the index of the first of all that Verify refuses, or -1 if every
// one verifies. It checks many at once (BIP340, "Batch Verification"), thousands
// in about a quarter of the time; the odds that it passes what Verify refuses are
// 2^-128, like those of a forger's guess. Only when the whole fails are parts of it
// tried, so that a bad batch takes two or three times as long as a good one.
func FirstFalse(all []Signed) int {
	if holds(all) {
		return -1
	}
	from, to := 0, len(all)
	for to-from > fewest {
		middle := (from + to) / 2
		if holds(all[from:middle]) {
			from = middle
		} else {
			to = middle
		}
	}
	return firstOneByOne(all, from)
}

// firstOneByOne has the last word on what a batch found. Nothing before from is false.
func firstOneByOne(all []Signed, from int) int {
	for i := from; i < len(all); i++ {
		if !all[i].verify() {
			return i
		}
	}
	return -1
}

// fewest is how many signatures one by one cost what they cost in a batch.
const fewest = 4

func holds(all []Signed) bool {
	if len(all) <= fewest {
		return firstOneByOne(all, 0) < 0
	}
	return batch(all)
}

// batch tells whether Σaᵢsᵢ·G = Σaᵢ·Rᵢ + Σaᵢeᵢ·Pᵢ, where Rᵢ and Pᵢ are the points
// with an even y over r and the key, as Verify wants them: with the aᵢ out of
// anyone's hands, the sum of all equations holds only if each does.
func batch(all []Signed) bool {
	var (
		a   = coefficients(all)
		sum = newSum(3 * len(all))
		s   btcec.ModNScalar
	)
	for i := range all {
		t, ok := read(&all[i])
		if !ok {
			return false
		}
		s.Add(t.s.Mul(&a[i].scalar))
		sum.add(a[i].half, &t.r)
		sum.addSplit(t.e.Mul(&a[i].scalar), &t.p)
	}
	var left, right btcec.JacobianPoint
	btcec.ScalarBaseMultNonConst(&s, &left)
	sum.total(&right)
	return left.EquivalentNonConst(&right)
}

// terms are one equation's: s·G = r + e·p.
type terms struct {
	r, p point
	s, e btcec.ModNScalar
}

// read fails for every encoding that Verify refuses before it computes.
func read(g *Signed) (t terms, ok bool) {
	if t.s.SetByteSlice(g.Sig[32:]) {
		return t, false
	}
	r := [32]byte(g.Sig[:32])
	if !t.r.lift(&r) || !t.p.lift(&g.Key) {
		return t, false
	}
	e := challenge(g)
	t.e.SetBytes(&e)
	return t, true
}

// challengeTag stands twice before what is hashed (BIP340, "Specification").
var challengeTag = sha256.Sum256([]byte("BIP0340/challenge"))

func challenge(g *Signed) [32]byte {
	var b [160]byte
	copy(b[:], challengeTag[:])
	copy(b[32:], challengeTag[:])
	copy(b[64:], g.Sig[:32])
	copy(b[96:], g.Key[:])
	copy(b[128:], g.Digest[:])
	return sha256.Sum256(b[:])
}

// A coefficient is a number of 128 bits.
type coefficient struct {
	half
	scalar btcec.ModNScalar
}

// coefficients are 1 and then what SHA-256 makes of everything that is checked,
// in counter mode: the same batch gets the same answer on every machine, and
// whoever bends a signature to fit the coefficients has changed them.
func coefficients(all []Signed) []coefficient {
	h := sha256.New()
	h.Write([]byte("cairn/batch"))
	for i := range all {
		h.Write(all[i].Key[:])
		h.Write(all[i].Digest[:])
		h.Write(all[i].Sig[:])
	}
	var block [sha256.Size + 8]byte
	h.Sum(block[:0])

	out := make([]coefficient, len(all))
	out[0].set([]byte{1})
	for i := 1; i < len(all); i++ {
		binary.BigEndian.PutUint64(block[sha256.Size:], uint64(i))
		random := sha256.Sum256(block[:])
		out[i].set(random[:16])
	}
	return out
}

func (c *coefficient) set(b []byte) {
	c.scalar.SetByteSlice(b)
	c.half = halfOf(&c.scalar)
}
