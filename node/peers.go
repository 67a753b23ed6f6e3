package node

import (
	"cmp"
	"slices"

	"cairn/chain"
)

const (
	claimLife  = 60_000  // milliseconds until a claim is forgotten
	headerWait = 10_000  // milliseconds until headers are asked for again
	bodyWait   = 70_000  // milliseconds until an unanswered request counts as failed
	maxBackoff = 60_000  // milliseconds between tries at the most
	firstHaste = 125     // milliseconds until news of somebody may shorten that again; doubles
	maxHaste   = 8_000   // and at the most
	fullWait   = 5_000   // milliseconds until a body that found no room is asked for again
	maxSkew    = 1 << 42 // milliseconds that a clock may be off at the most: more is cut
	poolSoon   = 2_000   // milliseconds from a hello to the second look at a peer's pool
	poolEvery  = 30_000  // milliseconds between later looks
	poolAgain  = 5_000   // milliseconds between them if what the peer passed on was dropped
)

// peer is what we know of somebody who claims a tip.
type peer struct {
	name    Peer
	claim   TipClaim
	seen    chain.Time   // when the claim was heard
	direct  bool         // connected to us
	chosen  bool         // by ourselves: it did not come by itself
	since   chain.Time   // when it came
	ahead   chain.Time   // how far its clock is ahead of ours, in milliseconds
	asked   chain.Time   // when it was asked for headers; 0 if no request is under way
	idle    int          // answers in a row that did not lead to its tip
	pause   chain.Time   // not asked for headers before
	load    int          // bodies asked of it
	share   int          // bodies asked of it, at the most
	took    chain.Time   // how long a body took lately, in milliseconds; 0 if none came
	reached uint64       // greatest height of the headers that it sent
	pool    chain.Time   // when to look at its pool again
	looked  chain.Time   // when we did last
	ends    []chain.Hash // of branches beside its own, still to be asked for
}

// Claim is a peer's tip as we heard it.
type Claim struct {
	TipClaim
	Seen   chain.Time
	Direct bool       // the peer is connected to us
	Ahead  chain.Time // its clock minus ours when we connected, in milliseconds
}

// Claims lists the tips that peers follow, connected ones first.
func (n *Node) Claims() []Claim {
	var list []Claim
	for _, p := range n.peers {
		if p.seen != 0 {
			list = append(list, Claim{TipClaim: p.claim, Seen: p.seen, Direct: p.direct, Ahead: p.ahead})
		}
	}
	slices.SortFunc(list, func(a, b Claim) int {
		if a.Direct != b.Direct {
			return map[bool]int{true: -1, false: 1}[a.Direct]
		}
		return cmp.Compare(a.Peer, b.Peer)
	})
	return list
}

// Hello takes what a peer told us when we connected. Both sides ask, so that two
// halves of a network find each other's branch after a heal. It may come again while
// the peer stays: that brings its news, and leaves alone what we ask of it, and how
// long it must wait after it wasted our time.
func (n *Node) Hello(now chain.Time, from Peer, h Hello) (Outcome, error) {
	if h.Genesis != n.p.GenesisID() {
		return Outcome{Verdict: Reject, Why: &chain.RuleError{
			Kind: "wrong-genesis", Detail: "the peer's network begins with " + h.Genesis.String(),
		}}, nil
	}
	p := n.peer(from)
	if p == nil {
		return Outcome{Verdict: Ignore, Why: ErrFull}, nil
	}
	if !p.direct {
		p.come(now)
	}
	p.ahead = min(max(h.Time, 0), now+maxSkew) - now
	p.ends = h.Ends
	h.Tip.Peer = from
	out, err := n.Tip(now, from, h.Tip)
	if err == nil {
		err = n.explore(now, &out)
	}
	if err == nil {
		err = n.turnTo(now, p, &out)
	}
	out.Verdict, out.Why = Accept, nil
	if p.pool = now + poolSoon; !n.Joining() && p.claim.Work.Cmp(n.tip.State.Work) >= 0 {
		// Who is behind us comes for blocks first, and they hold much of what waits there.
		p.looked = now
		out.Ask = append(out.Ask, Ask{From: from, Request: Request{Want: WantPool}})
	}
	return out, err
}

// come begins a visit: what was asked in the last one is answered no more, and a claim
// that is said to our face is no replay, whatever its counter.
func (p *peer) come(now chain.Time) {
	p.direct, p.asked, p.idle, p.pause, p.reached = true, 0, 0, 0, 0
	p.share, p.took, p.since = firstShare, 0, now
	p.claim.Counter = 0
}

