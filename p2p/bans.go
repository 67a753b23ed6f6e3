package p2p

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
	"golang.org/x/time/rate"

	"cairn/node"
)

// Ban keeps a peer, or everybody in a range of addresses, out for a time.
type Ban struct {
	Who   string    `json:"who"`   // a peer id, or a range like 203.0.113.0/24
	Since time.Time `json:"since"` // when it was spoken
	Until time.Time `json:"until"`
	Why   string    `json:"why,omitempty"` // what the peer did; empty if a person spoke the ban

	// From is the address that a peer spoke from which was banned for what it did.
	From netip.Addr `json:"from,omitzero"`
}

// Reasons not to change bans as asked.
var (
	ErrNoTarget  = errors.New("it is neither a peer id nor an IP address or subnet")
	ErrBannedYet = errors.New("it is banned already")
	ErrNotBanned = errors.New("it is not banned")
	ErrManyBans  = errors.New("there are as many bans as can be kept")
)

// bans is who is kept out. Times are of the machine's clock: they outlive the
// process.
type bans struct {
	mu    sync.Mutex
	peers map[peer.ID]Ban      // guarded by mu
	nets  map[netip.Prefix]Ban // guarded by mu
}

func newBans() *bans { return &bans{peers: map[peer.ID]Ban{}, nets: map[netip.Prefix]Ban{}} }

// whom reads a peer id, an IP address or a subnet.
func whom(text string) (id peer.ID, net netip.Prefix, err error) {
	if net, err = netip.ParsePrefix(text); err == nil {
		return "", net.Masked(), nil
	}
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		return "", netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), nil
	}
	if id, err = peer.Decode(text); err == nil {
		return id, net, nil
	}
	return "", net, fmt.Errorf("%q: %w", text, ErrNoTarget)
}

// hit is the ban that keeps a peer out, by its name or by its address, which may
// be nil. Whom a person named, only what a person said keeps out.
func (b *bans) hit(p peer.ID, addr ma.Multiaddr, named bool) (ban Ban, hit bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	holds := func(ban Ban) bool { return now.Before(ban.Until) && (ban.Why == "" || !named) }
	if ban, hit = b.peers[p]; hit && holds(ban) {
		return ban, true
	}
	ip, ok := ipOf(addr)
	if !ok {
		return Ban{}, false
	}
	for net, ban := range b.nets {
		if net.Contains(ip) && holds(ban) {
			return ban, true
		}
	}
	return Ban{}, false
}

func ipOf(addr ma.Multiaddr) (netip.Addr, bool) {
	if addr == nil {
		return netip.Addr{}, false
	}
	ip, err := manet.ToIP(addr)
	if err != nil {
		return netip.Addr{}, false
	}
	a, ok := netip.AddrFromSlice(ip)
	return a.Unmap(), ok
}

// expire expects mu to be held.
func (b *bans) expire() {
	now := time.Now()
	for p, ban := range b.peers {
		if !now.Before(ban.Until) {
			delete(b.peers, p)
		}
	}
	for net, ban := range b.nets {
		if !now.Before(ban.Until) {
			delete(b.nets, net)
		}
	}
}

// put speaks a ban. One that our own rules speak finds room: of those like it the
// one that ends first is forgotten.
func (b *bans) put(ban Ban) error {
	id, net, err := whom(ban.Who)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expire()
	if len(b.peers)+len(b.nets) >= maxBans && !b.forgetOne() {
		return ErrManyBans
	}
	if id != "" {
		ban.Who = id.String()
		return speak(b.peers, id, ban)
	}
	ban.Who = net.String()
	return speak(b.nets, net, ban)
}

func speak[K comparable](list map[K]Ban, who K, ban Ban) error {
	if _, yet := list[who]; yet {
		return ErrBannedYet
	}
	list[who] = ban
	return nil
}

