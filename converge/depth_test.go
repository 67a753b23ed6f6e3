package converge

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"cairn/chain"
)

// grove is a drawn tree: blocks by name, each with its parent.
type grove struct {
	parent map[string]string
	no     map[string]bool // bodies that are not here
}

// id is a block's id; any text will do.
func id(name string) chain.Hash { return chain.SumHash([]byte(name)) }

// plant draws branches: "a1 a2 a3" grows from the root, "a1 < b2 b3" from a1.
func plant(branches ...string) *grove {
	g := &grove{parent: map[string]string{"root": ""}, no: map[string]bool{}}
	for _, branch := range branches {
		at, names, forked := strings.Cut(branch, " < ")
		if !forked {
			at, names = "root", branch
		}
		for _, n := range strings.Fields(names) {
			g.parent[n], at = at, n
		}
	}
	return g
}

func (g *grove) without(bodies ...string) *grove {
	for _, b := range bodies {
		g.no[b] = true
	}
	return g
}

// branch lists the names from the root to tip.
func (g *grove) branch(tip string) (names []string) {
	for n := tip; n != ""; n = g.parent[n] {
		names = append(names, n)
	}
	slices.Reverse(names)
	return names
}

func (g *grove) name(h chain.Hash) (string, bool) {
	for n := range g.parent {
		if id(n) == h {
			return n, true
		}
	}
	return "", false
}

func (g *grove) Header(h chain.Hash) (parent chain.Hash, height uint64, complete, ok bool) {
	n, ok := g.name(h)
	if !ok {
		return chain.Hash{}, 0, false, false
	}
	branch := g.branch(n)
	complete = !slices.ContainsFunc(branch, func(b string) bool { return g.no[b] })
	return id(g.parent[n]), uint64(len(branch) - 1), complete, true
}

func (g *grove) Ancestor(tip chain.Hash, height uint64) (chain.Hash, bool) {
	n, ok := g.name(tip)
	if branch := g.branch(n); ok && height < uint64(len(branch)) {
		return id(branch[height]), true
	}
	return chain.Hash{}, false
}

func where(blocks string, conflicts ...string) (w Where) {
	for _, b := range strings.Fields(blocks) {
		w.Blocks = append(w.Blocks, id(b))
	}
	for _, b := range conflicts {
		w.Conflicts = append(w.Conflicts, Conflict{Block: id(b), By: id("rival in " + b)})
	}
	return w
}

// depths checks the depth under each tip: "a4:3 b3:-1 b1:0 x:?".
func depths(t *testing.T, want string, depth func(tip chain.Hash) Depth) {
	t.Helper()
	for _, w := range strings.Fields(want) {
		tip, n, _ := strings.Cut(w, ":")
		if got := depth(id(tip)); got.String() != n {
			t.Errorf("under %s: %v, want %s", tip, got, n)
		}
	}
}

func TestDepthOfAPaymentAcrossAFork(t *testing.T) {
	//           ┌ a2 ─ a3 ─ a4
	// root ─ a1 ┤
	//           └ b2 ─ b3
	g := plant("a1 a2 a3 a4", "a1 < b2 b3")
	ofTx := func(w Where) func(chain.Hash) Depth {
		return func(tip chain.Hash) Depth { return OfTx(g, tip, w) }
	}
	depths(t, "root:0 a1:0 a2:1 a3:2 a4:3 b2:0 b3:0 x:?", ofTx(where("a2")))
	depths(t, "a1:0 a2:1 a4:3 b2:-1 b3:-1", ofTx(where("a2", "b2")))
	depths(t, "a2:0 a3:1 a4:2 b2:0 b3:1", ofTx(where("a3 b3")))
	depths(t, "root:0 a1:1 a4:4 b3:3", ofTx(where("a1")))
	depths(t, "a1:0 a2:0 a3:-1 b3:0", ofTx(where("", "a3", "x")))
	depths(t, "root:0 a4:0 b3:0 x:?", ofTx(Where{}))

	if d := OfTx(g, id("a4"), where("a3 b2")); d.Block != id("a3") {
		t.Error("the block is on another branch")
	}
	d := OfTx(g, id("b3"), where("a2", "a3", "b2"))
	if d.Block != id("b2") || d.By != id("rival in b2") {
		t.Errorf("%+v", d)
	}
}

