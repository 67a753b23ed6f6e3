package main

import (
	"fmt"
	"slices"
	"time"

	"cairn/chain"
	"cairn/converge"
)

// maxEvents is how many the screen remembers.
const maxEvents = 500

type event struct {
	At   time.Time
	Tone tone
	Text string
}

// track is what the screen remembers of a transaction.
type track struct {
	Since   time.Time               // first seen on this screen
	Reached [settled + 1]*milestone // by depth
}

// milestone is when all nodes had reached a depth.
type milestone struct {
	After time.Duration
	Nodes int
}

// told are the depths that the event log tells of.
var told = []int{settled, settled / 2, 1}

// note remembers when depths were reached, and returns the deepest of those to be
// told that is new.
func (t *track) note(tx *sceneTx, at time.Time) (depth int, is bool) {
	had := t.Reached
	for d := 1; d <= settled; d++ {
		if t.Reached[d] != nil && !tx.here().Reaches(int64(d)) {
			t.Reached[d] = nil // undone: it has to be reached again
		}
		if t.Reached[d] == nil && converge.Agreed(tx.Depths, int64(d), converge.All).Yes {
			t.Reached[d] = &milestone{at.Sub(t.Since), len(tx.Depths)}
		}
	}
	for _, d := range told {
		if had[d] == nil && t.Reached[d] != nil {
			return d, true
		}
	}
	return 0, false
}

func (m *milestone) words(depth int) string {
	return fmt.Sprintf("depth %d on %d of %s after %s", depth, m.Nodes, count(m.Nodes, "node", "nodes"), span(m.After))
}

// news tells what changed between two scenes.
func news(before, after *scene) (list []event) {
	add := func(t tone, format string, args ...any) {
		list = append(list, event{after.At, t, fmt.Sprintf(format, args...)})
	}
	tipNews(before, after, add)
	nodeNews(before, after, add)
	for i := range after.Txs {
		now := &after.Txs[i]
		was := find(before.Txs, now.ID)
		if was == nil {
			if now.here().Known {
				add(plainTone, "tx %s: %s", short(now.ID), firstWords(now))
			}
			continue
		}
		txNews(after, was, now, add)
	}
	for i := range before.Txs {
		if was := &before.Txs[i]; find(after.Txs, was.ID) == nil && !was.settled() {
			add(badTone, "tx %s: no node that we know of has it any more", short(was.ID))
		}
	}
	return list
}

type adder func(t tone, format string, args ...any)

func tipNews(before, after *scene, add adder) {
	if before.Tip == after.Tip {
		return
	}
	fork, undone, came, ok := after.Tree.part(before.Tip, after.Tip)
	switch {
	case !ok:
		add(warnTone, "the tip moved far, to %s at height %d", short(after.Tip), after.Height)
	case undone > 0:
		add(badTone, "reorganisation: %s undone, %d came instead, from height %d on",
			count(undone, "block", "blocks"), came, after.Tree.Blocks[fork].Height+1)
	case came == 1:
		add(plainTone, "block %d %s", after.Height, short(after.Tip))
	default:
		add(plainTone, "%d blocks, to %d %s", came, after.Height, short(after.Tip))
	}
}

func nodeNews(before, after *scene, add adder) {
	for _, now := range after.Nodes[1:] {
		i := slices.IndexFunc(before.Nodes, func(n sceneNode) bool { return n.Key == now.Key })
		if i < 0 {
			add(plainTone, "%s joined", now.Name)
			continue
		}
		was, is := before.Tree.stance(before.Nodes[i].Tip), after.Tree.stance(now.Tip)
		switch {
		case is.Word == forked && was.Word != forked:
			add(warnTone, "%s is on a fork: %s of its own, tip %s", now.Name, count(is.By, "block", "blocks"), short(*now.Tip))
		case was.Word == forked && is.Word == same:
			add(goodTone, "%s agrees again", now.Name)
		}
	}
	for _, was := range before.Nodes[1:] {
		if !slices.ContainsFunc(after.Nodes, func(n sceneNode) bool { return n.Key == was.Key }) {
			add(warnTone, "%s left", was.Name)
		}
	}
}

func find(txs []sceneTx, id chain.Hash) *sceneTx {
	for i := range txs {
		if txs[i].ID == id {
			return &txs[i]
		}
	}
	return nil
}

func firstWords(tx *sceneTx) string {
	switch d := tx.here(); {
	case d.N == converge.Off:
		return ruledWords(tx)
	case d.N == 0:
		return "accepted, waits for a block"
	default:
		return fmt.Sprintf("confirmed already, depth %d", d.N)
	}
}

// ruledWords name what took its place first: a line may end soon.
func ruledWords(tx *sceneTx) string {
	if tx.Conflict == nil {
		return "ruled out: " + tx.Reason
	}
	return fmt.Sprintf("ruled out by %s: %s", short(*tx.Conflict), tx.Reason)
}

func txNews(after *scene, was, now *sceneTx, add adder) {
	a, b := was.here(), now.here()
	switch {
	case a == b || !b.Known:
	case b.N == converge.Off:
		add(badTone, "tx %s: %s", short(now.ID), ruledWords(now))
	case !a.Known && b.N == 0:
		add(plainTone, "tx %s: accepted, waits for a block", short(now.ID))
	case b.N > 0 && !a.Reaches(1):
		add(goodTone, "tx %s: confirmed in block %d", short(now.ID), int64(after.Height)-b.N+1)
	case b.N == 0 && a.Reaches(1):
		add(badTone, "tx %s: its block is undone, it waits again", short(now.ID))
	case b.N == 0:
		add(warnTone, "tx %s: possible again, waits for a block", short(now.ID))
	}
}
