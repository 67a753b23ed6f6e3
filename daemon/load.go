package daemon

import (
	"runtime"
	"runtime/metrics"
	"sync"
	"time"

	"cairn/rpc"
)

// steps remembers the loop's longest call: nobody else is served meanwhile.
type steps struct {
	mu     sync.Mutex
	minute time.Time     // when the present minute began; guarded by mu
	now    time.Duration // the longest call that ended in it; guarded by mu
	last   time.Duration // and in the minute before; guarded by mu
}

// took notes a call that ended at a time after so long.
func (s *steps) took(long time.Duration, end time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turn(end)
	s.now = max(s.now, long)
}

// longest is the longest call of the present minute and of the one before.
func (s *steps) longest(at time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turn(at)
	return max(s.now, s.last)
}

// turn begins a new minute when the old one is over; a silent one counts nothing.
func (s *steps) turn(at time.Time) {
	past := at.Sub(s.minute)
	if past < time.Minute {
		return
	}
	if s.last = s.now; past >= 2*time.Minute {
		s.last = 0
	}
	s.minute, s.now = at, 0
}

// Runtime figures that Go keeps, by their names in package runtime/metrics.
const (
	heapLive  = "/memory/classes/heap/objects:bytes"
	lockWaits = "/sync/mutex/wait/total:seconds"
)

// Load is what the process carries at this moment.
func (c control) Load() rpc.Load {
	samples := []metrics.Sample{{Name: heapLive}, {Name: lockWaits}}
	metrics.Read(samples)
	return rpc.Load{
		Goroutines: runtime.NumGoroutine(),
		Heap:       samples[0].Value.Uint64(),
		LockWait:   samples[1].Value.Float64(),
		Longest:    c.d.loop.steps.longest(time.Now()).Seconds(),
	}
}
