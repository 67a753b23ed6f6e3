package store

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/node"
)

// lived is a store with a past: side branches and a reorganisation.
func lived(t *testing.T, s rememberer, p *chain.Params) *world {
	t.Helper()
	w := newWorld(p, 5)
	for range 6 {
		commit(t, s, w.extend(w.grow(w.tip)))
	}
	fork := w.tip.parent.parent
	b1 := w.grow(fork)
	commit(t, s, w.aside(b1))
	b2 := w.grow(b1)
	commit(t, s, w.aside(b2))
	b3 := w.grow(b2)
	commit(t, s, w.aside(b3))
	commit(t, s, w.reorganise(b3)...)
	c := w.grow(fork)
	commit(t, s, w.aside(c))
	commit(t, s, w.extend(w.grow(w.tip)))
	if err := s.Put("somebody/else", []byte("kept")); err != nil {
		t.Fatal(err)
	}
	return w
}

// audit looks through a store, and lists what is wrong.
func audit(t testing.TB, b *book) []string {
	t.Helper()
	a := b.Audit()
	for raw, err := range a.Blocks() {
		if err != nil {
			t.Fatal(err)
		}
		body, broken := chain.Remembered(raw.ID, raw.Bytes)
		a.Hold(raw, body, broken)
	}
	if err := a.Finish(); err != nil {
		t.Fatal(err)
	}
	list, _ := a.Faults()
	return list
}

// Whatever key is missing, differs, or is there without a reason: it is found.
func TestAuditFindsEveryFault(t *testing.T) {
	p := chaintest.Easy()
	s := NewMemory(p)
	w := lived(t, s, p)
	commit(t, s, w.condemn(w.order[len(w.order)-2])) // beside the best chain
	if list := audit(t, s.book); len(list) > 0 {
		t.Fatalf("a sound store: %v", list)
	}
	sound := whole(t, s.book)
	spoil := func(what, key string, value []byte) {
		t.Helper()
		change := newBatch()
		change.set(key, change0(value))
		tamper(t, s.book, change)
		if list := audit(t, s.book); len(list) == 0 {
			t.Errorf("%s: key %q: nothing is found", what, key)
		}
		mend := newBatch()
		mend.remove([]byte(key))
		if old, there := sound[key]; there {
			mend.put([]byte(key), []byte(old))
		}
		tamper(t, s.book, mend)
	}
	for _, key := range slices.Sorted(maps.Keys(sound)) {
		if key[0] == kindNamed {
			continue
		}
		value := []byte(sound[key])
		if best := key[0] != kindDiff || onBest(t, s, key); best {
			spoil("missing", key, nil)
		}
		spoil("longer", key, append(slices.Clone(value), 0))
		for i := range value {
			bent := slices.Clone(value)
			bent[i] ^= 1
			if i%23 == int(key[len(key)-1])%23 { // some bytes of each will do
				spoil("bent", key, bent)
			}
		}
		other := []byte(key)
		other[len(other)-1] ^= 1
		if _, there := sound[string(other)]; !there && key[0] != kindTip {
			spoil("without a reason", string(other), value)
		}
	}
	spoil("of no kind", "z", []byte{1})
	if list := audit(t, s.book); len(list) > 0 {
		t.Errorf("mended again: %v", list)
	}
	sameDisks(t, whole(t, s.book), sound)
}

// onBest tells whether a key of a block is of one on the best chain.
func onBest(t *testing.T, s rememberer, key string) bool {
	t.Helper()
	id := chain.Hash([]byte(key[1:]))
	e, err := s.Entry(id)
	if err != nil {
		t.Fatal(err)
	}
	at, err := s.At(e.State.Height)
	return err == nil && at == id
}

func change0(value []byte) change { return change{value: value} }

// What only Badger's own reading would pass over is found as well: a bit in a body
// in the value log, and in a table that is too large to be read whole at an open.
func TestFlippedBitIsFound(t *testing.T) {
	p, dir := chaintest.Easy(), t.TempDir()
	large, small := flippedIn(t, p, dir)
	t.Run("value log", func(t *testing.T) {
		at := copied(t, dir)
		flip(t, at, "*.vlog", large)
		s := openBadger(t, p, at)
		id := chain.SumHash(large[:chain.HeaderSize])
		_, err := s.Body(id)
		if err == nil || !strings.Contains(err.Error(), "cairn db verify") || chain.KindOf(err) != "" {
			t.Errorf("reading the body: %v", err)
		}
		if list := audit(t, s.book); len(list) != 1 || !strings.Contains(list[0], id.String()) {
			t.Errorf("found %v", list)
		}
	})
	t.Run("table", func(t *testing.T) {
		at := copied(t, dir)
		flip(t, at, "*.sst", small)
		c := Config{Dir: at, Params: p}
		if err := CheckFiles(c); err == nil || !strings.Contains(err.Error(), ".sst") {
			t.Errorf("found %v", err)
		}
	})
	if err := CheckFiles(Config{Dir: dir, Params: p}); err != nil {
		t.Error(err)
	}
}

// A table that the disk bends while a node runs makes keys seem missing. No block
// is condemned for that: the store says what is wrong instead.
func TestNothingIsCondemnedOnABentDisk(t *testing.T) {
	p, dir := chaintest.Easy(), t.TempDir()
	_, small := flippedIn(t, p, dir)
	s := openBadger(t, p, dir)
	tip, err := s.Tip()
	if err != nil {
		t.Fatal(err)
	}
	condemned := func(name string) node.Step {
		b := chaintest.Block(p, tip.State, chaintest.Plan{Name: name})
		e := node.Entry{Header: b.Header, State: chaintest.After(p, tip.State, b), Status: node.Condemned}
		return node.Step{Tip: tip.State.ID, Entries: []node.Entry{e}}
	}
	commit(t, s, condemned("while all is well"))
	flip(t, dir, "*.sst", small)
	step := condemned("then")
	var damage *DamageError
	if err := s.Commit(step); !errors.As(err, &damage) || !strings.Contains(err.Error(), "cairn db") {
		t.Errorf("condemning a block: %v", err)
	}
	_, err = s.Entry(step.Entries[0].State.ID)
	unknown(t, "a condemned entry", err)
}
