package daemon_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/daemon"
	"cairn/node"
	"cairn/rpc"
	"cairn/store"
)

// disk is full or is not, as a test likes.
type disk struct{ full atomic.Bool }

var errFull = errors.New("only 7 bytes are free")

func (d *disk) room() error {
	if d.full.Load() {
		return errFull
	}
	return nil
}

// A node without room says so, stops taking in and mining, goes on answering, and
// catches up when there is room again.
func TestNodeWithoutRoomWaits(t *testing.T) {
	p := chain.Regtest()
	var d disk
	cfg := config(t, p)
	cfg.Room = d.room
	a := begin(t, cfg)
	b := start(t, p, a)
	linked(t, 1, a, b)
	kept := pay(p, 0, 1000, 1)
	a.submit(kept)
	ids := a.generate(2)
	until(t, "b follows", sameTip(a, b))

	d.full.Store(true)
	until(t, "the person who runs it is warned", func() bool {
		return slices.ContainsFunc(a.Control.Warnings(), func(w string) bool { return strings.Contains(w, errFull.Error()) })
	})
	if err := a.Upkeep.Refuses(); !errors.Is(err, errFull) {
		t.Errorf("it refuses with %v", err)
	}
	refusedWithoutRoom(t, a)
	missed := b.generate(3)
	if tip := a.tip(); tip.ID != ids[1] {
		t.Errorf("it took in a block, and is at height %d", tip.Height)
	}

	d.full.Store(false)
	until(t, "the warning is gone", func() bool { return len(a.Control.Warnings()) == 0 && a.Upkeep.Refuses() == nil })
	a.submit(pay(p, 2, 1000, 1))
	next := b.generate(1)
	until(t, "it has caught up", func() bool { return a.tip().ID == next[0] })
	s, err := a.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, id := range append(ids, missed...) {
		if _, err := s.Body(id); err != nil {
			t.Errorf("block %v: %v", id, err)
		}
	}
}

func refusedWithoutRoom(t *testing.T, a *player) {
	t.Helper()
	ctx := context.Background()
	if err := a.Pool.Submit(ctx, pay(a.Params, 1, 1000, 1)); !errors.Is(err, errFull) {
		t.Errorf("a payment: %v", err)
	}
	if _, err := a.Mining.Generate(ctx, 1, chaintest.Address(9), 0); !errors.Is(err, errFull) {
		t.Errorf("a block: %v", err)
	}
	if err := a.Branches.Invalidate(ctx, a.tip().ID); !errors.Is(err, errFull) {
		t.Errorf("ruling out a block: %v", err)
	}
	if err := a.Mining.Start(ctx, 1); err != nil {
		t.Error(err)
	}
	until(t, "the miner says why it waits", func() bool { return strings.Contains(a.Mining.Status().Why, errFull.Error()) })
	if err := a.Mining.Stop(ctx); err != nil {
		t.Error(err)
	}
}

// slow is a store whose next commit waits until a test lets it go on: before it has
// changed anything, or after that.
type slow struct {
	daemon.Store
	begun, let   chan struct{}
	armed, after atomic.Bool
}

func (s *slow) Commit(steps ...node.Step) error {
	wait := func() {
		close(s.begun)
		<-s.let
	}
	switch {
	case !s.armed.CompareAndSwap(true, false):
		return s.Store.Commit(steps...)
	case s.after.Load():
		defer wait()
		return s.Store.Commit(steps...)
	}
	wait()
	return s.Store.Commit(steps...)
}

