package chain

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
)

// Hash is a SHA-256d digest of 32 bytes in internal byte order. Read as a
// number it is little-endian; shown to people it is byte-reversed, as Bitcoin
// shows it.
type Hash [32]byte

// SumHash returns SHA-256 of SHA-256 of b.
func SumHash(b []byte) Hash {
	first := sha256.Sum256(b)
	return sha256.Sum256(first[:])
}

// TaggedHash returns SHA-256(SHA-256(tag) ‖ SHA-256(tag) ‖ parts…) (BIP340,
// "Tagged hashes").
func TaggedHash(tag string, parts ...[]byte) [32]byte {
	t := sha256.Sum256([]byte(tag))
	h := sha256.New()
	h.Write(t[:])
	h.Write(t[:])
	for _, p := range parts {
		h.Write(p)
	}
	return [32]byte(h.Sum(nil))
}

// String shows the hash byte-reversed in 64 hex digits.
func (h Hash) String() string {
	slices.Reverse(h[:])
	return hex.EncodeToString(h[:])
}

// Short shows the last 8 hex digits of String: the first are zeros in every
// block id.
func (h Hash) Short() string { return h.String()[56:] }

// Compare orders hashes by their internal bytes.
func (h Hash) Compare(o Hash) int { return bytes.Compare(h[:], o[:]) }

// ParseHash reads the 64 hex digits that String writes.
func ParseHash(s string) (Hash, error) {
	var h Hash
	if len(s) != 64 {
		return h, fmt.Errorf("an id has 64 hex digits, this has %d", len(s))
	}
	if _, err := hex.Decode(h[:], []byte(s)); err != nil {
		return Hash{}, errors.New("an id has hex digits only, 0 to 9 and a to f")
	}
	slices.Reverse(h[:])
	return h, nil
}

// MarshalText writes String's form.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads String's form.
func (h *Hash) UnmarshalText(b []byte) (err error) {
	*h, err = ParseHash(string(b))
	return err
}
