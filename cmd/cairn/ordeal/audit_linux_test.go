//go:build linux && amd64

package ordeal_test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/node"
	"cairn/store"
)

// found is what a data folder holds, after everything in it was held against its
// bodies.
type found struct {
	*replayed                           // the best chain
	entries   map[chain.Hash]node.Entry // stored, on whatever branch
}

// audit reads a copy of a data folder, for opening it repairs it. The bodies are
// connected again from the genesis on, and a second store is filled with nothing
// else: both must then hold the same keys and values, index by index.
func audit(t *testing.T, p *chain.Params, dir string) *found {
	t.Helper()
	scratch := t.TempDir()
	copied, again := filepath.Join(scratch, "copied"), filepath.Join(scratch, "again")
	if err := copyFolder(copied, dir); err != nil {
		t.Fatal(err)
	}
	was := openStore(t, p, copied)
	f := readStore(t, p, was)
	rebuilt := openStore(t, p, again)
	f.refill(t, rebuilt)
	for _, s := range []*store.Badger{was, rebuilt} {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	have, want := dump(t, copied), dump(t, again)
	f.forgetPast(have, want)
	sameKeys(t, have, want)
	return f
}

// forgetPast lets go of what stored blocks did while they were on the best chain: the
// rebuilt store never had them there.
func (f *found) forgetPast(have, want map[string][]byte) {
	for key := range have {
		if _, there := want[key]; there || key[0] != 'd' || len(key) != 1+32 {
			continue
		}
		if e, known := f.entries[chain.Hash([]byte(key[1:]))]; known && e.Status == node.Complete {
			delete(have, key)
		}
	}
}

func openStore(t *testing.T, p *chain.Params, dir string) *store.Badger {
	t.Helper()
	files := sizes(dir)
	s, err := store.Open(store.Config{Dir: dir, Params: p, Beside: []string{"*"}})
	if err != nil {
		t.Fatalf("%v\n%s", err, files)
	}
	return s
}

// sizes lists what is in a folder.
func sizes(dir string) string {
	var list strings.Builder
	for _, name := range filesOf(dir) {
		if info, err := os.Stat(filepath.Join(dir, name)); err == nil {
			fmt.Fprintf(&list, "%12d %s\n", info.Size(), name)
		}
	}
	return list.String()
}

func readStore(t *testing.T, p *chain.Params, s *store.Badger) *found {
	t.Helper()
	f := &found{replayed: openReplay(p), entries: map[chain.Hash]node.Entry{}}
	list, err := s.Recent(1 << 30)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		f.entries[e.State.ID] = e
	}
	tip, err := s.Tip()
	if err != nil {
		t.Fatal(err)
	}
	for h := uint64(1); h <= tip.State.Height; h++ {
		id, err := s.At(h)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := s.BodyBytes(id)
		if err != nil {
			t.Fatalf("body of %v at height %d: %v", id, h, err)
		}
		f.connect(t, raw)
	}
	if f.State != tip.State {
		t.Fatalf("replay ends at %+v, the tip is %+v", f.State, tip.State)
	}
	for id := range f.entries {
		if f.body(t, s, id); f.entries[id].Status != node.Complete {
			t.Errorf("entry %v has status %d", id, f.entries[id].Status)
		}
	}
	return f
}

// body is checked as if it came from a peer.
func (f *found) body(t *testing.T, s *store.Badger, id chain.Hash) chain.CheckedBlock {
	t.Helper()
	raw, err := s.BodyBytes(id)
	if err != nil {
		t.Fatalf("body of %v: %v", id, err)
	}
	if id == f.Params.GenesisID() {
		return chain.CheckedBlock{}
	}
	b, err := decided.check(f.Params, raw)
	if err != nil || b.ID() != id {
		t.Fatalf("body of %v is %v, %v", id, b.ID(), err)
	}
	f.bodies[id] = b
	return b
}

// refill commits the best chain and then everything beside it.
func (f *found) refill(t *testing.T, s *store.Badger) {
	t.Helper()
	l := chaintest.Open(f.Params)
	best := map[chain.Hash]bool{l.State.ID: true}
	for _, b := range f.blocks {
		best[b.ID()] = true
		diff := l.Connect(b)
		f.commit(t, s, node.Step{Entries: []node.Entry{f.entries[b.ID()]}, Bodies: []chain.CheckedBlock{b}, Tip: b.ID(), Diff: diff})
	}
	side := slices.SortedFunc(maps.Values(f.entries), func(a, b node.Entry) int { return int(a.State.Height) - int(b.State.Height) })
	for _, e := range side {
		if id := e.State.ID; !best[id] {
			f.commit(t, s, node.Step{Entries: []node.Entry{e}, Bodies: []chain.CheckedBlock{f.bodies[id]}, Tip: l.State.ID})
		}
	}
}

func (f *found) commit(t *testing.T, s *store.Badger, step node.Step) {
	t.Helper()
	if err := s.Commit(step); err != nil {
		t.Fatal(err)
	}
}

// dump reads all keys and values but those that other packages keep under names.
func dump(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	// As large as the node's own: a log that was left is read into a table.
	db, err := badger.Open(badger.DefaultOptions(filepath.Join(dir, "chain")).WithMemTableSize(64 << 20).WithLogger(nil).WithMetricsEnabled(false))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	all := map[string][]byte{}
	err = db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.DefaultIteratorOptions)
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			key := it.Item().KeyCopy(nil)
			if key[0] == 'u' {
				continue
			}
			value, err := it.Item().ValueCopy(nil)
			if err != nil {
				return err
			}
			all[string(key)] = value
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func sameKeys(t *testing.T, got, want map[string][]byte) {
	t.Helper()
	wrong := 0
	for _, key := range slices.Sorted(maps.Keys(merged(got, want))) {
		g, has := got[key]
		w, wants := want[key]
		if has == wants && bytes.Equal(g, w) {
			continue
		}
		if wrong++; wrong <= 5 {
			t.Errorf("key %q %x: there %v (%d bytes), should be %v (%d bytes)", key[0], key[1:], has, len(g), wants, len(w))
		}
	}
	if wrong > 0 {
		t.Fatalf("%d of %d keys are not what the bodies say", wrong, len(want))
	}
}

func merged(a, b map[string][]byte) map[string][]byte {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}
