package chain

import (
	"fmt"
	"strconv"
	"strings"
)

// Amount counts grains; Coin-sized numbers are shown in CRN.
type Amount uint64

const (
	// CRN is one coin in grains.
	CRN Amount = 100_000_000
	// MaxAmount is the largest amount a transaction may name, in grains.
	MaxAmount Amount = 1<<63 - 1

	decimals = 8
)

// Plus adds, and tells whether the sum is still a legal amount.
func (a Amount) Plus(b Amount) (sum Amount, ok bool) {
	if a > MaxAmount || b > MaxAmount-a {
		return 0, false
	}
	return a + b, true
}

// String shows the amount in CRN with eight decimals.
func (a Amount) String() string {
	return fmt.Sprintf("%d.%08d", uint64(a/CRN), uint64(a%CRN))
}

// ParseAmount reads an amount in CRN: digits, and at most eight decimals behind
// a point.
func ParseAmount(s string) (Amount, error) {
	whole, frac, _ := strings.Cut(s, ".")
	if strings.HasPrefix(s, "-") {
		return 0, fmt.Errorf("amount %q is negative: give a number of CRN above 0", s)
	}
	if len(frac) > decimals {
		return 0, fmt.Errorf("amount %q has %d decimals: 1 CRN has %d", s, len(frac), decimals)
	}
	if whole == "" || strings.HasSuffix(s, ".") || !digits(whole) || !digits(frac) {
		return 0, fmt.Errorf("amount %q is not a number of CRN: write it like 12 or 0.5", s)
	}
	n, err := strconv.ParseUint(whole+frac+strings.Repeat("0", decimals-len(frac)), 10, 64)
	if err != nil || Amount(n) > MaxAmount {
		return 0, fmt.Errorf("amount %q is too large: the most is %v CRN", s, MaxAmount)
	}
	return Amount(n), nil
}

func digits(s string) bool {
	return strings.Trim(s, "0123456789") == ""
}