// forgetOne forgets the ban of a peer that our own rules spoke and that ends
// first: identities are free, so that there may be many. It expects mu to be
// held.
func (b *bans) forgetOne() bool {
	var first peer.ID
	for p, ban := range b.peers {
		if ban.Why != "" && (first == "" || ban.Until.Before(b.peers[first].Until)) {
			first = p
		}
	}
	delete(b.peers, first)
	return first != ""
}

// lift takes a ban back.
func (b *bans) lift(who string) error {
	id, net, err := whom(who)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expire()
	_, byName := b.peers[id]
	_, byNet := b.nets[net]
	if !byName && !byNet {
		return fmt.Errorf("%q: %w", who, ErrNotBanned)
	}
	delete(b.peers, id)
	delete(b.nets, net)
	return nil
}

// clear takes every ban back and tells which peers had one.
func (b *bans) clear() (free []peer.ID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for p := range b.peers {
		free = append(free, p)
	}
	clear(b.peers)
	clear(b.nets)
	return free
}

// list is every ban that holds, in order of whom it keeps out.
func (b *bans) list() (list []Ban) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expire()
	for _, ban := range b.peers {
		list = append(list, ban)
	}
	for _, ban := range b.nets {
		list = append(list, ban)
	}
	slices.SortFunc(list, func(x, y Ban) int { return cmp.Compare(x.Who, y.Who) })
	return list
}

// from counts the peers that are banned for what they did in a range of addresses.
func (b *bans) from(where netip.Prefix) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, ban := range b.peers {
		if where.Contains(ban.From) {
			n++
		}
	}
	return n
}

// recall reads what was saved; a damaged list leaves nothing.
func (b *bans) recall(raw []byte) error {
	if len(raw) == 0 {
		return nil
	}
	var list []Ban
	if err := json.Unmarshal(raw, &list); err != nil {
		return fmt.Errorf("the list of bans is damaged: %w", err)
	}
	for _, ban := range list[:min(len(list), maxBans)] {
		if err := b.put(ban); err != nil {
			return fmt.Errorf("the list of bans is damaged: %w", err)
		}
	}
	return nil
}

// Ban cuts off a peer, or everybody in a range of addresses, and keeps them out
// until then, over a restart too if there is a Book for it. Who is a peer id, an
// IP address or a subnet; ErrNoTarget, ErrBannedYet or ErrManyBans tell why not.
func (n *Network) Ban(who string, until time.Time) error {
	if err := n.bans.put(Ban{Who: who, Since: time.Now(), Until: until}); err != nil {
		return err
	}
	n.saveBans()
	n.cutBanned()
	return nil
}

// Unban takes a ban back; ErrNoTarget or ErrNotBanned tell why not.
func (n *Network) Unban(who string) error {
	p, notPeer := peer.Decode(who)
	woken := notPeer == nil && n.gate.wake(p)
	if err := n.bans.lift(who); err != nil && !(woken && errors.Is(err, ErrNotBanned)) {
		return err
	}
	if notPeer == nil {
		n.ledger.forgive(p)
	}
	n.saveBans()
	n.dialer.again()
	return nil
}

// ClearBans takes every ban back.
func (n *Network) ClearBans() {
	for _, p := range n.bans.clear() {
		n.ledger.forgive(p)
	}
	n.saveBans()
	n.dialer.again()
}

// Bans lists the bans that hold.
func (n *Network) Bans() []Ban { return n.bans.list() }

// Blame counts a fault of p, such as an answer that breaks the rules. A few of
// them within minutes, and p is cut off and banned for a while.
func (n *Network) Blame(p node.Peer) {
	if n.ledger.add(peer.ID(p)) {
		n.punish(peer.ID(p), "too many faults")
	}
}

