package store

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/node"
)

var errPower = errors.New("power went")

// failingDisk fails one write: before it is done, or after.
type failingDisk struct {
	narrowDisk
	fail  int // the number of the write, from 1
	after bool
}

func (d *failingDisk) write(b *batch) error {
	fails := d.writes+1 == d.fail
	if fails && !d.after {
		d.writes++
		return errPower
	}
	err := d.narrowDisk.write(b)
	if fails && err == nil {
		err = errPower
	}
	return err
}

// A reorganisation that takes several transactions is interrupted at each of
// them, before it was written and after. What is left is always what some of the
// steps lead to, and exactly what the transactions before the failure hold.
func TestInterruptedReorganisation(t *testing.T) {
	p := chaintest.Easy()
	prelude, steps := longReorganisation(p)
	states := []map[string]string{} // after so many steps
	alone := NewMemory(p)
	commit(t, alone, prelude...)
	states = append(states, dump(t, alone.disk))
	for _, s := range steps {
		commit(t, alone, s)
		states = append(states, dump(t, alone.disk))
	}
	for fail, done := 1, false; !done; fail++ {
		left := 0
		for _, after := range []bool{false, true} {
			d := &failingDisk{narrowDisk: narrowDisk{disk: &tree{}, most: size{150, 1 << 30}}, after: after}
			b, err := newBook(p, d, lag{})
			if err != nil {
				t.Fatal(err)
			}
			commit(t, b, prelude...)
			d.fail = d.writes + fail
			if err = b.Commit(steps...); err == nil {
				done = true
				sameDisks(t, dump(t, d), states[len(steps)])
				continue
			}
			if !errors.Is(err, errPower) {
				t.Fatal(err)
			}
			n := stepsDone(t, dump(t, d), states)
			t.Logf("write %d fails (after: %v): %d of %d steps are there", fail, after, n, len(steps))
			if !after {
				left = n
			} else if n <= left {
				t.Errorf("write %d was made and holds no step", fail)
			}
			if fail == 1 && !after && n != 0 {
				t.Error("steps are there before the first write")
			}
			commit(t, b, steps[n:]...) // and life goes on
			sameDisks(t, dump(t, d), states[len(steps)])
		}
		if done && fail < 4 {
			t.Fatalf("only %d transactions: nothing was tried", fail-1)
		}
	}
}

// longReorganisation is a chain of 12 blocks, and steps that lead to another of
// 14 from the same genesis.
func longReorganisation(p *chain.Params) (prelude, steps []node.Step) {
	w := newWorld(p, 3)
	genesis := w.tip
	for range 12 {
		prelude = append(prelude, w.extend(w.grow(w.tip)))
	}
	side := genesis
	for range 14 {
		side = w.grow(side)
		prelude = append(prelude, w.aside(side))
	}
	return prelude, w.reorganise(side)
}

func stepsDone(t *testing.T, left map[string]string, states []map[string]string) int {
	t.Helper()
	for i, s := range states {
		if maps.Equal(left, s) {
			return i
		}
	}
	t.Fatal("what is left is the state after no step")
	return 0
}

// A fault in the last step of many leaves nothing of the first, although they
// would have been written one by one.
func TestFaultLeavesNothing(t *testing.T) {
	p := chaintest.Easy()
	d := &narrowDisk{disk: &tree{}, most: size{150, 1 << 30}}
	b, err := newBook(p, d, lag{})
	if err != nil {
		t.Fatal(err)
	}
	prelude, steps := longReorganisation(p)
	commit(t, b, prelude...)
	before := dump(t, d)
	if err := b.Commit(append(steps, steps[0])...); !errors.Is(err, ErrLogic) {
		t.Errorf("got %v, want %v", err, ErrLogic)
	}
	sameDisks(t, dump(t, d), before)
}

// load rebuilds a world from what is stored, connecting every body again.
func load(t testing.TB, p *chain.Params, s rememberer, seed uint64) *world {
	w := newWorld(p, seed)
	entries, err := s.Recent(1 << 30)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.State.Height == 0 {
			continue
		}
		body, err := s.Body(e.State.ID)
		if err != nil {
			t.Fatalf("body of %v: %v", e.State.ID, err)
		}
		stone, err := w.connect(w.stones[e.Header.Prev], chaintest.Check(p, body.Block()))
		if err != nil {
			t.Fatalf("stored block %v: %v", e.State.ID, err)
		}
		w.keep(stone)
		w.txs = append(w.txs, body.Block().Txs...)
	}
	tip, err := s.Tip()
	if err != nil {
		t.Fatal(err)
	}
	w.tip = w.stones[tip.State.ID]
	return w
}

