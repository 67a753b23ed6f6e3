package node_test

import (
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/node"
	"cairn/store"
)

// meaning is what a failing call of a store has done.
type meaning int

const (
	notDone  meaning = iota
	butDone          // all was persisted, and the call says that it failed
	halfDone         // some steps of a commit were persisted: a chain that is true and shorter
)

// frail is a store whose calls fail, by their numbers.
type frail struct {
	*store.Memory
	calls int
	fails map[int]meaning
	hit   map[string]int // calls that failed, by their names
	quiet bool           // the test looks: nothing fails, and no call counts
}

// call counts one, and tells whether it fails.
func (f *frail) call(name string) (m meaning, fails bool) {
	if f.quiet {
		return 0, false
	}
	f.calls++
	if m, fails = f.fails[f.calls]; fails {
		delete(f.fails, f.calls)
		f.hit[fmt.Sprintf("%s %d", name, m)]++
	}
	return m, fails
}

// read fails or asks; for a read both meanings are one.
func read[T any](f *frail, name string, ask func() (T, error)) (v T, err error) {
	if _, fails := f.call(name); fails {
		return v, errDisk
	}
	return ask()
}

func (f *frail) Tip() (node.Entry, error) { return read(f, "Tip", f.Memory.Tip) }

func (f *frail) Entry(id chain.Hash) (node.Entry, error) {
	return read(f, "Entry", func() (node.Entry, error) { return f.Memory.Entry(id) })
}

func (f *frail) At(height uint64) (chain.Hash, error) {
	return read(f, "At", func() (chain.Hash, error) { return f.Memory.At(height) })
}

func (f *frail) Recent(n int) ([]node.Entry, error) {
	return read(f, "Recent", func() ([]node.Entry, error) { return f.Memory.Recent(n) })
}

func (f *frail) Body(id chain.Hash) (chain.CheckedBlock, error) {
	return read(f, "Body", func() (chain.CheckedBlock, error) { return f.Memory.Body(id) })
}

func (f *frail) Diff(of chain.CheckedBlock) (chain.Diff, error) {
	return read(f, "Diff", func() (chain.Diff, error) { return f.Memory.Diff(of) })
}

func (f *frail) Coins(want []chain.OutPoint) (chain.Coins, error) {
	return read(f, "Coins", func() (chain.Coins, error) { return f.Memory.Coins(want) })
}

// Commit fails before, after, or on the way.
func (f *frail) Commit(steps ...node.Step) error {
	m, fails := f.call("Commit")
	switch {
	case !fails:
		return f.Memory.Commit(steps...)
	case m == halfDone:
		steps = steps[:len(steps)/2]
		fallthrough
	case m == butDone:
		if err := f.Memory.Commit(steps...); err != nil {
			return err
		}
	}
	return errDisk
}

// ordeal is a node on a frail store that is told of a drawn tree.
type ordeal struct {
	rapid.TB
	*graph
	disk *frail
	n    *node.Node
	now  chain.Time
	all  []string // every block, parents first
	tall map[string]uint64
}

func newOrdeal(t rapid.TB) *ordeal {
	p := chaintest.Easy()
	o := &ordeal{
		TB: t, graph: draw(p), tall: map[string]uint64{"0": 0},
		disk: &frail{Memory: store.NewMemory(p), fails: map[int]meaning{}, hit: map[string]int{}},
	}
	o.now = chain.Time(p.Genesis.Header.Time+1_000_000) * 1000
	return o
}

// Every call of one story fails in turn, in each meaning: whatever fails, the node
// says so at once, blames no block for it, and after a restart follows the heaviest
// valid branch on coins that a replay agrees with.
func TestEachStoreCallFails(t *testing.T) {
	hit := map[string]int{}
	for m := notDone; m <= halfDone; m++ {
		for nth := 1; ; nth++ {
			o := newOrdeal(t)
			o.disk.fails[nth], o.disk.hit = m, hit
			o.told()
			if len(o.disk.fails) > 0 { // the story is over before
				break
			}
		}
	}
	for _, name := range []string{"Tip 0", "Entry 0", "Recent 0", "Body 0", "Diff 0", "Coins 0", "Commit 0", "Commit 1", "Commit 2"} {
		if hit[name] == 0 {
			t.Errorf("no call of %s failed: the story is too short", name)
		}
	}
	t.Logf("calls that failed, and their meaning: %v", hit)
}

// told is a story with a branch that is left, one that breaks a rule, and blocks
// before their parents.
func (o *ordeal) told() {
	for _, b := range []struct{ parent, name string }{
		{"0", "a1"},
		{"a1", "a2"},
		{"a2", "a3"},
		{"a3", "a4"},
		{"a4", "a5"},
		{"a2", "b3"},
		{"b3", "b4"},
		{"b4", "b5"},
		{"b5", "b6"},
	} {
		o.grow(b.parent, b.name)
	}
	o.Greedy("a5", "x6")
	o.tall["x6"], o.all = 6, append(o.all, "x6")
	o.grow("x6", "x7")
	o.start()
	for _, name := range []string{"a1", "a2", "a3", "b3", "a4", "a5", "b5", "x7", "x6", "b4", "b6"} {
		o.give(name)
		o.replay()
	}
	o.finish()
}

