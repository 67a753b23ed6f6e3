package store

import (
	"bytes"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cairn/chain"
	"cairn/chain/chaintest"
)

// flippedIn makes a store with a body in the value log and one in a table, and
// returns their encodings.
func flippedIn(t *testing.T, p *chain.Params, dir string) (large, small []byte) {
	t.Helper()
	s, err := Open(Config{Dir: dir, Params: p})
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(p, 9)
	for range p.Maturity {
		commit(t, s, w.extend(w.grow(w.tip)))
	}
	small = w.tip.body.Block().Bytes()
	txs, people := make([]*chain.Tx, 0, 16), chain.Prefunded()
	for i := range 10 { // each pays many, so that the block is large
		c := chaintest.Funds(p, i)
		if _, there := w.tip.coins[c.OutPoint]; !there {
			continue
		}
		outs := make([]chain.Output, 220)
		for n := range outs {
			outs[n] = chain.Output{Value: 1 + chain.Amount(n), To: people[n%10]}
		}
		txs = append(txs, chaintest.Pay(p, c, chaintest.Key(i), 10, outs...))
	}
	block := chaintest.Check(p, chaintest.Block(p, w.tip.entry.State, chaintest.Plan{Pay: chaintest.Address(0), Txs: txs}))
	big, err := w.connect(w.tip, block)
	if err != nil {
		t.Fatal(err)
	}
	commit(t, s, w.extend(big))
	if large = block.Block().Bytes(); len(large) < valueThreshold {
		t.Fatalf("%d bytes do not go to the value log", len(large))
	}
	for range newestBlocks { // which an open reads
		commit(t, s, w.extend(w.grow(w.tip)))
	}
	if err := s.Put("name", bytes.Repeat([]byte("v"), valueThreshold+1)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return large, small
}

func copied(t *testing.T, dir string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

// flip changes a bit in the middle of what stands somewhere in a database's files.
func flip(t *testing.T, dir, pattern string, what []byte) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, databaseFolder, pattern))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		raw, err := io.ReadAll(f)
		if err != nil {
			t.Fatal(err)
		}
		if at := bytes.Index(raw, what) + len(what)/2; at >= len(what)/2 {
			if _, err := f.WriteAt([]byte{raw[at] ^ 4}, int64(at)); err != nil { // in place: it may be in use
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatalf("no %s holds it", pattern)
}

// newestRelics are the newest versions of all keys that can be read, without those
// that were deleted.
func newestRelics(t *testing.T, dir string) (all map[string]string, broken []string) {
	t.Helper()
	type version struct {
		n    uint64
		meta byte
		at   place
	}
	newest := map[string]version{}
	folder := filepath.Join(dir, databaseFolder)
	broken, err := readRelics(folder, func(r relic) error {
		if v, there := newest[string(r.key)]; r.meta&metaPointer == 0 && (!there || r.version >= v.n) {
			newest[string(r.key)] = version{r.version, r.meta, r.at}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	all = map[string]string{}
	for key, v := range newest {
		if v.meta&metaDeleted != 0 || key[0] == '!' {
			continue
		}
		raw, err := v.at.read(folder)
		if err != nil {
			t.Fatal(err)
		}
		all[key] = string(raw)
	}
	return all, broken
}

// What the files hold is what the database holds: after a close in good order, and
// as a crash leaves them.
func TestRelicsAreWhatTheDatabaseHolds(t *testing.T) {
	p, dir := chaintest.Easy(), t.TempDir()
	flippedIn(t, p, dir)
	s, err := Open(Config{Dir: dir, Params: p})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Put("name", nil); err != nil {
		t.Fatal(err)
	}
	want := whole(t, s.book)
	got, broken := newestRelics(t, dir) // as a crash leaves it
	if len(broken) > 0 {
		t.Errorf("broken: %v", broken)
	}
	sameDisks(t, got, want)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	got, broken = newestRelics(t, dir)
	if len(broken) > 0 {
		t.Errorf("broken: %v", broken)
	}
	sameDisks(t, got, want)
}

// Around what is damaged everything else is read.
func TestRelicsAroundDamage(t *testing.T) {
	p, dir := chaintest.Easy(), t.TempDir()
	large, _ := flippedIn(t, p, dir)
	whole, _ := newestRelics(t, dir)
	id := chain.SumHash(large[:chain.HeaderSize])
	saved := func(all map[string]string) map[string]string { // of the rest nothing need be
		maps.DeleteFunc(all, func(key, _ string) bool { return !strings.ContainsAny(key[:1], "bum") || key == string(keyBody(id)) })
		return all
	}
	saved(whole)
	for name, spoil := range map[string]func(dir string){
		"a bit":     func(dir string) { flip(t, dir, "*.vlog", large) },
		"its begin": func(dir string) { edit(t, first(t, dir, "chain/*.vlog"), bent(logHeader+2)) },
		"a page": func(dir string) {
			edit(t, first(t, dir, "chain/*.vlog"), func(raw []byte) []byte {
				copy(raw[logHeader:], make([]byte, 4096))
				return raw
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			at := copied(t, dir)
			spoil(at)
			got, broken := newestRelics(t, at)
			if len(broken) == 0 {
				t.Error("nothing is said")
			}
			sameDisks(t, saved(got), whole)
		})
	}
}
