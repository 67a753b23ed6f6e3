package daemon

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// However many briefs come at a time, few are held against the pool, the others wait,
// and who gives up waiting leaves his turn to them.
func TestBriefsAreReadInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &Daemon{reads: make(chan struct{}, maxReads)}
		var now, read atomic.Int32
		over := make(chan struct{})
		one := func() error {
			now.Add(1)
			<-over
			now.Add(-1)
			read.Add(1)
			return nil
		}
		const many = 10 * maxReads
		for range many {
			go func() { _ = d.inTurn(t.Context(), one) }()
		}
		synctest.Wait()
		if n := now.Load(); n != maxReads {
			t.Errorf("%d are read at a time, want %d", n, maxReads)
		}
		gone, cancel := context.WithCancelCause(t.Context())
		cancel(ErrStopped)
		if err := d.inTurn(gone, one); !errors.Is(err, ErrStopped) {
			t.Errorf("who gave up: %v", err)
		}
		close(over)
		synctest.Wait()
		if n := read.Load(); n != many {
			t.Errorf("%d of %d were read", n, many)
		}
	})
}
