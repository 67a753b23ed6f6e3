//go:build linux

package ordeal_test

import (
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"
)

// A need is a figure that must not grow with time.
type need struct {
	name  string
	unit  float64 // what it is shown in
	of    func(sample) float64
	hour  float64 // how much it may grow in an hour, in that unit
	level float64 // and beyond which level it never goes; 0: none
}

// Growth that is meant: memory holds a window of the tree, and the table that is
// filled until it is written; the disk holds the chain.
var needs = []need{
	{"memory, MiB", mebi, func(s sample) float64 { return s.memory }, 40, 400},
	{"heap, MiB", mebi, func(s sample) float64 { return s.heap }, 40, 0},
	{"goroutines", 1, func(s sample) float64 { return s.goroutines }, 30, 1000},
	{"file handles", 1, func(s sample) float64 { return s.files }, 10, 200},
	{"disk, MiB", mebi, func(s sample) float64 { return s.disk }, 100, 0},
}

// judge holds the lives that lasted against the needs, after the first third of
// the time, ten minutes at most.
func (s *soak) judge() {
	s.t.Helper()
	warm := min(int(*soakFlag/time.Second)/3, 600)
	out := io.MultiWriter(os.Stdout, report(s.t, "soak.txt"))
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(out, "%v; %d payments acknowledged; faults: %v; height %v; judged from second %d on\n",
		*soakFlag, len(s.payer.acked), s.faults, s.rows[len(s.rows)-1].height, warm)
	fmt.Fprintln(w, "need\tnode\tat first\tat last\tmost\tgrowth in an hour\tallowed")
	for node := restarted + 1; node <= soakNodes; node++ {
		for _, n := range needs {
			s.hold(w, n, node, warm)
		}
	}
	fmt.Fprintf(w, "longest step, ms\tall\t\t\t%.0f\n", 1000*s.longest(0))
	fmt.Fprintf(w, "longest step once warm, ms\tall\t\t\t%.0f\n", 1000*s.longest(warm))
	_ = w.Flush()
}

func (s *soak) longest(from int) (most float64) {
	for _, v := range s.rows {
		if v.second >= from {
			most = max(most, v.longest)
		}
	}
	return most
}

func (s *soak) hold(w io.Writer, n need, node, warm int) {
	s.t.Helper()
	var at, values []float64
	most := 0.0
	for _, v := range s.rows {
		if v.node == node && v.second >= warm {
			at, values = append(at, float64(v.second)/3600), append(values, n.of(v)/n.unit)
			most = max(most, n.of(v)/n.unit)
		}
	}
	if len(at) < 3 {
		s.t.Fatalf("only %d samples of node%d", len(at), node)
	}
	grows := slope(at, values)
	fmt.Fprintf(w, "%s\tnode%d\t%.0f\t%.0f\t%.0f\t%.1f\t%.0f\n", n.name, node, values[0], values[len(values)-1], most, grows, n.hour)
	// Over a short time the growth in an hour is a guess: what counts is by how much
	// it grew.
	if span := at[len(at)-1] - at[0]; grows*span > n.hour*max(span, 1) {
		s.t.Errorf("node%d: %s grows by %.1f in an hour, allowed %.0f", node, n.name, grows, n.hour)
	}
	if n.level > 0 && most > n.level {
		s.t.Errorf("node%d: %s reached %.0f, allowed %.0f", node, n.name, most, n.level)
	}
}

// slope is that of the straight line through the points whose squared distances
// sum up to least.
func slope(x, y []float64) float64 {
	var mx, my, xy, xx float64
	for i := range x {
		mx, my = mx+x[i]/float64(len(x)), my+y[i]/float64(len(x))
	}
	for i := range x {
		xy, xx = xy+(x[i]-mx)*(y[i]-my), xx+(x[i]-mx)*(x[i]-mx)
	}
	return xy / xx
}
