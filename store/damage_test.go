package store

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"cairn/chain"
	"cairn/chain/chaintest"
)

// stopped is a folder with the chain of a world that was closed in good order.
func stopped(t *testing.T, p *chain.Params) (string, *world) {
	t.Helper()
	dir, w := t.TempDir(), newWorld(p, 21)
	s := openBadger(t, p, dir)
	live := func() {
		for range 6 {
			commit(t, s, w.extend(w.grow(w.tip)))
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	live()
	s = openBadger(t, p, dir) // so that there are two tables
	live()
	return dir, w
}

// files reads a folder; lock files come and go.
func files(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || e.Name() == lockFile || e.Name() == "LOCK" {
			return err
		}
		raw, err := os.ReadFile(name)
		all[name[len(dir):]] = raw
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func first(t *testing.T, dir, pattern string) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(names) == 0 {
		t.Fatalf("no %s: %v", pattern, err)
	}
	return names[0]
}

// remove removes all that is named so.
func remove(t *testing.T, dir, pattern string) {
	t.Helper()
	first(t, dir, pattern)
	names, _ := filepath.Glob(filepath.Join(dir, pattern))
	for _, name := range names {
		if err := os.RemoveAll(name); err != nil {
			t.Fatal(err)
		}
	}
}

func edit(t *testing.T, name string, change func([]byte) []byte) {
	t.Helper()
	raw, err := os.ReadFile(name)
	if err == nil {
		err = os.WriteFile(name, change(raw), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func half(raw []byte) []byte  { return raw[:len(raw)/2] }
func none([]byte) []byte      { return nil }
func zeros(raw []byte) []byte { return make([]byte, len(raw)) }

// bent changes one byte, counted from the end if at is negative.
func bent(at int) func([]byte) []byte {
	return func(raw []byte) []byte {
		raw[(at+len(raw))%len(raw)] ^= 0x55
		return raw
	}
}

func text(s string) func([]byte) []byte { return func([]byte) []byte { return []byte(s) } }

// Whatever is broken, the open says so and what to do, and touches nothing: what
// is left may be all there is.
func TestDamageIsRefusedUntouched(t *testing.T) {
	p := chaintest.Easy()
	whole, _ := stopped(t, p)
	const manifest, table = "chain/MANIFEST", "chain/*.sst"
	for name, c := range map[string]struct {
		file   string
		change func([]byte) []byte // nil removes
	}{
		"manifest missing":       {manifest, nil},
		"manifest empty":         {manifest, none},
		"manifest half":          {manifest, half},
		"manifest begins only":   {manifest, func(raw []byte) []byte { return raw[:16] }},
		"manifest without last":  {manifest, func(raw []byte) []byte { return raw[:len(raw)-1] }},
		"manifest zeros":         {manifest, zeros},
		"manifest bent":          {manifest, bent(20)},
		"folder missing":         {"chain", nil},
		"table missing":          {table, nil},
		"table empty":            {table, none},
		"table half":             {table, half},
		"table zeros":            {table, zeros},
		"table first block":      {table, bent(10)},
		"table footer":           {table, bent(-1)},
		"table footer far":       {table, bent(-4)},
		"table checksum":         {table, bent(-6)},
		"table index":            {table, bent(-60)},
		"registry zeros":         {"chain/KEYREGISTRY", zeros},
		"registry empty":         {"chain/KEYREGISTRY", none},
		"value log missing":      {"chain/*.vlog", nil},
		"mark empty":             {markFile, none},
		"mark half":              {markFile, half},
		"mark of nothing":        {markFile, text("{}")},
		"mark without a genesis": {markFile, text(`{"format":1}`)},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(whole)); err != nil {
				t.Fatal(err)
			}
			if c.change == nil {
				remove(t, dir, c.file)
			} else {
				edit(t, first(t, dir, c.file), c.change)
			}
			before := files(t, dir)
			refused(t, p, dir)
			if after := files(t, dir); !maps.EqualFunc(before, after, bytes.Equal) {
				t.Errorf("the folder was touched: %v, was %v", slices.Sorted(maps.Keys(after)), slices.Sorted(maps.Keys(before)))
			}
		})
	}
}

// refused wants the open to fail twice: the first must not make the second pass.
func refused(t *testing.T, p *chain.Params, dir string) {
	t.Helper()
	for range 2 {
		s, err := Open(Config{Dir: dir, Params: p})
		var damage *DamageError
		if !errors.As(err, &damage) || damage.Dir != dir {
			t.Errorf("got %v, want a *DamageError", err)
		} else if say := err.Error(); !strings.Contains(say, filepath.Join(dir, databaseFolder)) || !strings.Contains(say, filepath.Join(dir, markFile)) {
			t.Errorf("%q does not say what to move", say)
		} else {
			t.Log(say)
		}
		if s != nil {
			_ = s.Close()
		}
	}
}

// What only Badger sees is told with the same advice.
func TestDamageThatBadgerSees(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, databaseFolder), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, databaseFolder, "MANIFEST"), []byte("dear"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := openDatabase(Config{Dir: dir, Params: chaintest.Easy()}, &complaints{})
	var damaged *DamageError
	if !errors.As(err, &damaged) {
		t.Errorf("got %v, want a *DamageError", err)
	}
}

// What a crash leaves of a first open is thrown away: nothing was acknowledged.
func TestBrokenBeginningBeginsAgain(t *testing.T) {
	p, dir := chaintest.Easy(), t.TempDir()
	if _, err := mark(Config{Dir: dir, Params: p}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"MANIFEST", "KEYREGISTRY", "00001.mem", "000001.vlog"} {
		if err := os.WriteFile(filepath.Join(dir, databaseFolder, name), []byte("d"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	newWorld(p, 1).compare(t, openBadger(t, p, dir))
}

// A crash leaves logs empty, at their beginning and at their end. If one of them
// was full of blocks, somebody else emptied it, and that is told each time.
func TestEmptyLogs(t *testing.T) {
	p := chaintest.Easy()
	whole, w := stopped(t, p)
	for _, name := range []string{"00001.mem", "00009.mem", "000009.vlog"} {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(whole)); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, databaseFolder, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			s := openBadger(t, p, dir)
			w.compare(t, s)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A database without a chain, where there was one, is not given a genesis.
func TestLostGenesisIsNotWritten(t *testing.T) {
	p, dir := chaintest.Easy(), t.TempDir()
	c := Config{Dir: dir, Params: p}
	m, err := mark(c)
	if err != nil {
		t.Fatal(err)
	}
	db, err := openDatabase(c, &complaints{})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	m.Beginning = false
	if err := writeMark(c, m); err != nil {
		t.Fatal(err)
	}
	refused(t, p, dir)
	m.Beginning = true                               // and had it only begun, it would be
	for _, at := range []string{"before", "after"} { // a crash before the genesis, and after
		if err := writeMark(c, m); err != nil {
			t.Fatal(err)
		}
		s := openBadger(t, p, dir)
		newWorld(p, 1).compare(t, s)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if m, err := mark(c); err != nil || m.Beginning {
			t.Errorf("%s: the mark still says that it begins: %+v, %v", at, m, err)
		}
	}
}

func TestNewerMarkMayHoldSomethingElse(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, markFile), fmt.Appendf(nil, `{"format":%d}`, format+1), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Open(Config{Dir: dir, Params: chaintest.Easy()})
	var newer *FormatError
	if !errors.As(err, &newer) {
		t.Errorf("got %v, want a *FormatError", err)
	}
}

// A crash leaves tables that the manifest does not name: half written ones, and
// copies of what others hold.
func TestTablesLeftByACrash(t *testing.T) {
	p := chaintest.Easy()
	dir, w := stopped(t, p)
	raw, err := os.ReadFile(first(t, dir, "chain/*.sst"))
	if err != nil {
		t.Fatal(err)
	}
	for name, raw := range map[string][]byte{"000901.sst": raw, "000902.sst": zeros(raw), "000903.sst": nil} {
		if err := os.WriteFile(filepath.Join(dir, databaseFolder, name), raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.compare(t, openBadger(t, p, dir))
}

// A crash may leave a table that was just written from a memory table, whose log is
// still there; two crashes leave it twice. A table that no log holds was cut from
// the manifest.
func TestTableLeftBesideItsMemory(t *testing.T) {
	p, dir := chaintest.Easy(), t.TempDir()
	c, lines := spawn(t, "7", dir)
	listen(lines, 41, func() { kill(t, c) })
	_ = c.Wait() // says that it was killed
	whole, w := stopped(t, p)
	s := openBadger(t, p, whole)
	for range 200 {
		commit(t, s, w.extend(w.grow(w.tip)))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	put := func(name, from string) {
		raw, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, databaseFolder, name), raw, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	tables, _ := filepath.Glob(filepath.Join(whole, "chain/*.sst"))
	put("000001.sst", tables[0])
	put("000002.sst", tables[len(tables)-1])
	refused(t, p, dir)
	put("000002.sst", tables[0])
	s = openBadger(t, p, dir)
	load(t, p, s, 0).compare(t, s)
}

// Nobody should throw a chain away because the system is out of something.
func TestSystemIsNotDamage(t *testing.T) {
	for _, system := range []error{syscall.EACCES, syscall.ENOSPC, syscall.EMFILE} {
		err := damage("here", "it", &fs.PathError{Op: "open", Path: "x", Err: system})
		var damage *DamageError
		if errors.As(err, &damage) || !errors.Is(err, system) {
			t.Errorf("got %v", err)
		}
	}
	for _, broken := range []error{fs.ErrNotExist, syscall.ENOENT, syscall.EIO, errNoGenesis} {
		var damaged *DamageError
		if err := damage("here", "it", broken); !errors.As(err, &damaged) {
			t.Errorf("got %v", err)
		}
	}
}

// The log of a memory table that breaks in its middle is no torn one: what follows
// was acknowledged.
func TestLogBrokenInItsMiddle(t *testing.T) {
	p, dir := chaintest.Easy(), t.TempDir()
	c, lines := spawn(t, "7", dir)
	listen(lines, 41, func() { kill(t, c) })
	_ = c.Wait() // says that it was killed
	log := first(t, dir, "chain/*.mem")
	raw, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	marks := bytes.Count(raw, txnEnd)
	if marks < 10 {
		t.Fatalf("only %d transactions in the log", marks)
	}
	whole := slices.Clone(raw)
	broken := bytes.Index(raw, txnEnd) + 200 // in the second of them
	raw[broken] ^= 1
	if err := os.WriteFile(log, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	refused(t, p, dir)
	end := bytes.LastIndex(whole, txnEnd) // in the last of them: a crash may have torn it
	whole[end] ^= 1
	if err := os.WriteFile(log, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	s := openBadger(t, p, dir)
	load(t, p, s, 0).compare(t, s)
}
