package main

import (
	"fmt"
	"strings"
	"time"

	"charm.land/lipgloss/v2"

	"cairn/chain"
	"cairn/converge"
)

// depthTone tells in colour how safe a depth is.
func depthTone(d converge.Depth, fresh bool) tone {
	switch {
	case !d.Known || !fresh:
		return faintTone
	case d.N == converge.Off:
		return badTone
	case d.N == 0:
		return plainTone
	}
	switch p := converge.Reversal(usualShare, int(d.N)); {
	case p < wantedRisk:
		return goodTone
	case p < 0.05:
		return fairTone
	}
	return warnTone
}

// depthCell is in brackets if the node was not heard of lately.
func depthCell(d converge.Depth, fresh bool) string {
	if !fresh && d.Known {
		return "(" + d.String() + ")"
	}
	return d.String()
}

// Widths of the matrix, in columns.
const (
	gutter     = 2 // for the mark of what is picked
	idWidth    = 10
	depthWidth = 7
	allWidth   = 5
	riskWidth  = 10
)

// grid is how the matrix is laid out.
type grid struct {
	from, to int       // nodes with a column of their own
	others   bool      // one more column has the least depth of all other nodes
	shares   []float64 // attackers with a column
}

func (s *screen) grid(width int) grid {
	n := len(s.now.Nodes)
	room := max(1, (width-gutter-idWidth-allWidth-riskWidth)/depthWidth)
	if n <= room {
		g := grid{to: n, shares: adversaries}
		if width < gutter+idWidth+allWidth+len(adversaries)*riskWidth+n*depthWidth {
			g.shares = adversaries[:1]
		}
		return g
	}
	room = max(1, room-1)
	from := max(0, min(s.column, n-room))
	return grid{from, from + room, true, adversaries[:1]}
}

// columnName is a node's name in the columns of a depth.
func columnName(i int, n *sceneNode) string {
	name := []rune(n.Name)
	switch {
	case len(name) < depthWidth:
		return n.Name
	case i == 0:
		return "this"
	}
	return "…" + string(name[len(name)-depthWidth+2:])
}

// matrix is the panel of transactions by nodes.
func (s *screen) matrix(width int) panel {
	g := s.grid(width)
	var head strings.Builder
	head.WriteString(left("TX", idWidth))
	for i := g.from; i < g.to; i++ {
		head.WriteString(right(columnName(i, &s.now.Nodes[i]), depthWidth))
	}
	if g.others {
		head.WriteString(right(fmt.Sprintf("‹+%d›", len(s.now.Nodes)-(g.to-g.from)), depthWidth))
	}
	head.WriteString(right("ALL", allWidth))
	for _, q := range g.shares {
		head.WriteString(right(fmt.Sprintf("RISK %.0f%%", 100*q), riskWidth))
	}
	p := panel{rows: []string{s.head(matrixPanel, head.String())}, picked: s.cursor + 1}
	for i := range s.now.Txs {
		p.rows = append(p.rows, s.matrixRow(i, g))
	}
	if len(s.now.Txs) == 0 {
		how := "`cairn send` makes one"
		if s.pay != nil {
			how = "press p to pay"
		}
		p.rows = append(p.rows, faintTone.paint("  none waits: "+how))
	}
	return p
}

func (s *screen) matrixRow(row int, g grid) string {
	tx := &s.now.Txs[row]
	var b strings.Builder
	b.WriteString(pointer(row == s.cursor && s.focus == matrixPanel) + left(short(tx.ID), idWidth))
	cell := func(d converge.Depth, fresh bool, width int) {
		b.WriteString(depthTone(d, fresh).paint(right(depthCell(d, fresh), width)))
	}
	for i := g.from; i < g.to; i++ {
		d, fresh := tx.on(s.now.Nodes[i].Key)
		cell(d, fresh, depthWidth)
	}
	if g.others {
		cell(s.leastElsewhere(tx, g), true, depthWidth)
	}
	cell(converge.Summarize(tx.Depths).All, true, allWidth)
	for _, q := range g.shares {
		b.WriteString(right(riskWord(tx.here(), q), riskWidth))
	}
	return b.String()
}

