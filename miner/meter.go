package miner

import (
	"sync"
	"time"
)

// window is what a hash rate is measured over.
const window = 10 * time.Second

// meter turns a count that grows into a rate.
type meter struct {
	mu    sync.Mutex
	marks []mark // oldest first; the first is the last that is a window old, or the start
}

type mark struct {
	at    time.Time
	total uint64
}

func newMeter(at time.Time, total uint64) *meter {
	return &meter{marks: []mark{{at, total}}}
}

// note remembers the count at a moment, and forgets what is too old.
func (m *meter) note(at time.Time, total uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.marks = append(m.marks, mark{at, total})
	for len(m.marks) > 1 && at.Sub(m.marks[1].at) >= window {
		m.marks = m.marks[1:]
	}
}

// rate is the growth per second over the last window, or since the start.
func (m *meter) rate(at time.Time, total uint64) float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	since := m.marks[0]
	d := at.Sub(since.at).Seconds()
	if d <= 0 {
		return 0
	}
	return float64(total-since.total) / d
}