func TestDepthOfABlock(t *testing.T) {
	g := plant("a1 a2 a3", "a1 < b2 b3 b4").without("a2", "b3")
	of := func(block string) func(chain.Hash) Depth {
		return func(tip chain.Hash) Depth { return OfBlock(g, tip, id(block)) }
	}
	depths(t, "root:0 a1:1 a2:2 b4:4 x:?", of("a1"))
	depths(t, "root:0 a1:0 a2:1 a3:2 b2:-1 b4:-1", of("a2"))
	depths(t, "a1:0 b2:0 b3:0 b4:1 a3:-1", of("b4"))
	depths(t, "a1:? b4:?", of("x"))
}

func TestAMissingBodyMayHoldIt(t *testing.T) {
	g := plant("a1 a2 a3 a4", "a1 < b2 b3").without("a3")
	ofTx := func(w Where) func(chain.Hash) Depth {
		return func(tip chain.Hash) Depth { return OfTx(g, tip, w) }
	}
	depths(t, "a1:0 a2:0 a3:? a4:? b3:0", ofTx(Where{}))
	depths(t, "a1:1 a3:3 a4:4 b3:3", ofTx(where("a1")))  // found below: the missing one cannot hold it
	depths(t, "a2:-1 a4:-1 b3:0", ofTx(where("", "a2"))) // ruled out below, likewise
	depths(t, "a2:0 a4:? b3:-1", ofTx(where("", "b2")))  // the conflict is elsewhere
	depths(t, "a2:0 a3:? a4:1 b3:0", ofTx(where("a4")))  // found above
}

// walk is the depth as one reads it off a drawing.
func (g *grove) walk(tip string, in, against map[string]bool) string {
	if _, ok := g.parent[tip]; !ok {
		return "?"
	}
	branch := g.branch(tip)
	unsure := false
	for i, b := range slices.Backward(branch) {
		switch {
		case g.no[b]:
			unsure = true
		case in[b]:
			return Depth{N: int64(len(branch) - i), Known: true}.String()
		case against[b]:
			return "-1"
		}
	}
	if unsure {
		return "?"
	}
	return "0"
}

func TestDepthAgreesWithAWalk(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := plant()
		names := []string{"root"}
		in, against := map[string]bool{}, map[string]bool{}
		var w Where
		for i := range rapid.IntRange(1, 25).Draw(t, "blocks") {
			n := string(rune('a' + i))
			from := rapid.IntRange(max(0, len(names)-4), len(names)-1).Draw(t, "parent")
			g.parent[n] = names[from]
			names = append(names, n)
			settled := g.walk(g.parent[n], in, against)
			switch role := rapid.IntRange(0, 9).Draw(t, "role"); {
			case role == 0:
				g.no[n] = true // and what it holds is not indexed
			case role == 1 && (settled == "0" || settled == "?"):
				in[n] = true
				w.Blocks = append(w.Blocks, id(n))
			case role == 2 && (settled == "0" || settled == "?"):
				against[n] = true
				w.Conflicts = append(w.Conflicts, Conflict{Block: id(n), By: id("rival")})
			}
		}
		for _, tip := range append(names, "unheard of") {
			if got, want := OfTx(g, id(tip), w).String(), g.walk(tip, in, against); got != want {
				t.Fatalf("under %s: %s, the walk says %s", tip, got, want)
			}
		}
	})
}

func TestDepthInJSON(t *testing.T) {
	list := []Depth{{N: 3, Known: true, Block: id("a")}, {N: Off, Known: true}, {Known: true}, {}}
	text, err := json.Marshal(list)
	if err != nil || string(text) != "[3,-1,0,null]" {
		t.Fatalf("%s, %v", text, err)
	}
	var back []Depth
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	for i, d := range back {
		if d.N != list[i].N || d.Known != list[i].Known {
			t.Errorf("%+v became %+v", list[i], d)
		}
	}
	if err := json.Unmarshal([]byte(`["deep"]`), &back); err == nil {
		t.Error("a word is no depth")
	}
}
