package daemon

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cairn/chain"
	"cairn/node"
)

// held is a loop that is busy until it is let go.
func held(t *testing.T, ctx context.Context) (l *loop, let func()) {
	t.Helper()
	l = newLoop(time.Now)
	go l.run(ctx)
	busy, free := make(chan struct{}), make(chan struct{})
	go func() {
		_ = l.do(context.Background(), func(chain.Time) {
			close(busy)
			<-free
		})
	}()
	<-busy
	return l, func() { close(free) }
}

func TestWhoGivesUpIsNotServedLater(t *testing.T) {
	life, end := context.WithCancel(context.Background())
	l, let := held(t, life)
	impatient, leave := context.WithCancelCause(context.Background())
	why := errors.New("no time")
	leave(why)
	if err := l.do(impatient, func(chain.Time) { t.Error("it was served all the same") }); !errors.Is(err, why) {
		t.Errorf("got error %v, want %v", err, why)
	}
	let()
	if err := l.do(context.Background(), func(chain.Time) {}); err != nil {
		t.Fatal(err) // all that waited before has had its turn
	}
	end()
	<-l.ended
}

func TestWhoWaitsWhileTheLoopStopsHears(t *testing.T) {
	life, end := context.WithCancel(context.Background())
	l, let := held(t, life)
	var all sync.WaitGroup
	for range 400 { // more than the queue holds
		all.Go(func() {
			err := l.do(context.Background(), func(chain.Time) { t.Error("a loop that was stopped serves") })
			if !errors.Is(err, ErrStopped) {
				t.Errorf("got error %v, want %v", err, ErrStopped)
			}
		})
	}
	end()
	let()
	all.Wait()
	<-l.ended
}

// Many questions to one peer take a few goroutines, and the rest of them find a
// line of bounded length. Another peer's line is its own.
func TestQuestionsStandInLine(t *testing.T) {
	var all sync.WaitGroup
	release := make(chan struct{})
	answered := map[node.Peer]int{}
	var mu sync.Mutex
	clerks := 0
	d := desk{
		ask: func(a node.Ask) {
			<-release
			mu.Lock()
			defer mu.Unlock()
			answered[a.From]++
		},
		spawn: func(f func()) bool {
			clerks++
			all.Go(f)
			return true
		},
		lines: map[node.Peer]*line{},
	}
	many := make([]node.Ask, 5000)
	for i := range many {
		many[i].From = "loud"
	}
	dropped := d.put(many)
	if clerks > maxClerks {
		t.Errorf("%d goroutines for one peer, at most %d expected", clerks, maxClerks)
	}
	if least := len(many) - maxWaiting - maxClerks; dropped < least {
		t.Errorf("%d questions were dropped, at least %d expected", dropped, least)
	}
	if d.put([]node.Ask{{From: "quiet"}}) != 0 {
		t.Error("one peer's questions leave no room for another's")
	}
	close(release)
	all.Wait()
	if answered["loud"] != len(many)-dropped || answered["quiet"] != 1 {
		t.Errorf("answered %v, dropped %d of %d", answered, dropped, len(many))
	}
	if len(d.lines) != 0 {
		t.Errorf("%d lines are left without a question", len(d.lines))
	}
}

// A peer that names what waits in its pool, and does not give it, is not asked for its
// pool again meanwhile; whoever answers is.
func TestPoolsAreAskedForAgainOnceTheyWereGiven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := make(chan struct{})
		d := desk{
			ask:   func(node.Ask) { <-answer },
			spawn: func(f func()) bool { go f(); return true },
			lines: map[node.Peer]*line{},
		}
		look := []node.Ask{{From: "slow", Request: node.Request{Want: node.WantPool}}}
		rest := slices.Repeat([]node.Ask{{From: "slow", Request: node.Request{Want: node.WantPoolTxs}}}, 20)
		for range 100 {
			if d.put(look) == 0 {
				d.put(rest)
			}
			synctest.Wait()
		}
		if n := len(d.lines["slow"].waiting); n > 3*len(rest) {
			t.Errorf("%d questions wait", n)
		}
		close(answer)
		synctest.Wait()
		if n := d.put(look); n != 0 {
			t.Error("it has answered, and is not asked again")
		}
		synctest.Wait()
	})
}
