package chain

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/big"
	"slices"

	"github.com/holiman/uint256"
)

// HeaderSize is the length of a header in bytes.
const HeaderSize = 80

// RollingBits are the version bits that a miner may change freely (BIP320).
const RollingBits = 0x1fffe000

// HeaderVersion is the version of a header with the rolling bits cleared.
const HeaderVersion = 1

// Header is exactly Bitcoin's 80 bytes.
type Header struct {
	Version uint32
	Prev    Hash
	Root    Hash   // merkle root of the block's transactions
	Time    uint32 // seconds since 1970
	Bits    Bits
	Nonce   uint32
}

// Append appends the 80 bytes.
func (h *Header) Append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, h.Version)
	b = append(b, h.Prev[:]...)
	b = append(b, h.Root[:]...)
	b = binary.LittleEndian.AppendUint32(b, h.Time)
	b = binary.LittleEndian.AppendUint32(b, uint32(h.Bits))
	return binary.LittleEndian.AppendUint32(b, h.Nonce)
}

// Bytes is the encoding.
func (h *Header) Bytes() (b [HeaderSize]byte) {
	h.Append(b[:0])
	return b
}

// ID is the SHA-256d of the 80 bytes: the block's id, and its proof of work.
func (h *Header) ID() Hash {
	b := h.Bytes()
	return SumHash(b[:])
}

// DecodeHeader reads 80 bytes.
func DecodeHeader(b []byte) (Header, error) { return decode(b, ReadHeader) }

// ReadHeader reads one header.
func ReadHeader(r *Reader) Header {
	return Header{
		Version: r.Uint32(),
		Prev:    r.Array32(),
		Root:    r.Array32(),
		Time:    r.Uint32(),
		Bits:    Bits(r.Uint32()),
		Nonce:   r.Uint32(),
	}
}

// Bits is a target in Bitcoin's compact form: one byte of exponent, three of
// mantissa.
type Bits uint32

// String is eight hex digits.
func (b Bits) String() string { return fmt.Sprintf("%08x", uint32(b)) }

// MarshalText writes String's form.
func (b Bits) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText reads eight hex digits.
func (b *Bits) UnmarshalText(text []byte) error {
	raw, err := hex.DecodeString(string(text))
	if err != nil || len(raw) != 4 {
		return fmt.Errorf("bits %q: write eight hex digits like 1e00ffff", text)
	}
	*b = Bits(binary.BigEndian.Uint32(raw))
	return nil
}

// Target is the number that a block's id must not exceed.
type Target struct{ n uint256.Int }

// Target expands the compact form; ok is false if it is negative, zero or over
// 256 bits.
func (b Bits) Target() (t Target, ok bool) {
	size, mantissa := uint(b>>24), uint64(b&0x007fffff)
	if b&0x00800000 != 0 || mantissa == 0 {
		return t, false
	}
	t.n.SetUint64(mantissa)
	if size <= 3 {
		t.n.Rsh(&t.n, 8*(3-size))
		return t, !t.n.IsZero()
	}
	shift := 8 * (size - 3)
	if t.n.BitLen()+int(shift) > 256 {
		return Target{}, false
	}
	t.n.Lsh(&t.n, shift)
	return t, true
}

// Bits is the compact form, rounded down to 23 bits of mantissa.
func (t Target) Bits() Bits {
	size := uint((t.n.BitLen() + 7) / 8)
	var low uint256.Int
	if size <= 3 {
		low.Lsh(&t.n, 8*(3-size))
	} else {
		low.Rsh(&t.n, 8*(size-3))
	}
	mantissa := uint32(low.Uint64())
	if mantissa&0x00800000 != 0 { // the sign bit must stay clear
		mantissa >>= 8
		size++
	}
	return Bits(uint32(size)<<24 | mantissa)
}

// Cmp compares: below 0 means t is smaller, that is harder.
func (t Target) Cmp(o Target) int { return t.n.Cmp(&o.n) }

// Met tells whether id, as a little-endian number, does not exceed the target.
func (t Target) Met(id Hash) bool {
	var n uint256.Int
	for i := range n {
		n[i] = binary.LittleEndian.Uint64(id[8*i:])
	}
	return n.Cmp(&t.n) <= 0
}

// Bytes is the target in 32 bytes, most significant first.
func (t Target) Bytes() [32]byte { return t.n.Bytes32() }

// String is 64 hex digits, most significant first.
func (t Target) String() string {
	b := t.Bytes()
	return hex.EncodeToString(b[:])
}

// Work is an expected number of hashes, of one block or of a whole chain.
type Work struct{ n uint256.Int }

// Work is ⌊2²⁵⁶/(target+1)⌋: the expected number of hashes to meet the target.
func (t Target) Work() Work {
	// 2²⁵⁶ does not fit: (2²⁵⁶−1−t)/(t+1) + 1 is the same number.
	var w Work
	w.n.Not(&t.n)
	d := t.n.Clone()
	d.AddUint64(d, 1)
	if d.IsZero() {
		return NewWork(1)
	}
	w.n.Div(&w.n, d)
	w.n.AddUint64(&w.n, 1)
	return w
}

// Work is the work of a block with these bits; zero if they are no target.
func (b Bits) Work() Work {
	t, ok := b.Target()
	if !ok {
		return Work{}
	}
	return t.Work()
}

// NewWork makes a small amount of work.
func NewWork(n uint64) (w Work) {
	w.n.SetUint64(n)
	return w
}

// Plus adds, and stays at the largest number instead of starting again at zero.
func (w Work) Plus(o Work) (sum Work) {
	if _, over := sum.n.AddOverflow(&w.n, &o.n); over {
		sum.n.SetAllOne()
	}
	return sum
}

// Minus subtracts, and stays at zero.
func (w Work) Minus(o Work) (diff Work) {
	if w.Cmp(o) > 0 {
		diff.n.Sub(&w.n, &o.n)
	}
	return diff
}

// Times multiplies, and stays at the largest number.
func (w Work) Times(n uint64) (product Work) {
	if _, over := product.n.MulOverflow(&w.n, uint256.NewInt(n)); over {
		product.n.SetAllOne()
	}
	return product
}

// Cmp compares: above 0 means w is more work.
func (w Work) Cmp(o Work) int { return w.n.Cmp(&o.n) }

// Big is the work as a big integer.
func (w Work) Big() *big.Int { return w.n.ToBig() }

// Bytes is the work in 32 bytes, most significant first.
func (w Work) Bytes() [32]byte { return w.n.Bytes32() }

// WorkFromBytes reads what Bytes writes.
func WorkFromBytes(b [32]byte) (w Work) {
	w.n.SetBytes32(b[:])
	return w
}

// String is 64 hex digits, as Bitcoin's chainwork.
func (w Work) String() string {
	b := w.Bytes()
	return hex.EncodeToString(b[:])
}

// MarshalText writes String's form.
func (w Work) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

// UnmarshalText reads 64 hex digits.
func (w *Work) UnmarshalText(text []byte) error {
	raw, err := hex.DecodeString(string(text))
	if err != nil || len(raw) != 32 {
		return fmt.Errorf("work %q: write 64 hex digits", text)
	}
	*w = WorkFromBytes([32]byte(raw))
	return nil
}

// LittleEndian is the target in 32 bytes, least significant first: comparable
// with a block id as it stands.
func (t Target) LittleEndian() [32]byte {
	b := t.n.Bytes32()
	slices.Reverse(b[:])
	return b
}
