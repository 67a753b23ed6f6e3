package p2p

import (
	"cmp"
	"hash/maphash"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"golang.org/x/time/rate"

	"cairn/node"
)

// Whoever came first with many names must not keep everybody else out. So one who
// dials us when every place is taken gets that of another, as in Bitcoin Core
// (AttemptToEvictConnection in its net.cpp): after those are spared who differ in
// what an attacker hardly has, or pays for, the range with most of the others
// loses its youngest, first of those who brought nothing new lately. But it does so only
// if our peers then lie no closer together, and not often at the word of one range: or a
// flood of newcomers would be a revolving door. Nobody who brought something new lately
// goes where our peers lie no further apart for it.

// caller is a peer that dialled us.
type caller struct {
	id        peer.ID
	area      string // where it is
	since     time.Time
	ping      time.Duration // 0: not measured
	block, tx time.Time     // when it last brought one that was new; zero: never
}

// barren tells that a peer brought nothing new lately.
func (c caller) barren(now time.Time) bool {
	return now.Sub(c.block) > usefulFor && now.Sub(c.tx) > usefulFor
}

// area is the range of addresses that one owner is likely to have. Nearby, each
// address is one of its own.
func area(addr ma.Multiaddr) string {
	if s := span(addr); s != "" {
		return s
	}
	ip, _ := ipOf(addr)
	return ip.String()
}

// callerFrom is the area from which p dialled us; empty if we chose it, or it was
// asked for by name.
func (n *Network) callerFrom(p peer.ID) string {
	conns := n.host.Network().ConnsToPeer(p)
	switch {
	case len(conns) == 0:
		return "nowhere"
	case n.gate.keeps(p) || chosen(conns) != nil:
		return ""
	}
	return area(conns[0].RemoteMultiaddr())
}

// chosen is the connection among a peer's that we dialled, nil if there is none. It
// may be any of them: both can dial at a time.
func chosen(conns []network.Conn) network.Conn {
	for _, c := range conns {
		if c.Stat().Direction == network.DirOutbound {
			return c
		}
	}
	return nil
}

// Chose tells whether it was we who dialled a connected peer, or somebody asked for
// it by name: who comes by himself may come under many names.
func (n *Network) Chose(p node.Peer) bool { return n.callerFrom(peer.ID(p)) == "" }

// callers are the peers that dialled us and have a place, but for those asked for by
// name.
func (r *roster) callers(wanted func(peer.ID) bool, ping func(peer.ID) time.Duration) (all []caller) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for p, m := range r.members {
		if m.placed && chosen(m.conns) == nil && !wanted(p) {
			all = append(all, caller{p, area(m.conns[0].RemoteMultiaddr()), m.since, ping(p), m.block, m.tx})
		}
	}
	return all
}

// door decides who gets in when every place is taken.
type door struct {
	seed maphash.Seed // which areas are spared, nobody outside can tell

	sync.Mutex
	areas map[string]*rate.Limiter // guarded by Mutex; places that newcomers took, by their area
	even  *rate.Limiter            // guarded by Mutex; of them those by which our peers came to lie no further apart
}

func newDoor() *door {
	return &door{seed: maphash.MakeSeed(), areas: map[string]*rate.Limiter{}, even: rate.NewLimiter(evenRate, 1)}
}

// expendable are those who are not spared. A share each goes to an unforeseeable
// choice of areas, to those nearest in time, and to those who lately brought a
// block or a transaction; and of the rest half to those who are here longest.
func (d *door) expendable(all []caller) []caller {
	share := (len(all) + spareShare/2) / spareShare
	mark := func(c caller) uint64 { return maphash.String(d.seed, c.area) }
	late := func(t func(caller) time.Time) func(a, b caller) int {
		return func(a, b caller) int { return t(b).Compare(t(a)) }
	}
	rest := slices.Clone(all)
	spare := func(n int, worth func(caller) bool, order func(a, b caller) int) {
		slices.SortFunc(rest, func(a, b caller) int { return cmp.Or(order(a, b), cmp.Compare(a.id, b.id)) })
		for n = min(n, len(rest)); n > 0 && worth(rest[0]); n-- {
			rest = rest[1:]
		}
	}
	anyone := func(caller) bool { return true }
	spare(share, anyone, func(a, b caller) int { return cmp.Compare(mark(a), mark(b)) })
	spare(share, func(c caller) bool { return c.ping > 0 }, func(a, b caller) int { return cmp.Compare(uint64(a.ping-1), uint64(b.ping-1)) })
	spare(share, func(c caller) bool { return !c.block.IsZero() }, late(func(c caller) time.Time { return c.block }))
	spare(share, func(c caller) bool { return !c.tx.IsZero() }, late(func(c caller) time.Time { return c.tx }))
	spare(len(rest)/2, anyone, func(a, b caller) int { return a.since.Compare(b.since) })
	return rest
}

