package store

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/node"
)

// gated is a disk whose writes of what is due can fail, and be held up but for the first.
type gated struct {
	disk
	most   size
	mu     sync.Mutex
	flushs int             // transactions of a flush so far; guarded by mu
	fails  func(int) error // asked before each; guarded by mu
	gate   chan struct{}   // if not nil, each waits for one; guarded by mu
	waits  chan struct{}   // told of each that waits; has room
}

func newGated(most int64) *gated {
	return &gated{disk: &tree{}, most: size{most, 1 << 30}, waits: make(chan struct{}, 1<<10)}
}

func (g *gated) room() size { return g.most }

func (g *gated) write(b *batch) error {
	if !b.weight.fits(g.most) {
		return errors.New("too much at a time")
	}
	if err := g.pass(b); err != nil {
		return err
	}
	return g.disk.write(b)
}

func (g *gated) pass(b *batch) error {
	_, begins := b.changes[string(keyToward)]
	if _, ends := b.changes[string(keyWritten)]; len(b.run) == 0 && !ends && !begins {
		return nil
	}
	if c, marks := b.changes[string(keyTip)]; marks && c.value != nil {
		return nil
	}
	g.mu.Lock()
	g.flushs++
	n, fails, gate := g.flushs, g.fails, g.gate
	g.mu.Unlock()
	if gate != nil && !begins {
		g.waits <- struct{}{}
		<-gate
	}
	if fails != nil {
		return fails(n)
	}
	return nil
}

func (g *gated) set(gate chan struct{}, fails func(int) error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.gate, g.fails, g.flushs = gate, fails, 0
}

// crashed is a disk as a crash at this moment leaves it.
func crashed(d disk) *gated {
	g, again := d.(*gated), newGated(d.room().entries)
	from, to := g.disk.(*tree), again.disk.(*tree)
	to.root.Store(from.root.Load())
	to.writes = from.writes
	return again
}

var errFull = &FullError{Dir: "somewhere"}

// A random life, written behind and at once: the two tell the same, key by key,
// whatever was flushed, whole or in part, and so do the moments that were kept. A
// crash at any time leaves the same too.
func TestBehindTellsTheSame(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { tellTheSame(t, seed) })
	}
}

func tellTheSame(t *testing.T, seed uint64) {
	p, rnd := chaintest.Easy(), rand.New(rand.NewPCG(seed, 3))
	w, twin := newWorld(p, seed), NewMemory(p)
	d := newGated(130)
	s := lagging(t, p, d, []lag{idle, {bytes: 1 << 40, blocks: 12}, {bytes: 30_000, blocks: 1000}}[seed%3])
	kept := map[*Reader]map[string]string{}
	for range 45 {
		steps := w.act()
		if rnd.IntN(3) > 0 { // long runs of extensions, too
			if c := w.grow(w.tip); w.stones[c.id()] == nil {
				steps = append(steps, w.extend(c))
			}
		}
		commit(t, twin, steps...)
		commit(t, s, steps...)
		switch rnd.IntN(6) {
		case 0:
			d.set(nil, after(rnd.IntN(6)))
			if err := s.flush(); err != nil && !errors.Is(err, errFull) {
				t.Fatal(err)
			}
			d.set(nil, nil)
		case 1:
			if err := s.flush(); err != nil {
				t.Fatal(err)
			}
		case 2:
			kept[reader(t, s)] = told(t, twin.book)
		}
		want := told(t, twin.book)
		sameDisks(t, told(t, s.book), want)
		sameValues(t, s.book, want)
		sameSpans(t, rnd, s.book, want)
		w.compareHistory(t, s)
		w.compareIndexes(t, s)
		again := crashed(d)
		sameDisks(t, whole(t, lagging(t, p, again, lag{}).book), want)
	}
	w.compare(t, s)
	for r, want := range kept {
		sameDisks(t, toldBy(t, r.look), want)
		r.Close()
	}
}

