package daemon_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/daemon"
	"cairn/node"
	"cairn/store"
)

func badger(t *testing.T, p *chain.Params, dir string) *store.Badger {
	t.Helper()
	s, err := store.Open(store.Config{Dir: dir, Params: p})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// asKilled copies a store's folder while it is open: what kill -9 would leave.
func asKilled(t *testing.T, dir string) string {
	t.Helper()
	left := t.TempDir()
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		name, _ := filepath.Rel(dir, path)
		switch {
		case err != nil:
			return err
		case e.IsDir():
			return os.MkdirAll(filepath.Join(left, name), 0o700)
		case e.Name() == "LOCK":
			return nil
		}
		return copyFile(path, filepath.Join(left, name))
	})
	if err != nil {
		t.Fatal(err)
	}
	return left
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	return out.Close()
}

func owns(p *player, tx *chain.Tx) bool {
	e, ok := p.Pool.Get(tx.ID())
	return ok && e.Own
}

// Every payment that was acknowledged outlives the process, a child with its
// parent, those submitted at once as well.
func TestAcknowledgedPaymentsSurviveKill(t *testing.T) {
	p := chain.Regtest()
	dir := t.TempDir()
	cfg := config(t, p)
	cfg.Store = badger(t, p, dir)
	a := begin(t, cfg)
	parent := pay(p, 0, 1000, 1)
	txs := []*chain.Tx{parent, payAll(p, chaintest.Outs(parent, 0)[0], 1, 500, 5)}
	for i := 1; i < 8; i++ {
		txs = append(txs, pay(p, i, 1000, 2))
	}
	a.submit(txs[0])
	a.submit(txs[1])
	var users sync.WaitGroup
	for _, tx := range txs[2:] {
		users.Go(func() {
			if err := a.Pool.Submit(t.Context(), tx); err != nil {
				t.Error(err)
			}
		})
	}
	users.Wait()

	cfg.Store = badger(t, p, asKilled(t, dir))
	b := begin(t, cfg)
	for i, tx := range txs {
		if !owns(b, tx) {
			t.Errorf("payment %d is lost, or no longer our own", i)
		}
	}
	if n := b.Pool.Info().Count; n != len(txs) {
		t.Errorf("%d wait, want %d", n, len(txs))
	}
}

// What others sent waits again after an orderly stop, and is not taken for our
// own; what was confirmed does not come back.
func TestPoolSurvivesStop(t *testing.T) {
	p := chain.Regtest()
	cfg := config(t, p)
	disk := cfg.Store
	a := begin(t, cfg)
	b := start(t, p, a)
	linked(t, 1, a, b)
	gone, mine, theirs := pay(p, 0, 1000, 1), pay(p, 1, 1000, 1), pay(p, 2, 1000, 1)
	a.submit(gone)
	a.generate(1)
	a.submit(mine)
	b.submit(theirs)
	until(t, "both payments wait at a", func() bool { return a.Pool.Info().Count == 2 })
	a.Close()

	cfg.Store = disk
	again := begin(t, cfg)
	e, ok := again.Pool.Get(theirs.ID())
	if !ok || e.Own {
		t.Errorf("the payment of others: here %v, own %v", ok, e.Own)
	}
	if !owns(again, mine) || again.Pool.Info().Count != 2 {
		t.Errorf("our own waits: %v, of %d", owns(again, mine), again.Pool.Info().Count)
	}
	again.generate(1)
	again.Close()
	if empty := begin(t, cfg); empty.Pool.Info().Count != 0 {
		t.Error("a pool that was emptied comes back")
	}
}

// Places of settled payments are used again, so that the store does not grow.
func TestKeptPlacesAreUsedAgain(t *testing.T) {
	p := chain.Regtest()
	cfg := config(t, p)
	a := begin(t, cfg)
	for i := range 4 {
		a.submit(pay(p, i, 1000, 1))
		a.generate(101)
	}
	if _, ok, err := cfg.Store.Get("daemon/own/1"); ok || err != nil {
		t.Errorf("a second place is taken: %v, %v", ok, err)
	}
	if _, ok, err := cfg.Store.Get("daemon/own/0"); !ok || err != nil {
		t.Errorf("the first place is empty: %v, %v", ok, err)
	}
}

