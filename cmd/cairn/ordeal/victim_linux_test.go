//go:build linux && amd64

package ordeal_test

import (
	"bufio"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"cairn/chain"
	"cairn/rpc"
)

// A victim is a node that runs under trace, to be killed at a chosen call.
type victim struct {
	*peer
	tr *tracee

	mu    sync.Mutex
	image *image // guarded by mu
	trap  *trap  // guarded by mu
	sick  error  // of the image; guarded by mu
	heard heard
}

// trap kills the process at its nth call of a kind, and says which it was.
type trap struct {
	on  func(op) bool
	nth int
	fate
	sprung *op // nil as long as it was not
}

func newVictim(t *testing.T, dir, network string, more ...string) *victim {
	t.Helper()
	canTrace(t)
	v := &victim{peer: newPeer(t, dir, network, more...), heard: newHeard()}
	v.image = newImage(dir, dir+".image")
	if err := v.image.adopt(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.slay)
	return v
}

// start starts the process with a trap, or without one.
func (v *victim) start(tp *trap) {
	v.t.Helper()
	v.arm(tp)
	log, err := os.OpenFile(v.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		v.t.Fatal(err)
	}
	defer log.Close()
	if v.tr, err = traceProcess(v.dir, program(v.t), v.args, log, v.watch); err != nil {
		v.t.Fatal(err)
	}
}

func (v *victim) arm(tp *trap) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.trap = tp
}

// watch hears of each call that is about to happen.
func (v *victim) watch(o op) fate {
	v.mu.Lock()
	defer v.mu.Unlock()
	if tp := v.trap; tp != nil && tp.sprung == nil && tp.on(o) {
		if tp.nth--; tp.nth <= 0 {
			tp.sprung = &o
			if tp.kill || !tp.done {
				return tp.fate // nothing became durable
			}
			v.sick = v.image.hear(o)
			return tp.fate
		}
	}
	if err := v.image.hear(o); err != nil && v.sick == nil {
		v.sick = err
	}
	return fate{}
}

// slay is kill -9; it waits until the process is gone.
func (v *victim) slay() {
	if v.tr != nil {
		_ = syscall.Kill(v.tr.pid, syscall.SIGKILL)
		v.bury()
	}
}

// bury waits until the process has ended.
func (v *victim) bury() syscall.WaitStatus {
	v.t.Helper()
	select {
	case <-v.tr.ended:
	case <-time.After(patience):
		_ = syscall.Kill(v.tr.pid, syscall.SIGKILL)
		v.t.Errorf("the node did not end\n%s", tail(v.log()))
		<-v.tr.ended
	}
	state, err := v.tr.state, v.tr.err
	v.tr = nil
	v.heard.wait()
	v.mu.Lock()
	defer v.mu.Unlock()
	if err != nil || v.sick != nil {
		v.t.Fatalf("trace: %v, image: %v", err, v.sick)
	}
	v.trap = nil
	return state
}

// alive tells whether the process has not ended.
func (v *victim) alive() bool {
	select {
	case <-v.tr.ended:
		return false
	default:
		return true
	}
}

// waitUp waits until the node answers, and tells whether it lived so long.
func (v *victim) waitUp() (up bool) {
	v.t.Helper()
	until(v.t, "the node answers or is dead", func() bool {
		up = v.try("uptime", nil) == nil
		return up || !v.alive()
	})
	return up
}

// heard collects what a node's events say was done.
type heard struct {
	mu     *sync.Mutex
	blocks map[chain.Hash]bool // came onto the best chain
	all    *sync.WaitGroup
}

func newHeard() heard {
	return heard{mu: new(sync.Mutex), blocks: map[chain.Hash]bool{}, all: new(sync.WaitGroup)}
}

// listen follows the node's events until it ends.
func (v *victim) listen() {
	v.t.Helper()
	raw, err := os.ReadFile(filepath.Join(v.dir, ".cookie"))
	if err != nil {
		v.t.Fatal(err)
	}
	user, password, _ := strings.Cut(string(raw), ":")
	r, err := http.NewRequestWithContext(v.t.Context(), http.MethodGet, "http://"+v.Addr()+"/events", nil)
	if err != nil {
		v.t.Fatal(err)
	}
	r.SetBasicAuth(user, password)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		v.t.Fatal(err)
	}
	v.heard.all.Go(func() {
		defer answer.Body.Close()
		name, lines := "", bufio.NewScanner(answer.Body)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			if is, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
				name = is
			}
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				v.heard.take(name, data)
			}
		}
	})
}

func (h heard) take(name, data string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var e rpc.BlockEvent
	if name == rpc.EventConnected && json.Unmarshal([]byte(data), &e) == nil {
		h.blocks[e.ID] = true
	}
}

// wait waits until the events have ended: with the process.
func (h heard) wait() { h.all.Wait() }
