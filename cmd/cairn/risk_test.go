package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"cairn/rpc"
)

// published reads one of the tables that converge is tested against: rows by
// column name.
func published(t *testing.T, name string) (rows []map[string]string) {
	t.Helper()
	f, err := os.Open(filepath.Join("..", "..", "converge", "testdata", name))
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
	for _, line := range lines[1:] {
		row := map[string]string{}
		for i, cell := range line {
			row[lines[0][i]] = cell
		}
		rows = append(rows, row)
	}
	return rows
}

func float(t *testing.T, s string) float64 {
	t.Helper()
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// nine tells whether two numbers have the same first nine digits.
func nine(a, b float64) bool { return math.Abs(a-b) <= 5e-10*math.Abs(b) }

// nowhere is a data directory without a node.
func nowhere(t *testing.T) string {
	t.Setenv("HOME", t.TempDir())
	return t.TempDir()
}

func TestRiskPrintsThePublishedTables(t *testing.T) {
	dir := nowhere(t)
	ask := func(q, z string) risk {
		return decode[risk](t, cairn(t, "risk", "--data-dir", dir, "--adversary", q, "--depth", z, "--json"))
	}
	for _, row := range published(t, "nakamoto2008_section11.csv") {
		got := ask(row["q"], row["z"])
		if !nine(got.Probability, float(t, row["P_exact_gpm"])) || !nine(got.Nakamoto, float(t, row["P_computed"])) || fmt.Sprintf("%.7f", got.Nakamoto) != row["P_printed"] {
			t.Errorf("q = %s, z = %s: %+v, want %v", row["q"], row["z"], got.Odds, row)
		}
	}
	for _, row := range published(t, "rosenfeld2014_table1.csv") {
		for column, cell := range row {
			z, isDepth := strings.CutPrefix(column, "n=")
			if !isDepth {
				continue
			}
			if got := ask(row["q"], z); !nine(got.Rosenfeld, float(t, cell)) || got.Probability != got.Rosenfeld {
				t.Errorf("q = %s, n = %s: %+v, want %s", row["q"], z, got.Odds, cell)
			}
		}
	}
	for _, row := range published(t, "depth_for_risk_0.1pct.csv") {
		got := ask(row["q"], "1")
		if z := got.Wait[0].Depth; z == nil || strconv.Itoa(*z) != row["z_exact_printed"] {
			t.Errorf("q = %s: wait for %v, want %s", row["q"], z, row["z_exact_printed"])
		}
	}
}

// What is wanted is 1 − (p−q)·Σ C(2i, i)(pq)^i over i < z, worked out in fractions.
func TestSmallRisksHaveAllTheirDigits(t *testing.T) {
	dir := nowhere(t)
	for depth, want := range map[string]float64{"60": 2.16035189233e-28, "100": 2.99806564782e-46, "103": 1.37841586726e-47} {
		s := cairn(t, "risk", "--data-dir", dir, "--adversary", "10%", "--depth", depth, "--json")
		if got := decode[map[string]any](t, s)["probability"].(float64); !nine(got, want) {
			t.Errorf("depth %s: %.12g, want %.12g", depth, got, want)
		}
	}
}

func TestRiskForPeople(t *testing.T) {
	dir := nowhere(t)
	s := cairn(t, "risk", "--data-dir", dir)
	s.wants(t, done, "q = 10 %", "q = 25 %", "q = 40 %", "6      0.059141 %", "below 0.1 % against 10 % of the work: wait for depth 6\n",
		"against 25 % of the work: wait for depth 20\n", "against 40 % of the work: wait for depth 133\n",
		"no node answers", "Assumed:", "a tie suffices him", "Grunspan")
	s = cairn(t, "risk", "--data-dir", dir, "--adversary", "0.1", "--depth", "6")
	s.wants(t, done, "with 10 % of the work ever undoes a payment 6 blocks deep", "exact      0.00059141216", "Nakamoto   0.000242802", "Assumed:")
	s = cairn(t, "risk", "--data-dir", dir, "--adversary", "0.6", "--depth", "1000")
	s.wants(t, done, "exact      1", "no depth is enough")
	if got := decode[risk](t, cairn(t, "risk", "--data-dir", dir, "--json")); got.Odds != nil || len(got.Rows) != 36 || len(got.Wait) != 3 || len(got.Assumes) == 0 {
		t.Errorf("%+v", got)
	}
}

func TestRiskIsCalledWrongly(t *testing.T) {
	dir := nowhere(t)
	for _, args := range [][]string{
		{"--adversary", "1.1"},
		{"--adversary", "-0.1"},
		{"--adversary", "NaN"},
		{"--adversary", "much"},
		{"--adversary", ""},
		{"--depth", "-1"},
		{"--depth", "1000000001"},
		{"--depth", "deep"},
		{"--risk", "0"},
		{"--risk", "2"},
		{"--risk", "little"},
		{"6"},
	} {
		cairn(t, append([]string{"risk", "--data-dir", dir}, args...)...).wants(t, failed, "Usage: cairn risk", "`cairn risk --help`")
	}
}

func TestRiskCountsStaleBlocks(t *testing.T) {
	// root ─ 1 ─ … ─ 9, and beside it 7 ─ a8 ─ a9 and a8 ─ b9; i8 is invalid
	f := tell(t)
	parents := map[string]string{"a9": "a8", "b9": "a8", "a8": "7"}
	f.always("getchaintips", []rpc.Tip{
		{Height: 9, Hash: id("9"), Status: "active"},
		{Height: 9, Hash: id("a9"), Branch: 2, Status: "valid-headers"},
		{Height: 9, Hash: id("b9"), Branch: 2, Status: "headers-only"},
		{Height: 8, Hash: id("i8"), Branch: 1, Status: "invalid"},
	})
	f.answers["getblockheader"] = headersOf(parents)
	got := decode[risk](t, f.run(t, "risk", "--json"))
	if got.Stale == nil || *got.Stale != (staleRate{Stale: 3, Window: 9, Rate: 0.25}) {
		t.Errorf("%+v", got.Stale)
	}
	f.run(t, "risk").wants(t, done, "stale blocks: 3 beside the last 9 of the best chain (25 % of all)")
	f.always("getchaintips", rpc.Errorf(rpc.Misc, "the disk is full"))
	f.run(t, "risk").wants(t, failed, "the disk is full")
}

// headersOf answers getblockheader with the parents that a test names.
func headersOf(parents map[string]string) func([]json.RawMessage) any {
	return func(params []json.RawMessage) any {
		for name, parent := range parents {
			if string(params[0]) == `"`+id(name).String()+`"` {
				return rpc.Header{Hash: id(name), Previous: ref(id(parent))}
			}
		}
		return rpc.Errorf(rpc.NotFound, "Block not found")
	}
}

func TestManualPages(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "man1")
	cairn(t, "man", dir).wants(t, done)
	page, err := os.ReadFile(filepath.Join(dir, "cairn-risk.1"))
	if err != nil || !strings.Contains(string(page), `--adversary`) || !strings.Contains(string(page), ".SH EXAMPLE") {
		t.Errorf("%v in %s", err, page)
	}
	eachCommand(rootCommand(), func(c *cobra.Command) {
		if c.Hidden || !c.IsAvailableCommand() && c.HasParent() {
			return
		}
		if _, err := os.Stat(filepath.Join(dir, strings.ReplaceAll(c.CommandPath(), " ", "-")+".1")); err != nil {
			t.Error(err)
		}
	})
	if _, err := os.Stat(filepath.Join(dir, "cairn-man.1")); err == nil {
		t.Error("a hidden command has a page")
	}
}
