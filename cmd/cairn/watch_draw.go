package main

import (
	"fmt"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
)

// A tone says what something means; a style how that looks. Colours are the
// terminal's own sixteen, so that they fit dark and light ones, and nothing is said
// by colour alone. Bubble Tea leaves them away where NO_COLOR or the terminal asks
// for that.
type tone int

const (
	plainTone tone = iota
	faintTone
	strongTone
	goodTone
	fairTone
	warnTone
	badTone
)

var styles = map[tone]lipgloss.Style{
	plainTone:  lipgloss.NewStyle(),
	faintTone:  lipgloss.NewStyle().Faint(true),
	strongTone: lipgloss.NewStyle().Bold(true),
	goodTone:   lipgloss.NewStyle().Foreground(lipgloss.Green),
	fairTone:   lipgloss.NewStyle().Foreground(lipgloss.Cyan),
	warnTone:   lipgloss.NewStyle().Foreground(lipgloss.Yellow),
	badTone:    lipgloss.NewStyle().Foreground(lipgloss.Red).Bold(true),
}

func (t tone) paint(s string) string {
	if t == plainTone || s == "" {
		return s
	}
	return styles[t].Render(s)
}

// cut is what of a line fits into so many columns.
func cut(s string, width int) string {
	if width <= 0 {
		return ""
	}
	if lipgloss.Width(s) <= width {
		return s
	}
	return lipgloss.NewStyle().Inline(true).MaxWidth(width).Render(s)
}

// left and right make words so many columns wide.
func left(s string, width int) string {
	s = cut(s, width)
	return s + strings.Repeat(" ", max(0, width-lipgloss.Width(s)))
}

func right(s string, width int) string {
	s = cut(s, width)
	return strings.Repeat(" ", max(0, width-lipgloss.Width(s))) + s
}

// draw is the screen as text: height lines of at most width columns.
func (s *screen) draw() string {
	if s.width <= 0 || s.height <= 0 {
		return ""
	}
	lines := s.heading()
	foot := s.footing()
	body := max(0, s.height-len(lines)-1)
	switch {
	case s.page != mainPage:
		lines = append(lines, fit(window(s.pageLines(), s.pageScroll, body), body)...)
	case s.now == nil:
		lines = append(lines, fit([]string{"", "  looking …"}, body)...)
	default:
		lines = append(lines, s.panels(s.width, body)...)
	}
	lines = fit(append(lines[:min(len(lines), s.height-1)], foot), s.height)
	for i := range lines {
		lines[i] = cut(lines[i], s.width)
	}
	return strings.Join(lines, "\n")
}

// fit makes it so many lines.
func fit(lines []string, height int) []string {
	for len(lines) < height {
		lines = append(lines, "")
	}
	return lines[:max(0, height)]
}

// window is what of the lines is seen, scrolled so far down; never less than fits.
func window(lines []string, from, height int) []string {
	from = max(0, min(from, len(lines)-height))
	return lines[from:min(len(lines), from+max(0, height))]
}

// heading are the lines on top: where the chain is, and its pace.
func (s *screen) heading() []string {
	title := strongTone.paint("cairn " + s.title)
	if s.now == nil {
		return []string{title, ""}
	}
	if s.paused {
		title += "  " + warnTone.paint("PAUSED")
	}
	n := s.now
	words := []string{title, fmt.Sprintf("height %d %s", n.Height, short(n.Tip)), n.agreement()}
	if n.Headers > n.Height {
		words = append(words, warnTone.paint(fmt.Sprintf("catching up to %d", n.Headers)))
	}
	words = append(words, fmt.Sprintf("%d waiting", n.Waiting), n.At.Format(time.TimeOnly), n.Network)
	return []string{spread(words, s.width), spread(n.pace(), s.width)}
}

// spread puts words in a line, but not those that do not fit.
func spread(words []string, width int) string {
	line := words[0]
	for _, w := range words[1:] {
		if longer := line + "   " + w; lipgloss.Width(longer) <= width {
			line = longer
		}
	}
	return line
}

// agreement tells how many nodes follow our tip.
func (n *scene) agreement() string {
	with := 0
	for i := range n.Nodes {
		if n.Tree.stance(n.Nodes[i].Tip).Word == same {
			with++
		}
	}
	words := fmt.Sprintf("%d of %s on it", with, count(len(n.Nodes), "node", "nodes"))
	if with == len(n.Nodes) {
		return goodTone.paint(words)
	}
	return warnTone.paint(words)
}