// TestStoreCallsFailInRandomStories is the same in drawn trees, with several faults.
func TestStoreCallsFailInRandomStories(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		o := newOrdeal(r)
		for range rapid.IntRange(1, 4).Draw(r, "faults") {
			o.disk.fails[rapid.IntRange(1, 120).Draw(r, "call")] = meaning(rapid.IntRange(0, int(halfDone)).Draw(r, "meaning"))
		}
		o.plant(r)
		o.start()
		for _, name := range rapid.Permutation(o.all).Draw(r, "order") {
			o.give(name)
			o.replay()
		}
		o.finish()
	})
}

// finish tells everything again, for what a fault took comes again, until nothing
// fails on the way, and judges.
func (o *ordeal) finish() {
	for before := -1; before != len(o.disk.fails); {
		before = len(o.disk.fails)
		for _, name := range o.all {
			o.give(name)
		}
	}
	o.replay()
	o.judge()
}

// plant draws a tree; some blocks break a rule.
func (o *ordeal) plant(r *rapid.T) {
	places := []string{"0"}
	for i := range rapid.IntRange(4, 14).Draw(r, "blocks") {
		parent := places[max(0, len(places)-1-rapid.IntRange(0, 4).Draw(r, "back"))]
		name := "b" + itoa(i)
		if rapid.IntRange(0, 9).Draw(r, "greedy") == 0 {
			o.Greedy(parent, name)
			o.tall[name], o.all = o.tall[parent]+1, append(o.all, name)
		} else {
			o.grow(parent, name)
		}
		places = append(places, name)
	}
}

// grow puts a block on parent that spends the genesis coin of its height: on one
// branch each is spent once.
func (o *ordeal) grow(parent, name string) {
	h := o.tall[parent] + 1
	plan := chaintest.Plan{Name: name, Pay: chaintest.Address(9)}
	if i := int(h - o.p.Maturity); h >= o.p.Maturity && i < 10 {
		plan.Txs = []*chain.Tx{chaintest.Pay(o.p, chaintest.Funds(o.p, i), chaintest.Key(i), 1000)}
	}
	o.Block(parent, plan)
	o.tall[name], o.all = h, append(o.all, name)
}

// start starts the node until no fault is left in its way.
func (o *ordeal) start() {
	for {
		n, err := node.New(o.now, node.Config{Params: o.p, Store: o.disk, Peer: "me", Agent: "ordeal"})
		if err == nil {
			o.n = n
			return
		}
		o.must(err)
	}
}

// must lets nothing pass but the disk's own fault.
func (o *ordeal) must(err error) {
	if !errors.Is(err, errDisk) {
		o.Fatalf("the disk failed and the node says: %v", err)
	}
}

// give hands over a block; on a fault the node stops and starts again, as its
// driver would let it.
func (o *ordeal) give(name string) {
	before := len(o.disk.fails)
	_, err := o.n.Block(o.now, "peer", o.blocks[name])
	failed := len(o.disk.fails) < before
	if err != nil {
		o.must(err)
		o.start()
	} else if failed {
		o.Fatalf("the disk failed while %s came in, and nobody was told", name)
	}
}

// replay connects the stored chain from the genesis on, and compares the coins.
func (o *ordeal) replay() {
	o.disk.quiet = true
	defer func() { o.disk.quiet = false }()
	tip, err := o.disk.Memory.Tip()
	if err != nil || tip.State != o.n.Best() {
		o.Fatalf("stored is the tip %v, %v, the node follows %v", o.name(tip.State.ID), err, o.name(o.n.Best().ID))
	}
	l := chaintest.Open(o.p)
	for h := uint64(1); h <= tip.State.Height; h++ {
		id, err := o.disk.Memory.At(h)
		if err != nil {
			o.Fatal(err)
		}
		b, err := o.disk.Memory.Body(id)
		if err != nil {
			o.Fatal(err)
		}
		l.Connect(b)
	}
	var ops []chain.OutPoint
	for op := range l.Coins {
		ops = append(ops, op)
	}
	coins, err := o.disk.Memory.Coins(ops)
	n, counted := o.disk.CoinCount()
	if err != nil || counted != nil || n != len(ops) || len(coins) != n || l.State != tip.State {
		o.Fatalf("%d coins are stored and %d found, replay has %d: %v, %v", n, len(coins), len(ops), err, counted)
	}
	if err := o.n.Sound(); err != nil {
		o.Fatal(err)
	}
}

// judge is fork choice by brute force, and no sound block condemned.
func (o *ordeal) judge() {
	o.disk.quiet = true
	most := uint64(0)
	for _, name := range o.all {
		id := o.blocks[name].ID()
		if o.sound(id) {
			most = max(most, o.tall[name])
			if e, ok := o.n.Entry(id); ok && e.Status == node.Condemned {
				o.Fatalf("%s breaks no rule and is condemned", name)
			}
		}
	}
	if got := o.n.Best().Height; got != most {
		o.Fatalf("the tip %s is at height %d, the best valid branch reaches %d", o.name(o.n.Best().ID), got, most)
	}
}

func (o *ordeal) sound(id chain.Hash) bool {
	for ; id != o.p.GenesisID(); id = o.blocks[o.names[id]].Header().Prev {
		if o.wrong[id] {
			return false
		}
	}
	return true
}
