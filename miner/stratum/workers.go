package stratum

import (
	"slices"
	"strings"
	"sync"
	"time"

	"cairn/chain"
)

// maxWorkers is how many names are remembered. Beyond it whoever is gone longest
// is forgotten.
const maxWorkers = 1024

// Worker is what one login name has done since the server started.
type Worker struct {
	Name        string
	Pay         chain.Address // whom its blocks pay
	Connections int           // open now
	Accepted    uint64        // shares
	Stale       uint64        // refused: their job was over, or never was
	Duplicate   uint64        // refused: sent before
	Low         uint64        // refused: above the target
	Invalid     uint64        // refused for another reason
	Blocks      uint64        // found, and taken by our node
	Lost        uint64        // found, but too late or not taken
	Last        time.Time     // of the last accepted share; zero if there was none
	HashRate    float64       // hashes a second, estimated from the shares of the last minutes
	Difficulty  float64       // of the last share accepted; 1 is 0xFFFF·2²⁰⁸
}

// workers are all names by their speed and count.
type workers struct {
	mu sync.Mutex
	m  map[string]*record
}

type record struct {
	Worker
	speed speed
	seen  time.Time // logged in, or out, or sent a share
}

// enter logs a name in. False: no room, because everyone we know is here.
func (ws *workers) enter(name string, pay chain.Address, now time.Time) bool {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	r, ok := ws.m[name]
	if !ok {
		if len(ws.m) >= maxWorkers && !ws.forget() {
			return false
		}
		r = &record{Worker: Worker{Name: name}}
		r.speed.fade(now)
		ws.m[name] = r
	}
	r.Pay, r.seen = pay, now
	r.Connections++
	return true
}

// forget drops the name that is gone longest.
func (ws *workers) forget() bool {
	var oldest *record
	for _, r := range ws.m {
		if r.Connections == 0 && (oldest == nil || r.seen.Before(oldest.seen)) {
			oldest = r
		}
	}
	if oldest != nil {
		delete(ws.m, oldest.Name)
	}
	return oldest != nil
}

// leave logs a name out.
func (ws *workers) leave(name string, now time.Time) {
	ws.count(name, now, func(r *record) { r.Connections-- })
}

// count changes what is counted of a name that is logged in.
func (ws *workers) count(name string, now time.Time, change func(*record)) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if r := ws.m[name]; r != nil {
		r.seen = now
		change(r)
	}
}

// accepted counts a share.
func (ws *workers) accepted(name string, now time.Time, at Level) {
	ws.count(name, now, func(r *record) {
		r.Accepted++
		r.Last, r.Difficulty = now, at.Difficulty()
		r.speed.share(now, at)
	})
}

// refused counts a refusal under its reason.
func (ws *workers) refused(name string, now time.Time, why *refusal) {
	ws.count(name, now, func(r *record) {
		switch why {
		case jobNotFound:
			r.Stale++
		case duplicateShare:
			r.Duplicate++
		case lowDifficulty:
			r.Low++
		default:
			r.Invalid++
		}
	})
}

// list is everyone, by name.
func (ws *workers) list(now time.Time) []Worker {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	list := make([]Worker, 0, len(ws.m))
	for _, r := range ws.m {
		r.HashRate = r.speed.rate(now)
		list = append(list, r.Worker)
	}
	slices.SortFunc(list, func(a, b Worker) int { return strings.Compare(a.Name, b.Name) })
	return list
}
