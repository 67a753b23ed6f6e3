package p2p

import (
	"net/netip"
	"slices"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// Whoever fills every place for those who dial us must not be all that we see:
// then he could show us a chain of his own (Heilman et al., "Eclipse Attacks on
// Bitcoin's Peer-to-Peer Network", 2015). So a share of our places is for peers
// that we chose ourselves, from the book, each in another address range; nobody
// who dials us can take those.

// slots shares our places out.
type slots struct {
	all      int // peers at most
	outbound int // peers of our own choice at most
	reserved int // places that nobody takes who dials us
}

func newSlots(maxPeers int) slots {
	return slots{all: maxPeers, outbound: min(maxOutbound, maxPeers), reserved: min(maxOutbound, maxPeers/4)}
}

// tally counts who is connected, wanted peers apart.
type tally struct {
	all     int      // wanted ones included
	inbound int      // they dialled us
	spans   []string // address ranges of those that we dialled
}

// roomInbound tells whether one more may dial us.
func (s slots) roomInbound(t tally) bool { return t.all < s.all && t.inbound < s.all-s.reserved }

// freeOutbound is how many more we may choose.
func (s slots) freeOutbound(t tally) int { return min(s.outbound-len(t.spans), s.all-t.all) }

// tally counts members that have a place; wanted tells of a peer whether it was asked for by name.
func (r *roster) tally(wanted func(peer.ID) bool) (t tally) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for p, m := range r.members {
		if !m.placed {
			continue
		}
		t.all++
		switch c := chosen(m.conns); {
		case wanted(p):
		case c == nil:
			t.inbound++
		default:
			t.spans = append(t.spans, span(c.RemoteMultiaddr()))
		}
	}
	return t
}

// span is the range that an address lies in, as far as one owner is likely to
// have it: 16 bits of IPv4, 32 of IPv6. It is empty for what is nearby, where
// many nodes share a range.
func span(addr ma.Multiaddr) string {
	ip, err := manet.ToIP(addr)
	if err != nil {
		host, _ := ma.SplitFirst(addr) // a name
		return host.Value()
	}
	a, _ := netip.AddrFromSlice(ip)
	if a = a.Unmap(); nearby(a) {
		return ""
	}
	bits := 16
	if a.Is6() {
		bits = 32
	}
	prefix, _ := a.Prefix(bits)
	return prefix.String()
}

// nearby tells whether an address is on this machine or in a private network.
func nearby(a netip.Addr) bool {
	holds := func(p netip.Prefix) bool { return p.Contains(a) }
	return slices.ContainsFunc(nearby4, holds) || slices.ContainsFunc(nearby6, holds)
}

// credible tells whether somebody who speaks from an address can know of another:
// of what is nearby only who is there himself, or at a stranger's word we would
// knock at every door of our user's own network. No teller is the local network.
func credible(a netip.Addr, teller ma.Multiaddr) bool {
	if !nearby(a) {
		return a.IsGlobalUnicast() && !slices.ContainsFunc(nowhere4, func(p netip.Prefix) bool { return p.Contains(a) })
	}
	if teller == nil {
		return true
	}
	from, ok := ipOf(teller)
	shared := func(p netip.Prefix) bool { return p.Contains(a) && p.Contains(from) }
	return ok && (slices.ContainsFunc(nearby4, shared) || slices.ContainsFunc(nearby6, shared))
}

// nowhere4 is what leads nowhere, or back to this machine (RFC 6890).
var nowhere4 = prefixes("0.0.0.0/8", "240.0.0.0/4")
