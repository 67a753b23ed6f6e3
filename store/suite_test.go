package store

import (
	"errors"
	"math/rand/v2"
	"testing"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/node"
)

func unknown(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, node.ErrUnknown) {
		t.Errorf("%s: got error %v, want %v", what, err, node.ErrUnknown)
	}
}

func commit(t testing.TB, s node.Store, steps ...node.Step) {
	t.Helper()
	if err := s.Commit(steps...); err != nil {
		t.Fatal(err)
	}
}

func openBadger(t testing.TB, p *chain.Params, dir string) *Badger {
	t.Helper()
	return openWith(t, Config{Dir: dir, Params: p})
}

func openWith(t testing.TB, c Config) *Badger {
	t.Helper()
	b, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func TestMemoryConforms(t *testing.T) {
	conform(t, func(_ *testing.T, p *chain.Params) rememberer { return NewMemory(p) })
}

// idle never writes behind unless it is told to, brisk does so every other block.
var (
	idle  = lag{bytes: 1 << 40, blocks: 1 << 30}
	brisk = lag{bytes: 1 << 40, blocks: 4}
)

// lagging is a store in memory that writes behind.
func lagging(t testing.TB, p *chain.Params, d disk, g lag) *Memory {
	t.Helper()
	b, err := newBook(p, d, g)
	if err != nil {
		t.Fatal(err)
	}
	return &Memory{b}
}

func TestMemoryBehindConforms(t *testing.T) {
	for name, g := range map[string]lag{"held back": idle, "brisk": brisk} {
		t.Run(name, func(t *testing.T) {
			conform(t, func(t *testing.T, p *chain.Params) rememberer { return lagging(t, p, &tree{}, g) })
		})
	}
}

// Badger writes at once, some time later, and without a pause beside the commits.
func TestBadgerConforms(t *testing.T) {
	for name, cache := range map[string]int64{"at once": -1, "behind": 0, "restless": 1} {
		t.Run(name, func(t *testing.T) {
			conform(t, func(t *testing.T, p *chain.Params) rememberer {
				return openWith(t, Config{Dir: t.TempDir(), Params: p, Cache: cache})
			})
		})
	}
}

// conform is what every store must do.
func conform(t *testing.T, open func(*testing.T, *chain.Params) rememberer) {
	for _, story := range []struct {
		name string
		tell func(*testing.T, *world, rememberer)
	}{
		{"begins with the genesis", func(t *testing.T, w *world, s rememberer) { w.compare(t, s) }},
		{"knows nothing else", knowsNothingElse},
		{"side branch, reorganisation and back", reorganises},
		{"random life", livesAtRandom},
		{"refuses what does not follow", refusesFaults},
		{"keeps named values", keepsNamedValues},
		{"is read at one moment", readsOneMoment},
		{"outlives its readers", outlivesReaders},
		{"closes under a reader that was forgotten", closesUnderReader},
		{"waits for a reader at work", waitsForReader},
		{"ends", ends},
	} {
		t.Run(story.name, func(t *testing.T) {
			p := chaintest.Easy()
			s := open(t, p)
			story.tell(t, newWorld(p, 1), s)
		})
	}
}

func knowsNothingElse(t *testing.T, _ *world, s rememberer) {
	nobody := chain.Hash{1}
	_, err := s.Entry(nobody)
	unknown(t, "entry", err)
	_, err = s.Body(nobody)
	unknown(t, "body", err)
	_, err = s.BodyBytes(nobody)
	unknown(t, "body bytes", err)
	_, err = s.Diff(chain.CheckedBlock{})
	unknown(t, "diff", err)
	_, err = s.At(1)
	unknown(t, "height 1", err)
	ids, err := s.TxBlocks(nobody)
	equal(t, "blocks", len(ids), 0, err)
	ids, err = s.Spenders(chain.OutPoint{Tx: nobody})
	equal(t, "spenders", len(ids), 0, err)
	coins, err := s.Owned(chain.Address{1})
	equal(t, "coins", len(coins), 0, err)
	items, err := s.History(chain.Address{1}, Newest, 10)
	equal(t, "history", len(items), 0, err)
	items, err = s.History(chaintest.Address(0), Newest, 0)
	equal(t, "no history", len(items), 0, err)
}

// genesis ─ a1 ─ a2
//
//	└ b1 ─ b2 ─ b3
func reorganises(t *testing.T, w *world, s rememberer) {
	genesis := w.tip
	a1 := w.grow(genesis)
	commit(t, s, w.extend(a1))
	a2 := w.grow(a1)
	commit(t, s, w.extend(a2))
	w.compare(t, s)

	b1 := w.grow(genesis)
	commit(t, s, w.aside(b1))
	b2 := w.grow(b1)
	commit(t, s, w.aside(b2))
	b3 := w.grow(b2)
	commit(t, s, w.aside(b3))
	w.compare(t, s)

	commit(t, s, w.reorganise(b3)...)
	equal(t, "tip", w.tip, b3, nil)
	w.compare(t, s)

	commit(t, s, w.reorganise(a2)...)
	w.compare(t, s)
	commit(t, s, w.condemn(b3))
	w.compare(t, s)
	commit(t, s, w.reorganise(b2)...)
	w.compare(t, s)
}

func livesAtRandom(t *testing.T, _ *world, s rememberer) {
	const seed = 7
	t.Logf("seed %d", seed)
	w := newWorld(chaintest.Easy(), seed)
	for range 40 {
		commit(t, s, w.act()...)
		w.compare(t, s)
	}
}

func refusesFaults(t *testing.T, w *world, s rememberer) {
	genesis := w.tip
	a1 := w.grow(genesis)
	commit(t, s, w.extend(a1))
	b1 := w.grow(genesis)
	commit(t, s, w.aside(b1))
	a2, b2 := w.grow(a1), w.grow(b1)
	new2, body2 := arrival(a2)
	newB, bodyB := arrival(b2)
	bent := a2.entry
	bent.State.Time++
	headed := a2.entry
	headed.Status = node.Headed

	for name, step := range map[string]node.Step{
		"a tip that is not stored":     {Tip: a2.id(), Diff: a2.diff},
		"no tip":                       {Entries: new2, Bodies: body2},
		"no child of the tip":          {Tip: b2.id(), Diff: b2.diff, Entries: newB, Bodies: bodyB},
		"a sibling of the tip":         {Tip: b1.id(), Diff: b1.diff},
		"an undo to no parent":         {Tip: b1.id(), Undo: true, Diff: a1.diff.Inverse()},
		"an undo to itself":            {Tip: a1.id(), Undo: true, Diff: a1.diff.Inverse()},
		"an undo of something else":    {Tip: genesis.id(), Undo: true, Diff: a1.diff},
		"coins without a move":         {Tip: a1.id(), Diff: a2.diff},
		"complete without a body":      {Tip: a1.id(), Entries: new2},
		"a body without an entry":      {Tip: a1.id(), Bodies: body2},
		"a state of another header":    {Tip: a1.id(), Entries: []node.Entry{bent}, Bodies: body2},
		"headed":                       {Tip: a1.id(), Entries: []node.Entry{headed}, Bodies: body2},
		"a condemned block of the tip": {Tip: a1.id(), Condemned: []chain.Hash{a1.id()}},
		"a condemned stranger":         {Tip: a1.id(), Condemned: []chain.Hash{a2.id()}},
	} {
		good := node.Step{Tip: a1.id(), Entries: newB, Bodies: bodyB}
		if err := s.Commit(good, step); !errors.Is(err, ErrLogic) {
			t.Errorf("%s: got error %v, want %v", name, err, ErrLogic)
		}
		w.compare(t, s) // the good step was not written either
	}

	commit(t, s, w.condemn(b1))
	again := b1.entry
	again.Status = node.Complete
	for _, bodies := range [][]chain.CheckedBlock{nil, {b1.body}} {
		err := s.Commit(node.Step{Tip: a1.id(), Entries: []node.Entry{again}, Bodies: bodies})
		if !errors.Is(err, ErrLogic) {
			t.Errorf("a condemned block completed: %v", err)
		}
	}
	commit(t, s, node.Step{Tip: a1.id(), Condemned: []chain.Hash{b1.id()}}) // twice is once
	w.compare(t, s)
}

func keepsNamedValues(t *testing.T, w *world, s rememberer) {
	if _, ok, err := s.Get("peers/1"); ok || err != nil {
		t.Errorf("a value from nowhere (%v)", err)
	}
	for _, value := range []string{"first", "", "second"} {
		if err := s.Put("peers/1", []byte(value)); err != nil {
			t.Fatal(err)
		}
		got, ok, err := s.Get("peers/1")
		equal(t, "value", string(got), value, err)
		equal(t, "there", ok, true, err)
	}
	if err := s.Put("peers/1", nil); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := s.Get("peers/1"); ok || err != nil {
		t.Errorf("a forgotten value is there (%v)", err)
	}
	if err := s.Put("peers/1", make([]byte, MaxNamed+1)); err == nil {
		t.Error("a value without limit")
	}
	w.compare(t, s)
}

func ends(t *testing.T, w *world, s rememberer) {
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	_, err := s.Tip()
	if !errors.Is(err, ErrClosed) {
		t.Errorf("read after close: %v", err)
	}
	if err := s.Commit(w.act()...); !errors.Is(err, ErrClosed) {
		t.Errorf("commit after close: %v", err)
	}
	if err := s.Put("a", nil); !errors.Is(err, ErrClosed) {
		t.Errorf("put after close: %v", err)
	}
}

// The same life in four ways: every step alone, in groups, in groups of which
// each transaction holds little, and on disk with a restart now and then.
func TestOneLifeInFourWays(t *testing.T) {
	for seed := range uint64(3) {
		t.Logf("seed %d", seed)
		p := chaintest.Easy()
		w, rnd := newWorld(p, seed), rand.New(rand.NewPCG(seed, 2))
		alone, fused := NewMemory(p), NewMemory(p)
		narrow, err := newBook(p, &narrowDisk{disk: &tree{}, most: size{120, 1 << 30}}, lag{})
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		durable := openBadger(t, p, dir)
		for round := range 8 {
			var steps []node.Step
			for range 1 + rnd.IntN(8) {
				steps = append(steps, w.act()...)
			}
			for _, s := range steps {
				commit(t, alone, s)
			}
			for _, s := range []node.Store{fused, narrow, durable} {
				commit(t, s, steps...)
			}
			if round%3 == 2 {
				if err := durable.Close(); err != nil {
					t.Fatal(err)
				}
				durable = openBadger(t, p, dir)
			}
			w.compare(t, durable)
			want := whole(t, alone.book)
			for _, b := range []*book{fused.book, narrow, durable.book} {
				sameDisks(t, whole(t, b), want)
			}
		}
	}
}

// narrowDisk takes little at a time, and refuses more.
type narrowDisk struct {
	disk
	most   size
	writes int
}

func (d *narrowDisk) room() size { return d.most }

func (d *narrowDisk) write(b *batch) error {
	d.writes++
	if !b.weight.fits(d.most) {
		return errors.New("too much at a time")
	}
	return d.disk.write(b)
}
