package converge

import (
	"encoding/csv"
	"fmt"
	"math"
	"math/big"
	"os"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// table reads a CSV: rows by column name.
func table(t *testing.T, name string) []map[string]string {
	t.Helper()
	f, err := os.Open("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.Comment, r.LazyQuotes = '#', true
	lines, err := r.ReadAll()
	if err != nil || len(lines) < 2 {
		t.Fatalf("%s: %d lines, %v", name, len(lines), err)
	}
	var rows []map[string]string
	for _, line := range lines[1:] {
		row := map[string]string{}
		for i, cell := range line {
			row[lines[0][i]] = cell
		}
		rows = append(rows, row)
	}
	return rows
}

func number(t *testing.T, s string) float64 {
	t.Helper()
	x, err := strconv.ParseFloat(s, 64)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// close12 compares with a number given to twelve significant digits.
func close12(got, want float64) bool { return math.Abs(got-want) <= 6e-12*math.Abs(want) }

func TestNakamotosTable(t *testing.T) {
	for _, row := range table(t, "nakamoto2008_section11.csv") {
		q, z := number(t, row["q"]), int(number(t, row["z"]))
		got := Nakamoto(q, z)
		if printed := fmt.Sprintf("%.7f", got); printed != row["P_printed"] {
			t.Errorf("Nakamoto(%v, %d) = %s, the paper prints %s", q, z, printed, row["P_printed"])
		}
		if want := number(t, row["P_computed"]); !close12(got, want) {
			t.Errorf("Nakamoto(%v, %d) = %.15g, want %v", q, z, got, want)
		}
		if want := number(t, row["P_exact_gpm"]); !close12(Reversal(q, z), want) {
			t.Errorf("Reversal(%v, %d) = %.15g, want %v", q, z, Reversal(q, z), want)
		}
	}
}

func TestRosenfeldsTable(t *testing.T) {
	for _, row := range table(t, "rosenfeld2014_table1.csv") {
		for column, cell := range row {
			n, isDepth := strings.CutPrefix(column, "n=")
			if !isDepth {
				continue
			}
			q, z := number(t, row["q"]), int(number(t, n))
			if got, want := Reversal(q, z), number(t, cell); !close12(got, want) {
				t.Errorf("Reversal(%v, %d) = %.15g, want %v", q, z, got, want)
			}
		}
	}
}

func TestDepthForOneInAThousand(t *testing.T) {
	for _, row := range table(t, "depth_for_risk_0.1pct.csv") {
		q := number(t, row["q"])
		exact, poisson := int(number(t, row["z_exact_printed"])), int(number(t, row["z_nakamoto_printed"]))
		if z, ok := DepthFor(q, 0.001); !ok || z != exact {
			t.Errorf("DepthFor(%v, 0.1 %%) = %d, the paper prints %d", q, z, exact)
		}
		if Nakamoto(q, poisson) >= 0.001 || Nakamoto(q, poisson-1) < 0.001 {
			t.Errorf("q = %v: the paper's depth %d is not the first", q, poisson)
		}
		for column, got := range map[string]float64{
			"P_exact(z)": Reversal(q, exact), "P_exact(z-1)": Reversal(q, exact-1),
			"P_nakamoto(z)": Nakamoto(q, poisson), "P_nakamoto(z-1)": Nakamoto(q, poisson-1),
		} {
			if want := number(t, row[column]); !close12(got, want) {
				t.Errorf("q = %v: %s = %.15g, want %v", q, column, got, want)
			}
		}
	}
}

// exactly is 1 − (p−q)·Σ C(2i, i)(pq)^i over i < z, in fractions.
func exactly(q *big.Rat, z int) float64 {
	one := big.NewRat(1, 1)
	p := new(big.Rat).Sub(one, q)
	pq := new(big.Rat).Mul(p, q)
	sum, term := new(big.Rat), big.NewRat(1, 1)
	for i := range int64(z) {
		sum.Add(sum, term)
		term.Mul(term, pq).Mul(term, big.NewRat(2*(2*i+1), i+1))
	}
	sum.Mul(sum, p.Sub(p, q))
	risk, _ := sum.Sub(one, sum).Float64()
	return risk
}

func TestReversalAgreesWithFractions(t *testing.T) {
	for _, share := range []int64{1, 100, 500, 1000, 2000, 2400, 2500, 2600, 3300, 4000, 4500, 4900, 4999} {
		q := big.NewRat(share, 10_000)
		f, _ := q.Float64()
		for _, z := range []int{1, 2, 3, 7, 20, 60, 100, 199, 200, 201, 250} {
			got, want := Reversal(f, z), exactly(q, z)
			if math.Abs(got-want) > 1e-12*want {
				t.Errorf("Reversal(%v, %d) = %.17g, want %.17g", f, z, got, want)
			}
		}
	}
}

func TestCentralCoefficients(t *testing.T) {
	for _, z := range []int64{1, 2, 200, 201, 202, 1000} {
		c := new(big.Rat).SetFrac(new(big.Int).Binomial(2*z, z), new(big.Int).Lsh(big.NewInt(1), uint(2*z)))
		want, _ := c.Float64()
		if got := central(int(z)); math.Abs(got-want) > 1e-14*want {
			t.Errorf("C(%d, %d)/4^%d = %.17g, want %.17g", 2*z, z, z, got, want)
		}
	}
}

func TestReversalNearHalf(t *testing.T) {
	// For q → ½ and z → ∞, P(z) → erfc((1−2q)·√z). The second term is what rounding
	// takes away.
	for _, q := range []float64{0.499, 0.4999, 0.49999} {
		d := 1 - 2*q
		for _, s := range []float64{0.1, 0.5, 1, 2, 4} {
			z := int(s * s / (d * d))
			got, want := Reversal(q, z), math.Erfc(d*math.Sqrt(float64(z)))
			if math.Abs(got-want) > (50*d*d+1e-15/(d*d))*want {
				t.Errorf("Reversal(%v, %d) = %g, about %g", q, z, got, want)
			}
		}
	}
}

func TestRiskAtTheEnds(t *testing.T) {
	for name, f := range map[string]func(float64, int) float64{"Reversal": Reversal, "Nakamoto": Nakamoto} {
		for _, c := range []struct {
			q    float64
			z    int
			want float64
		}{{0, 1, 0}, {-1, 3, 0}, {0, 0, 1}, {0.1, 0, 1}, {0.1, -4, 1}, {0.5, 1000, 1}, {0.9, 6, 1}} {
			if got := f(c.q, c.z); got != c.want {
				t.Errorf("%s(%v, %d) = %v, want %v", name, c.q, c.z, got, c.want)
			}
		}
		if got := f(math.NaN(), 3); !math.IsNaN(got) {
			t.Errorf("%s of no number is %v", name, got)
		}
	}
	for _, c := range []struct{ q, risk float64 }{{0.5, 0.1}, {0.7, 0.1}, {0.1, 0}, {0.1, -1}, {0.4999999, 1e-300}, {math.NaN(), 0.1}} {
		if z, ok := DepthFor(c.q, c.risk); ok {
			t.Errorf("DepthFor(%v, %v) = %d, there is none", c.q, c.risk, z)
		}
	}
	if z, ok := DepthFor(0.1, Reversal(0.1, 3)); z != 4 || !ok {
		t.Errorf("below means below: %d", z)
	}
	if z, ok := DepthFor(0, 1e-9); z != 1 || !ok {
		t.Errorf("without an attacker one block does, not %d", z)
	}
}

func TestRiskFallsWithDepthAndGrowsWithTheAttacker(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := rapid.Float64Range(0.001, 0.4999).Draw(t, "q")
		z := rapid.IntRange(1, 20_000).Draw(t, "z")
		more := min(0.49999, q+rapid.Float64Range(1e-4, 0.3).Draw(t, "more"))
		p := Reversal(q, z)
		if p < 0 || p > 1 {
			t.Fatalf("P = %v", p)
		}
		if deeper := Reversal(q, z+1); deeper > p || (p > 1e-300 && deeper == p) {
			t.Fatalf("P(%d) = %g, P(%d) = %g", z, p, z+1, deeper)
		}
		if stronger := Reversal(more, z); stronger < p || (p > 1e-300 && stronger == p && p < 0.99) {
			t.Fatalf("q = %v: %g, q = %v: %g", q, p, more, stronger)
		}
		if n := Nakamoto(q, z); n < 0 || n > 1+1e-12 || Nakamoto(q, z+1) > n*(1+1e-9) {
			t.Fatalf("Nakamoto = %v, then %v", n, Nakamoto(q, z+1))
		}
	})
}

func TestDepthForIsTheFirst(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := rapid.Float64Range(0.001, 0.495).Draw(t, "q")
		risk := math.Pow(10, -rapid.Float64Range(0.01, 12).Draw(t, "digits"))
		z, ok := DepthFor(q, risk)
		if !ok || Reversal(q, z) >= risk || Reversal(q, z-1) < risk {
			t.Fatalf("DepthFor(%v, %g) = %d, %v", q, risk, z, ok)
		}
	})
}