func pointer(is bool) string {
	if is {
		return strongTone.paint("› ")
	}
	return "  "
}

// leastElsewhere is the least depth on the nodes without a column.
func (s *screen) leastElsewhere(tx *sceneTx, g grid) converge.Depth {
	var rows []converge.Row
	for i, n := range s.now.Nodes {
		if i < g.from || i >= g.to {
			d, fresh := tx.on(n.Key)
			rows = append(rows, converge.Row{Name: n.Key, Fresh: fresh, Depth: d})
		}
	}
	return converge.Summarize(rows).All
}

// nodes is the panel of tips.
func (s *screen) nodes(width int) panel {
	const name, height, tip, age, word = 11, 8, 10, 8, 11
	head := left("NODE", name) + right("HEIGHT", height) + "  " + left("TIP", tip) + right("AGE", age) + "  " + left("STATE", word)
	p := panel{rows: []string{s.head(nodesPanel, head)}, scroll: s.scroll[nodesPanel]}
	for i := range s.now.Nodes {
		n := &s.now.Nodes[i]
		at, old := "?", "now"
		if n.Tip != nil {
			at = fmt.Sprint(n.Height)
		}
		if n.Age >= time.Second {
			old = brief(n.Age)
		}
		is := s.now.Tree.stance(n.Tip)
		line := "  " + left(n.Name, name) + right(at, height) + "  " + left(shortOr(n.Tip, "?"), tip) + right(old, age) + "  " +
			is.tone().paint(left(is.words(), word))
		p.rows = append(p.rows, line+faintTone.paint(cut(n.Note, width-lipgloss.Width(line))))
	}
	return p
}

func (t stance) words() string {
	if t.By == 0 {
		return t.Word
	}
	return fmt.Sprintf("%s %d", t.Word, t.By)
}

func (t stance) tone() tone {
	switch t.Word {
	case same:
		return goodTone
	case forked:
		return badTone
	case lagging, leading:
		return warnTone
	}
	return faintTone
}

// log is the panel of events, the newest first.
func (s *screen) log(width int) panel {
	p := panel{rows: []string{s.head(eventsPanel, "EVENTS")}, scroll: s.scroll[eventsPanel], greedy: true}
	for _, e := range s.events {
		p.rows = append(p.rows, "  "+faintTone.paint(e.At.Format(time.TimeOnly))+"  "+e.Tone.paint(cut(e.Text, width-len("  15:04:05  "))))
	}
	if len(s.events) == 0 {
		p.rows = append(p.rows, faintTone.paint("  nothing has changed yet"))
	}
	return p
}

// Widths of the fork tree, in columns.
const (
	blockWidth = 3
	labelWidth = 40 // at most, behind a branch, for who is on its tip
)

// forks is the panel of the last blocks.
func (s *screen) forks(width int) panel {
	branches := s.now.Tree.branches()
	drawing := canvas{tree: &s.now.Tree, to: s.now.Height, on: s.whoIsWhere()}
	labels := 0
	for _, b := range branches {
		drawing.to = max(drawing.to, drawing.tree.Blocks[b.Blocks[len(b.Blocks)-1]].Height)
		labels = max(labels, 1+lipgloss.Width(drawing.label(b)))
	}
	blocks := uint64(max(1, (width-gutter-min(labels, labelWidth, width/2))/blockWidth))
	drawing.from = drawing.to + 1 - min(drawing.to+1, blocks)
	for i, b := range branches {
		if last := b.Blocks[len(b.Blocks)-1]; i > 0 && drawing.tree.Blocks[last].Height < drawing.from {
			continue // out of sight
		}
		drawing.add(i, b)
	}
	head := fmt.Sprintf("FORKS of blocks %d to %d", drawing.from, drawing.to)
	return panel{rows: append([]string{strongTone.paint("  " + head)}, drawing.lines()...)}
}

// whoIsWhere names the nodes on each block.
func (s *screen) whoIsWhere() map[chain.Hash][]string {
	on := map[chain.Hash][]string{}
	for _, n := range s.now.Nodes {
		if n.Tip != nil {
			on[*n.Tip] = append(on[*n.Tip], n.Name)
		}
	}
	return on
}

