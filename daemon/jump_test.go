package daemon_test

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cairn/chain"
)

// jumpy is a clock that somebody sets.
type jumpy struct{ off atomic.Int64 }

func (j *jumpy) now() time.Time { return time.Now().Add(time.Duration(j.off.Load())) }

// A clock jumps: forward, back, far back, and as a machine does that slept for an
// hour. The node keeps its peer, mines valid blocks, and takes in what the other
// finds; it says that its clock went back.
func TestClockThatJumps(t *testing.T) {
	p := chain.Regtest()
	clock := &jumpy{}
	cfg := config(t, p)
	cfg.Clock = clock.now
	a := begin(t, cfg)
	b := start(t, p, a)
	linked(t, 1, a, b)
	warned := func() bool {
		return slices.ContainsFunc(a.Control.Warnings(), func(w string) bool { return strings.Contains(w, "clock went back") })
	}
	for _, at := range []struct {
		name  string
		off   time.Duration
		warns bool
	}{
		{"right", 0, false},
		{"forward an hour", time.Hour, false},
		{"back to right", 0, true},
		{"back another hour", -time.Hour, true},
		{"right again", 0, true},
		{"an hour asleep", time.Hour + time.Minute, false},
	} {
		clock.off.Store(int64(at.off))
		a.generate(2)
		until(t, at.name+": b takes a's blocks", sameTip(a, b))
		b.generate(1)
		until(t, at.name+": a takes b's block", sameTip(a, b))
		a.submit(pay(p, int(a.tip().Height/3)-1, 1000, 5))
		until(t, at.name+": the payment reaches b", func() bool { return b.Pool.Info().Count == a.Pool.Info().Count })
		if got := warned(); got != at.warns {
			t.Errorf("%s: it says that the clock went back: %v", at.name, got)
		}
	}
	if n := a.faults.Load() + b.faults.Load(); n > 0 {
		t.Errorf("%d times a peer was blamed for a clock", n)
	}
}

// Far ahead of the others a node's blocks are put off, not condemned: they win
// when their time has come, or lose to what the others found meanwhile.
func TestClockFarAhead(t *testing.T) {
	p := chain.Regtest()
	clock := &jumpy{}
	cfg := config(t, p)
	cfg.Clock = clock.now
	a := begin(t, cfg)
	b := start(t, p, a)
	linked(t, 1, a, b)
	a.generate(1)
	until(t, "one chain", sameTip(a, b))
	clock.off.Store(int64(time.Duration(p.Ahead)*time.Second + time.Hour))
	a.generate(1)
	clock.off.Store(0)
	b.generate(2)
	until(t, "a follows b's heavier branch", sameTip(a, b))
	a.generate(1)
	until(t, "and mines on it", sameTip(a, b))
}
