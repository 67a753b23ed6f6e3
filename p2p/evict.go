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
// flood of newcomers would be a revolving door. Where our peers lie no further apart for
// it, those stay who brought something new lately; but no more than half, the latest: a
// payment an hour is cheap, and must not keep a place for good.

// caller is a peer that dialled us.
type caller struct {
	id        peer.ID
	area      string // where it is
	since     time.Time
	ping      time.Duration // 0: not measured
	block, tx time.Time     // when it last brought one that was new; zero: never
}

// barren tells that a peer brought nothing new lately.
func (c caller) barren(now time.Time) bool { return now.Sub(c.brought()) > usefulFor }

// brought is when it last brought something new.
func (c caller) brought() time.Time {
	if c.block.After(c.tx) {
		return c.block
	}
	return c.tx
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

// common are those who have none of the virtues for which a share each is spared: an
// unforeseeable choice of areas, those nearest in time, and those who lately brought a
// block or a transaction.
func (d *door) common(all []caller) []caller {
	share := (len(all) + spareShare/2) / spareShare
	mark := func(c caller) uint64 { return maphash.String(d.seed, c.area) }
	rest := spare(all, share, anybody, func(a, b caller) int { return cmp.Compare(mark(a), mark(b)) })
	rest = spare(rest, share, func(c caller) bool { return c.ping > 0 }, func(a, b caller) int { return cmp.Compare(uint64(a.ping-1), uint64(b.ping-1)) })
	rest = spare(rest, share, func(c caller) bool { return !c.block.IsZero() }, func(a, b caller) int { return b.block.Compare(a.block) })
	return spare(rest, share, func(c caller) bool { return !c.tx.IsZero() }, func(a, b caller) int { return b.tx.Compare(a.tx) })
}

// spare takes the first n away who are worth it, in an order.
func spare(of []caller, n int, worth func(caller) bool, order func(a, b caller) int) []caller {
	of = slices.Clone(of)
	slices.SortFunc(of, func(a, b caller) int { return cmp.Or(order(a, b), cmp.Compare(a.id, b.id)) })
	for n = min(n, len(of)); n > 0 && worth(of[0]); n-- {
		of = of[1:]
	}
	return of
}

func anybody(caller) bool { return true }

// younger spares half, those who are here longest.
func younger(of []caller) []caller {
	return spare(of, len(of)/2, anybody, func(a, b caller) int { return a.since.Compare(b.since) })
}

// idler spares those who brought something new lately, but no more than half.
func idler(of []caller, now time.Time) []caller {
	useful := func(c caller) bool { return !c.barren(now) }
	return spare(of, len(of)/2, useful, func(a, b caller) int { return b.brought().Compare(a.brought()) })
}

// expendable are those who are not spared whatever a newcomer is worth to us.
func (d *door) expendable(all []caller) []caller { return younger(d.common(all)) }

// worst is the youngest of those in the most crowded area, first of those whom the last
// argument tells. How crowded each is, those who are spared count as well: or a range
// that has few of the others could hardly be told from one that has one peer.
func worst(of []caller, n map[string]int, first func(caller) bool) (w caller) {
	for _, c := range of {
		worse := cmp.Or(
			cmp.Compare(n[c.area], n[w.area]), compareBool(first(c), first(w)),
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
	w, gain := d.loser(all, from)
	if w.id == "" || gain < 0 {
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

// loser is who would give way to a newcomer from an area, and how much further apart our
// peers would lie then; closer together below 0. What somebody brought spares him where
// that is nothing: in a crowded range, whoever has all of it could buy them all.
func (d *door) loser(all []caller, from string) (w caller, gain int) {
	n, now, common := crowds(all), time.Now(), d.common(all)
	w = worst(younger(common), n, func(c caller) bool { return c.barren(now) })
	if n[w.area]-n[from]-1 <= 0 {
		w = worst(younger(idler(common, now)), n, anybody)
	}
	return w, n[w.area] - n[from] - 1
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
	barren := func(c caller) bool { return c.barren(now) }
	return cmp.Or(worst(n.door.expendable(all), crowded, barren).id, worst(all, crowded, barren).id)
}

// giveUp cuts whoever lost its place.
func (n *Network) giveUp(p peer.ID) {
	n.log.Debug("cutting a peer to make room", "peer", p)
	n.inside.run(func() { n.cut(p) })
}
