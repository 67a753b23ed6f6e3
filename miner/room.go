package miner

import (
	"runtime"
	"sync"
)

// room is how many goroutines may run at once. A search keeps its place for as
// long as it likes, and while all places are taken Go hears of a network packet
// only every ten milliseconds. So each thread that searches brings a place of its
// own, and the operating system, which knows how nice the thread is, decides who
// runs.
//
// The number of places belongs to the whole process, and so does this.
var room struct {
	mu     sync.Mutex
	before int // places when nobody searches; known while somebody does
	more   int // those that searching threads brought
}

// bring adds a place, and take it away again with the function that it returns.
func bring() (away func()) {
	widen(1)
	return sync.OnceFunc(func() { widen(-1) })
}

func widen(by int) {
	room.mu.Lock()
	defer room.mu.Unlock()
	if room.more == 0 {
		room.before = runtime.GOMAXPROCS(0)
	}
	room.more += by
	runtime.GOMAXPROCS(room.before + room.more)
}

// cores is how many places there are but for those of threads that search.
func cores() int {
	room.mu.Lock()
	defer room.mu.Unlock()
	if room.more > 0 {
		return room.before
	}
	return runtime.GOMAXPROCS(0)
}
