package p2p

import (
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"

	"cairn/node"
)

// roster knows who is connected and who of them speaks our protocol. What it
// tells the handler it queues under the lock, so that the order is the true one
// and libp2p never waits.
type roster struct {
	settle time.Duration // longest wait for a place in the meshes
	wake   chan struct{} // holds an entry if news is not empty

	mu      sync.Mutex
	members map[peer.ID]*member // guarded by mu
	news    []news              // guarded by mu; oldest first
}

type member struct {
	conns  []network.Conn // open ones, never none
	since  time.Time
	speaks bool            // our protocol
	doubt  time.Time       // since when it seems not to; zero if nothing is known
	named  bool            // its protocols, by itself
	meshes map[string]bool // topics in whose mesh it is
	missed bool            // that we missed what it passed on is among the news

	joined  bool // it spoke while it had a place
	waited  bool // as long as we wait for the meshes
	settled bool // joined, and was in all meshes or waited

	placed    bool      // it has a place, and did not lose it to another
	block, tx time.Time // when it last brought one that was new
}

// news is one call of the handler.
type news struct {
	peer peer.ID
	what tiding
}

// tiding is what a handler hears of a peer.
type tiding int

const (
	hasJoined tiding = iota
	hasSettled
	hasLeft
	wasMissed
)

func newRoster(settle time.Duration) *roster {
	return &roster{settle: settle, wake: make(chan struct{}, 1), members: map[peer.ID]*member{}}
}

// opened notes a connection, and whether its peer has a place.
func (r *roster) opened(c network.Conn, stays bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.add(c)
	m.placed = m.placed || stays
	r.review(c.RemotePeer(), m)
}

// leaves notes that p's place is another's now.
func (r *roster) leaves(p peer.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m := r.members[p]; m != nil {
		m.placed = false
	}
}

// links is how many connections of one who has a place are open.
func (r *roster) links(p peer.ID) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m := r.members[p]; m != nil && m.placed {
		return len(m.conns)
	}
	return 0
}

// brought notes that p was the first to bring a block, or a transaction.
func (r *roster) brought(p peer.ID, what string, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch m := r.members[p]; {
	case m == nil:
	case what == "block":
		m.block = now
	case what == "tx":
		m.tx = now
	}
}

// add expects mu to be held.
func (r *roster) add(c network.Conn) *member {
	m := r.members[c.RemotePeer()]
	if m == nil {
		m = &member{since: time.Now(), meshes: map[string]bool{}}
		r.members[c.RemotePeer()] = m
	}
	if !slices.Contains(m.conns, c) {
		m.conns = append(m.conns, c)
	}
	return m
}

// closed takes c away and tells whether it was the peer's last, whether the peer
// had settled, and whether it was known not to speak our protocol.
func (r *roster) closed(c network.Conn) (last, settled, stranger bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := c.RemotePeer()
	m := r.members[p]
	if m == nil {
		return false, false, false
	}
	m.conns = slices.DeleteFunc(m.conns, func(o network.Conn) bool { return o == c })
	if len(m.conns) > 0 {
		return false, false, false
	}
	delete(r.members, p)
	if m.joined {
		r.tell(news{p, hasLeft})
	}
	return true, m.settled, m.named && !m.speaks
}

// identified hears which protocols a peer named on a new connection. That may
// come before libp2p says that the connection is open, never after it said that
// it is closed.
func (r *roster) identified(c network.Conn, speaks bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !c.IsClosed() {
		m := r.add(c)
		m.named = true
		r.judge(c.RemotePeer(), m, speaks)
	}
}

// learned hears that a connected peer's protocols changed.
func (r *roster) learned(p peer.ID, speaks bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m := r.members[p]; m != nil {
		r.judge(p, m, speaks)
	}
}

// judge expects mu to be held.
func (r *roster) judge(p peer.ID, m *member, speaks bool) {
	switch {
	case m.speaks:
	case speaks:
		m.speaks = true
		r.review(p, m)
	case m.doubt.IsZero():
		m.doubt = time.Now()
	}
}

// grafted hears that p came into our mesh of a topic.
func (r *roster) grafted(p peer.ID, topic string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m := r.members[p]; m != nil {
		m.meshes[topic] = true
		r.review(p, m)
	}
}

// waited lets a peer settle for which the meshes have no room: it gets our gossip
// a little later, from others or when we tell it what there is.
func (r *roster) waited(p peer.ID, m *member) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.members[p] == m {
		m.waited = true
		r.review(p, m)
	}
}

// review tells of p what became true, each once. Whoever lets us hear its protocols
// has let us in, so we need no mesh to speak to it; but one whom we are turning away
// has no place. It expects mu to be held.
func (r *roster) review(p peer.ID, m *member) {
	if !m.joined && m.speaks && m.placed {
		m.joined = true
		r.tell(news{p, hasJoined})
		time.AfterFunc(r.settle, func() { r.waited(p, m) })
	}
	if m.joined && !m.settled && (m.waited || len(m.meshes) >= topics) {
		m.settled = true
		r.tell(news{p, hasSettled})
	}
}

