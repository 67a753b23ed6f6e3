package daemon

import (
	"errors"
	"slices"

	"cairn/node"
	"cairn/p2p"
	"cairn/rpc"
)

// book is rpc.Book.
type book struct{ d *Daemon }

// Add dials an address from now on.
func (b book) Add(address string) error {
	err := b.d.net.Want(address)
	if errors.Is(err, p2p.ErrWanted) {
		err = rpc.Errorf(rpc.AlreadyAdded, "Error: Node already added")
	}
	return err
}

// Forget dials an address no more.
func (b book) Forget(address string) error {
	err := b.d.net.Forget(address)
	if errors.Is(err, p2p.ErrGone) {
		err = rpc.Errorf(rpc.NotAdded, "Error: Node could not be removed. It has not been added previously.")
	}
	return err
}

// Added are the addresses that somebody asked for.
func (b book) Added() (list []rpc.AddedNode) {
	here := map[node.Peer]p2p.PeerInfo{}
	for _, p := range b.d.net.Peers() {
		here[p.Peer] = p
	}
	for _, w := range b.d.net.Wanted() {
		a := rpc.AddedNode{Address: w.Addr, Connected: w.Connected, Reason: w.Why}
		if !w.Rests.IsZero() {
			a.Until = w.Rests.Unix()
		}
		if w.Alien {
			a.Reason = "it belongs to another network"
		}
		if p, ok := here[w.Peer]; ok && w.Connected {
			a.Addresses = []rpc.AddedAddress{{Address: p.Addr, Direction: direction(p.Inbound)}}
		}
		list = append(list, a)
	}
	return list
}

func direction(inbound bool) string {
	if inbound {
		return "inbound"
	}
	return "outbound"
}

// Known are the addresses that we remember.
func (b book) Known() (list []rpc.KnownNode) {
	for _, k := range b.d.net.Known() {
		n := rpc.KnownNode{Multiaddr: k.Addr}
		if !k.Seen.IsZero() {
			n.Time = k.Seen.Unix()
		}
		list = append(list, n)
	}
	return list
}

// wanted tells whether an address is dialled again and again.
func (d *Daemon) wanted(address string) bool {
	return slices.ContainsFunc(d.net.Wanted(), func(w p2p.Wanted) bool { return w.Addr == address })
}
