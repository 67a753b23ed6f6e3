package store

import (
	"encoding/hex"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"cairn/chain"
	"cairn/chain/chaintest"
)

// encodeWhole is how formats up to 3 wrote a diff.
func encodeWhole(d chain.Diff) (b []byte) {
	for _, list := range [][]chain.Coin{d.Spent, d.Created} {
		b = chain.AppendVarint(b, uint64(len(list)))
		for _, c := range list {
			b = append(appendCoin(appendOutPoint(b, c.OutPoint), c), c.Owner[:]...)
		}
	}
	return b
}

// ofFormat3 are the changes that make a store's diffs what a program of format 3 writes.
func ofFormat3(t *testing.T, s rememberer, all map[string]string) *batch {
	t.Helper()
	change := newBatch()
	for key, raw := range all {
		if key[0] != kindDiff {
			continue
		}
		b, err := s.Body(chain.Hash([]byte(key[1:])))
		if err != nil {
			t.Fatal(err)
		}
		d, err := decodeDiff(b, []byte(raw))
		if err != nil {
			t.Fatal(err)
		}
		change.put([]byte(key), encodeWhole(d))
	}
	return change
}

// What a program of format 3 wrote is read byte by byte: the golden file is its own.
func TestFormat3(t *testing.T) {
	text, err := os.ReadFile("testdata/format3.golden")
	if err != nil {
		t.Fatal(err)
	}
	s := smallChain(t)
	want := dump(t, s.disk)
	change := ofFormat3(t, s, want)
	tamper(t, s.book, change)
	lines := strings.Split(strings.ReplaceAll(string(text), "\r\n", "\n"), "\n")
	whole := slices.Index(lines, "what of it is there while the block's keys are due")
	have := map[string]string{}
	for _, line := range lines[1:whole] {
		key, value, _ := strings.Cut(line[2:], " = ")
		have[line[:1]+unhex(t, key)] = unhex(t, value)
	}
	sameDisks(t, dump(t, s.disk), have)
	diffs := 0
	for key, value := range have {
		if key[0] != kindDiff {
			continue
		}
		diffs++
		id := chain.Hash([]byte(key[1:]))
		b, err := s.Body(id)
		if err != nil {
			t.Fatal(err)
		}
		d, err := decodeDiff(b, []byte(value))
		if err != nil || string(encodeDiff(id, d)) != want[key] {
			t.Errorf("the diff of %v is read as %v (%v)", id, d, err)
		}
	}
	if diffs != 2 {
		t.Errorf("%d diffs", diffs)
	}
}

func unhex(t *testing.T, text string) string {
	t.Helper()
	raw, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// A store whose past is in format 3 goes on: its blocks are taken off and put on again,
// audited, and derived again.
func TestWholeDiffsAreTakenOver(t *testing.T) {
	p, dir := chaintest.Easy(), t.TempDir()
	s := openBadger(t, p, dir)
	w := lived(t, s, p)
	change := ofFormat3(t, s, whole(t, s.book))
	tamper(t, s.book, change)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	rewrite(t, dir, marker{Format: 3, Network: p.Name, Genesis: p.GenesisID()})
	s = openBadger(t, p, dir)
	w.compare(t, s)
	if list := audit(t, s.book); len(list) > 0 {
		t.Errorf("a sound store: %v", list)
	}
	for range 30 {
		commit(t, s, w.act()...)
		w.compare(t, s)
	}
	if list := audit(t, s.book); len(list) > 0 {
		t.Errorf("a sound store: %v", list)
	}
	left := map[bool]int{}
	for key, raw := range whole(t, s.book) {
		if key[0] == kindDiff {
			left[short([]byte(raw))]++
		}
	}
	if left[true] == 0 || left[false] == 0 {
		t.Errorf("nothing was tried: %v", left)
	}
}

// Whatever a disk changes in a diff is found, with its block and without.
func TestBentDiffIsFound(t *testing.T) {
	s := NewMemory(chaintest.Easy())
	w := lived(t, s, s.params)
	all := whole(t, s.book)
	spends := 0
	for _, o := range w.best() {
		raw := []byte(all[string(keyDiff(o.id()))])
		spends += len(o.diff.Spent)
		found := func(what string, bent []byte) {
			t.Helper()
			_, err := decodeDiff(o.body, bent)
			if alone := soundDiff(o.id(), bent); err == nil || alone == nil || !strings.Contains(err.Error(), "cairn db verify") {
				t.Errorf("%s: %v, %v", what, err, alone)
			}
		}
		for i := range 8 * len(raw) {
			bent := slices.Clone(raw)
			bent[i/8] ^= 1 << (i % 8)
			found("a bit", bent)
		}
		for n := range raw {
			found("the end", raw[:n])
		}
		found("more", append(slices.Clone(raw), 0))
		for id := range maps.Keys(w.stones) {
			if id != o.id() && soundDiff(id, raw) == nil {
				t.Errorf("the diff of %v passes for that of %v", o.id(), id)
			}
		}
	}
	if spends < 5 {
		t.Error("nothing was tried")
	}
}
