package p2p

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	dht "github.com/libp2p/go-libp2p-kad-dht"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
	"golang.org/x/time/rate"

	"cairn/node"
)

// Network is one node's part in the peer-to-peer network. It is safe for
// concurrent use.
type Network struct {
	cfg       Config
	protocol  protocol.ID
	host      host.Host
	key       crypto.PrivKey
	handler   Handler
	log       *slog.Logger
	libp2pLog *slog.Logger
	traffic   *flows // nil on a host that was handed in

	gate   *gate
	door   *door
	roster *roster
	dialer *dialer
	gossip gossip
	claims *claims
	ledger *ledger
	served *Places // requests of others
	asks   *turns
	meters *meters

	sending, receiving *budget       // of answers
	crowd              *rate.Limiter // work for all who dialled us
	memory             *memory
	slots              slots
	bans               *bans
	saving             chan struct{} // holds an entry while the list of bans is written
	spoken             chan struct{} // holds an entry if our rules spoke a ban that is not written

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	inside *inside
	topics *traffic // set before gossip starts
	warned *warnings
	table  *dht.IpfsDHT // nil: we take no part
	uncall func()       // ends what dialOut began on the local network; nil before
}

// New starts a host and takes part in the network. It ends with Close, or when
// ctx does; Close must be called in any case. The handler must be ready for
// calls.
func New(ctx context.Context, cfg Config, h Handler) (*Network, error) {
	cfg, err := cfg.orDefaults()
	if err != nil {
		return nil, err
	}
	log := hush(cfg.Logger)
	g, traffic := newGate(), newFlows()
	libp2pHost, err := newHost(cfg, g, traffic)
	if err != nil {
		return nil, err
	}
	n, err := start(ctx, cfg, h, libp2pHost, g, log)
	if err != nil {
		return nil, errors.Join(err, libp2pHost.Close())
	}
	n.traffic = traffic
	charge := n.charge
	traffic.toll.Store(&charge)
	if err := listen(libp2pHost, cfg.Listen); err != nil {
		n.Close()
		return nil, err
	}
	n.dialOut()
	return n, nil
}

// NewOn is New on a host that is already there, such as one of an imagined
// network; cfg's Key, Agent and Metrics do not count. The host's connections are
// refused after they stand, and not before; and what libp2p itself reads on it costs its
// peers nothing, for only whoever makes a host can have that counted. So it is not for
// strangers. Close closes the host, and so does a failure.
func NewOn(ctx context.Context, cfg Config, on host.Host, h Handler) (*Network, error) {
	cfg, err := cfg.orDefaults()
	if err != nil {
		return nil, err
	}
	n, err := start(ctx, cfg, h, on, newGate(), hush(cfg.Logger))
	if err != nil {
		return nil, errors.Join(err, on.Close())
	}
	if err := listen(on, cfg.Listen); err != nil {
		n.Close()
		return nil, err
	}
	n.dialOut()
	return n, nil
}

func start(ctx context.Context, cfg Config, h Handler, on host.Host, g *gate, libp2pLog *slog.Logger) (*Network, error) {
	n := assemble(cfg, h, on, g)
	n.libp2pLog = libp2pLog
	for _, text := range cfg.Peers {
		addr, id, err := parseAddr(text)
		if err != nil {
			return nil, err
		}
		n.dialer.add(target{addr: addr, id: id, named: id != ""})
	}
	n.openBook()
	n.openBans()
	n.ctx, n.cancel = context.WithCancel(ctx)
	if err := n.speak(); err != nil {
		n.inside.shut()
		n.cancel()
		n.inside.wait()
		return nil, err
	}
	return n, nil
}

func assemble(cfg Config, h Handler, on host.Host, g *gate) *Network {
	n := &Network{
		cfg: cfg, host: on, handler: h, log: cfg.Logger, gate: g, bans: g.bans,
		protocol: protocol.ID(syncProtocol(cfg.Genesis)),
		key:      on.Peerstore().PrivKey(on.ID()),
		door:     newDoor(),
		claims:   &claims{every: cfg.Pace.Claim, from: map[peer.ID]*claimer{}},
		ledger:   newLedger(),
		served:   NewPlaces(maxServed, maxServedEach, sureServed),
		asks:     &turns{queue: map[peer.ID]*turn{}},
		meters:   newMeters(cfg.MaxPeers),
		sending:  newBudget(cfg.MaxBlock), receiving: newBudget(cfg.MaxBlock),
		crowd:  rate.NewLimiter(crowdRate, crowdBurst),
		inside: new(inside),
		saving: make(chan struct{}, 1), spoken: make(chan struct{}, 1),
		warned: &warnings{of: map[peer.ID]bool{}},
	}
	n.roster = newRoster(cfg.Pace.Settle)
	n.memory = newMemory(cfg.Pace)
	n.slots = newSlots(cfg.MaxPeers)
	n.dialer = &dialer{
		pace: cfg.Pace, gate: g, roster: n.roster, book: n.memory, slots: n.slots,
		dial: n.redial, keep: func(p peer.ID) { n.gate.keep(p, true) }, drop: n.drop,
		wake: make(chan struct{}, 1), targets: map[string]*target{},
	}
	n.dialer.felt = time.Now()
	g.crowded = n.turnedAway
	return n
}

