// Plot draws what make soak measured: one panel for each figure, one line for each node.
package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: plot soak.csv soak.png")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "plot:", err)
		os.Exit(1)
	}
}

func run(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	t, err := read(in)
	if err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	return errors.Join(render(t, out), out.Close())
}

// A table is a header and rows of numbers.
type table struct {
	names []string
	rows  [][]float64
}

func read(in io.Reader) (t table, err error) {
	all, err := csv.NewReader(in).ReadAll()
	if err != nil || len(all) < 2 {
		return t, errors.Join(err, errors.New("holds no samples"))
	}
	t.names = all[0]
	for _, words := range all[1:] {
		row := make([]float64, len(words))
		for i, w := range words {
			if row[i], err = strconv.ParseFloat(w, 64); err != nil {
				return t, err
			}
		}
		t.rows = append(t.rows, row)
	}
	for _, p := range append(panels, panel{name: "second"}, panel{name: "node"}) {
		if t.column(p.name) < 0 {
			return t, fmt.Errorf("has no column %q", p.name)
		}
	}
	return t, nil
}

func (t table) column(name string) int { return slices.Index(t.names, name) }

// A panel shows one column over time.
type panel struct {
	name, title string
	unit        float64 // what one on the axis stands for
}

var panels = []panel{
	{"memory", "memory that no file stands for, MiB", 1 << 20},
	{"heap", "Go's heap, MiB", 1 << 20},
	{"goroutines", "goroutines", 1},
	{"files", "open files", 1},
	{"disk", "disk, MiB", 1 << 20},
	{"longest", "longest step in two minutes, ms", 1e-3},
	{"pool", "waiting payments", 1},
	{"height", "height", 1},
}

const (
	columns = 2
	width   = 9 * vg.Inch
	height  = 2 * vg.Inch // of one panel
)

func render(t table, out io.Writer) error {
	rows := (len(panels) + columns - 1) / columns
	canvas := vgimg.New(columns*width/1.2, vg.Length(rows)*height)
	tiles := draw.Tiles{Rows: rows, Cols: columns, PadX: vg.Millimeter * 4, PadY: vg.Millimeter * 4, PadRight: vg.Millimeter * 4, PadLeft: vg.Millimeter * 2, PadTop: vg.Millimeter * 2, PadBottom: vg.Millimeter * 2}
	whole := draw.New(canvas)
	for i, p := range panels {
		chart, err := t.chart(p, i == 0)
		if err != nil {
			return err
		}
		chart.Draw(tiles.At(whole, i%columns, i/columns))
	}
	_, err := vgimg.PngCanvas{Canvas: canvas}.WriteTo(out)
	return err
}

func (t table) chart(p panel, legend bool) (*plot.Plot, error) {
	c := plot.New()
	c.Title.Text, c.X.Label.Text = p.title, "minutes"
	c.Y.Min, c.Legend.Top = 0, true
	for node := 1; ; node++ {
		points := t.points(p, node)
		if len(points) == 0 {
			break
		}
		line, err := plotter.NewLine(points)
		if err != nil {
			return nil, err
		}
		line.Color = plotutil.Color(node - 1)
		c.Add(line)
		if legend {
			c.Legend.Add(fmt.Sprintf("node%d", node), line)
		}
	}
	c.Y.Min, c.Y.Max = 0, math.Max(c.Y.Max*1.05, 1)
	return c, nil
}

func (t table) points(p panel, node int) (list plotter.XYs) {
	second, who, what := t.column("second"), t.column("node"), t.column(p.name)
	for _, row := range t.rows {
		if int(row[who]) == node {
			list = append(list, plotter.XY{X: row[second] / 60, Y: row[what] / p.unit})
		}
	}
	return list
}
