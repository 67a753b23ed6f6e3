package store

import (
	"bytes"
	"errors"
	"io/fs"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/node"
)

// pour puts at most so many blocks on a store, as whoever rebuilds does.
func pour(t *testing.T, p *chain.Params, s *Badger, blocks iter.Seq2[Raw, error], most int) {
	t.Helper()
	for raw, err := range blocks {
		if err != nil {
			t.Fatal(err)
		}
		if most--; most < 0 {
			return
		}
		b, err := chain.Remembered(raw.ID, raw.Bytes)
		if err != nil {
			continue // as one that fails its checks
		}
		parent, err := s.Entry(b.Header().Prev)
		if errors.Is(err, node.ErrUnknown) {
			continue
		}
		tip, err2 := s.Tip()
		found, err3 := s.Coins(b.Needs())
		if err := errors.Join(err, err2, err3); err != nil {
			t.Fatal(err)
		}
		step := node.Step{Bodies: []chain.CheckedBlock{b}, Tip: tip.State.ID}
		state, err := chain.ConnectHeader(p, parent.State, b.Header())
		if err == nil && parent.State.ID == tip.State.ID {
			step.Tip = raw.ID
			state, step.Diff, err = chain.Connect(p, parent.State, b, found)
		}
		if err != nil {
			t.Fatal(err)
		}
		step.Entries = []node.Entry{{Header: b.Header(), State: state, Status: node.Complete}}
		commit(t, s, step)
	}
}

func startRebuild(t *testing.T, p *chain.Params, dir string) *Rebuild {
	t.Helper()
	r, err := StartRebuild(Config{Dir: dir, Params: p})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var noon = time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)