// punish bans a peer for what it did. Identities are free and addresses are not:
// where a few peers were banned, the address is.
func (n *Network) punish(p peer.ID, why string) {
	if n.gate.keeps(p) {
		n.sendAway(p, why)
		return
	}
	if _, yet := n.bans.hit(p, nil, false); yet {
		return
	}
	now := time.Now()
	ban := Ban{Who: p.String(), Since: now, Until: now.Add(n.cfg.Pace.Ban), Why: why, From: n.farAddress(p)}
	n.log.Info("cutting off a peer", "peer", p, "why", why, "for", n.cfg.Pace.Ban)
	err := n.bans.put(ban)
	if where := hostOf(ban.From); where.IsValid() && n.bans.from(where) >= maxBannedAt {
		n.log.Info("banning an address", "addr", where, "for", n.cfg.Pace.Ban)
		err = n.bans.put(Ban{Who: where.String(), Since: now, Until: ban.Until, Why: "several peers there: " + why})
	}
	if err != nil {
		n.log.Warn("cannot ban a peer", "peer", p, "error", err)
	}
	select {
	case n.spoken <- struct{}{}:
	default:
	}
	n.cutBanned()
}

// sendAway cuts off a peer that somebody asked for by name, for a moment: it may be
// the only way to the network, and whoever named it is told instead.
func (n *Network) sendAway(p peer.ID, why string) {
	until := time.Now().Add(n.cfg.Pace.Rest)
	if !n.gate.sendAway(p, rest{until, why}) {
		return
	}
	n.ledger.forgive(p) // or what it did before would cut it off at once when it comes back
	n.log.Warn("a peer that was asked for by name breaks the rules: cutting it off for a moment", "peer", p, "why", why, "for", n.cfg.Pace.Rest)
	n.cut(p)
}

// farAddress is an address that p speaks from; none if that is nearby, where many
// nodes may share it.
func (n *Network) farAddress(p peer.ID) netip.Addr {
	for _, c := range n.host.Network().ConnsToPeer(p) {
		if ip, ok := ipOf(c.RemoteMultiaddr()); ok && !nearby(ip) {
			return ip
		}
	}
	return netip.Addr{}
}

// hostOf is the range of addresses that one host has: its own of IPv4, and 64 bits of
// IPv6, of which every customer gets that many (RFC 6177). It is not valid if the
// address is not.
func hostOf(ip netip.Addr) netip.Prefix {
	bits := 32
	if ip.Is6() {
		bits = 64
	}
	where, _ := ip.Prefix(bits)
	return where
}

// cutBanned closes every connection to those who are banned.
func (n *Network) cutBanned() {
	for _, c := range n.host.Network().Conns() {
		if n.gate.banned(c.RemotePeer(), c.RemoteMultiaddr()) {
			_ = c.Close()
		}
	}
}

// openBans reads who was banned in the runs before.
func (n *Network) openBans() {
	if n.cfg.Bans == nil {
		return
	}
	raw, err := n.cfg.Bans.Load()
	if err == nil {
		err = n.bans.recall(raw)
	}
	if err != nil {
		n.log.Warn("starting without bans", "error", err)
	}
}

// keepBans writes what our own rules speak: at once, for what is not written a kill
// forgets; but when many are spoken, several together.
func (n *Network) keepBans() {
	pace := rate.NewLimiter(bansWritten, bansAtOnce)
	for pace.Wait(n.ctx) == nil {
		select {
		case <-n.ctx.Done():
			return
		case <-n.spoken:
			n.saveBans()
		}
	}
}

// saveNewBans writes what keepBans did not come to.
func (n *Network) saveNewBans() {
	select {
	case <-n.spoken:
		n.saveBans()
	default:
	}
}

func (n *Network) saveBans() {
	if n.cfg.Bans == nil {
		return
	}
	n.saving <- struct{}{} // one at a time: the last list written is the newest
	defer func() { <-n.saving }()
	raw, err := json.MarshalIndent(n.bans.list(), "", "  ")
	if err == nil {
		err = n.cfg.Bans.Save(raw)
	}
	if err != nil {
		n.log.Warn("cannot save the list of bans: it ends with this run", "error", err)
	}
}
