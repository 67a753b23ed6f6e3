package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"cairn/chain"
	"cairn/chain/chaintest"
)

// answers is all that can be asked about blocks, transactions and addresses, as
// text.
func answers(t *testing.T, s asked, blocks []*stone, txs []*chain.Tx) string {
	t.Helper()
	var all strings.Builder
	note := func(answer any, err error) { fmt.Fprintf(&all, "%v %v\n", answer, err) }
	tip, err := s.Tip()
	note(tip, err)
	for h := range tip.State.Height + 2 {
		note(s.At(h))
	}
	note(s.Recent(1 << 30))
	note(s.SetInfo(context.Background()))
	note(s.CoinCount())
	for _, b := range blocks {
		note(s.Entry(b.id()))
		note(s.BodyBytes(b.id()))
		note(s.Diff(b.body))
	}
	for _, tx := range txs {
		note(s.TxBlocks(tx.ID()))
		note(s.Spenders(tx.Inputs[0].Prev))
		note(s.Coins([]chain.OutPoint{tx.Inputs[0].Prev}))
	}
	for i := range 10 {
		note(s.Owned(chaintest.Address(i)))
		note(s.History(chaintest.Address(i), Newest, 1000))
	}
	return all.String()
}

// A reader is held from each of some moments while commits go on, among them
// reorganisations and condemnations. It gives the answers of its moment.
func readsOneMoment(t *testing.T, _ *world, s rememberer) {
	const seed = 11
	t.Logf("seed %d", seed)
	w := newWorld(chaintest.Easy(), seed)
	for range 4 {
		for range 6 {
			commit(t, s, w.act()...)
		}
		blocks, txs := append([]*stone(nil), w.order...), append([]*chain.Tx(nil), w.txs...)
		want := answers(t, s, blocks, txs)
		r, err := s.Reader()
		if err != nil {
			t.Fatal(err)
		}
		var meanwhile sync.WaitGroup
		meanwhile.Go(func() {
			for range 12 {
				if err := s.Commit(w.act()...); err != nil {
					t.Error(err)
				}
			}
		})
		for range 4 {
			if got := answers(t, r, blocks, txs); got != want {
				t.Errorf("the moment changed: got\n%s\nwant\n%s", got, want)
			}
		}
		meanwhile.Wait()
		if got := answers(t, r, blocks, txs); got != want {
			t.Errorf("the moment is over: got\n%s\nwant\n%s", got, want)
		}
		if now := answers(t, s, blocks, txs); now == want {
			t.Error("twelve steps changed nothing: the test proves nothing")
		}
		r.Close()
	}
	w.compare(t, s)
}

func outlivesReaders(t *testing.T, w *world, s rememberer) {
	r, err := s.Reader()
	if err != nil {
		t.Fatal(err)
	}
	w.compare(t, r)
	for range 2 {
		r.Close()
	}
	if _, err := r.Tip(); !errors.Is(err, ErrClosed) {
		t.Errorf("a closed reader answers: %v", err)
	}
	w.compare(t, s)
}

func closesUnderReader(t *testing.T, _ *world, s rememberer) {
	r, err := s.Reader()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Tip(); !errors.Is(err, ErrClosed) {
		t.Errorf("a reader of a closed store answers: %v", err)
	}
	r.Close()
	if r, err := s.Reader(); r != nil || !errors.Is(err, ErrClosed) {
		t.Errorf("a closed store opens a reader: %v", err)
	}
}

// A look that began before Close reads on until it is done.
func waitsForReader(t *testing.T, w *world, s rememberer) {
	r, err := s.Reader()
	if err != nil {
		t.Fatal(err)
	}
	began, closing := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		<-began
		close(closing)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	err = r.view(func(now snapshot) error {
		close(began)
		<-closing
		for range 1000 {
			if e, err := tipOf(now); err != nil || e != w.tip.entry {
				return fmt.Errorf("got %v: %w", e, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	all.Wait()
}

// bodiless counts the bodies that are read.
type bodiless struct {
	snapshot
	bodies int
}

func (b *bodiless) get(key []byte) ([]byte, error) {
	if key[0] == kindBody {
		b.bodies++
	}
	return b.snapshot.get(key)
}

// Peers name transactions by the thousand. To find those of blocks that are due, no
// body is read and hashed again, be they there, unknown or only spent from.
func TestTransactionsOfDueBlocksAreFoundWithoutBodies(t *testing.T) {
	s := lagging(t, chaintest.Easy(), newGated(130), idle)
	w := newWorld(chaintest.Easy(), 5)
	for range 60 {
		commit(t, s, w.act()...)
	}
	if s.Due().Blocks == 0 {
		t.Fatal("nothing is due: the test proves nothing")
	}
	r := reader(t, s)
	defer r.Close()
	under := &bodiless{snapshot: r.hold.(*moment).snapshot}
	r.hold.(*moment).snapshot = under
	found := 0
	for _, o := range w.order {
		for _, id := range append(o.body.Block().Leaves(), o.id()) {
			blocks, err := r.TxBlocks(id)
			if err != nil {
				t.Fatal(err)
			}
			found += len(blocks)
		}
	}
	if found == 0 || under.bodies > 0 {
		t.Errorf("%d bodies were read, %d blocks found", under.bodies, found)
	}
	w.compareIndexes(t, r)
	if under.bodies == 0 {
		t.Error("spenders need bodies, and none was read: the count proves nothing")
	}
}
