package node

import (
	"cmp"
	"slices"

	"cairn/chain"
)

// A peer's share is how many bodies it may be asked for at a time. It grows by one
// with each that comes, and shrinks with each that does not: who is fast is asked
// for more, because its bodies leave room for others sooner and sooner.
const (
	firstShare = fewBodies
	patience   = 2_000 // milliseconds that others wait for the first body missing, at the least
	guess      = 2_500 // milliseconds that a body takes from a peer that has sent none yet
)

// serves tells whether the peer may be asked for a body: it told us of the block or
// claims at least as much work.
func (p *peer) serves(e *entry) bool { return p.load < p.share && p.has(e) }

// has tells whether the peer says that it has a body.
func (p *peer) has(e *entry) bool {
	return p.direct && (p.name == e.teller || p.claim.Work.Cmp(e.State.Work) >= 0)
}

// onlyShare is the least that the only peer may be asked for: one answer that is
// checked, one that waits for that, and one on its way. There is nobody to keep them from.
const onlyShare = 3 * fewBodies

// alone is the only peer, if it may be asked for a body beyond its share.
func alone(all []*peer, e *entry) *peer {
	if len(all) == 1 && all[0].load < onlyShare && all[0].has(e) {
		return all[0]
	}
	return nil
}

// freer tells whether p would use less of its share than q, with one body more.
func (p *peer) freer(q *peer) bool { return (p.load+1)*q.share < (q.load+1)*p.share }

// answerBytes is how much a request for bodies should bring: enough to be worth a
// trip and a write to the disk, and little enough that several are on their way.
const answerBytes = 1 << 20

// run is how many bodies go into one request: as many as are about answerBytes,
// going by those that came lately.
func (n *Node) run() int { return max(fewBodies, min(answerBytes/n.usual, MaxBodies)) }

// mayFly is how many bodies may be asked for at a time.
func (n *Node) mayFly() int { return maxInFlight / MaxBodies * n.run() }

// weigh notes how large a body was.
func (n *Node) weigh(size int) { n.usual = max(1, (7*n.usual+size)/8) }

// A turn is a run of bodies, one behind the other, that go into one request.
type turn struct {
	p    *peer
	left int
}

// server chooses whom to ask for a body, or nobody: the one whose turn it is; else
// who uses the least of its share, before others who told us of the block; after
// failures whom next names.
func (n *Node) server(e *entry, t *turn) *peer {
	if t.left > 0 && t.p.serves(e) && e.tries == 0 {
		t.left--
		return t.p
	}
	all := n.direct()
	one := alone(all, e)
	list := slices.DeleteFunc(all, func(p *peer) bool { return !p.serves(e) })
	if len(list) == 0 {
		return one
	}
	if e.tries > 0 {
		return e.next(list)
	}
	best := list[0]
	for _, p := range list[1:] {
		if p.freer(best) || p.name == e.teller && !best.freer(p) {
			best = p
		}
	}
	*t = turn{best, n.run() - 1}
	return best
}

// next is whom to ask after a failure. Every second time it is somebody who was not asked
// yet, whom we chose ourselves or who came last; otherwise the one of all who waited
// longest, or of those whom we chose. So new names, of which anybody has as many as he
// likes, put off nobody's turn by more than one try.
func (e *entry) next(list []*peer) *peer {
	fresh := slices.DeleteFunc(slices.Clone(list), func(p *peer) bool { return e.lastVain(p.name) >= 0 })
	if e.fresh = !e.fresh && len(fresh) > 0; e.fresh {
		return slices.MaxFunc(chosenOf(fresh), func(a, b *peer) int { return cmp.Compare(a.since, b.since) })
	}
	if e.voices = !e.voices; e.voices {
		list = chosenOf(list)
	}
	return slices.MinFunc(list, func(a, b *peer) int { return cmp.Compare(e.waits(a), e.waits(b)) })
}

// waits is since when the peer waits to be asked.
func (e *entry) waits(p *peer) chain.Time {
	if i := e.lastVain(p.name); i >= 0 {
		return max(p.since, e.vain[i].at)
	}
	return p.since
}

// lastVain is the position of a peer among those who did not bring the body, else −1.
func (e *entry) lastVain(name Peer) int {
	return slices.IndexFunc(e.vain, func(v vain) bool { return v.peer == name })
}

// thank notes that a body came from the peer that was asked for it.
func (n *Node) thank(now chain.Time, from Peer, e *entry) {
	p := n.peers[from]
	if p == nil || e.asked == 0 || e.server != from {
		return
	}
	p.share = min(p.share+1, maxAPeer/MaxBodies*n.run())
	took := now - e.asked
	if p.took == 0 {
		p.took = max(took, 1)
	}
	p.took = max((3*p.took+took)/4, 1)
}

// shrink notes that a body did not come.
func (n *Node) shrink(name Peer) {
	if p := n.peers[name]; p != nil {
		p.share = max(p.share*3/4, 1)
	}
}

// relieve takes all bodies from a peer that keeps the rest waiting for the first of
// them, although another would have brought it twice by now. If it brings them
// after all, they are welcome.
func (n *Node) relieve(now chain.Time, first *entry) {
	slow := n.peers[first.server]
	if first.asked == 0 || slow == nil || n.partial[first.id()] != nil {
		return
	}
	if !slices.ContainsFunc(n.direct(), func(p *peer) bool {
		return p != slow && p.serves(first) && now-first.asked > max(patience, 2*p.usual())
	}) {
		return
	}
	slow.share, slow.took = 1, max(slow.took, now-first.asked)
	for _, e := range n.flight {
		if e.server == slow.name && n.partial[e.id()] == nil {
			n.land(e)
		}
	}
}

// usual is how long a body takes from the peer, in milliseconds.
func (p *peer) usual() chain.Time {
	if p.took == 0 {
		return guess
	}
	return p.took
}
