package main

import (
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"cairn/daemon"
)

// The runtime keeps what a burst of work took, in case of another: a node that
// once caught up, or mined thousands of blocks, would sit on that memory for good.
// So we give it back when the burst is over.

const restEvery = time.Minute

// beFrugal makes the runtime collect garbage sooner, unless the user has said when.
func beFrugal() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(daemon.GCPercent)
	}
}

// A rest watches for the end of bursts, by what the program allocated ever, in bytes.
type rest struct{ before, freed uint64 }

const (
	burst    = 64 << 20 // less is not worth a look through all memory
	burstEnd = 16       // it is over when the last minute added no more than such a part
)

// due tells, once a minute, whether it is time to give memory back.
func (r *rest) due(allocated uint64) bool {
	all, last := allocated-r.freed, allocated-r.before
	r.before = allocated
	if all < burst || last > all/burstEnd {
		return false
	}
	r.freed = allocated
	return true
}

func (r *rest) look() {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	if r.due(s[0].Value.Uint64()) {
		debug.FreeOSMemory()
	}
}