// missed notes that what p passed on was dropped unread. However much that was, it is
// told of once until it is heard.
func (r *roster) missed(p peer.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m := r.members[p]; m != nil && m.joined && !m.missed {
		m.missed = true
		r.tell(news{p, wasMissed})
	}
}

// tell expects mu to be held.
func (r *roster) tell(what news) {
	r.news = append(r.news, what)
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (r *roster) next() (news, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.news) == 0 {
		return news{}, false
	}
	what := r.news[0]
	r.news = r.news[1:]
	if m := r.members[what.peer]; m != nil && what.what == wasMissed {
		m.missed = false
	}
	return what, true
}

func (r *roster) connected(p peer.ID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.members[p] != nil
}

// strangers have been connected for so long without speaking our protocol.
func (r *roster) strangers(patience time.Duration) (ps []peer.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for p, m := range r.members {
		if !m.speaks && !m.doubt.IsZero() && time.Since(m.doubt) >= patience {
			ps = append(ps, p)
		}
	}
	return ps
}

// each returns every peer that joined, and one of its connections: the oldest.
func (r *roster) each() map[peer.ID]standing {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := map[peer.ID]standing{}
	for p, m := range r.members {
		if m.joined {
			all[p] = standing{m.conns[0], m.since}
		}
	}
	return all
}

type standing struct {
	conn  network.Conn
	since time.Time
}

// watch keeps the roster in step with libp2p and tells the handler, until the
// network closes.
func (n *Network) watch() error {
	sub, err := n.host.EventBus().Subscribe([]any{
		new(event.EvtPeerIdentificationCompleted),
		new(event.EvtPeerIdentificationFailed),
		new(event.EvtPeerProtocolsUpdated),
	}, eventbus.BufSize(256))
	if err != nil {
		return err
	}
	n.host.Network().Notify(&network.NotifyBundle{ConnectedF: n.opened, DisconnectedF: n.closed})
	for _, c := range n.host.Network().Conns() { // on a host that was there before us
		n.opened(n.host.Network(), c)
		n.roster.learned(c.RemotePeer(), n.speaks(c.RemotePeer()))
	}
	n.inside.run(func() { n.listenTo(sub) })
	n.inside.run(n.tellHandler)
	return nil
}

func (n *Network) opened(_ network.Network, c network.Conn) {
	n.door.Lock()
	loser, why := n.receive(c)
	n.door.Unlock()
	if why != nil {
		_ = c.CloseWithError(network.ConnGated)
	}
	if loser != "" {
		n.giveUp(loser)
	}
}

// receive notes a connection, and tells why it may not stand, or who makes room for
// it. It expects the door to be locked.
func (n *Network) receive(c network.Conn) (loser peer.ID, why error) {
	p := c.RemotePeer()
	why = n.gate.welcome(p, c.RemoteMultiaddr())
	if why == nil && c.Stat().Direction == network.DirInbound {
		loser, why = n.seat(p, c.RemoteMultiaddr(), false)
	}
	n.roster.opened(c, why == nil)
	if why == nil && loser == "" {
		loser = n.makeRoom()
	}
	n.roster.leaves(loser)
	return loser, why
}

func (n *Network) closed(_ network.Network, c network.Conn) {
	p := c.RemotePeer()
	last, settled, stranger := n.roster.closed(c)
	if stranger { // it told us apart before we cut it off
		n.sayStranger(p)
		n.dialer.disown(p)
	}
	if last {
		n.dialer.lost(p, settled)
	}
}

func (n *Network) listenTo(sub event.Subscription) {
	defer sub.Close()
	for {
		select {
		case <-n.ctx.Done():
			return
		case e := <-sub.Out():
			n.heard(e)
		}
	}
}

func (n *Network) heard(e any) {
	switch e := e.(type) {
	case event.EvtPeerIdentificationCompleted:
		n.roster.identified(e.Conn, slices.Contains(e.Protocols, n.protocol))
	case event.EvtPeerIdentificationFailed:
		n.roster.learned(e.Peer, false)
	case event.EvtPeerProtocolsUpdated:
		n.roster.learned(e.Peer, slices.Contains(e.Added, n.protocol))
	}
}

func (n *Network) speaks(p peer.ID) bool {
	known, err := n.host.Peerstore().SupportsProtocols(p, n.protocol)
	return err == nil && len(known) > 0
}

// tellHandler passes the roster's news on, one at a time.
func (n *Network) tellHandler() {
	for {
		select {
		case <-n.ctx.Done():
			return
		case <-n.roster.wake:
		}
		for what, ok := n.roster.next(); ok && n.ctx.Err() == nil; what, ok = n.roster.next() {
			n.tellOf(what)
		}
	}
}

func (n *Network) tellOf(what news) {
	p := node.Peer(what.peer)
	switch what.what {
	case hasJoined:
		n.dialer.met(what.peer)
		n.handler.Joined(p)
	case hasSettled:
		n.noteReached(what.peer)
		n.handler.Settled(p)
	case hasLeft:
		n.handler.Left(p)
	case wasMissed:
		n.handler.Missed(p)
	}
}
