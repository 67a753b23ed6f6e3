package miner

import (
	"bytes"
	"sync"
	"testing"

	"cairn/chain"
)

func mustTask(t testing.TB, b *chain.Block) *task {
	t.Helper()
	task, err := newTask(regtest, b)
	if err != nil {
		t.Fatal(err)
	}
	return task
}

// An extra nonce changes eight bytes of the coinbase, and the root accordingly.
func TestExtraNonceMovesTheRoot(t *testing.T) {
	for txs := range 5 {
		b := template(stone("a"), easy, "tag")
		b.Txs = b.Txs[:txs]
		before := b.Bytes()
		task := mustTask(t, b)
		h, cb := task.with(0x0102030405060708)
		if want := append([]byte{8, 7, 6, 5, 4, 3, 2, 1}, "tag"...); !bytes.Equal(cb.Extra, want) {
			t.Errorf("extra is %x", cb.Extra)
		}
		solved := &chain.Block{Header: h, Coinbase: cb, Txs: b.Txs}
		if err := chain.CheckRoot(h, solved.Leaves()); err != nil {
			t.Errorf("%d transactions: %v", txs, err)
		}
		if !bytes.Equal(b.Bytes(), before) {
			t.Error("the template was changed")
		}
	}
}

// One header's whole nonce space is claimed once, in order, before the next
// extra nonce.
func TestWholeNonceSpaceThenTheNextExtraNonce(t *testing.T) {
	m := newWorld(never).miner(t, 1, 0)
	task, d := mustTask(t, template(stone("a"), never, "")), newDigger(m, 2)
	const n = 1<<22 - 1 // does not divide the space
	for range 2 {
		begin, _ := d.next(task, 0)
		root, at, sum := d.headers[0].Root, begin, uint64(0)
		for sum < nonceSpace {
			first, claimed := d.next(task, n)
			if first != at || d.headers[0].Root != root {
				t.Fatalf("after %d nonces at %d, expected %d of the same root", sum, first, at)
			}
			at += uint32(claimed)
			sum += claimed
		}
		if sum != nonceSpace || at != begin {
			t.Fatalf("claimed %d nonces", sum)
		}
		if d.next(task, 0); d.headers[0].Root == root {
			t.Fatal("the next space has the same root")
		}
	}
}

// Many threads turn from task to task and back: no nonce of any header is
// claimed twice.
func TestNoWorkIsDoneTwice(t *testing.T) {
	const threads, steps, space = 6, 400, 1000
	m := newWorld(never).miner(t, 1, 0)
	m.space = space
	tasks := []*task{
		mustTask(t, template(stone("a"), never, "one")),
		mustTask(t, template(stone("a"), never, "one")), // as if fetched again
		mustTask(t, template(stone("b"), never, "two")),
	}
	type try struct {
		root    chain.Hash
		version uint32
		nonce   uint32
	}
	var mu sync.Mutex
	tried := map[try]bool{}
	twice := 0
	var g sync.WaitGroup
	for thread := range threads {
		g.Go(func() {
			d := newDigger(m, 1+thread%3)
			for i := range steps {
				first, n := d.next(tasks[(thread+i/9)%len(tasks)], 170)
				mu.Lock()
				for k := range n {
					for _, h := range d.headers {
						key := try{h.Root, h.Version, first + uint32(k)}
						if tried[key] {
							twice++
						}
						tried[key] = true
					}
				}
				mu.Unlock()
			}
		})
	}
	g.Wait()
	if twice > 0 {
		t.Errorf("%d of %d tries were done before", twice, len(tried))
	}
	if len(tried) < threads*steps*100 {
		t.Errorf("only %d tries", len(tried))
	}
}

// The block is found under an extra nonce far from the first.
func TestFindsBehindTheEndOfTheNonceSpace(t *testing.T) {
	m := newWorld(never).miner(t, 2, 0)
	m.space = 2 // a block takes thousands of spaces
	begin := m.extra.Load()
	tmpl := template(stone("a"), some, "tag")
	var furthest uint64
	for range 5 { // that five blocks all lie in the first spaces has a chance below 1e-12
		b, err := m.Solve(t.Context(), tmpl)
		if err != nil {
			t.Fatal(err)
		}
		mustProve(t, tmpl, b)
		furthest = max(furthest, extra(b)-begin)
	}
	if furthest < 4*5 {
		t.Errorf("extra nonce moved by %d only", furthest)
	}
}

// Two miners of one address are given the same templates: they must not do the
// same work.
func TestMinersStartApart(t *testing.T) {
	a, b := newWorld(never).miner(t, 1, 0), newWorld(never).miner(t, 1, 0)
	// Closer than this has a chance of one in 2³¹.
	if d := int64(a.extra.Load() - b.extra.Load()); -1<<32 < d && d < 1<<32 {
		t.Errorf("extra nonces start only %d apart", d)
	}
}

// What is found among headers that differ in rolled versions carries the version
// that it was found with, and all of them are searched.
func TestBlocksCarryTheVersionTheyWereFoundWith(t *testing.T) {
	m := newWorld(never).miner(t, 1, 0)
	m.width = 16
	tmpl := template(stone("a"), some, "tag")
	d, task, versions := newDigger(m, m.width), mustTask(t, tmpl), map[uint32]int{}
	// That one of 16 versions is missing among so many has a chance below 1e-16.
	for found := 0; found < 640; {
		b := d.dig(task, 4096)
		if b == nil {
			continue
		}
		found++
		mustProve(t, tmpl, b)
		versions[b.Header.Version]++
	}
	if len(versions) != m.width {
		t.Errorf("found under versions %x, expected %d of them", versions, m.width)
	}
}

// Even a template that rolls bits itself gives headers that are allowed and differ.
func TestRolledTemplatesKeepRolling(t *testing.T) {
	tmpl := template(stone("a"), easy, "")
	tmpl.Header.Version |= chain.RollingBits
	d := newDigger(newWorld(never).miner(t, 1, 0), 16)
	d.next(mustTask(t, tmpl), 1)
	versions := map[uint32]bool{}
	for _, h := range d.headers {
		if h.Version&^chain.RollingBits != chain.HeaderVersion {
			t.Errorf("version %08x", h.Version)
		}
		versions[h.Version] = true
	}
	if len(versions) != 16 {
		t.Errorf("%d versions", len(versions))
	}
}

// What is counted is what was hashed.
func TestHashesAreCountedOnEveryHeader(t *testing.T) {
	m := newWorld(never).miner(t, 1, 0)
	task := mustTask(t, template(stone("a"), never, ""))
	for _, c := range []struct {
		wide    int
		n, want uint64
	}{{1, 1, 1}, {1, 1000, 1000}, {16, 1600, 1600}, {16, 1, 16}, {3, 1000, 999}} {
		before := m.hashes.Load()
		newDigger(m, c.wide).dig(task, c.n)
		if got := m.hashes.Load() - before; got != c.want {
			t.Errorf("asked for %d on %d headers: %d hashes, want %d", c.n, c.wide, got, c.want)
		}
	}
}
