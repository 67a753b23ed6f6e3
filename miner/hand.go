package miner

import (
	"sync/atomic"
	"time"
)

// hand is what is known of one thread of a shift.
type hand struct {
	hashes atomic.Uint64
	meter  *meter
}

func newHand(now time.Time) *hand { return &hand{meter: newMeter(now, 0)} }

// note remembers how far each thread is.
func (m *Miner) note(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, h := range m.hands {
		h.meter.note(now, h.hashes.Load())
	}
}

// rates are the hashes a second of each thread, over the last window or since
// they were set to work; m.mu is held.
func (m *Miner) rates(now time.Time) []float64 {
	list := make([]float64, len(m.hands))
	for i, h := range m.hands {
		list[i] = h.meter.rate(now, h.hashes.Load())
	}
	return list
}
