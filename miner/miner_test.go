package miner

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cairn/chain"
)

func TestNewRefuses(t *testing.T) {
	w := newWorld(easy)
	good := Config{Params: regtest, Source: w, Found: w.take}
	for name, spoil := range map[string]func(*Config){
		"no params":         func(c *Config) { c.Params = nil },
		"no source":         func(c *Config) { c.Source = nil },
		"no taker":          func(c *Config) { c.Found = nil },
		"negative threads":  func(c *Config) { c.Threads = -1 },
		"negative niceness": func(c *Config) { c.Nice = -1 },
		"too nice":          func(c *Config) { c.Nice = 20 },
		"negative rate":     func(c *Config) { c.HashRate = -1 },
		"rate of no number": func(c *Config) { c.HashRate = math.NaN() },
	} {
		c := good
		spoil(&c)
		if m, err := New(c); err == nil {
			m.Close()
			t.Errorf("%s: accepted", name)
		}
	}
}

// A chain grows block by block, each on the one before, each with its proof.
func TestMinesAChain(t *testing.T) {
	const enough = 40
	w := newWorld(some)
	m := w.miner(t, 4, 0)
	done := w.grow(m, enough)
	m.Start()
	<-done
	m.Close()
	tip, extras := stone("genesis"), map[uint64]bool{}
	for _, b := range w.blocks() {
		if b.Header.Prev != tip {
			t.Fatalf("block on %v, tip is %v", b.Header.Prev, tip)
		}
		mustProve(t, w.templates[tip], b)
		tip, extras[extra(b)] = b.ID(), true
	}
	if len(extras) != enough {
		t.Errorf("%d blocks have %d extra nonces", enough, len(extras))
	}
	if st := m.Status(); st.Blocks != enough || st.Hashes == 0 {
		t.Errorf("status %+v", st)
	}
}

// The tip moves while nothing can be found: the next block is on the new tip.
func TestRenewReachesEveryThread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(never)
		m := w.miner(t, 3, 10_000)
		m.Start()
		time.Sleep(time.Second)
		w.set(func() { w.tip, w.bits = stone("theirs"), easy })
		before := time.Now()
		w.onFound = func(*chain.Block) {
			if took := time.Since(before); took > 100*time.Millisecond {
				t.Errorf("first block on the new tip after %v", took)
			}
		}
		m.Renew()
		time.Sleep(500 * time.Millisecond)
		if got := w.blocks(); len(got) != 1 || got[0].Header.Prev != stone("theirs") {
			t.Fatalf("found %v", got)
		}
	})
}

// The threads find blocks on the old tip while the new template is under way.
func TestNoBlockOnAnOldTipIsHandedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(easy)
		w.gate = make(chan struct{})
		m := w.miner(t, 3, 1e6)
		m.Start()
		synctest.Wait()
		m.Renew() // while the first template is under way: the second is already due
		synctest.Wait()
		w.gate <- struct{}{} // the first is on genesis
		synctest.Wait()      // and has been solved by every thread
		if n := len(w.blocks()); n != 0 {
			t.Fatalf("%d blocks handed over with a renewal pending", n)
		}
		w.set(func() { w.tip = stone("theirs") })
		w.gate <- struct{}{}
		synctest.Wait()
		if got := w.blocks(); len(got) != 1 || got[0].Header.Prev != stone("theirs") {
			t.Fatalf("found %v", got)
		}
		if st := m.Status(); st.Stale < 3 || st.Blocks != 1 {
			t.Errorf("status %+v", st)
		}
	})
}

// The keeper sees a block and a renewal in one moment: whichever it takes first,
// the renewal counts.
func TestRenewalComesBeforeTheBlock(t *testing.T) {
	w := newWorld(easy)
	s := newShift(w.miner(t, 1, 0))
	defer s.end()
	s.again = time.NewTimer(retry)
	s.fetch()
	old, _ := w.Template(t.Context())
	w.set(func() { w.tip = stone("theirs") })
	s.renew <- struct{}{}
	s.judge(old)
	if n, st := len(w.blocks()), s.m.Status(); n != 0 || st.Stale != 1 {
		t.Errorf("%d blocks handed over, status %+v", n, st)
	}
}

