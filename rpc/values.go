package rpc

import (
	"encoding/hex"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"time"
	"unicode"

	"cairn/chain"
)

// Amount is an amount that JSON shows as a number of CRN with eight decimals. It
// is written and read digit by digit: no float ever holds it.
type Amount chain.Amount

// String shows the amount in CRN.
func (a Amount) String() string { return chain.Amount(a).String() }

// MarshalJSON writes a number.
func (a Amount) MarshalJSON() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalJSON reads a number, or a number in a string.
func (a *Amount) UnmarshalJSON(raw []byte) error {
	n, err := parseAmount(strings.Trim(string(raw), `"`))
	*a = Amount(n)
	return err
}

// parseAmount also reads exponents: many languages write small numbers as 1e-8.
func parseAmount(s string) (chain.Amount, error) {
	mantissa, exponent, scientific := strings.Cut(strings.ToLower(s), "e")
	if !scientific {
		return chain.ParseAmount(s)
	}
	e, err := strconv.Atoi(exponent)
	r, ok := new(big.Rat).SetString(mantissa)
	ok = ok && strings.Trim(mantissa, "-.0123456789") == "" // Rat reads fractions and prefixes too
	if err != nil || !ok || e < -30 || e > 30 || len(mantissa) > 64 {
		return 0, fmt.Errorf("amount %.40q is not a number of CRN: write it like 12 or 0.5", s)
	}
	for ; e > 0; e-- {
		r.Mul(r, big.NewRat(10, 1))
	}
	for ; e < 0; e++ {
		r.Mul(r, big.NewRat(1, 10))
	}
	if grains := new(big.Rat).Mul(r, big.NewRat(int64(chain.CRN), 1)); !grains.IsInt() {
		return 0, fmt.Errorf("amount %.40q is finer than a grain: 1 CRN has 8 decimals", s)
	}
	return chain.ParseAmount(r.FloatString(8))
}

// Seconds is a duration that JSON shows in seconds with three decimals.
type Seconds time.Duration

// MarshalJSON writes a number.
func (s Seconds) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, time.Duration(s).Seconds(), 'f', 3, 64), nil
}

// UnmarshalJSON reads a number of seconds.
func (s *Seconds) UnmarshalJSON(raw []byte) error {
	f, err := strconv.ParseFloat(string(raw), 64)
	*s = Seconds(f * float64(time.Second))
	return err
}

// Hex is bytes that JSON shows in hex.
type Hex []byte

// MarshalText writes hex.
func (h Hex) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h), nil }

// UnmarshalText reads hex.
func (h *Hex) UnmarshalText(text []byte) (err error) {
	*h, err = hex.AppendDecode(nil, text)
	return err
}

// Clean makes a stranger's words (an agent name, a memo, a tag) fit for a screen:
// if anything in them could move a cursor, change colours or reverse the reading
// direction, they are shown with escapes.
func Clean(s string) string {
	for _, r := range s {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			quoted := strconv.Quote(s)
			return quoted[1 : len(quoted)-1]
		}
	}
	return s
}

// difficulty is how much harder a target is than Bitcoin's easiest.
func difficulty(b chain.Bits) float64 { return Difficulty(b) }

// Difficulty is how much harder a target is than Bitcoin's easiest.
func Difficulty(b chain.Bits) float64 {
	easiest, _ := chain.Bits(0x1d00ffff).Target()
	target, ok := b.Target()
	if !ok {
		return 0
	}
	ratio := new(big.Rat).SetFrac(bigTarget(easiest), bigTarget(target))
	f, _ := ratio.Float64()
	return f
}

func bigTarget(t chain.Target) *big.Int {
	b := t.Bytes()
	return new(big.Int).SetBytes(b[:])
}