// A store that holds nonsense makes no node fail.
func TestDamagedPoolIsLeftOut(t *testing.T) {
	p := chain.Regtest()
	cfg := config(t, p)
	a := begin(t, cfg)
	lost, left := pay(p, 0, 1000, 1), pay(p, 1, 1000, 1)
	a.submit(lost)
	a.submit(left)
	a.Close()
	forget(t, cfg.Store, "daemon/pool/0")
	raw, _, err := cfg.Store.Get("daemon/own/0")
	if err != nil {
		t.Fatal(err)
	}
	for i, bad := range [][]byte{raw[:len(raw)-1], {}, {1}, append([]byte{9}, raw[1:]...), {1, 0, 0, 0, 0}, append(raw[:len(raw):len(raw)], 0)} {
		if err := cfg.Store.Put("daemon/own/0", bad); err != nil {
			t.Fatal(err)
		}
		b := begin(t, cfg)
		if owns(b, lost) || !owns(b, left) {
			t.Errorf("case %d: the damaged one waits: %v, the sound one: %v", i, owns(b, lost), owns(b, left))
		}
		b.Close()
		forget(t, cfg.Store, "daemon/pool/0")
	}
}

func forget(t *testing.T, s daemon.Store, name string) {
	t.Helper()
	if err := s.Put(name, nil); err != nil {
		t.Fatal(fmt.Errorf("%s: %w", name, err))
	}
}

// A payment that was confirmed in an earlier life may come to wait again: the next
// payment of our own must not take its place on disk.
func TestConfirmedPaymentKeepsItsPlaceOverRestarts(t *testing.T) {
	p := chain.Regtest()
	cfg := config(t, p)
	a := begin(t, cfg)
	first, second := pay(p, 0, 1000, 1), pay(p, 1, 1000, 1)
	a.submit(first)
	block := a.generate(1)[0]

	b := begin(t, cfg) // as if a had been killed
	b.submit(second)
	if err := b.Branches.Invalidate(t.Context(), block); err != nil {
		t.Fatal(err)
	}

	c := begin(t, cfg)
	for name, tx := range map[string]*chain.Tx{"first": first, "second": second} {
		if !owns(c, tx) {
			t.Errorf("the %s payment is lost", name)
		}
	}
}

// A node that starts again does not ask for payments that its chain holds, whoever
// names them, but for those that it lacks.
func TestConfirmedPaymentsAreNotFetchedAgain(t *testing.T) {
	p := chain.Regtest()
	cfg := config(t, p)
	a := begin(t, cfg)
	var old []chain.Hash
	for i := range 5 {
		tx := pay(p, i, 1000, 1)
		a.submit(tx)
		old = append(old, tx.ID())
	}
	a.generate(1)
	a.Close()

	l := &liar{}
	b := begin(t, l.between(config(t, p)))
	wanted := pay(p, 5, 1000, 1)
	b.submit(wanted)
	var asked atomic.Int64
	l.bend(func(_ context.Context, q node.Request, a node.Answer) (node.Answer, error) {
		switch q.Want {
		case node.WantPool:
			a.IDs = append(a.IDs, old...)
		case node.WantPoolTxs:
			asked.Add(int64(len(q.IDs)))
		}
		return a, nil
	})
	cfg.Network.Peers = []string{b.addr()}
	again := begin(t, cfg)
	until(t, "the payment comes", func() bool { return again.Pool.Info().Count == 1 })
	if n := asked.Load(); n != 1 {
		t.Errorf("asked for %d payments, where 1 is new", n)
	}
}

// What the chain holds is not checked again at the start.
func TestKeptAndConfirmedIsNotCheckedAgain(t *testing.T) {
	p := chain.Regtest()
	cfg := config(t, p)
	a := begin(t, cfg)
	for i := range 5 {
		a.submit(pay(p, i, 1000, 1))
	}
	a.generate(1)
	var said bytes.Buffer
	cfg.Logger = slog.New(slog.NewTextHandler(&said, nil))
	again, err := daemon.New(cfg) // as if a had been killed: the payments are still kept
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
	if strings.Contains(said.String(), "kept=") {
		t.Errorf("confirmed payments are taken up: %s", said.String())
	}
}
