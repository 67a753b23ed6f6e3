package daemon_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"cairn/chain"
	"cairn/store"
)

var errRot = errors.New("the checksum is wrong")

// rotten is a store that does not give some bodies back.
type rotten struct {
	*store.Memory
	mu   sync.Mutex
	lost map[chain.Hash]bool // guarded by mu
}

func (r *rotten) BodyBytes(id chain.Hash) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lost[id] {
		return nil, errRot
	}
	return r.Memory.BodyBytes(id)
}

func (r *rotten) rot(ids ...chain.Hash) {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.lost)
	for _, id := range ids {
		r.lost[id] = true
	}
}

// A disk lost a block that a newcomer asks for. He gets all others, and that one
// from somebody else; the node goes on and says what to do. When many are lost it
// stops.
func TestLostBodyStopsNobody(t *testing.T) {
	p := chain.Regtest()
	cfg := config(t, p)
	disk := &rotten{Memory: store.NewMemory(p), lost: map[chain.Hash]bool{}}
	cfg.Store = disk
	a := begin(t, cfg)
	ids := a.generate(40)
	whole := start(t, p, a)
	until(t, "a second node has it all", sameTip(a, whole))
	disk.rot(ids[10])

	fresh := start(t, p, a)
	until(t, "the newcomer has what is whole", func() bool { return fresh.tip().Height == 10 })
	until(t, "the node warns", func() bool {
		w := a.Control.Warnings()
		return len(w) == 1 && strings.Contains(w[0], "does not give back, and peers do not get: 1") && strings.Contains(w[0], "cairn db verify")
	})
	if err := fresh.Daemon.Network().Connect(t.Context(), whole.addr()); err != nil {
		t.Fatal(err)
	}
	until(t, "and then the rest", sameTip(a, fresh))
	if n := fresh.faults.Load(); n != 0 {
		t.Errorf("a lost body was blamed %d times", n)
	}
	a.generate(1)
	until(t, "it goes on as before", func() bool { return fresh.tip().Height == 41 })
	disk.rot()
	another := start(t, p, a)
	until(t, "the disk gives it back", sameTip(a, another))
	if w := a.Control.Warnings(); len(w) != 0 || a.Err() != nil {
		t.Errorf("it warns of %q, and stopped for %v", w, a.Err())
	}

	disk.rot(ids[:20]...)
	start(t, p, a)
	finish(t, "with many lost it stops", func() { <-a.Done() })
	if err := a.Err(); !errors.Is(err, errRot) || !strings.Contains(err.Error(), "cannot be read any more") {
		t.Errorf("it stopped for %v", err)
	}
}
