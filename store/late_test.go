package store

import (
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"cairn/chain/chaintest"
)

// sameSpans reads keys that begin alike, from some key up or down.
func sameSpans(t *testing.T, rnd *rand.Rand, b *book, want map[string]string) {
	t.Helper()
	sorted := slices.Sorted(maps.Keys(want))
	for range 20 {
		key := sorted[rnd.IntN(len(sorted))]
		length := []int{1, 9, ownerBytes, ownerBytes + 5, len(key)}[rnd.IntN(5)]
		s := span{prefix: []byte(key[:min(len(key), length)]), backward: rnd.IntN(2) == 0}
		var keys []string
		for _, k := range sorted {
			if strings.HasPrefix(k, string(s.prefix)) {
				keys = append(keys, k)
			}
		}
		if n := rnd.IntN(len(keys)); rnd.IntN(2) == 0 {
			if s.from = []byte(keys[n]); s.backward {
				keys = keys[:n+1]
			} else {
				keys = keys[n:]
			}
		}
		if s.backward {
			slices.Reverse(keys)
		}
		sameSpan(t, b, s, keys, want)
	}
}

func sameSpan(t *testing.T, b *book, s span, keys []string, want map[string]string) {
	t.Helper()
	var got []string
	if err := b.look(func(now snapshot) error {
		return now.each(s, func(key, value []byte) error {
			if got = append(got, string(key)); string(value) != want[string(key)] {
				t.Errorf("key %q: got %x, want %x", key, value, want[string(key)])
			}
			return nil
		})
	}); err != nil {
		t.Fatal(err)
	}
	got = slices.DeleteFunc(got, tellsOfDue)
	if keys = slices.DeleteFunc(keys, tellsOfDue); !slices.Equal(got, keys) {
		t.Fatalf("prefix %q from %q, backward %v:\n got %q\nwant %q", s.prefix, s.from, s.backward, got, keys)
	}
}

// A question reads those of the due blocks that its answer comes from, and no more: who
// asks for a page again and again makes nobody read all of them each time.
func TestQuestionsReadWhatTheyAnswer(t *testing.T) {
	const blocks = 60
	s := lagging(t, chaintest.Easy(), newGated(130), idle)
	w, _ := growing(t, s, blocks)
	r := reader(t, s)
	defer r.Close()
	under := &bodiless{snapshot: r.hold.(*moment).snapshot}
	r.hold.(*moment).snapshot = under
	reads := func(what string, most int, ask func() error) {
		t.Helper()
		under.bodies = 0
		if err := ask(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if under.bodies > most {
			t.Errorf("%s: %d bodies are read, %d suffice", what, under.bodies, most)
		}
	}
	for a := range 10 {
		owner := chaintest.Address(a)
		for _, below := range []Place{Newest, {blocks / 2, 0}, {3, 0}} {
			reads("a page of history", 5, func() error {
				page, err := r.History(owner, below, 5)
				if err == nil && len(page) < 5 && below == Newest {
					err = errors.New("it does not stand in many blocks")
				}
				return err
			})
		}
	}
	for _, o := range w.best()[1:] {
		for _, tx := range o.body.Txs() {
			for _, in := range tx.Tx().Inputs {
				reads("spenders", 1, func() error { _, err := r.Spenders(in.Prev); return err })
			}
		}
	}
}

// Whoever reads all coins of a moment finds those of that moment, while blocks are put on
// and taken off.
func TestCoinsAreReadWhileBlocksCome(t *testing.T) {
	s := lagging(t, chaintest.Easy(), newGated(130), idle)
	w, _ := growing(t, s, 30)
	r := reader(t, s)
	defer r.Close()
	want, err := r.SetInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	done := make(chan struct{})
	all.Go(func() {
		for again := true; again; {
			select {
			case <-done:
				again = false
			default:
			}
			if got, err := r.SetInfo(t.Context()); err != nil || got != want {
				t.Errorf("got %+v (%v), want %+v", got, err, want)
			}
		}
	})
	for range 100 {
		commit(t, s, w.act()...)
	}
	close(done)
	all.Wait()
	w.compare(t, s)
}