// speak opens topics and streams, and begins to watch who comes and goes.
func (n *Network) speak() error {
	if err := n.openGossip(); err != nil {
		return err
	}
	if err := n.openDHT(); err != nil {
		return err
	}
	n.host.SetStreamHandler(n.protocol, n.serve)
	return n.watch()
}

// dialOut starts what comes last: our own connections.
func (n *Network) dialOut() {
	n.inside.run(func() { n.dialer.run(n.ctx, n.inside.run) })
	n.inside.run(n.beat)
	n.inside.run(n.keepBans)
	if n.table != nil {
		n.inside.run(n.wander)
	}
	n.uncall = n.callOut()
}

// Close leaves the network. No handler call is under way when it returns, and
// none comes after it; nobody is told Left.
func (n *Network) Close() {
	if !n.inside.shut() {
		n.inside.wait()
		return
	}
	if n.uncall != nil {
		n.uncall()
	}
	n.noteStill()
	n.saveBook()
	n.saveNewBans()
	n.cancel()
	n.host.RemoveStreamHandler(n.protocol)
	n.closeDHT()
	if err := n.host.Close(); err != nil {
		n.log.Debug("closing the host", "error", err)
	}
	n.inside.wait()
}

// ID is who we are.
func (n *Network) ID() node.Peer { return node.Peer(n.host.ID()) }

// Addrs are the multiaddresses at which others reach us, our id included.
func (n *Network) Addrs() []string {
	var all []string
	for _, a := range n.host.Addrs() {
		all = append(all, full(a, n.host.ID()))
	}
	return all
}

// PeerInfo describes a connected peer.
type PeerInfo struct {
	Peer    node.Peer
	Addr    string // the other end of the connection, the peer's id included
	Inbound bool   // it dialled us
	Since   time.Time
	Latency time.Duration // there and back, averaged; 0 if not known yet
	Agent   string        // its program, by its own word
	Score   float64       // in gossip for what it did, faults included; it is banned for too low a one
	In, Out int64         // bytes since it is connected; 0 on a host that was handed in
}

// Peers are the connected peers that speak our protocol, longest connected
// first.
func (n *Network) Peers() []PeerInfo {
	var all []PeerInfo
	for p, s := range n.roster.each() {
		all = append(all, n.describe(p, s))
	}
	slices.SortFunc(all, func(a, b PeerInfo) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Peer, b.Peer))
	})
	return all
}

func (n *Network) describe(p peer.ID, s standing) PeerInfo {
	info := PeerInfo{
		Peer:    node.Peer(p),
		Addr:    full(s.conn.RemoteMultiaddr(), p),
		Inbound: s.conn.Stat().Direction == network.DirInbound,
		Since:   s.since,
		Latency: n.host.Peerstore().LatencyEWMA(p),
		Score:   n.ledger.rating(p),
	}
	if agent, err := n.host.Peerstore().Get(p, "AgentVersion"); err == nil {
		info.Agent, _ = agent.(string)
	}
	if n.traffic != nil {
		t := n.traffic.with(p)
		info.In, info.Out = t.In, t.Out
	}
	return info
}

// Connect dials a multiaddress, and again whenever the connection is lost, until
// Disconnect. The first try's failure is returned; the next ones follow all the
// same.
func (n *Network) Connect(ctx context.Context, text string) error {
	addr, id, err := parseAddr(text)
	if err != nil {
		return err
	}
	if !n.inside.enter() {
		return ErrClosed
	}
	defer n.inside.leave()
	t := target{addr: addr, id: id, named: id != ""}
	id, err = n.reach(ctx, t)
	if id == n.host.ID() {
		return err
	}
	if !t.named {
		t.id = id
	}
	n.dialer.add(t)
	return err
}

// Disconnect cuts a peer off, by its id or by an address that it was connected
// to by, and dials it no more. The peer may come back; Block keeps it out.
func (n *Network) Disconnect(who string) error {
	addr, id, err := parseAddr(who)
	if err != nil {
		p, isID := ParsePeer(who)
		if isID != nil {
			return fmt.Errorf("%q is neither a peer id nor a multiaddress", who)
		}
		id = peer.ID(p)
	}
	ids := map[peer.ID]bool{id: true}
	for p, s := range n.roster.each() {
		if id == "" && s.conn.RemoteMultiaddr().Equal(addr) {
			ids[p] = true
		}
	}
	gone := n.dialer.remove(func(t *target) bool {
		return t.id != "" && ids[t.id] || id == "" && t.addr.Equal(addr)
	})
	for _, t := range gone {
		ids[t.id] = true
	}
	delete(ids, "")
	found := len(gone) > 0
	for p := range ids {
		found = n.roster.connected(p) || found
		n.gate.keep(p, false)
		n.memory.forget("/p2p/" + p.String())
		n.cut(p)
	}
	if !found {
		return fmt.Errorf("%s: %w", who, ErrGone)
	}
	return nil
}

