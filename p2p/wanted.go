package p2p

import (
	"cmp"
	"slices"
	"time"

	"cairn/node"
)

// Wanted is a peer that Config.Peers or Connect asked for.
type Wanted struct {
	Addr      string    // its multiaddress, with the id if that was given
	Peer      node.Peer // empty while nobody answered there whose id was not given
	Connected bool      // and speaks our protocol
	Rests     time.Time // it broke the rules and is kept out until then; zero if it is not
	Why       string    // what it did
	Alien     bool      // who answers there belongs to another network
}

// Wanted lists the peers that we stay connected to if we can, in order of
// addresses. One peer may stand there by several.
func (n *Network) Wanted() []Wanted {
	here := n.roster.each()
	var all []Wanted
	n.dialer.each(func(t *target) {
		_, connected := here[t.id]
		away := n.gate.sentAway(t.id)
		all = append(all, Wanted{Addr: t.key(), Peer: node.Peer(t.id), Connected: connected, Rests: away.until, Why: away.why, Alien: t.alien && !connected})
	})
	slices.SortFunc(all, func(a, b Wanted) int { return cmp.Compare(a.Addr, b.Addr) })
	return all
}
