package chain_test

import (
	"math/big"
	"strings"
	"testing"

	"cairn/chain"
)

func TestParseAmount(t *testing.T) {
	for s, want := range map[string]chain.Amount{
		"0":                    0,
		"1":                    chain.CRN,
		"0.5":                  chain.CRN / 2,
		"12.34567891":          12_34567891,
		"0.00000001":           1,
		"0.00000000":           0,
		"007":                  7 * chain.CRN,
		"21.1":                 21*chain.CRN + chain.CRN/10,
		"92233720368.54775807": chain.MaxAmount,
	} {
		if got, err := chain.ParseAmount(s); err != nil || got != want {
			t.Errorf("%q reads as %d, %v, want %d", s, got, err, want)
		}
	}
}

func TestParseAmountTellsWhatIsWrong(t *testing.T) {
	for s, says := range map[string]string{
		"":                                 "not a number",
		".":                                "not a number",
		"1.":                               "not a number",
		".5":                               "not a number",
		"1.2.3":                            "not a number",
		"1,5":                              "not a number",
		"1e3":                              "not a number",
		"0x10":                             "not a number",
		" 1":                               "not a number",
		"1 CRN":                            "not a number",
		"+1":                               "not a number",
		"1_000":                            "not a number",
		"٣":                                "not a number",
		"NaN":                              "not a number",
		"0.-1":                             "not a number",
		"-1":                               "negative",
		"-":                                "negative",
		"0.000000001":                      "decimals",
		"1.000000000":                      "decimals",
		"92233720368.54775808":             "too large",
		"184467440737.09551616":            "too large",
		"184467440737.09551617":            "too large",
		"99999999999999999999999999999999": "too large",
	} {
		got, err := chain.ParseAmount(s)
		if err == nil || !strings.Contains(err.Error(), says) || got != 0 {
			t.Errorf("%q reads as %d, %v, want %q", s, got, err, says)
		}
	}
}

func TestAmountsReadAsTheyAreWritten(t *testing.T) {
	for _, a := range []chain.Amount{0, 1, 99_999_999, chain.CRN, 50 * chain.CRN, chain.MaxAmount - 1, chain.MaxAmount} {
		if got, err := chain.ParseAmount(a.String()); err != nil || got != a {
			t.Errorf("%v reads as %v, %v", a, got, err)
		}
	}
}

func TestPlusStopsAtTheMaximum(t *testing.T) {
	const most = chain.MaxAmount
	for _, c := range []struct {
		a, b, sum chain.Amount
		ok        bool
	}{
		{0, 0, 0, true},
		{1, 2, 3, true},
		{most, 0, most, true},
		{0, most, most, true},
		{most - 1, 1, most, true},
		{most, 1, 0, false},
		{1, most, 0, false},
		{most, most, 0, false},
		{most + 1, 0, 0, false},
		{0, most + 1, 0, false},
		{1<<64 - 1, 1, 0, false},
		{1<<64 - 1, 1<<64 - 1, 0, false},
	} {
		if sum, ok := c.a.Plus(c.b); sum != c.sum || ok != c.ok {
			t.Errorf("%d + %d = %d, %v", c.a, c.b, sum, ok)
		}
	}
}

func TestSubsidy(t *testing.T) {
	const halving = 2_102_400
	p := chain.Main()
	for height, want := range map[uint64]chain.Amount{
		0:               50 * chain.CRN,
		1:               50 * chain.CRN,
		halving - 1:     50 * chain.CRN,
		halving:         25 * chain.CRN,
		2*halving - 1:   25 * chain.CRN,
		2 * halving:     12_5 * chain.CRN / 10,
		32 * halving:    1,
		33*halving - 1:  1,
		33 * halving:    0,
		63*halving - 1:  0,
		63 * halving:    0,
		64 * halving:    0,
		1<<64 - 1:       0,
		65*halving + 1:  0,
		128 * halving:   0,
		9*halving + 777: 50 * chain.CRN >> 9,
	} {
		if got := p.Subsidy(height); got != want {
			t.Errorf("block %d creates %d, want %d", height, got, want)
		}
	}
}

// All there will ever be fits an Amount, whatever is prefunded.
func TestTheWholeSupplyIsAnAmount(t *testing.T) {
	const halving = 2_102_400
	p := chain.Main()
	sum := new(big.Int)
	for era := range uint64(70) {
		at := new(big.Int).SetUint64(uint64(p.Subsidy(era * halving)))
		sum.Add(sum, at.Mul(at, big.NewInt(halving)))
	}
	if want := "21023999976873600"; sum.String() != want { // ⌊50 CRN/2ⁿ⌋ grains, 2,102,400 times each
		t.Errorf("the supply is %v grains, want %s", sum, want)
	}
	if !sum.IsUint64() || chain.Amount(sum.Uint64()) > chain.MaxAmount-100_000*chain.CRN {
		t.Errorf("the supply %v is no Amount", sum)
	}
}