// canvas is a drawing of the tree: a row for each branch, a column for each height.
type canvas struct {
	tree     *forkTree
	from, to uint64
	on       map[chain.Hash][]string
	rows     []canvasRow
	rowOf    map[int]int // of a branch
}

type canvasRow struct {
	cells []rune
	end   int // columns that the branch itself takes
	label string
	tone  tone
}

// add draws a branch below the others.
func (c *canvas) add(of int, b branch) {
	if c.rowOf == nil {
		c.rowOf = map[int]int{}
	}
	c.rowOf[of] = len(c.rows)
	row := canvasRow{cells: []rune(strings.Repeat(" ", int(c.to-c.from+1)*blockWidth)), tone: c.tone(of, b)}
	for i, id := range b.Blocks {
		height := c.tree.Blocks[id].Height
		if height < c.from {
			continue
		}
		at := c.column(height)
		row.cells[at] = c.glyph(id, b)
		row.end = at + 1
		if i > 0 || b.On < 0 || height > c.from {
			c.join(&row, at)
		}
	}
	row.label = c.label(b)
	c.rows = append(c.rows, row)
	if b.On >= 0 {
		c.root(b)
	}
}

func (c *canvas) column(height uint64) int { return int(height-c.from) * blockWidth }

// join draws the line to the block on the left.
func (c *canvas) join(row *canvasRow, at int) {
	for x := max(0, at-blockWidth+1); x < at; x++ {
		row.cells[x] = '─'
	}
}

func (c *canvas) glyph(id chain.Hash, b branch) rune {
	switch {
	case b.Status == "invalid":
		return '×'
	case len(c.on[id]) > 0:
		return '●'
	}
	return '○'
}

func (c *canvas) tone(of int, b branch) tone {
	switch {
	case b.Status == "invalid":
		return badTone
	case of == 0:
		return goodTone
	}
	return warnTone
}

// root draws the line up to the branch that the last row grows from.
func (c *canvas) root(b branch) {
	first := c.tree.Blocks[b.Blocks[0]].Height
	on, drawn := c.rowOf[b.On]
	if first <= c.from || !drawn {
		return // the fork is out of sight
	}
	x, last := c.column(first-1)+1, len(c.rows)-1
	c.rows[last].cells[x] = '╰'
	for i := on + 1; i < last; i++ {
		c.rows[i].cells[x] = crossing[c.rows[i].cells[x]]
	}
	c.rows[on].cells[x] = parting[c.rows[on].cells[x]]
	c.rows[on].end = max(c.rows[on].end, x+1)
}

// What a line down makes of what is there already: in between, and where it begins.
var (
	crossing = map[rune]rune{' ': '│', '│': '│', '─': '┼', '┼': '┼', '╰': '├', '├': '├', '┬': '┼', '╮': '┤', '┤': '┤'}
	parting  = map[rune]rune{' ': '╮', '╮': '╮', '─': '┬', '┬': '┬', '│': '┤', '┤': '┤', '╰': '╰', '├': '├', '┼': '┼'}
)

// label tells which block ends a branch, and who is on it.
func (c *canvas) label(b branch) string {
	words := short(b.Blocks[len(b.Blocks)-1])
	if b.Status == "invalid" || b.Status == "headers-only" {
		words += " " + b.Status
	}
	const named = 2
	lag, all := 0, 0
	for i := len(b.Blocks) - 1; i >= 0; i-- {
		for _, name := range c.on[b.Blocks[i]] {
			if all++; all > named {
				continue
			}
			words += " " + name
			if lag = len(b.Blocks) - 1 - i; lag > 0 {
				words += fmt.Sprintf(" −%d", lag)
			}
		}
	}
	if all > named {
		words += fmt.Sprintf(" +%d", all-named)
	}
	return words
}

func (c *canvas) lines() []string {
	var lines []string
	for _, r := range c.rows {
		// Lines that cross may go on behind the branch's own end.
		end := r.end
		for x := len(r.cells); x > end; x-- {
			if r.cells[x-1] != ' ' {
				end = x
			}
		}
		lines = append(lines, "  "+r.tone.paint(string(r.cells[:end]))+" "+r.label)
	}
	return lines
}