// worst is the youngest of those in the most crowded area, first of those who brought
// nothing new lately. How crowded each is, those who are spared count as well: or a range
// that has few of the others could hardly be told from one that has one peer.
func worst(of []caller, n map[string]int, now time.Time) (w caller) {
	for _, c := range of {
		worse := cmp.Or(
			cmp.Compare(n[c.area], n[w.area]), compareBool(c.barren(now), w.barren(now)),
			c.since.Compare(w.since), cmp.Compare(c.id, w.id),
		)
		if w.id == "" || worse > 0 {
			w = c
		}
	}
	return w
}

func crowds(of []caller) map[string]int {
	n := map[string]int{}
	for _, c := range of {
		n[c.area]++
	}
	return n
}

// yields is who loses its place to a newcomer from an area; nobody if that would
// not do, or was done too often. Looking alone takes nothing. It expects Mutex to
// be held.
func (d *door) yields(all []caller, from string, look bool) peer.ID {
	n, now := crowds(all), time.Now()
	w := worst(d.expendable(all), n, now)
	gain := n[w.area] - n[from] - 1 // below 0 our peers would lie closer together
	if w.id == "" || gain < 0 || gain == 0 && !w.barren(now) {
		return ""
	}
	limits := []*rate.Limiter{d.area(from)}
	if gain == 0 {
		limits = append(limits, d.even)
	}
	for _, l := range limits {
		if l == nil || l.Tokens() < 1 {
			return ""
		}
	}
	for _, l := range limits {
		if !look {
			l.Allow()
		}
	}
	return w.id
}

// area is what newcomers from an area may still take; nil if too many others did.
func (d *door) area(name string) *rate.Limiter {
	l := d.areas[name]
	if l == nil && len(d.areas) >= maxAreas {
		maps.DeleteFunc(d.areas, func(_ string, l *rate.Limiter) bool { return l.Tokens() >= evictBurst })
	}
	if l == nil && len(d.areas) < maxAreas {
		l = rate.NewLimiter(evictRate, evictBurst)
		d.areas[name] = l
	}
	return l
}

// turnedAway tells the gate whether one who dials us finds no room.
func (n *Network) turnedAway(p peer.ID, at ma.Multiaddr) bool {
	n.door.Lock()
	defer n.door.Unlock()
	_, full := n.seat(p, at, true)
	return full != nil
}

// seat finds a place for one who dials us, and who loses it, if anybody does. It
// expects the door to be locked.
func (n *Network) seat(p peer.ID, at ma.Multiaddr, look bool) (loser peer.ID, full error) {
	if open := n.roster.links(p); open > 0 {
		if open >= maxConnsEach {
			return "", ErrFull
		}
		return "", nil
	}
	if n.gate.keeps(p) || n.slots.roomInbound(n.roster.tally(n.gate.keeps)) {
		return "", nil
	}
	loser = n.door.yields(n.callers(), area(at), look)
	if loser == "" {
		full = ErrFull
	}
	return loser, full
}

func (n *Network) callers() []caller {
	return n.roster.callers(n.gate.keeps, n.host.Peerstore().LatencyEWMA)
}

// makeRoom finds who leaves when there are too many peers: somebody came who was
// asked for by name. It expects the door to be locked.
func (n *Network) makeRoom() peer.ID {
	if n.roster.tally(n.gate.keeps).all <= n.slots.all {
		return ""
	}
	all := n.callers()
	crowded, now := crowds(all), time.Now()
	return cmp.Or(worst(n.door.expendable(all), crowded, now).id, worst(all, crowded, now).id)
}

// giveUp cuts whoever lost its place.
func (n *Network) giveUp(p peer.ID) {
	n.log.Debug("cutting a peer to make room", "peer", p)
	n.inside.run(func() { n.cut(p) })
}
