package chain_test

import (
	"math"
	"strconv"
	"strings"
	"testing"

	"cairn/chain"
	"cairn/chain/chaintest"
)

// theory reads testdata/asert-theory.csv: for each half-life, in spacings, the
// columns by name.
func theory(t *testing.T) []map[string]float64 {
	t.Helper()
	all := lines(t, "asert-theory.csv")
	names := strings.Split(all[0], ",")
	var rows []map[string]float64
	for _, line := range all[1:] {
		row := map[string]float64{}
		for i, text := range strings.Split(line, ",") {
			n, err := strconv.ParseFloat(text, 64)
			if err != nil {
				t.Fatal(err)
			}
			row[names[i]] = n
		}
		rows = append(rows, row)
	}
	return rows
}

// network is one whose half-life is so many spacings.
func network(t *testing.T, lives float64) *chain.Params {
	t.Helper()
	p := chain.DevLike("theory", chaintest.Easy().Genesis)
	p.Spacing = 600
	p.HalfLife = int64(600 * lives)
	p, err := chain.NewParams(p)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestASERTBehavesAsItsTheorySays(t *testing.T) {
	rows := theory(t)
	if len(rows) != 5 {
		t.Fatalf("%d rows, want 5", len(rows))
	}
	for _, row := range rows {
		lives := row["halflife_T"]
		p := network(t, lives)
		settle := int(18 * lives)
		const runs = 12
		var excess, spread float64
		for seed := range uint64(runs) {
			w := newWorld(p, 1e6, seed)
			w.run(t, 2*settle) // from an easy genesis: 28 doublings
			_, _, sd := w.run(t, int(100*lives))
			spread += sd / runs
			w.rate *= 100
			mean, _, _ := w.run(t, settle)
			excess += float64(settle) * (1 - mean) / runs
		}
		t.Logf("half-life %v: spread %.4f, theory %.4f; excess %.1f, theory %.1f", lives, spread, row["sd_ln_target"], excess, row["excess_blocks_x100"])
		if math.Abs(spread/row["sd_ln_target"]-1) > 0.08 {
			t.Errorf("half-life %v: spread %.4f, theory %.4f", lives, spread, row["sd_ln_target"])
		}
		if math.Abs(excess/row["excess_blocks_x100"]-1) > 0.05 {
			t.Errorf("half-life %v: %.1f blocks in excess, theory %.1f", lives, excess, row["excess_blocks_x100"])
		}
	}
}

// One block that lies about its time gains what theory says, and no more than the
// cap lets through: a doubling.
func TestALieAboutTimeGainsWhatTheorySays(t *testing.T) {
	for _, row := range theory(t) {
		p := network(t, row["halflife_T"])
		parent := chain.State{Height: 9, Bits: 0x1b7fff00}
		for name, ahead := range map[string]int64{"factor_FTL=2T": 2, "factor_FTL=12T": 12, "factor_FTL=720T": 720} {
			parent.Gap = uint32(p.Spacing * (1 + ahead))
			got := size(chain.NextBits(p, parent)) / size(parent.Bits)
			if want := min(row[name], 2); math.Abs(got/want-1) > kernelError {
				t.Errorf("half-life %v, %s: %.6f, want %.6f", row["halflife_T"], name, got, want)
			}
		}
	}
}