// Only fees grew: the block that was found meanwhile is as good as any.
func TestABlockSurvivesGrowingFees(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(easy)
		w.gate = make(chan struct{})
		m := w.miner(t, 1, 1e6)
		m.Start()
		synctest.Wait()
		m.Renew()
		synctest.Wait()
		w.gate <- struct{}{}
		synctest.Wait()
		w.set(func() { w.bits = never }) // nothing can be found on the second
		w.gate <- struct{}{}
		synctest.Wait()
		if got := w.blocks(); len(got) != 1 || got[0].Header.Bits != easy {
			t.Fatalf("found %v", got)
		}
		if st := m.Status(); st.Stale != 0 || st.Blocks != 1 {
			t.Errorf("status %+v", st)
		}
	})
}

// Nobody mines a sibling of the block just handed over.
func TestRestsUntilRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(easy)
		m := w.miner(t, 4, 0)
		m.Start()
		time.Sleep(retry - time.Millisecond)
		if n, st := len(w.blocks()), m.Status(); n != 1 || !strings.Contains(st.Waiting, "tip") {
			t.Fatalf("%d blocks from one template, status %+v", n, st)
		}
		m.Renew()
		synctest.Wait()
		if n := len(w.blocks()); n != 2 {
			t.Fatalf("%d blocks after one renewal", n)
		}
		time.Sleep(retry) // nobody says a word: it looks by itself
		synctest.Wait()
		if n := len(w.blocks()); n != 3 {
			t.Errorf("%d blocks after waiting", n)
		}
	})
}

func TestGoesOnAfterRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(easy)
		m := w.miner(t, 1, 0)
		w.refuse = errors.New("disk is full")
		m.Start()
		synctest.Wait()
		if st := m.Status(); st.Waiting != "disk is full" || st.Stale != 1 || st.Blocks != 0 {
			t.Fatalf("status %+v", st)
		}
		w.set(func() { w.refuse = nil })
		time.Sleep(retry)
		synctest.Wait()
		if st := m.Status(); st.Stale != 1 || st.Blocks != 1 {
			t.Errorf("status %+v", st)
		}
	})
}

// A wrong clock: the reason is shown, logged once, and asked about each second.
func TestSourceErrorIsShownAndRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(easy)
		w.trouble = errors.New("your clock is 40 s behind")
		var log strings.Builder
		m, err := New(Config{
			Params: regtest, Source: w, Found: w.take,
			Log: slog.New(slog.NewTextHandler(&log, nil)),
		})
		if err != nil {
			t.Fatal(err)
		}
		m.Start()
		time.Sleep(10*time.Second + time.Millisecond)
		if st := m.Status(); st.Waiting != w.trouble.Error() || !st.On || st.Hashes != 0 {
			t.Errorf("status %+v", st)
		}
		if n := w.times(); n != 11 {
			t.Errorf("asked %d times in 10 s", n)
		}
		w.set(func() { w.trouble = nil })
		time.Sleep(time.Second)
		m.Close()
		if n := len(w.blocks()); n == 0 {
			t.Error("no block after the trouble ended")
		}
		if n := strings.Count(log.String(), "40 s behind"); n != 1 {
			t.Errorf("logged %d times: %s", n, log.String())
		}
	})
}

func TestBadTemplatesAreShown(t *testing.T) {
	for part, spoil := range map[string]func(*chain.Block){
		"extra":                  func(b *chain.Block) { b.Coinbase.Extra = b.Coinbase.Extra[:ExtraNonce-1] },
		"without":                func(b *chain.Block) { b.Coinbase = nil },
		string(chain.BadBits):    func(b *chain.Block) { b.Header.Bits = 0 },
		string(chain.BadVersion): func(b *chain.Block) { b.Header.Version = 2 },
	} {
		b := template(stone("a"), easy, "")
		spoil(b)
		if _, err := newTask(regtest, b); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%s: %v", part, err)
		}
	}
}

func TestTemplatesStayFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(never)
		m := w.miner(t, 2, 1000)
		m.Start()
		time.Sleep(6*fresh + time.Millisecond)
		if n := w.times(); n != 7 {
			t.Errorf("asked %d times in %v", n, 6*fresh)
		}
	})
}

func TestOnAndOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(never)
		m := w.miner(t, 2, 1000)
		m.Renew() // off: nothing to renew
		m.Stop()
		if st := m.Status(); st.On || !st.Since.IsZero() || st.Threads != 2 || st.Cap != 1000 {
			t.Errorf("off: %+v", st)
		}
		begin := time.Now()
		m.Start()
		time.Sleep(time.Second)
		m.Start()
		if st := m.Status(); !st.On || !st.Since.Equal(begin) || st.Waiting != "" {
			t.Errorf("on: %+v", st)
		}
		m.Stop()
		m.Stop()
		synctest.Wait()
		before := m.Status().Hashes
		time.Sleep(time.Minute)
		if st := m.Status(); st.On || st.Hashes != before || st.HashRate != 0 {
			t.Errorf("off again: %+v, had %d hashes", st, before)
		}
		m.Start()
		time.Sleep(time.Second)
		if st := m.Status(); st.Hashes <= before {
			t.Errorf("on again: %+v", st)
		}
		m.Close()
		m.Start()
		if m.Status().On {
			t.Error("on after Close")
		}
	})
}

// searching is how many threads of all miners search.
func searching() int {
	room.mu.Lock()
	defer room.mu.Unlock()
	return room.more
}

func TestThreadsWhileRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(never)
		m := w.miner(t, 1, 10_000)
		m.Start()
		synctest.Wait()
		for _, n := range []int{5, 2, 1, 7} {
			m.SetThreads(n)
			time.Sleep(time.Second)
			if st := m.Status(); st.Threads != n || st.Waiting != "" {
				t.Errorf("%d threads: %+v", n, st)
			}
			if got := searching(); got != n {
				t.Errorf("%d goroutines search, expected %d", got, n)
			}
		}
		m.SetThreads(0)
		if st := m.Status(); st.Threads < 1 {
			t.Errorf("all cores: %+v", st)
		}
		if n := w.times(); n != 1 {
			t.Errorf("%d templates fetched, one was fresh enough", n)
		}
	})
}

// Close ends Found's context and waits until Found has returned.
func TestCloseWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release, cancelled, closed := make(chan struct{}), false, make(chan struct{})
		w := newWorld(easy)
		m, err := New(Config{Params: regtest, Source: w, Found: func(ctx context.Context, _ *chain.Block) error {
			<-ctx.Done()
			cancelled = true
			<-release
			return ctx.Err()
		}})
		if err != nil {
			t.Fatal(err)
		}
		m.Start()
		synctest.Wait()
		m.Stop() // a block that is being handed over outlives it
		synctest.Wait()
		if cancelled {
			t.Fatal("Stop took the context from Found")
		}
		go func() { m.Close(); close(closed) }()
		synctest.Wait()
		select {
		case <-closed:
			t.Fatal("Close did not wait")
		default:
		}
		close(release)
		<-closed
		if !cancelled {
			t.Error("Found's context did not end")
		}
		m.Close() // again does nothing
	})
}

// Everything at once from everywhere; run it with the race detector.
func TestEverythingAtOnce(t *testing.T) {
	w := newWorld(some)
	m := w.miner(t, 2, 0)
	more := make(chan struct{}, 1)
	w.onFound = func(b *chain.Block) {
		w.set(func() { w.tip = b.ID() })
		m.Renew()
		select {
		case more <- struct{}{}:
		default:
		}
	}
	const turns = 200
	var g sync.WaitGroup
	g.Go(func() {
		for i := range turns {
			m.Start()
			m.SetThreads(1 + i%4)
		}
	})
	g.Go(func() {
		for i := range turns {
			m.SetHashRate(float64(i%3) * 1e6)
			m.Renew()
			m.Status()
		}
	})
	g.Go(func() {
		for range turns / 10 {
			m.Stop()
			tmpl := template(stone("side"), easy, "")
			if b, err := m.Solve(t.Context(), tmpl); err != nil {
				t.Error(err)
			} else {
				mustProve(t, tmpl, b)
			}
		}
	})
	g.Wait()
	m.SetHashRate(0)
	m.Start()
	for range 2 { // the first may have been found before
		<-more
	}
	m.Close()
	for _, b := range w.blocks() {
		mustProve(t, w.templates[b.Header.Prev], b)
	}
}
