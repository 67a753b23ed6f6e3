package store

import (
	"sync"
	"time"
)

// Due is what follows from blocks and is not in the indexes on disk yet, and what was
// written there since the start.
type Due struct {
	Blocks   int
	Bytes    int64         // of memory, about
	Flushes  uint64        // runs of blocks that were written
	Failures uint64        // of flushes, those included for which there was no room
	Took     time.Duration // all flushes together
}

// tally is a Due that can be looked at while blocks are written.
type tally struct {
	mu  sync.Mutex
	due Due // guarded by mu
}

// Due tells what is due now. It waits for no write.
func (b *book) Due() Due {
	b.tally.mu.Lock()
	defer b.tally.mu.Unlock()
	return b.tally.due
}

// stands notes what is due.
func (t *tally) stands(layers []*layer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.due.Blocks, t.due.Bytes = 0, 0
	for _, l := range layers {
		t.due.Blocks += l.size()
		t.due.Bytes += l.weight
	}
}

// flushed notes the end of a flush.
func (t *tally) flushed(began time.Time, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.due.Took += time.Since(began)
	if err != nil {
		t.due.Failures++
	} else {
		t.due.Flushes++
	}
}
