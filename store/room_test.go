package store

import (
	"bytes"
	"errors"
	"maps"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"cairn/chain/chaintest"
)

// A disk that runs full: the store does not open below what a node needs, writes
// nothing below what the database needs for itself, and holds all that it said it
// holds when there is room again.
func TestDiskRunsFull(t *testing.T) {
	p, dir := chaintest.Easy(), t.TempDir()
	var left atomic.Int64
	left.Store(LeastRoom)
	c := Config{Dir: dir, Params: p, Free: func(at string) (uint64, error) {
		if at != dir {
			t.Errorf("asked about %s", at)
		}
		return uint64(left.Load()), nil
	}}
	open := func() *Badger {
		t.Helper()
		s, err := Open(c)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s, w := open(), newWorld(p, 3)
	commit(t, s, w.extend(w.grow(w.tip)))
	if left.Add(-1); !isFull(t, s.Room()) {
		t.Error("it sees room")
	}
	left.Store(keptRoom)
	commit(t, s, w.extend(w.grow(w.tip)))
	w.compare(t, s)
	held := told(t, s.book)
	left.Add(-1)
	if err := s.Commit(w.extend(w.grow(w.tip))); !isFull(t, err) {
		t.Errorf("a block is written: %v", err)
	}
	if err := s.Put("name", []byte("value")); !isFull(t, err) {
		t.Errorf("a value is written: %v", err)
	}
	sameDisks(t, told(t, s.book), held)

	left.Store(LeastRoom)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	left.Add(-1)
	if _, err := Open(c); !isFull(t, err) {
		t.Errorf("it opens: %v", err)
	}
	left.Store(LeastRoom)
	s = open()
	sameDisks(t, told(t, s.book), held)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// A second database is begun only where it has room, and gone on with where what it
// does not hold yet has: nobody waits for an hour to hear that the disk is full.
func TestRebuildNeedsRoom(t *testing.T) {
	p, dir := chaintest.Easy(), t.TempDir()
	s := openBadger(t, p, dir)
	w := lived(t, s, p)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	old := files(t, filepath.Join(dir, databaseFolder))
	left := uint64(LeastRoom)
	c := Config{Dir: dir, Params: p, Free: func(string) (uint64, error) { return left, nil }}
	_, err := StartRebuild(c)
	var full *FullError
	if !errors.As(err, &full) || !strings.Contains(err.Error(), "a new database does not fit") {
		t.Fatalf("it begins: %v", err)
	}
	bodies := uint64(0)
	for _, o := range w.order {
		bodies += uint64(o.body.Size())
	}
	if more := full.Least - LeastRoom; more < bodies || more > 20*bodies {
		t.Errorf("needs %d bytes more, for %d of bodies", more, bodies)
	}
	if now := files(t, filepath.Join(dir, databaseFolder)); !maps.EqualFunc(old, now, bytes.Equal) {
		t.Error("the old database is not as it was")
	}
	left = full.Least
	r, err := StartRebuild(c)
	if err != nil {
		t.Fatal(err)
	}
	pour(t, p, r.Store(), r.Blocks(), 1<<30)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	left = LeastRoom
	if r, err = StartRebuild(c); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}

func isFull(t *testing.T, err error) bool {
	t.Helper()
	var full *FullError
	return errors.As(err, &full) && strings.Contains(err.Error(), full.Dir) && strings.Contains(err.Error(), "make room")
}

func TestSystemTellsRoom(t *testing.T) {
	n, err := free(t.TempDir())
	if err != nil || n == 0 {
		t.Errorf("%d bytes, %v", n, err)
	}
	if _, err := free(t.TempDir() + "/missing"); err == nil {
		t.Error("a folder that is not there has room")
	}
}
