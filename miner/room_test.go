package miner

import (
	"runtime"
	"testing"
)

// Threads that search bring their places and take them away, and the next miner
// still counts cores, not places.
func TestSearchBringsItsOwnRoom(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	m := newWorld(never).miner(t, 3, 0)
	m.Start()
	for m.Status().Hashes == 0 {
		runtime.Gosched()
	}
	other := newWorld(never).miner(t, 0, 0)
	if got := other.Status().Threads; got != before {
		t.Errorf("a miner beside another has %d threads, want %d", got, before)
	}
	m.SetThreads(2)
	m.Close()
	if got := runtime.GOMAXPROCS(0); got != before {
		t.Errorf("%d places are left, want %d", got, before)
	}
	away := bring()
	if got := runtime.GOMAXPROCS(0); got != before+1 {
		t.Errorf("%d places, want one more than %d", got, before)
	}
	away()
	away() // again does nothing
	if got := runtime.GOMAXPROCS(0); got != before {
		t.Errorf("%d places are left, want %d", got, before)
	}
}
