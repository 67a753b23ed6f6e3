package converge

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// rows reads "3 2 ? -1 !4": depths by node, ? for unknown, ! for a tip that is
// not fresh.
func rows(text string) (list []Row) {
	for i, f := range strings.Fields(text) {
		f, stale := strings.CutPrefix(f, "!")
		r := Row{Name: fmt.Sprint("node ", i), Fresh: !stale}
		if f != "?" {
			_, err := fmt.Sscan(f, &r.Depth.N)
			r.Depth.Known = err == nil
		}
		list = append(list, r)
	}
	return list
}

func TestSummaries(t *testing.T) {
	for _, c := range []struct {
		rows, all, quorum string
		known             int
	}{
		{"3", "3", "3", 1},
		{"3 5", "3", "3", 2},
		{"1 2 3", "1", "2", 3},
		{"4 1 3 2", "1", "2", 4}, // more than half of four is three
		{"4 ? 3", "?", "3", 2},
		{"4 !9 3", "?", "3", 2},
		{"4 ? ?", "?", "?", 1},
		{"5 -1 5", "-1", "5", 3},
		{"5 -1 ?", "?", "-1", 2},
		{"0 0 0", "0", "0", 3},
		{"", "?", "?", 0},
	} {
		s := Summarize(rows(c.rows))
		if s.All.String() != c.all || s.Quorum.String() != c.quorum || s.Known != c.known {
			t.Errorf("%q: %+v, want %+v", c.rows, s, c)
		}
	}
}

func TestAgreement(t *testing.T) {
	for _, c := range []struct {
		rows string
		n    int64
		who  string
		yes  bool
		have int
		need int
	}{
		{"3 4 5", 3, "all", true, 3, 3},
		{"3 2 5", 3, "all", false, 2, 3},
		{"3 2 5", 3, "quorum", true, 2, 2},
		{"3 ? 5", 3, "all", false, 2, 3},
		{"3 !9 5", 3, "all", false, 2, 3},
		{"3 !9 -1 ?", 1, "quorum", false, 1, 3},
		{"3 3 0 0", 3, "quorum", false, 2, 3},
		{"3 3 0 0", 3, "2", true, 2, 2},
		{"3 3", 3, "3", false, 2, 3},
		{"3", 3, "all", true, 1, 1},
		{"", 0, "all", false, 0, 1},
		{"", 0, "quorum", false, 0, 1},
	} {
		who, err := ParseWho(c.who)
		if err != nil {
			t.Fatal(err)
		}
		v := Agreed(rows(c.rows), c.n, who)
		if v.Yes != c.yes || v.Have != c.have || v.Need != c.need || len(v.Nodes) != len(rows(c.rows)) {
			t.Errorf("%+v: %+v", c, v)
		}
	}
}

func TestOneNodesWordSaysSo(t *testing.T) {
	if v := Agreed(rows("9"), 3, All); !v.Yes || !strings.Contains(v.Note, "no peer") {
		t.Errorf("%+v", v)
	}
	if s := Summarize(rows("9")); !strings.Contains(s.Note, "no peer") {
		t.Errorf("%+v", s)
	}
	if v := Agreed(rows("9 9"), 3, All); v.Note != "" || strings.Join(v.Nodes, ", ") != "node 0, node 1" {
		t.Errorf("%+v", v)
	}
	if v := Agreed(rows("9 9"), 3, 5); !strings.Contains(v.Note, "5 nodes must agree, but no more than 2 can be counted") {
		t.Errorf("%+v", v)
	}
}

func TestSetsOfNodesHaveNames(t *testing.T) {
	for _, s := range []string{"all", "quorum", "1", "12"} {
		if w, err := ParseWho(s); err != nil || w.String() != s {
			t.Errorf("%q became %v, %v", s, w, err)
		}
	}
	for _, s := range []string{"", "0", "-1", "most", "1.5"} {
		if w, err := ParseWho(s); err == nil {
			t.Errorf("%q became %v", s, w)
		}
	}
}

func TestSummaryAgreesWithVerdict(t *testing.T) {
	row := rapid.Custom(func(t *rapid.T) Row {
		return Row{Fresh: rapid.Bool().Draw(t, "fresh") || rapid.Bool().Draw(t, "really"), Depth: Depth{
			N: rapid.Int64Range(Off, 4).Draw(t, "depth"), Known: rapid.IntRange(0, 5).Draw(t, "known") > 0,
		}}
	})
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(row, 1, 7).Draw(t, "rows")
		s := Summarize(list)
		for n := int64(Off); n <= 5; n++ {
			if all := Agreed(list, n, All).Yes; all != s.All.Reaches(n) {
				t.Fatalf("all reach %d: %v, summary %v", n, all, s.All)
			}
			if most := Agreed(list, n, Quorum).Yes; most != s.Quorum.Reaches(n) {
				t.Fatalf("more than half reach %d: %v, summary %v", n, most, s.Quorum)
			}
		}
	})
}