// lookAtPools asks peers, each in its turn, what waits in their pools. Gossip
// never says anything twice, so what it lost between two nodes would stay lost:
// soon after a hello, while gossip is only finding its paths, or on a bad link.
func (n *Node) lookAtPools(now chain.Time) (asks []Ask) {
	if n.Joining() {
		return nil
	}
	due := slices.DeleteFunc(n.direct(), func(p *peer) bool { return p.pool > now })
	for _, p := range due {
		p.pool, p.looked = now+poolEvery, now
		asks = append(asks, Ask{From: p.name, Request: Request{Want: WantPool}})
	}
	return asks
}

// Missed tells that transactions that a peer passed on were dropped unread. Its pool
// is looked at sooner, when the flood is over, but not as often as a flood may come.
func (n *Node) Missed(now chain.Time, from Peer) {
	if p := n.peers[from]; p != nil {
		p.pool = min(p.pool, max(now+poolSoon, p.looked+poolAgain))
	}
}

// Left tells that a peer is no longer connected.
func (n *Node) Left(_ chain.Time, name Peer) {
	if p := n.peers[name]; p != nil {
		p.direct, p.chosen, p.asked, p.ends = false, false, 0, nil
	}
}

// Tip takes a claim, of the peer itself or passed on. It never decides the best
// chain: it says where to ask.
func (n *Node) Tip(now chain.Time, from Peer, t TipClaim) (Outcome, error) {
	var out Outcome
	if t.Peer == n.cfg.Peer || t.Peer == Self {
		return Outcome{Verdict: Ignore, Why: ErrKnown}, nil
	}
	p := n.peer(t.Peer)
	if p == nil {
		return Outcome{Verdict: Ignore, Why: ErrFull}, nil
	}
	if t.Counter <= p.claim.Counter {
		return Outcome{Verdict: Ignore, Why: ErrKnown}, nil
	}
	p.claim, p.seen = t, now
	e, err := n.tree.get(t.Header.ID())
	if err != nil {
		return out, err
	}
	if e == nil && n.worth(t.Work) {
		return out, n.askHeaders(now, from, n.heaviest(), t.Header.ID(), &out)
	}
	if e != nil && e.hasten(now) { // somebody follows it: its body can be had
		return out, n.fetch(now, &out)
	}
	return out, nil
}

// worth tells whether a branch with so much work is not too far behind ours.
func (n *Node) worth(w chain.Work) bool {
	return w.Plus(n.tip.State.Bits.Work().Times(margin)).Cmp(n.tip.State.Work) > 0
}

// peer finds or makes a peer's record. Connected peers push out others when
// there is no room.
func (n *Node) peer(name Peer) *peer {
	if p := n.peers[name]; p != nil {
		return p
	}
	if len(n.peers) >= maxClaims {
		if !n.evictClaim() {
			return nil
		}
	}
	p := &peer{name: name}
	n.peers[name] = p
	return p
}

func (n *Node) evictClaim() bool {
	var oldest *peer
	for _, p := range n.peers {
		if !p.direct && (oldest == nil || p.seen < oldest.seen || p.seen == oldest.seen && p.name < oldest.name) {
			oldest = p
		}
	}
	if oldest != nil {
		delete(n.peers, oldest.name)
	}
	return oldest != nil
}

func (n *Node) forgetClaims(now chain.Time) {
	for name, p := range n.peers {
		if p.seen != 0 && now-p.seen > claimLife {
			p.seen = 0
		}
		if p.seen == 0 && !p.direct {
			delete(n.peers, name)
		}
	}
}

// Chose tells that we connected to a peer ourselves. Who comes by himself comes
// under as many names as he likes.
func (n *Node) Chose(name Peer) {
	if p := n.peers[name]; p != nil {
		p.chosen = true
	}
}

// voices are the connected peers whose clocks count.
func (n *Node) voices() []*peer { return chosenOf(n.direct()) }

// chosenOf are those of some peers that we chose or, if there is none, all.
func chosenOf(all []*peer) []*peer {
	if chosen := slices.DeleteFunc(slices.Clone(all), func(p *peer) bool { return !p.chosen }); len(chosen) > 0 {
		return chosen
	}
	return all
}

// Behind is how far our clock is behind the median of our peers', in
// milliseconds; below 0 it is ahead.
func (n *Node) Behind() chain.Time {
	var ahead []chain.Time
	for _, p := range n.voices() {
		ahead = append(ahead, p.ahead)
	}
	if len(ahead) == 0 {
		return 0
	}
	slices.Sort(ahead)
	return ahead[(len(ahead)-1)/2]
}

// claimed is the tip that a peer says it follows; zero if it did not say.
func (n *Node) claimed(name Peer) chain.Hash {
	if p := n.peers[name]; p != nil && p.seen != 0 {
		return p.claim.Header.ID()
	}
	return chain.Hash{}
}
