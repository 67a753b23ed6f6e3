package miner

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"cairn/chain"
)

// Blocks on demand need no Start and heed no cap.
func TestSolveOnDemand(t *testing.T) {
	m := newWorld(never).miner(t, 3, 0.001)
	tip := stone("genesis")
	for range 50 {
		tmpl := template(tip, easy, "demand")
		b, err := m.Solve(t.Context(), tmpl)
		if err != nil {
			t.Fatal(err)
		}
		mustProve(t, tmpl, b)
		tip = b.ID()
	}
	if st := m.Status(); st.On || st.Blocks != 0 || st.Hashes == 0 {
		t.Errorf("status %+v", st)
	}
}

func TestSolveRefusesABadTemplate(t *testing.T) {
	m := newWorld(never).miner(t, 1, 0)
	b := template(stone("a"), easy, "")
	b.Header.Bits = 0
	if _, err := m.Solve(t.Context(), b); chain.KindOf(err) != chain.BadBits {
		t.Errorf("error %v", err)
	}
}

// Whoever ends the search is named, and nothing keeps searching.
func TestSolveEnds(t *testing.T) {
	reason := errors.New("the caller hung up")
	for name, end := range map[error]func(*Miner, context.CancelCauseFunc){
		reason:    func(_ *Miner, cancel context.CancelCauseFunc) { cancel(reason) },
		ErrClosed: func(m *Miner, _ context.CancelCauseFunc) { m.Close() },
	} {
		m := newWorld(never).miner(t, 2, 0)
		ctx, cancel := context.WithCancelCause(t.Context())
		result := make(chan error, 1)
		go func() {
			_, err := m.Solve(ctx, template(stone("a"), never, ""))
			result <- err
		}()
		for m.Status().Hashes == 0 {
			runtime.Gosched() // until the search has begun
		}
		end(m, cancel)
		if err := <-result; !errors.Is(err, name) {
			t.Errorf("ended with %v, expected %v", err, name)
		}
		cancel(nil)
	}
}

func TestSolveAfterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newWorld(never).miner(t, 1, 0)
		m.Close()
		if _, err := m.Solve(t.Context(), template(stone("a"), easy, "")); !errors.Is(err, ErrClosed) {
			t.Errorf("error %v", err)
		}
	})
}

// What is found on demand does not make the search look faster.
func TestSolveIsNotInTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newWorld(never).miner(t, 1, 1000)
		m.Start()
		time.Sleep(5 * time.Second)
		if _, err := m.Solve(t.Context(), template(stone("a"), some, "")); err != nil {
			t.Fatal(err)
		}
		if st := m.Status(); st.HashRate > 1020 {
			t.Errorf("a search of at most 1000 hashes a second shows %v, with %v hashes in all", st.HashRate, st.Hashes)
		}
	})
}