// pace is hash rate, difficulty and interval.
func (n *scene) pace() []string {
	words := []string{
		fmt.Sprintf("%s, %s here", rate(uint64(max(0, n.NetRate))), rate(n.Hashrate)),
		fmt.Sprintf("difficulty %.3g", n.Difficulty),
	}
	if mean, over := n.Tree.interval(); over > 0 {
		aim := ""
		if n.Spacing > 0 {
			aim = fmt.Sprintf(" (aim %s)", brief(n.Spacing))
		}
		words = append(words, fmt.Sprintf("block each %s%s", span(mean), aim), fmt.Sprintf("mean of the last %d", over))
	}
	if n.Reorgs.Count > 0 {
		words = append(words, fmt.Sprintf("%s, the deepest %d", count(n.Reorgs.Count, "reorganisation", "reorganisations"), n.Reorgs.Deepest))
	}
	if n.Expected > 0 {
		words = append(words, fmt.Sprintf("%d found here, next in %s", n.Found, lasting(n.Expected)))
	}
	return words
}

// brief is a duration in a few letters.
func brief(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d d", int(d.Hours()/24))
}

// footing is the last line: trouble, or else the keys.
func (s *screen) footing() string {
	if s.trouble != "" {
		return badTone.paint(cut("! "+s.trouble, s.width))
	}
	keys := "↑↓ scroll  tab panel  enter pick  p pause  ? help  q quit"
	switch {
	case s.page != mainPage:
		keys = "↑↓ scroll  esc back  space pause  q quit"
	case s.pay != nil:
		keys = "p pay  ↑↓ scroll  tab panel  enter pick  space pause  ? help  q quit"
	}
	if s.note != "" {
		return strongTone.paint(s.note) + "  " + faintTone.paint(keys)
	}
	return faintTone.paint(keys)
}

// A panel is a part of the main page: a heading and rows that can be scrolled.
type panel struct {
	rows   []string // with the heading as the first
	scroll int      // rows that are out of sight above
	picked int      // row that stays in sight, the heading being 0
	greedy bool     // takes all the lines that the others leave
}

const (
	twoColumns = 130 // columns of a screen that shows panels side by side
	airy       = 36  // lines of a screen that parts panels by a blank one
	leastRows  = 3   // of a panel, with its heading
)

// panels draws the main page.
func (s *screen) panels(width, height int) []string {
	if width < twoColumns {
		return stack([]panel{
			s.matrix(width), s.nodes(width), s.forks(width), s.log(width),
		}, height)
	}
	half := (width - 3) / 2
	leftSide := fit(stack([]panel{s.matrix(half), s.nodes(half)}, height), height)
	rightSide := stack([]panel{s.forks(width - 3 - half), s.log(width - 3 - half)}, height)
	for i, line := range leftSide {
		leftSide[i] = left(line, half) + faintTone.paint(" │ ") + rightSide[i]
	}
	return leftSide
}

// stack puts panels under each other.
func stack(list []panel, height int) (lines []string) {
	gap := 0
	if height >= airy {
		gap = 1
	}
	rooms := share(list, height-gap*(len(list)-1))
	for i, p := range list {
		if i > 0 {
			lines = append(lines, make([]string, gap)...)
		}
		lines = append(lines, p.view(rooms[i])...)
	}
	return fit(lines, height)
}

// share gives every panel its least, then a fair part in the order of the panels,
// then what they want from the last on, and what is left to the greedy.
func share(list []panel, height int) []int {
	rooms, fair := make([]int, len(list)), height/3
	give := func(i, want int) {
		more := max(0, min(want-rooms[i], height))
		rooms[i], height = rooms[i]+more, height-more
	}
	for i, p := range list {
		give(i, min(leastRows, len(p.rows)))
	}
	for i, p := range list {
		give(i, min(fair, len(p.rows)))
	}
	for i := len(list) - 1; i >= 0; i-- {
		give(i, len(list[i].rows))
	}
	for i, p := range list {
		if p.greedy {
			give(i, rooms[i]+height)
		}
	}
	return rooms
}

// view is a panel in so many lines.
func (p *panel) view(height int) []string {
	if height <= 0 || len(p.rows) == 0 {
		return nil
	}
	scroll := max(p.scroll, p.picked-height+1)
	lines := append([]string{p.rows[0]}, window(p.rows[1:], scroll, height-1)...)
	hidden := len(p.rows) - len(lines)
	if hidden > 0 && len(lines) > 1 {
		lines[0] += faintTone.paint(fmt.Sprintf("  +%d more", hidden))
	}
	return fit(lines, height)
}

// head is a panel's heading. The one that keys scroll has a mark.
func (s *screen) head(of int, words string) string {
	mark := "  "
	if of == s.focus {
		mark = "▸ "
	}
	return strongTone.paint(mark + words)
}