// sameValues asks for each key alone, those included that are on disk and no more true.
func sameValues(t *testing.T, b *book, want map[string]string) {
	t.Helper()
	keys := dump(t, b.disk)
	maps.Copy(keys, want)
	maps.DeleteFunc(keys, func(key, _ string) bool { return tellsOfDue(key) })
	if err := b.look(func(s snapshot) error {
		for key := range keys {
			value, err := s.get([]byte(key))
			if err != nil {
				return err
			}
			if text, there := want[key]; string(value) != text || (value != nil) != there {
				t.Fatalf("key %q: got %x (%v), want %x (%v)", key, value, value != nil, text, there)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func reader(t *testing.T, s rememberer) *Reader {
	t.Helper()
	r, err := s.Reader()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// after lets so many writes pass; then there is no room.
func after(n int) func(int) error {
	return func(k int) error {
		if k > n {
			return errFull
		}
		return nil
	}
}

// growing is a chain of so many blocks in a store and in a twin that writes at once.
func growing(t *testing.T, s *Memory, blocks int) (*world, *Memory) {
	t.Helper()
	w, twin := newWorld(s.params, 21), NewMemory(s.params)
	grow(t, w, blocks, s, twin)
	return w, twin
}

func grow(t *testing.T, w *world, blocks int, stores ...node.Store) {
	t.Helper()
	for range blocks {
		step := w.extend(w.grow(w.tip))
		for _, s := range stores {
			commit(t, s, step)
		}
	}
}

// A crash before any transaction of a flush, in the midst of more blocks, and before
// any transaction of the way forward after it, leaves what the next open completes.
func TestCrashInFlush(t *testing.T) {
	p, points := chaintest.Easy(), 0
	for first, done := 0, false; !done; first++ {
		d := newGated(60)
		s := lagging(t, p, d, idle)
		w, twin := growing(t, s, 14)
		d.set(nil, after(first))
		done = s.flush() == nil
		grow(t, w, 6, s, twin) // they spend what may be on disk by now
		d.set(nil, nil)
		want := whole(t, twin.book)
		sameDisks(t, told(t, s.book), want)
		points += crashAgain(t, p, d, want)
		older := crashed(d) // as the format before has it
		change := newBatch()
		change.remove(keyToward)
		if err := older.disk.write(change); err != nil {
			t.Fatal(err)
		}
		points += crashAgain(t, p, older, want)
	}
	if t.Logf("%d crashes", points); points < 100 {
		t.Error("too few: nothing was tried")
	}
}

// crashAgain opens what a crash left, which is cut short by a crash before each of its
// transactions, and opens what that leaves.
func crashAgain(t *testing.T, p *chain.Params, d *gated, want map[string]string) (points int) {
	t.Helper()
	for over := false; !over; points++ {
		once := crashed(d)
		once.set(nil, after(points))
		_, err := newBook(p, once, lag{bytes: 1 << 40, blocks: 12})
		if over = err == nil; !over && !errors.Is(err, errFull) {
			t.Fatal(err)
		}
		twice := crashed(once)
		twice.set(nil, after(points/2))
		if _, err := newBook(p, twice, lag{bytes: 1 << 40, blocks: 7}); err != nil && !errors.Is(err, errFull) {
			t.Fatal(err)
		}
		sameDisks(t, whole(t, lagging(t, p, crashed(twice), idle).book), want)
	}
	return points
}

// Two branches from one fork, both stored, the first one the best chain. What follows
// from all of them is written.
func twoBranches(t *testing.T, d *gated, seed uint64) (w *world, s, twin *Memory, ends [2]*stone) {
	t.Helper()
	p := chaintest.Easy()
	w, twin = newWorld(p, seed), NewMemory(p)
	s = lagging(t, p, d, idle)
	grow(t, w, 3, s, twin)
	ends = [2]*stone{w.tip, w.tip}
	for range 8 {
		for i := range ends {
			next := w.grow(ends[i])
			if w.stones[next.id()] != nil { // both branches begin with it
				ends[i] = next
				continue
			}
			step := w.aside(next)
			commit(t, s, step)
			commit(t, twin, step)
			ends[i] = next
		}
	}
	steps := w.reorganise(ends[0])
	commit(t, s, steps...)
	commit(t, twin, steps...)
	sameDisks(t, whole(t, s.book), whole(t, twin.book))
	return w, s, twin, ends
}

func up(s *stone, n int) *stone {
	for range n {
		s = s.parent
	}
	return s
}

// A crash in a flush of blocks that were taken off and others put on, when the tip has
// gone elsewhere meanwhile.
func TestCrashInFlushOfAReorganisation(t *testing.T) {
	points := 0
	for seed, elsewhere := range []func(from, to *stone, move func(*stone), grow func(int)){
		func(from, to *stone, move func(*stone), grow func(int)) { grow(2) },
		func(from, to *stone, move func(*stone), grow func(int)) { move(up(to, 5)); grow(2) },
		func(from, to *stone, move func(*stone), grow func(int)) { move(up(to, 1)); move(from) },
		func(from, to *stone, move func(*stone), grow func(int)) { move(from); grow(1); move(from) },
		func(from, to *stone, move func(*stone), grow func(int)) { move(up(from, 6)) },
	} {
		for first, done := 0, false; !done; first++ {
			d := newGated(60)
			w, s, twin, ends := twoBranches(t, d, uint64(seed))
			move := func(to *stone) {
				steps := w.reorganise(to)
				commit(t, s, steps...)
				commit(t, twin, steps...)
			}
			d.most.entries = 20
			move(ends[1])
			d.set(nil, after(first))
			done = s.flush() == nil
			elsewhere(ends[0], ends[1], move, func(n int) { grow(t, w, n, s, twin) })
			d.set(nil, nil)
			d.most.entries = 60
			want := told(t, twin.book)
			sameDisks(t, told(t, s.book), want)
			sameValues(t, s.book, want)
			points += crashAgain(t, s.params, d, want)
			sameDisks(t, whole(t, s.book), want)
			w.compare(t, s)
		}
	}
	if t.Logf("%d crashes", points); points < 500 {
		t.Error("too few: nothing was tried")
	}
}

// To take off blocks whose keys are on disk writes none of them, and what is written
// later is what differs between the branches.
func TestReorganisationWritesWhatDiffers(t *testing.T) {
	d := newGated(1 << 20)
	w, s, twin, ends := twoBranches(t, d, 5)
	before := whole(t, s.book)
	log := &written{disk: d, keys: map[string]int{}}
	s.disk = log
	steps := w.reorganise(ends[1])
	commit(t, s, steps...)
	commit(t, twin, steps...)
	for key := range dump(t, d) {
		if _, was := before[key]; !was && derives(key[0]) {
			t.Errorf("key %q is there at once", key)
		}
	}
	after := whole(t, s.book)
	sameDisks(t, after, whole(t, twin.book))
	for key, n := range log.keys {
		if was, there := before[key]; n > 1 || was == after[key] && there == has(after, key) {
			t.Errorf("key %q was written %d times, and is as it was", key, n)
		}
	}
	if len(log.keys) == 0 {
		t.Error("nothing was written")
	}
}

// While a flush waits for the disk, blocks are committed and every question is
// answered, until as much is due as may be.
func TestNobodyWaitsForAFlush(t *testing.T) {
	p := chaintest.Easy()
	d := newGated(100)
	s := lagging(t, p, d, lag{bytes: 1 << 40, blocks: 20})
	w, twin := growing(t, s, 9)
	gate := make(chan struct{})
	d.set(gate, nil)
	flushed := make(chan error, 1)
	go func() { flushed <- s.flush() }()
	<-d.waits
	grow(t, w, 10, s, twin)
	sameDisks(t, told(t, s.book), told(t, twin.book))
	w.compare(t, s)

	last, done := w.extend(w.grow(w.tip)), make(chan error, 1)
	commit(t, twin, last)
	go func() { done <- s.Commit(last) }()
	r := reader(t, s)
	defer r.Close()
	if _, err := r.Coins([]chain.OutPoint{{}}); err != nil {
		t.Error(err)
	}
	select {
	case err := <-done:
		t.Errorf("more is due than may be: %v", err)
	case gate <- struct{}{}:
	}
	close(gate)
	if err := errors.Join(<-flushed, <-done); err != nil {
		t.Fatal(err)
	}
	w.compare(t, s)
	sameDisks(t, whole(t, s.book), whole(t, twin.book))
}

// Without room for what is due blocks are taken until the bound; then the commit says
// so, and it goes on when there is room.
func TestFlushWithoutRoom(t *testing.T) {
	p := chaintest.Easy()
	d := newGated(130)
	s := lagging(t, p, d, lag{bytes: 1 << 40, blocks: 8})
	d.most.entries = 40
	d.set(nil, after(1))
	w, twin := newWorld(p, 4), NewMemory(p)
	var step node.Step
	var err error
	for n := 0; err == nil; n++ {
		if n > 8 {
			t.Fatal("there is no bound")
		}
		step = w.extend(w.grow(w.tip))
		if err = s.Commit(step); err == nil {
			commit(t, twin, step)
		}
	}
	if full := (*FullError)(nil); !errors.As(err, &full) {
		t.Fatal(err)
	}
	sameDisks(t, told(t, s.book), told(t, twin.book))
	d.set(nil, nil)
	commit(t, s, step)
	commit(t, twin, step)
	w.compare(t, s)
	sameDisks(t, whole(t, s.book), whole(t, twin.book))
	d.set(nil, after(0))
	grow(t, w, 1, s, twin)
	if err := s.Close(); err != nil {
		t.Errorf("without room it is closed as a crash would: %v", err)
	}
	sameDisks(t, whole(t, lagging(t, p, crashed(d), idle).book), whole(t, twin.book))
}

// A flush that fails for another reason is the end of what this store takes: what the
// disk holds is for the next open to tell.
func TestFailedFlushIsTold(t *testing.T) {
	p := chaintest.Easy()
	d := newGated(100)
	s := lagging(t, p, d, idle)
	w, twin := growing(t, s, 6)
	d.set(nil, func(int) error { return errPower })
	if err := s.flush(); !errors.Is(err, errPower) {
		t.Errorf("got %v", err)
	}
	d.set(nil, nil)
	want := told(t, twin.book)
	if err := s.Commit(w.extend(w.grow(w.tip))); !errors.Is(err, errPower) {
		t.Errorf("the next commit: %v", err)
	}
	sameDisks(t, told(t, s.book), want)
	sameDisks(t, whole(t, lagging(t, p, crashed(d), idle).book), want)
	if err := s.Close(); err != nil {
		t.Errorf("it is told twice: %v", err)
	}
}

// Where nobody commits after a flush that failed, the log and Close tell of it.
func TestFlushFailsInTheBackground(t *testing.T) {
	d := newGated(100)
	s := lagging(t, chaintest.Easy(), d, idle)
	var logged []string
	s.log = func(level slog.Level, text string) {
		if level >= slog.LevelError {
			logged = append(logged, text)
		}
	}
	growing(t, s, 6)
	d.set(nil, func(int) error { return errPower })
	_ = s.flush()
	if len(logged) != 1 || !strings.Contains(logged[0], errPower.Error()) {
		t.Errorf("logged: %q", logged)
	}
	if err := s.Close(); !errors.Is(err, errPower) {
		t.Errorf("closing: %v", err)
	}
}

func TestDueIsTallied(t *testing.T) {
	d := newGated(100)
	s := lagging(t, chaintest.Easy(), d, idle)
	growing(t, s, 6)
	if due := s.Due(); due.Blocks != s.dueBlocks() || due.Blocks == 0 || due.Bytes != s.layers[0].weight {
		t.Errorf("%d blocks are due, told %+v", s.dueBlocks(), due)
	}
	full := &FullError{}
	d.set(nil, func(int) error { return full })
	_ = s.flush()
	d.set(nil, nil)
	if due := s.Due(); due.Failures != 1 || due.Blocks == 0 {
		t.Errorf("a flush failed, told %+v", due)
	}
	if err := s.Settle(); err != nil {
		t.Fatal(err)
	}
	if due := s.Due(); due.Blocks != 0 || due.Bytes != 0 || due.Flushes != 1 || due.Took <= 0 {
		t.Errorf("all is written, told %+v", due)
	}
}

// Whoever waits for it hears at once that a flush failed, and so of a database that
// fails in its own upkeep.
func TestABrokenStoreIsHeard(t *testing.T) {
	d := newGated(100)
	s := lagging(t, chaintest.Easy(), d, idle)
	growing(t, s, 6)
	if err := s.Why(); err != nil {
		t.Errorf("nothing failed: %v", err)
	}
	d.set(nil, func(int) error { return errPower })
	_ = s.flush()
	<-s.Broken()
	if err := s.Why(); !errors.Is(err, errPower) {
		t.Errorf("got %v", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("it is told twice: %v", err)
	}
	b := openBadger(t, chaintest.Easy(), t.TempDir())
	b.disk.(*badgerDisk).said.Errorf("while compacting: %v", errPower)
	<-b.Broken()
	if err := b.Why(); err == nil || !strings.Contains(err.Error(), errPower.Error()) {
		t.Errorf("got %v", err)
	}
}

// While a full layer is being written, the next one grows until it is full as well.
func TestLayersGrowWhileOneIsWritten(t *testing.T) {
	d := newGated(100)
	s := lagging(t, chaintest.Easy(), d, lag{bytes: 1 << 40, blocks: 20})
	s.flusher = startFlusher(s.book)
	w := newWorld(s.params, 4)
	gate := make(chan struct{})
	d.set(gate, nil)
	grow(t, w, 10, s) // a full layer
	<-d.waits
	for n := range 9 {
		if grow(t, w, 1, s); len(s.flusher.full) > 0 {
			t.Errorf("a layer of %d blocks is to be flushed at once", n+1)
		}
	}
	if grow(t, w, 1, s); len(s.flusher.full) == 0 {
		t.Error("a full layer is not to be flushed")
	}
	close(gate)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// Whoever writes while the store closes comes to an end.
func TestCloseWhileWriting(t *testing.T) {
	for range 50 {
		s := lagging(t, chaintest.Easy(), newGated(1000), idle)
		w := newWorld(s.params, 5)
		var all sync.WaitGroup
		begun := make(chan struct{}, 64)
		until := func(write func() error) {
			all.Go(func() {
				for write() == nil {
					select {
					case begun <- struct{}{}:
					default:
					}
				}
			})
		}
		until(func() error { return s.Put("name", []byte{1}) })
		until(s.Settle)
		until(func() error { return s.Commit(w.extend(w.grow(w.tip))) })
		<-begun
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		all.Wait()
	}
}

// A commit that fails, whether or not it reached the disk, leaves due what did.
func TestFailedCommitBehind(t *testing.T) {
	p := chaintest.Easy()
	for fail := 2; fail < 5; fail++ {
		for _, after := range []bool{false, true} {
			d := &failingDisk{narrowDisk: narrowDisk{disk: &tree{}, most: size{130, 1 << 30}}, fail: fail, after: after}
			s := lagging(t, p, d, idle)
			w, twin := newWorld(p, 6), NewMemory(p)
			var steps []node.Step
			for range 60 {
				steps = append(steps, w.extend(w.grow(w.tip)))
			}
			if err := s.Commit(steps...); !errors.Is(err, errPower) {
				t.Fatalf("write %d of the steps' own: %v", fail, err)
			}
			tip, err := s.Tip()
			if err != nil {
				t.Fatal(err)
			}
			done := steps[:tip.State.Height]
			if len(done) > 0 {
				commit(t, twin, done...)
			}
			sameDisks(t, told(t, s.book), told(t, twin.book))
			commit(t, s, steps[len(done):]...)
			commit(t, twin, steps[len(done):]...)
			sameDisks(t, whole(t, s.book), whole(t, twin.book))
		}
	}
}

// A reorganisation of blocks that are still due writes nothing that it takes back. It
// may fail at any of its transactions, before it was written and after.
func TestReorganisationBehind(t *testing.T) {
	p := chaintest.Easy()
	prelude, steps := longReorganisation(p)
	states := []map[string]string{}
	alone := NewMemory(p)
	commit(t, alone, prelude...)
	states = append(states, whole(t, alone.book))
	for _, s := range steps {
		commit(t, alone, s)
		states = append(states, whole(t, alone.book))
	}
	for fail, done := 1, false; !done; fail++ {
		for _, after := range []bool{false, true} {
			d := &failingDisk{narrowDisk: narrowDisk{disk: &tree{}, most: size{70, 1 << 30}}, after: after}
			s := lagging(t, p, d, idle)
			d.most.entries = 16
			commit(t, s, prelude...)
			old := reader(t, s)
			d.fail = d.writes + fail
			err := s.Commit(steps...)
			d.fail = 0
			if done = err == nil; !done && !errors.Is(err, errPower) {
				t.Fatal(err)
			}
			n := stepsDone(t, told(t, s.book), states)
			t.Logf("write %d fails (after: %v): %d of %d steps are there", fail, after, n, len(steps))
			if len(s.layers) > 0 && s.layers[0].frozen {
				t.Error("something was written")
			}
			again := &tree{writes: d.disk.(*tree).writes}
			again.root.Store(d.disk.(*tree).root.Load())
			sameDisks(t, whole(t, lagging(t, p, again, lag{}).book), states[n])
			commit(t, s, steps[n:]...)
			sameDisks(t, whole(t, s.book), states[len(steps)])
			sameDisks(t, toldBy(t, old.look), states[0])
			old.Close()
		}
		if done && fail < 3 {
			t.Fatalf("only %d transactions: nothing was tried", fail-1)
		}
	}
}

// What is made and spent before it is written never reaches the disk.
func TestNetEffectIsWritten(t *testing.T) {
	p := chaintest.Easy()
	d := newGated(1 << 20)
	s := lagging(t, p, d, idle)
	_, twin := growing(t, s, 30)
	before := dump(t, d)
	log := &written{disk: d, keys: map[string]int{}}
	s.disk = log
	want := whole(t, twin.book)
	if err := s.Settle(); err != nil {
		t.Fatal(err)
	}
	sameDisks(t, dump(t, d), want)
	for key, n := range log.keys {
		_, was := before[key]
		if _, is := want[key]; n > 1 || !was && !is {
			t.Errorf("key %q was written %d times, was there: %v, is there: %v", key, n, was, is)
		}
	}
	if log.unsorted > 0 {
		t.Errorf("%d keys came before their neighbours", log.unsorted)
	}
}

// written counts what is written, and how often a key is below the one before it in a
// transaction.
type written struct {
	disk
	keys     map[string]int
	unsorted int
}

func (l *written) write(b *batch) error {
	last := ""
	for _, p := range b.run {
		l.keys[string(p.key)]++
		if key := string(p.key); p.key[0] != kindOwned && key < last {
			l.unsorted++
		} else {
			last = key
		}
	}
	return l.disk.write(b)
}

// What is due takes about as much memory as is counted.
func TestWeightOfALayer(t *testing.T) {
	before, l := heap(), newLayer(chain.Hash{})
	for h := range uint64(40) {
		txs, coins := manyTxs(90_000)
		for i, tx := range txs {
			coin := coins[tx.Inputs[0].Prev]
			coin.Tx = number('h', int(h)<<10|i)
			tx.Inputs = spending(coins, coin)
		}
		s := unsigned(t, chain.Regtest(), txs, coins)
		l.take(move{block: dueBlock{id: number('b', int(h)), height: h + 1, names: namesOf(s.body)}, diff: s.diff, fresh: true})
	}
	taken := heap() - before
	t.Logf("%d coins: counted %d bytes, taken %d", l.coins.count, l.weight, taken)
	if l.weight < taken*2/3 || l.weight > taken*3/2 {
		t.Errorf("%d bytes are counted, and %d taken", l.weight, taken)
	}
	runtime.KeepAlive(l)
}

// heap is how many bytes are in use.
func heap() int64 {
	runtime.GC()
	runtime.GC() // frees what the first one found
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// A folder of an old format is taken over as it is, and then is of ours.
func TestOldFormatIsTakenOver(t *testing.T) {
	p, dir := chaintest.Easy(), t.TempDir()
	s := openWith(t, Config{Dir: dir, Params: p, Cache: -1})
	w := lived(t, s, p)
	want := whole(t, s.book)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	rewrite(t, dir, marker{Format: 1, Network: p.Name, Genesis: p.GenesisID()})
	s = openBadger(t, p, dir)
	sameDisks(t, dump(t, s.disk), want)
	w.compare(t, s)
	grow(t, w, 3, s)
	w.compare(t, s)
	if m, err := mark(Config{Dir: dir, Params: p}); err != nil || m.Format != format {
		t.Errorf("the folder says %+v, %v", m, err)
	}
}

// A process that ends while blocks are due: the next open derives what is missing,
// and says so. So it does where a program of the format before has left blocks due.
func TestOpenRollsForward(t *testing.T) {
	for _, f := range []int{2, format} {
		t.Run(fmt.Sprint("format ", f), func(t *testing.T) { rollForward(t, f) })
	}
}

func rollForward(t *testing.T, f int) {
	p, dir := chaintest.Easy(), t.TempDir()
	s := openBadger(t, p, dir)
	s.flusher.stop()
	s.flusher = nil
	w, twin := newWorld(p, 9), NewMemory(p)
	grow(t, w, 40, s, twin)
	s.broken = errPower // so that it is closed as it is
	if err := s.Close(); !errors.Is(err, errPower) {
		t.Fatal(err)
	}
	rewrite(t, dir, marker{Format: f, Network: p.Name, Genesis: p.GenesisID()})
	var said []string
	again := openWith(t, Config{Dir: dir, Params: p, Cache: -1, Log: func(l slog.Level, text string) {
		if l == slog.LevelInfo {
			said = append(said, text)
		}
	}})
	sameDisks(t, dump(t, again.disk), whole(t, twin.book))
	w.compare(t, again)
	if len(said) != 2 || !strings.Contains(said[0], "40 blocks") {
		t.Errorf("said %q", said)
	}
}

// A tip that is taken off and put on again before a crash leaves nothing to derive, and no
// mark either: neither then, nor when the block goes off again.
func TestCrashAfterTheTipCameBack(t *testing.T) {
	d := newGated(1 << 20)
	s := lagging(t, chaintest.Easy(), d, idle)
	w, twin := growing(t, s, 5)
	both := func(s node.Store, steps ...node.Step) {
		t.Helper()
		commit(t, s, steps...)
		commit(t, twin, steps...)
	}
	if err := s.Settle(); err != nil {
		t.Fatal(err)
	}
	tip := w.tip
	both(s, w.reorganise(tip.parent)...)
	both(s, w.reorganise(tip)...)
	sound := func(left *gated) {
		t.Helper()
		again := lagging(t, s.params, left, idle)
		if list := audit(t, again.book); len(list) > 0 {
			t.Errorf("a sound store: %v", list)
		}
		sameDisks(t, dump(t, left), whole(t, twin.book))
	}
	d.set(nil, after(1)) // where the flush leads is written, and no more
	left := crashed(d)
	sound(left)
	if err := s.flush(); !errors.Is(err, errFull) {
		t.Fatalf("got %v", err)
	}
	sound(crashed(d))
	unmarked := crashed(d) // as where a flush ended between the two moves
	change := newBatch()
	change.remove(keyWritten)
	if err := unmarked.disk.write(change); err != nil {
		t.Fatal(err)
	}
	sound(unmarked)

	again := lagging(t, s.params, left, idle)
	z := w.grow(tip.parent)
	for w.stones[z.id()] != nil {
		z = w.grow(tip.parent)
	}
	steps := []node.Step{w.aside(z), w.condemn(z), w.extend(w.grow(tip))}
	both(again, steps...) // at once: it condemns what it brings
	both(again, w.reorganise(tip)...)
	sameDisks(t, whole(t, lagging(t, s.params, crashed(left), idle).book), whole(t, twin.book))
}

// blind is a disk of which nothing can be read any more.
type blind struct{ disk }

func (blind) hold() (snapshot, func()) { return unreadable{}, func() {} }

type unreadable struct{ empty }

func (unreadable) get([]byte) ([]byte, error) { return nil, errPower }

// What was written and cannot be read breaks the store as a flush that fails does.
func TestAnUnreadableStoreIsHeard(t *testing.T) {
	s := lagging(t, chaintest.Easy(), newGated(100), idle)
	growing(t, s, 3)
	s.disk = blind{s.disk}
	if err := s.Put("name", []byte{1}); !errors.Is(err, errPower) {
		t.Fatalf("got %v", err)
	}
	select {
	case <-s.Broken():
	default:
		t.Fatal("nobody hears of it")
	}
	if err := s.Why(); !errors.Is(err, errPower) {
		t.Errorf("got %v", err)
	}
}