// The disk changes before the node does. Until that has followed, it is asked what
// it knew before: a payment that the disk has seen spent can still be made.
func TestQuestionsDuringACommitFindOneMoment(t *testing.T) {
	p := chain.Regtest()
	s := &slow{Store: store.NewMemory(p), begun: make(chan struct{}), let: make(chan struct{})}
	s.after.Store(true)
	cfg := config(t, p)
	cfg.Store = s
	a := begin(t, cfg)
	a.submit(pay(p, 0, 1000, 1))
	dearer := pay(p, 0, 100_000, 2)
	try := func() error { return a.Pool.Try(context.Background(), []*chain.Tx{dearer})[0] }
	want := try()

	let := sync.OnceFunc(func() { close(s.let) })
	t.Cleanup(let)
	s.armed.Store(true)
	found := make(chan error, 1)
	go func() {
		_, err := a.Mining.Generate(context.Background(), 1, chaintest.Address(9), 0)
		found <- err
	}()
	<-s.begun
	finish(t, "the question is answered", func() {
		if got := try(); chain.KindOf(got) != chain.KindOf(want) {
			t.Errorf("while the block is on its way: %v; before: %v", got, want)
		}
	})
	let()
	if err := <-found; err != nil {
		t.Fatal(err)
	}
	if err := try(); chain.KindOf(err) == chain.KindOf(want) {
		t.Errorf("once the block is there: %v", err)
	}
}

// While a commit waits for the disk, questions are answered all the same.
func TestQuestionsAreAnsweredDuringACommit(t *testing.T) {
	p := chain.Regtest()
	s := &slow{Store: store.NewMemory(p), begun: make(chan struct{}), let: make(chan struct{})}
	cfg := config(t, p)
	cfg.Store = s
	a := begin(t, cfg)
	tx := pay(p, 0, 1000, 1)
	a.submit(tx)
	ask := asking(t, a)

	let := sync.OnceFunc(func() { close(s.let) })
	t.Cleanup(let)
	s.armed.Store(true)
	found := make(chan error, 1)
	go func() {
		_, err := a.Mining.Generate(context.Background(), 1, chaintest.Address(9), 0)
		found <- err
	}()
	<-s.begun
	finish(t, "questions are answered", func() {
		var status rpc.Status
		ask(&status, "getstatus")
		if status.Height != 0 || status.Pool.Count != 1 {
			t.Errorf("at height %d %d transactions wait, while the first block is written", status.Height, status.Pool.Count)
		}
		var height int
		if ask(&height, "getblockcount"); height != 0 {
			t.Errorf("height %d", height)
		}
		var raw string
		if ask(&raw, "getrawtransaction", tx.ID()); raw == "" {
			t.Error("the payment is not there")
		}
		for _, method := range []string{
			"getblockchaininfo", "getmininginfo", "getnetworkinfo", "getpeerinfo", "getchaintips", "getmempoolinfo", "getrawmempool",
		} {
			ask(nil, method)
		}
		ask(nil, "getconvergence", tx.ID())
	})
	let()
	if err := <-found; err != nil {
		t.Fatal(err)
	}
	if tip := a.tip(); tip.Height != 1 {
		t.Errorf("at height %d", tip.Height)
	}
}

// asking asks a node over its RPC.
func asking(t *testing.T, a *player) func(out any, method string, params ...any) {
	t.Helper()
	cookie := filepath.Join(t.TempDir(), "cookie")
	server, err := rpc.Start(rpc.Config{Listen: "127.0.0.1:0", Cookie: cookie}, a.Backend)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	client := rpc.Dial(server.Addr(), rpc.Cookie(cookie))
	return func(out any, method string, params ...any) {
		t.Helper()
		if err := client.Call(context.Background(), method, out, params...); err != nil {
			t.Errorf("%s: %v", method, err)
		}
	}
}

// frail is a store that breaks when nobody writes.
type frail struct {
	daemon.Store
	broken chan struct{}
}

func (f frail) Broken() <-chan struct{} { return f.broken }

func (f frail) Why() error { return errFull }

// A node whose store breaks in the background stops at once and says why: the next
// commit may be hours away.
func TestNodeStopsWithItsStore(t *testing.T) {
	cfg := config(t, chain.Regtest())
	s := frail{cfg.Store, make(chan struct{})}
	cfg.Store = s
	d, err := daemon.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := d.Err(); err != nil {
		t.Fatal(err)
	}
	close(s.broken)
	<-d.Done()
	if err := d.Err(); !errors.Is(err, errFull) {
		t.Errorf("it stopped with %v", err)
	}
}
