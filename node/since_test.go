package node_test

import (
	"errors"
	"slices"
	"testing"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/node"
)

func ids(s *story, names ...string) (list []chain.Hash) {
	for _, name := range names {
		list = append(list, s.states[name].ID)
	}
	return list
}

func TestSinceLeadsFromEveryBlockToTheTip(t *testing.T) {
	s := tell(t, chaintest.Easy())
	s.Fork("0", "r1", "a2", "a3")
	s.Fork("r1", "b2", "b3", "b4")
	s.Fork("r1", "c2", "c3")
	s.Greedy("c3", "x4")
	s.Fork("x4", "x5")
	s.Fork("b4", "h5")
	s.give("r1", "a2", "a3", "b2", "b3", "b4", "c2", "c3")
	s.tip("b4")
	s.give("x4", "x5")
	s.meet("peer", "h5")
	s.done(s.n.Headers(s.now, "peer", s.headers("h5")))
	for last, want := range map[string][2][]string{
		"0":  {nil, {"r1", "b2", "b3", "b4"}},
		"r1": {nil, {"b2", "b3", "b4"}},
		"b3": {nil, {"b4"}},
		"b4": {nil, nil},
		"a3": {{"a3", "a2"}, {"b2", "b3", "b4"}},
		"a2": {{"a2"}, {"b2", "b3", "b4"}},
		"c3": {{"c3", "c2"}, {"b2", "b3", "b4"}},
	} {
		m, err := s.n.Since(s.states[last].ID, 0)
		if err != nil || m.More || m.Tip != s.n.Best() || !slices.Equal(s.list(m.Undone), want[0]) || !slices.Equal(s.list(m.Applied), want[1]) {
			t.Errorf("since %s: %v, %v, %+v, %v", last, s.list(m.Undone), s.list(m.Applied), m, err)
		}
	}
	for _, last := range []string{"h5", "x4", "x5"} {
		if _, err := s.n.Since(s.states[last].ID, 9); !errors.Is(err, node.ErrUnknown) {
			t.Errorf("since %s: %v", last, err)
		}
	}
	if _, err := s.n.Since(chain.SumHash(nil), 9); !errors.Is(err, node.ErrUnknown) {
		t.Errorf("since a block of nobody: %v", err)
	}
}

func TestSinceInPieces(t *testing.T) {
	s := tell(t, chaintest.Easy())
	s.Fork("0", numbered("a", 1, 20)...)
	s.Fork("a5", numbered("b", 6, 21)...)
	s.give(numbered("a", 1, 20)...)
	at := s.n.Best().ID
	s.give(numbered("b", 6, 21)...)
	var undone, applied []string
	for calls := 0; ; calls++ {
		m, err := s.n.Since(at, 3)
		if err != nil || len(m.Applied) > 3 || calls > 9 {
			t.Fatal(len(m.Applied), err)
		}
		undone, applied = append(undone, s.list(m.Undone)...), append(applied, s.list(m.Applied)...)
		at = m.Tip.ID
		if !m.More {
			break
		}
	}
	want := numbered("a", 6, 20)
	slices.Reverse(want)
	if !slices.Equal(undone, want) || !slices.Equal(applied, numbered("b", 6, 21)) || at != s.n.Best().ID {
		t.Errorf("undone %v, applied %v", undone, applied)
	}
}

func TestWhatANodeTellsOfItsTree(t *testing.T) {
	s := tell(t, chaintest.Easy())
	s.Fork("0", "a1", "a2", "a3")
	s.Fork("a1", "b2")
	s.Fork("a3", "h4", "h5")
	s.give("a1", "a2", "a3", "b2")
	if _, yes := s.n.Syncing(); yes {
		t.Error("it syncs")
	}
	s.meet("peer", "h5")
	s.done(s.n.Headers(s.now, "peer", s.headers("h4", "h5")))
	if h, yes := s.n.Syncing(); !yes || h != 5 {
		t.Errorf("syncing %v to %d", yes, h)
	}
	var leaves []string
	for _, e := range s.n.Leaves() {
		leaves = append(leaves, s.name(e.State.ID))
	}
	if !slices.Equal(leaves, []string{"a3", "h5", "b2"}) {
		t.Errorf("leaves %v", leaves)
	}
	for h, want := range []string{"0", "a1", "b2"} {
		if id, ok := s.n.Ancestor(s.states["b2"].ID, uint64(h)); !ok || s.name(id) != want {
			t.Errorf("height %d below b2 is %s", h, s.name(id))
		}
	}
	if _, ok := s.n.Ancestor(s.states["b2"].ID, 3); ok {
		t.Error("b2 has an ancestor above it")
	}
	if p, h, whole, ok := s.n.Header(s.states["h5"].ID); !ok || whole || h != 5 || s.name(p) != "h4" {
		t.Errorf("h5 is %v, %d, %v, %v", p, h, whole, ok)
	}
	if e, ok := s.n.Entry(chain.SumHash(nil)); ok {
		t.Errorf("an entry for nothing: %+v", e)
	}
}