// live goes on from what is stored, for as long as it is let: it says what it is
// about to do, and what it has done.
func live(s *Badger, p *chain.Params, task string) error {
	seed, err := strconv.ParseUint(task, 10, 64)
	if err != nil {
		return err
	}
	w := load(panicking{}, p, s, seed)
	for {
		var steps []node.Step
		for range 1 + w.rnd.IntN(3) {
			steps = append(steps, w.liveOn()...)
		}
		fmt.Println("try", w.tip.id(), len(w.order))
		if err := s.Commit(steps...); err != nil {
			return err
		}
		fmt.Println("done", w.tip.id(), len(w.order))
	}
}

// liveOn acts, but condemns nothing: load does not know what was condemned.
func (w *world) liveOn() []node.Step {
	if w.rnd.IntN(4) == 0 {
		if s := w.some(true); s != nil {
			return w.reorganise(s)
		}
	}
	parent := w.tip
	if w.rnd.IntN(3) == 0 {
		parent = w.order[max(0, len(w.order)-5)]
	}
	s := w.grow(parent)
	switch {
	case w.stones[s.id()] != nil:
		return nil
	case parent == w.tip:
		return []node.Step{w.extend(s)}
	}
	return []node.Step{w.aside(s)}
}

// panicking stands in for a test in a process that runs none.
type panicking struct{ testing.TB }

func (panicking) Fatal(args ...any)                 { panic(fmt.Sprint(args...)) }
func (panicking) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
func (panicking) Helper()                           {}

// A process is killed again and again while it commits. What it said it had done
// is there, what it was about to do is there whole or not at all, and everything
// follows from the stored bodies.
func TestKilledProcessLosesNothing(t *testing.T) {
	p, dir := chaintest.Easy(), t.TempDir()
	rnd := rand.New(rand.NewPCG(5, 5))
	for round := range 5 {
		c, lines := spawn(t, strconv.Itoa(round), dir)
		done, try := listen(lines, 3+round%2+2*rnd.IntN(30), func() { kill(t, c) })
		_ = c.Wait() // says that it was killed
		if done == "" {
			t.Fatal("the process was killed before it did anything")
		}
		s := openBadger(t, p, dir)
		w := load(t, p, s, 0)
		now := fmt.Sprint(w.tip.id(), " ", len(w.order))
		t.Logf("round %d: said %s, was at %s, is %s", round, done, try, now)
		if now != done && now != try {
			t.Errorf("round %d: neither what was done nor what was tried", round)
		}
		w.compare(t, s)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// listen hears n words, so that some rounds end within a commit and some between
// two; it calls stop, hears what else was said until then, and gives the last
// words.
func listen(lines *bufio.Scanner, n int, stop func()) (done, try string) {
	hear := func() bool {
		if !lines.Scan() {
			return false
		}
		n--
		word, rest, _ := strings.Cut(lines.Text(), " ")
		if word == "done" {
			done = rest
		} else {
			try = rest
		}
		return true
	}
	for n > 0 && hear() {
	}
	stop()
	for hear() {
	}
	return done, try
}

// Readers ask while one writer commits: each answer is of one moment.
func TestReadersSeeOneMoment(t *testing.T) {
	for name, open := range map[string]func(*chain.Params) rememberer{
		"memory": func(p *chain.Params) rememberer { return NewMemory(p) },
		"badger": func(p *chain.Params) rememberer { return openBadger(t, p, t.TempDir()) },
		"badger, restless": func(p *chain.Params) rememberer {
			return openWith(t, Config{Dir: t.TempDir(), Params: p, Cache: 1})
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := chaintest.Easy()
			s, w := open(p), newWorld(p, 11)
			over := make(chan struct{})
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() { watch(t, p, s, over) })
			}
			for range 40 {
				if err := s.Commit(w.act()...); err != nil {
					t.Error(err)
				}
			}
			close(over)
			wg.Wait()
			w.compare(t, s)
		})
	}
}

// watch asks until the writer is through, and once more.
func watch(t *testing.T, p *chain.Params, s rememberer, over <-chan struct{}) {
	for last := false; !last; {
		select {
		case <-over:
			last = true
		default:
		}
		info, err := s.SetInfo(context.Background())
		if err != nil {
			t.Error(err)
			return
		}
		if want := supply(p, info.Tip.Height); info.Total != want {
			t.Errorf("%v in all at height %d, want %v", info.Total, info.Tip.Height, want)
		}
		tip, err := s.Tip()
		if err != nil {
			t.Error(err)
		}
		if _, err := s.Body(tip.State.ID); err != nil {
			t.Errorf("body of the tip: %v", err)
		}
		if _, err := s.History(chaintest.Address(1), Newest, 5); err != nil {
			t.Error(err)
		}
	}
}

// supply is what all coins sum up to at a height, if every miner took all.
func supply(p *chain.Params, height uint64) (sum chain.Amount) {
	for _, c := range p.GenesisCoins().Created {
		sum += c.Value
	}
	for h := range height {
		sum += p.Subsidy(h + 1)
	}
	return sum
}

func TestSetInfoEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := NewMemory(chaintest.Easy()).SetInfo(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