// A rebuilt database is the old one, key by key, however often the work was
// interrupted, and the old one is kept as it was.
func TestRebuildGivesTheSame(t *testing.T) {
	p, dir := chaintest.Easy(), t.TempDir()
	s, err := Open(Config{Dir: dir, Params: p})
	if err != nil {
		t.Fatal(err)
	}
	w := lived(t, s, p)
	want := whole(t, s.book)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	old := files(t, filepath.Join(dir, databaseFolder))
	for range 3 {
		r := startRebuild(t, p, dir)
		pour(t, p, r.Store(), r.Blocks(), 3)
		if err := r.Store().Put("of an attempt", []byte("gone")); err != nil {
			t.Fatal(err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if now := files(t, filepath.Join(dir, databaseFolder)); !maps.EqualFunc(old, now, bytes.Equal) {
			t.Fatal("the old database was touched")
		}
	}
	r := startRebuild(t, p, dir)
	if r.Found != len(w.order)-1 || r.Lost != 0 || len(r.Broken) > 0 {
		t.Errorf("found %d of %d, lost %d, broken %v", r.Found, len(w.order)-1, r.Lost, r.Broken)
	}
	pour(t, p, r.Store(), r.Blocks(), 1000)
	aside, err := r.Finish(noon, false)
	if err := errors.Join(err, r.Close()); err != nil {
		t.Fatal(err)
	}
	if aside != "chain.old-20300102-120000" {
		t.Errorf("the old one is called %s", aside)
	}
	if now := files(t, filepath.Join(dir, aside)); !maps.EqualFunc(old, now, bytes.Equal) {
		t.Error("the old database is not what it was")
	}
	rebuilt := openBadger(t, p, dir)
	sameDisks(t, whole(t, rebuilt.book), withoutPast(t, rebuilt, want))
	w.compare(t, rebuilt)
}

// Two in one second put two databases aside, and the second is in use.
func TestRebuildTwiceInASecond(t *testing.T) {
	p, dir := chaintest.Easy(), t.TempDir()
	s := openBadger(t, p, dir)
	lived(t, s, p)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"chain.old-20300102-120000", "chain.old-20300102-120000-2", "chain.old-20300102-120000-3"} {
		r := startRebuild(t, p, dir)
		pour(t, p, r.Store(), r.Blocks(), 1000)
		aside, err := r.Finish(noon, false)
		if err := errors.Join(err, r.Close()); err != nil {
			t.Fatal(err)
		}
		if aside != want {
			t.Errorf("the old one is called %s, want %s", aside, want)
		}
		if _, err := os.Stat(filepath.Join(dir, aside)); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(filepath.Join(dir, newFolder)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the new one was not put in its place: %v", err)
		}
	}
}

// A crash between any two moves of the swap is finished by the next open.
func TestSwapIsFinished(t *testing.T) {
	p, from := chaintest.Easy(), t.TempDir()
	s := openBadger(t, p, from)
	lived(t, s, p)
	want := whole(t, s.book)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for moves := range 3 {
		dir := copied(t, from)
		c := Config{Dir: dir, Params: p}
		r := startRebuild(t, p, dir)
		pour(t, p, r.Store(), r.Blocks(), 1000)
		if err := r.copyNamed(); err != nil {
			t.Fatal(err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		m := marker{Format: format, Network: p.Name, Genesis: p.GenesisID(), Swap: "chain.old"}
		if err := writeMark(c, m); err != nil {
			t.Fatal(err)
		}
		at := func(name string) string { return filepath.Join(dir, name) }
		for _, move := range [][2]string{{databaseFolder, m.Swap}, {newFolder, databaseFolder}}[:moves] {
			if err := os.Rename(at(move[0]), at(move[1])); err != nil {
				t.Fatal(err)
			}
		}
		again := openBadger(t, p, dir)
		sameDisks(t, whole(t, again.book), withoutPast(t, again, want))
		if _, err := os.Stat(at(newFolder)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("after %d moves the new folder is still there: %v", moves, err)
		}
		if m, err := mark(c); err != nil || m.Swap != "" {
			t.Errorf("the mark still says %+v, %v", m, err)
		}
	}
}

// Whatever is damaged so that the database does not open, its bodies are saved as
// far as they can be read.
func TestRebuildSavesFromDamage(t *testing.T) {
	p, whole := chaintest.Easy(), t.TempDir()
	large, _ := flippedIn(t, p, whole)
	sound := openBadger(t, p, whole)
	top, err := sound.Tip()
	if err != nil {
		t.Fatal(err)
	}
	if err := sound.Close(); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		spoil  func(dir string)
		height uint64
	}{
		"no manifest":   {func(dir string) { remove(t, dir, "chain/MANIFEST") }, top.State.Height},
		"bent manifest": {func(dir string) { edit(t, first(t, dir, "chain/MANIFEST"), bent(20)) }, top.State.Height},
		"no registry":   {func(dir string) { edit(t, first(t, dir, "chain/KEYREGISTRY"), none) }, top.State.Height},
		"no mark":       {func(dir string) { edit(t, first(t, dir, markFile), half) }, top.State.Height},
		"a body":        {func(dir string) { flip(t, dir, "*.vlog", large) }, top.State.Height - 1 - newestBlocks},
		"no value log":  {func(dir string) { remove(t, dir, "chain/*.vlog") }, top.State.Height - 1 - newestBlocks},
		"the tables":    {func(dir string) { remove(t, dir, "chain/*.sst") }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			dir := copied(t, whole)
			c.spoil(dir)
			r := startRebuild(t, p, dir)
			pour(t, p, r.Store(), r.Blocks(), 1000)
			_, err := r.Finish(noon, true)
			if err := errors.Join(err, r.Close()); err != nil {
				t.Fatal(err)
			}
			s := openBadger(t, p, dir)
			tip, err := s.Tip()
			if err != nil || tip.State.Height != c.height {
				t.Errorf("height %d, want %d (%v)", tip.State.Height, c.height, err)
			}
			if list := audit(t, s.book); len(list) > 0 {
				t.Errorf("not sound: %v", list)
			}
			if v, ok, err := s.Get("name"); c.height == top.State.Height && (err != nil || !ok || len(v) != valueThreshold+1) {
				t.Errorf("what was kept by name: %d bytes, %v, %v", len(v), ok, err)
			}
		})
	}
}

func TestRebuildIsRefused(t *testing.T) {
	p, dir := chaintest.Easy(), t.TempDir()
	s := openBadger(t, p, dir)
	var locked *LockedError
	if _, err := StartRebuild(Config{Dir: dir, Params: p}); !errors.As(err, &locked) || locked.PID != os.Getpid() {
		t.Errorf("while another holds it: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	var other *GenesisError
	if _, err := StartRebuild(Config{Dir: dir, Params: chain.Regtest()}); !errors.As(err, &other) {
		t.Errorf("of another network: %v", err)
	}
	strange := t.TempDir()
	if err := os.WriteFile(filepath.Join(strange, "thesis.tex"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var foreign *ForeignError
	if _, err := StartRebuild(Config{Dir: strange, Params: p}); !errors.As(err, &foreign) {
		t.Errorf("somebody else's folder: %v", err)
	}
}

// withoutPast is a dump without what blocks did that are no more on the best chain: a
// chain that is built anew never had them there.
func withoutPast(t *testing.T, s rememberer, all map[string]string) map[string]string {
	t.Helper()
	all = maps.Clone(all)
	maps.DeleteFunc(all, func(key, _ string) bool { return key[0] == kindDiff && !onBest(t, s, key) })
	return all
}
