package daemon

import (
	"testing"

	"cairn/node"
)

// Gossiping is with how many peers gossip has found its way.
func (d *Daemon) Gossiping() (n int) {
	d.guests.mu.Lock()
	defer d.guests.mu.Unlock()
	for _, v := range d.guests.here {
		if v.gossips() {
			n++
		}
	}
	return n
}

func TestOneVisitIsNotTheNext(t *testing.T) {
	g := guests{here: map[node.Peer]*visit{}}
	first := g.arrive("a")
	if other := g.arrive("b"); other.number == first.number {
		t.Errorf("two visits have number %d", first.number)
	}
	g.leave("a")
	if g.visit("a") != 0 {
		t.Error("who left is here")
	}
	again := g.arrive("a")
	if again.number == first.number || g.visit("a") != again.number {
		t.Errorf("the second visit has number %d, the first had %d", again.number, first.number)
	}
	g.settle("a")
	if !again.awaitGossip(t.Context()) || !again.gossips() {
		t.Error("gossip found its way, and the visit does not know")
	}
	if first.awaitGossip(t.Context()) || first.gossips() {
		t.Error("gossip found its way after the visit was over")
	}
}
