package main

import (
	"fmt"
	"strings"

	"cairn/converge"
)

// pageLines is the page that covers the panels.
func (s *screen) pageLines() []string {
	if s.page == txPage {
		return s.txLines()
	}
	return strings.Split(strings.TrimSpace(helpText), "\n")
}

const helpText = `
KEYS
  ↑ ↓ k j        scroll the panel that has the mark ▸, or pick a transaction
  tab            mark the next panel
  ← → h l        show other nodes' columns where not all fit
  PgUp PgDn g G  scroll far
  enter          all about the transaction that is picked
  p, space       pause, and go on; in a lab p pays
  esc            back
  q              quit

THE MATRIX
  A number is a transaction's depth on a node: 1 is in that node's last block.
  0   not confirmed there yet         -1  ruled out there, by another spend
  ?   not known                       (3) that node was not heard of lately
  ALL is the depth that every node has reached.
  RISK is how likely an attacker with 10 % of the work ever undoes it, by the
  formula of Grunspan and Pérez-Marco; cairn risk tells more. Colours say the
  same: yellow 5 % or more, cyan less, green below 0.1 %; red is ruled out.

THE NODES
  same    follows the tip that we follow     behind 2  two blocks below it
  ahead   above it, on top of it             fork 3    three blocks of its own
  AGE is how long ago that node told of its tip.

THE FORKS
  A row for each branch: ○ a block, ● some node's tip, × invalid. Behind its
  last block stands who is there; −2 is two blocks below it.
`

// txLines is all about the transaction that is picked.
func (s *screen) txLines() []string {
	tx := s.picked()
	if tx == nil {
		return []string{"no transaction is picked"}
	}
	lines := []string{strongTone.paint("TRANSACTION ") + tx.ID.String()}
	if tx.Reason != "" {
		lines = append(lines, badTone.paint("  ruled out here: "+tx.Reason))
	}
	if tx.Conflict != nil {
		lines = append(lines, "  by "+tx.Conflict.String())
	}
	lines = append(append(lines, s.riskLines(tx)...), "")
	lines = append(lines, s.whereLines(tx)...)
	return append(append(lines, ""), s.whenLines(tx)...)
}

func (s *screen) riskLines(tx *sceneTx) []string {
	d := tx.here()
	if !d.Reaches(1) {
		return nil
	}
	lines := []string{fmt.Sprintf("  at depth %v here the risk that it is ever undone is", d)}
	for _, q := range adversaries {
		enough := ""
		if z, ok := converge.DepthFor(q, wantedRisk); ok {
			enough = fmt.Sprintf("; below %s at %d", chance(wantedRisk), z)
		}
		lines = append(lines, fmt.Sprintf("  %12s from an attacker with %s of the work%s", chance(converge.Reversal(q, int(d.N))), chance(q), enough))
	}
	return lines
}

// whereLines tell where it is on each node.
func (s *screen) whereLines(tx *sceneTx) []string {
	const name, depth, at = 11, 7, 24
	lines := []string{strongTone.paint("  " + left("NODE", name) + right("DEPTH", depth) + "  " + left("IN BLOCK", at) + "OF THE BRANCH OF")}
	for i := range s.now.Nodes {
		n := &s.now.Nodes[i]
		d, fresh := tx.on(n.Key)
		block := "–"
		if d.Reaches(1) && n.Tip != nil {
			block = fmt.Sprint(int64(n.Height) - d.N + 1)
			if id, ok := s.now.Tree.below(*n.Tip, d.N-1); ok {
				block += " " + short(id)
			}
		}
		line := "  " + left(n.Name, name) + depthTone(d, fresh).paint(right(depthCell(d, fresh), depth)) + "  " + left(block, at) + shortOr(n.Tip, "?")
		if n.Tip != nil {
			line += fmt.Sprintf(" at %d, %s", n.Height, s.now.Tree.stance(n.Tip).words())
		}
		lines = append(lines, line)
	}
	return lines
}

// whenLines tell when all nodes had come to a depth.
func (s *screen) whenLines(tx *sceneTx) []string {
	t := s.tracks[tx.ID]
	if t == nil {
		return nil
	}
	lines := []string{fmt.Sprintf("  on this screen for %s", span(s.now.At.Sub(t.Since)))}
	for d, m := range t.Reached {
		switch {
		case m == nil:
		case m.Nodes == 0:
			lines = append(lines, fmt.Sprintf("  depth %d on all nodes before that", d))
		default:
			lines = append(lines, "  "+m.words(d))
		}
	}
	return lines
}
