package main

import "testing"

func TestMemoryGoesBackWhenABurstIsOver(t *testing.T) {
	const mib = 1 << 20
	var r rest
	for minute, step := range []struct {
		took uint64 // MiB in this minute
		due  bool
	}{
		{10, false}, // too little to bother
		{2, false},
		{500, false}, // catching up
		{700, false},
		{3, true}, // caught up
		{3, false},
		{80, false}, // another burst, a small one
		{40, false},
		{1, true},
	} {
		if got := r.due(r.before + step.took*mib); got != step.due {
			t.Fatalf("minute %d: due is %v, want %v", minute, got, step.due)
		}
	}
}

// A node with an even load gives back what it does not need from time to time,
// not every minute.
func TestMemoryGoesBackSeldomUnderLoad(t *testing.T) {
	var r rest
	times := 0
	for range 100 {
		if r.due(r.before + burst) {
			times++
		}
	}
	if times < 1 || times > 100/burstEnd {
		t.Fatalf("gave back %d times in 100 minutes", times)
	}
}
