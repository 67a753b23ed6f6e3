package store

import "time"

// A flusher is the goroutine that writes what is due: soon after commits pause, and
// at once when a layer is full.
type flusher struct {
	book       *book
	moved      chan struct{} // commits go on; has room for one
	full       chan struct{} // a layer is; has room for one
	quit, done chan struct{}
}

const (
	flushPause = 2 * time.Second // without a commit, before what is due is written: more than it takes to verify some full blocks
	flushRetry = 5 * time.Second // after a flush for which there was no room
)

func startFlusher(b *book) *flusher {
	f := &flusher{
		book: b, moved: make(chan struct{}, 1), full: make(chan struct{}, 1),
		quit: make(chan struct{}), done: make(chan struct{}),
	}
	go f.run()
	return f
}

func (f *flusher) run() {
	defer close(f.done)
	pause := time.NewTimer(flushPause)
	defer pause.Stop()
	for {
		select {
		case <-f.quit:
			return
		case <-f.moved:
			pause.Reset(flushPause)
			continue
		case <-f.full:
		case <-pause.C:
		}
		if f.book.flush() != nil { // the next commit tells why, unless there is room by then
			pause.Reset(flushRetry)
		}
	}
}

func (f *flusher) stop() {
	close(f.quit)
	<-f.done
}

// tell has room for one: whoever does not listen yet hears it later.
func tell(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
