package p2p

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// ErrWanted tells that we stay connected to an address already, if we can.
var ErrWanted = errors.New("we stay connected to it already")

// Want dials a multiaddress from now on, again and again until somebody answers
// there and whenever the connection is lost, and returns at once. Forget ends
// that.
func (n *Network) Want(text string) error {
	addr, id, err := parseAddr(text)
	switch {
	case err != nil:
		return err
	case id == n.host.ID():
		return fmt.Errorf("%s is this node itself", text)
	}
	if !n.inside.enter() {
		return ErrClosed
	}
	defer n.inside.leave()
	if n.dialer.wants(func(t *target) bool { return t.addr.Equal(addr) && (id == "" || t.id == "" || t.id == id) }) {
		return fmt.Errorf("%s: %w", text, ErrWanted)
	}
	n.dialer.add(target{addr: addr, id: id, named: id != ""})
	return nil
}

// wants tells whether a target matches that was asked for.
func (d *dialer) wants(match func(*target) bool) (found bool) {
	d.each(func(t *target) { found = found || match(t) })
	return found
}

// Known is an address of a peer of our network, as far as we know.
type Known struct {
	Addr string    // with the peer's id
	Seen time.Time // when we were last connected to it; zero: never
}

// Known lists the addresses that we remember, the newest first.
func (n *Network) Known() []Known {
	list := n.memory.list()
	known := make([]Known, len(list))
	for i, r := range list {
		known[i] = Known{Addr: r.Addr, Seen: r.Seen}
	}
	slices.SortStableFunc(known, func(a, b Known) int { return b.Seen.Compare(a.Seen) })
	return known
}
