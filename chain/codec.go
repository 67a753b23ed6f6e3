package chain

import "encoding/binary"

// Reader reads a canonical encoding and keeps its first error: check Err, or
// Close, once at the end. Every length is held against the bytes that are left
// before anything is allocated.
type Reader struct {
	b   []byte
	err error
}

// NewReader reads from b, which it does not copy.
func NewReader(b []byte) *Reader { return &Reader{b: b} }

// Err is the first error, a *RuleError of kind Malformed.
func (r *Reader) Err() error { return r.err }

// Left is the number of bytes not yet read.
func (r *Reader) Left() int { return len(r.b) }

// Close reports the first error, or that bytes are left over.
func (r *Reader) Close() error {
	if r.err == nil && len(r.b) > 0 {
		r.Fail("%d bytes behind the end", len(r.b))
	}
	return r.err
}

// Fail records an error unless there is one, and leaves nothing to read.
func (r *Reader) Fail(format string, args ...any) { r.fail(Malformed, format, args...) }

func (r *Reader) fail(k Kind, format string, args ...any) {
	if r.err == nil {
		r.err = broken(k, format, args...)
	}
	r.b = nil
}

// Take returns the next n bytes without copying them, or nil.
func (r *Reader) Take(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.Fail("needs %d bytes, has %d", n, len(r.b))
		return nil
	}
	out := r.b[:n:n]
	r.b = r.b[n:]
	return out
}

// since is what was read since what was left was from.
func (r *Reader) since(from []byte) []byte { return from[: len(from)-len(r.b) : len(from)-len(r.b)] }

// skip reads how many items of so many bytes follow, and leaves them out.
func (r *Reader) skip(size int) { r.Take(r.Count(size) * size) }

// Byte reads one byte.
func (r *Reader) Byte() byte {
	if b := r.Take(1); b != nil {
		return b[0]
	}
	return 0
}

// Uint16 reads 2 bytes, little-endian.
func (r *Reader) Uint16() uint16 {
	if b := r.Take(2); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

// Uint32 reads 4 bytes, little-endian.
func (r *Reader) Uint32() uint32 {
	if b := r.Take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

// Uint64 reads 8 bytes, little-endian.
func (r *Reader) Uint64() uint64 {
	if b := r.Take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// Array32 reads 32 bytes: a hash, a key.
func (r *Reader) Array32() (a [32]byte) {
	copy(a[:], r.Take(32))
	return a
}

// Varint reads a CompactSize in its shortest form; a longer form is an error,
// or one value would have several encodings.
func (r *Reader) Varint() uint64 {
	var n, least uint64
	switch first := r.Byte(); first {
	case 0xfd:
		n, least = uint64(r.Uint16()), 0xfd
	case 0xfe:
		n, least = uint64(r.Uint32()), 1<<16
	case 0xff:
		n, least = r.Uint64(), 1<<32
	default:
		n = uint64(first)
	}
	if r.err == nil && n < least {
		r.Fail("length %d is not in its shortest form", n)
	}
	if r.err != nil {
		return 0
	}
	return n
}

// Count reads how many items of at least size bytes follow. More than fit into
// the bytes that are left is an error before anything is allocated.
func (r *Reader) Count(size int) int {
	n := r.Varint()
	if n > uint64(len(r.b)/size) {
		r.Fail("%d items of %d bytes announced, %d bytes left", n, size, len(r.b))
		return 0
	}
	return int(n)
}

// Bytes reads a length of at most most and a copy of that many bytes; none
// gives nil.
func (r *Reader) Bytes(most int) []byte {
	n := r.Varint()
	if n > uint64(most) {
		r.Fail("%d bytes where at most %d are allowed", n, most)
	}
	if r.err != nil || n == 0 {
		return nil
	}
	return append([]byte(nil), r.Take(int(n))...)
}

// AppendVarint appends n as a CompactSize in its shortest form.
func AppendVarint(b []byte, n uint64) []byte {
	switch {
	case n < 0xfd:
		return append(b, byte(n))
	case n < 1<<16:
		return binary.LittleEndian.AppendUint16(append(b, 0xfd), uint16(n))
	case n < 1<<32:
		return binary.LittleEndian.AppendUint32(append(b, 0xfe), uint32(n))
	default:
		return binary.LittleEndian.AppendUint64(append(b, 0xff), n)
	}
}

// AppendBytes appends the length of p and p.
func AppendBytes(b, p []byte) []byte {
	return append(AppendVarint(b, uint64(len(p))), p...)
}

// VarintSize is the number of bytes that AppendVarint appends.
func VarintSize(n uint64) int {
	switch {
	case n < 0xfd:
		return 1
	case n < 1<<16:
		return 3
	case n < 1<<32:
		return 5
	default:
		return 9
	}
}

// decode runs read over all of b, strictly to the end.
func decode[T any](b []byte, read func(*Reader) T) (T, error) {
	r := NewReader(b)
	v := read(r)
	if err := r.Close(); err != nil {
		var none T
		return none, err
	}
	return v, nil
}
