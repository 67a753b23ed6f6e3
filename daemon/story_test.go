package daemon_test

import (
	"slices"
	"testing"

	"cairn/chain"
	"cairn/node"
	"cairn/rpc"
)

// branch finds the end of a branch among those that a node knows.
func (p *player) branch(id chain.Hash) (b rpc.Branch) {
	p.t.Helper()
	s, err := p.Open()
	if err != nil {
		p.t.Fatal(err)
	}
	defer s.Close()
	tips, err := s.Tips()
	if err != nil {
		p.t.Fatal(err)
	}
	i := slices.IndexFunc(tips, func(b rpc.Branch) bool { return b.State.ID == id })
	if i < 0 {
		return b
	}
	return tips[i]
}

// What was our chain connects; what never was may not, on either side and after a
// restart too.
func TestBranchesThatWereOurs(t *testing.T) {
	p := chain.Regtest()
	cfg := config(t, p)
	disk := cfg.Store
	a := begin(t, cfg)
	b := start(t, p, a)
	linked(t, 1, a, b)
	b.online(false)
	linked(t, 0, a, b)
	loser, winner := pay(p, 0, 1000, 1), pay(p, 0, 2000, 2)
	a.submit(loser)
	b.submit(winner)
	lost, won := a.generate(2), b.generate(3)
	b.online(true)
	until(t, "a follows", sameTip(a, b))
	if !a.branch(lost[1]).Connected || !a.branch(won[2]).Connected {
		t.Error("what was a's chain is not known to connect")
	}
	until(t, "b has the branch that a left", func() bool { return b.branch(lost[1]).Status == node.Complete })
	if b.branch(lost[1]).Connected {
		t.Error("what never was b's chain is said to connect")
	}
	w := listen(t, a.serve(), "")
	a.generate(1)
	w.until(func(e event) bool { return e.name == rpc.EventConnected }) // what came before is told, and kept
	a.Close()
	cfg.Store = disk
	again := begin(t, cfg)
	if !again.branch(lost[1]).Connected {
		t.Error("after a restart it is forgotten")
	}
	lived := again.Record.Reorgs()
	if len(lived) != 1 || len(lived[0].Txs) != 1 || lived[0].Txs[0].ID != loser.ID() || *lived[0].Txs[0].By != winner.ID() {
		t.Errorf("after a restart it tells of %+v", lived)
	}
	if past := again.Record.Past(loser.ID()); past.Seen != nil {
		t.Errorf("after a restart it heard of the loser at %+v", past.Seen)
	}
}

// A pool that was saved is on disk at once.
func TestSavedPool(t *testing.T) {
	p := chain.Regtest()
	cfg := config(t, p)
	cfg.Place = "/somewhere"
	a := begin(t, cfg)
	a.submit(pay(p, 0, 1000, 1))
	if _, ok, err := cfg.Store.Get("daemon/pool/0"); ok || err != nil {
		t.Fatalf("the pool is there before: %v, %v", ok, err)
	}
	if path, err := a.Upkeep.SavePool(t.Context()); err != nil || path != "/somewhere" {
		t.Errorf("saved at %q, %v", path, err)
	}
	if raw, ok, err := cfg.Store.Get("daemon/pool/0"); !ok || err != nil || len(raw) < 100 {
		t.Errorf("%d bytes of the pool are there: %v, %v", len(raw), ok, err)
	}
}