// drop gives a peer no better place than any other, and takes back what we dialled since
// some time: it may have been connected before, for another reason.
func (n *Network) drop(p peer.ID, since time.Time) {
	n.gate.keep(p, false)
	for _, c := range n.host.Network().ConnsToPeer(p) {
		if s := c.Stat(); s.Direction == network.DirOutbound && !s.Opened.Before(since) {
			_ = c.Close()
		}
	}
}

// Block cuts a peer off and keeps it out until Unblock.
func (n *Network) Block(p node.Peer) {
	n.gate.block(peer.ID(p), true)
	n.cut(peer.ID(p))
}

// Unblock lets a peer in again, and dials it at once if it should be connected.
func (n *Network) Unblock(p node.Peer) {
	n.gate.block(peer.ID(p), false)
	n.dialer.again()
}

// SetActive turns all connections off, or on again: then whoever should be
// connected is dialled at once.
func (n *Network) SetActive(on bool) {
	n.gate.setActive(on)
	if on {
		n.dialer.again()
		return
	}
	for _, c := range n.host.Network().Conns() {
		_ = c.Close()
	}
}

func (n *Network) cut(p peer.ID) {
	if err := n.host.Network().ClosePeer(p); err != nil {
		n.log.Debug("closing a connection", "peer", p, "error", err)
	}
}

// What beat does, in seconds.
const (
	pingEvery = 5 // also how soon a link to a peer that was killed is found dead
	saveEvery = 300
)

// beat does once a second what nothing else brings about.
func (n *Network) beat() {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for i := 1; ; i++ {
		select {
		case <-n.ctx.Done():
			return
		case <-ticker.C:
		}
		n.cutStrangers()
		if i%saveEvery == 0 {
			n.noteStill()
			n.saveBook()
		}
		if i%pingEvery == 1 {
			n.inside.run(n.measure)
			n.forget()
		}
	}
}

// cutStrangers closes connections to peers that speak libp2p and nothing of
// ours: they belong to another network.
func (n *Network) cutStrangers() {
	for _, p := range n.roster.strangers(n.cfg.Pace.Stranger) {
		n.Part(node.Peer(p))
	}
}

// Part cuts off a peer that turned out to belong to another network. Whoever asked for it
// by name reads so in Wanted; it is dialled seldom from now on, for it may change.
func (n *Network) Part(p node.Peer) {
	n.sayStranger(peer.ID(p))
	n.dialer.disown(peer.ID(p))
	n.dialer.putOff(peer.ID(p))
	n.cut(peer.ID(p))
}

// sayStranger tells of a peer of another network, once. When it has told of many it
// falls silent: names are free, and so would be the lines of our log.
func (n *Network) sayStranger(p peer.ID) {
	n.warned.Lock()
	defer n.warned.Unlock()
	if n.warned.of[p] || len(n.warned.of) >= maxFaulty {
		return
	}
	n.warned.of[p] = true
	n.log.Info("a peer speaks libp2p but not for our genesis: it belongs to another network", "peer", p)
}

// warnings remembers of whom was told.
type warnings struct {
	sync.Mutex
	of map[peer.ID]bool // guarded by Mutex
}

// measure pings every peer once; libp2p keeps the averages.
func (n *Network) measure() {
	ctx, cancel := context.WithTimeout(n.ctx, n.cfg.Pace.First)
	defer cancel()
	var all sync.WaitGroup
	for p := range n.roster.each() {
		all.Go(func() {
			one, done := context.WithCancel(network.WithNoDial(ctx, "ping"))
			defer done()
			<-ping.Ping(one, n.host, p)
		})
	}
	all.Wait()
}

// forget lets go of what was measured of peers that are gone: what comes late of
// one can begin anew what ended with its connection. Their addresses go as well, for
// libp2p would remember them for minutes, and names are free.
func (n *Network) forget() {
	here := func(p peer.ID) bool { return n.host.Network().Connectedness(p) == network.Connected }
	n.meters.keep(here)
	if n.traffic != nil {
		n.traffic.keep(here)
	}
	known := n.host.Peerstore()
	for _, p := range known.PeersWithAddrs() {
		if p != n.host.ID() && !here(p) && n.gate.called(p, nil) != nil {
			known.ClearAddrs(p)
		}
	}
}

// inside counts who is at work here, so that Close can wait for all of them.
type inside struct {
	mu     sync.Mutex
	closed bool // guarded by mu
	work   sync.WaitGroup
}

// enter reports false after shut; otherwise leave must follow.
func (i *inside) enter() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed {
		return false
	}
	i.work.Add(1)
	return true
}

func (i *inside) leave() { i.work.Done() }

// run starts a goroutine that Close waits for, unless it is too late.
func (i *inside) run(f func()) bool {
	if !i.enter() {
		return false
	}
	go func() {
		defer i.leave()
		f()
	}()
	return true
}

// shut lets nobody in any more; false if it was shut before.
func (i *inside) shut() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	was := i.closed
	i.closed = true
	return !was
}

func (i *inside) wait() { i.work.Wait() }
