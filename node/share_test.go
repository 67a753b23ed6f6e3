package node_test

import (
	"testing"

	"cairn/chain"
	"cairn/chain/chaintest"
)

// catchUp is how long a newcomer takes for so many blocks, in milliseconds, from
// peers of which each takes so many milliseconds for a body; and what each gave.
func catchUp(t *testing.T, blocks int, paces ...chain.Time) (took chain.Time, given []int) {
	t.Helper()
	w := spin(t, chaintest.Easy(), 1+len(paces), 7)
	fresh, first := w.hosts[0], w.hosts[1]
	for _, h := range w.hosts[2:] {
		w.link(first, h)
	}
	for range blocks {
		first.mine()
	}
	for range 600 {
		if w.run(1000); first.n.Best().Height == w.hosts[len(w.hosts)-1].n.Best().Height {
			break
		}
	}
	for i, pace := range paces {
		w.hosts[1+i].pace, w.hosts[1+i].given = pace, 0
	}
	for _, h := range w.hosts[2:] {
		w.cut(first, h)
	}
	for _, h := range w.hosts[1:] {
		w.link(fresh, h)
	}
	for start := w.now; fresh.n.Best().ID != first.n.Best().ID; took = w.now - start {
		if w.run(10); w.now-start > 3_600_000 {
			t.Fatalf("after an hour the newcomer stands at %d", fresh.n.Best().Height)
		}
	}
	w.check()
	for _, h := range w.hosts[1:] {
		given = append(given, h.given)
	}
	return took, given
}

func TestFasterPeersGiveMore(t *testing.T) {
	took, given := catchUp(t, 2000, 10, 20, 40)
	t.Logf("%d ms, bodies %v", took, given)
	if ideal := chain.Time(2000 * 40 / 7); took > ideal*3/2 {
		t.Errorf("took %d ms, all three at work take %d", took, ideal)
	}
	if given[0] <= given[1] || given[1] <= given[2] || given[2] == 0 {
		t.Errorf("each is twice as fast as the next, and they gave %v", given)
	}
}

func TestASlowPeerHoldsNobodyUp(t *testing.T) {
	alone, _ := catchUp(t, 1000, 20)
	for _, slow := range []chain.Time{200, 3000, 30_000} {
		took, given := catchUp(t, 1000, slow, 20)
		t.Logf("with a peer that takes %d ms a body: %d ms instead of %d, bodies %v", slow, took, alone, given)
		if took > alone*5/4+6000 {
			t.Errorf("a peer that takes %d ms a body makes it %d ms instead of %d", slow, took, alone)
		}
		if given[0]+given[1] > 1000*11/10+16 {
			t.Errorf("%v bodies for 1000 blocks", given)
		}
	}
}

func TestOnePeerAloneIsUsedWhole(t *testing.T) {
	took, given := catchUp(t, 1000, 20)
	if took > 1000*20*5/4 || given[0] > 1000+128 {
		t.Errorf("%d ms, %v bodies", took, given)
	}
}
