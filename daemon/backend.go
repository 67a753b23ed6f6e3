package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"cairn/chain"
	"cairn/mempool"
	"cairn/node"
	"cairn/p2p"
	"cairn/rpc"
	"cairn/store"
)

// Backend is the node as its RPC server sees it.
func (d *Daemon) Backend() rpc.Backend {
	return rpc.Backend{
		Stratum: d.door(),
		Params:  d.p, Open: d.snapshot, Pool: pool{d}, Network: network{d}, Book: book{d}, Bans: bans{d},
		Mining: mining{d}, Branches: branches{d}, Convergence: agreement{d}, Control: control{d}, Upkeep: upkeep{d},
		Work: d.offered(), Record: record{d}, Events: d.told,
	}
}

// snapshot is one moment of the chain.
func (d *Daemon) snapshot() (rpc.Snapshot, error) {
	r, err := d.cfg.Store.Reader()
	if err != nil {
		return nil, err
	}
	return &moment{Reader: r, d: d}, nil
}

// moment is a Reader, and what only the loop can tell: headers without a body.
type moment struct {
	*store.Reader
	d *Daemon
}

// Entry finds any header of the tree.
func (m *moment) Entry(id chain.Hash) (node.Entry, error) {
	e, err := m.Reader.Entry(id)
	if !errors.Is(err, node.ErrUnknown) {
		return e, err
	}
	var ok bool
	if err := m.d.loop.look(m.d.life, func(chain.Time) { e, ok = m.d.loop.node.Entry(id) }); err != nil {
		return e, err
	}
	if !ok {
		return e, node.ErrUnknown
	}
	if e.Status == node.Complete {
		e.Status = node.Headed // the body came after this moment
	}
	return e, nil
}

// Tips are the ends of all branches, this moment's tip first.
func (m *moment) Tips() ([]rpc.Branch, error) {
	var leaves []node.Entry
	if err := m.d.loop.look(m.d.life, func(chain.Time) { leaves = m.d.loop.node.Leaves() }); err != nil {
		return nil, err
	}
	lived, err := m.d.lived()
	if err != nil {
		return nil, err
	}
	tip, err := m.Tip()
	if err != nil {
		return nil, err
	}
	tips := []rpc.Branch{{Entry: tip, Connected: true}}
	for _, l := range leaves {
		if best, err := m.onBest(l); err != nil {
			return nil, err
		} else if best { // the tip, or the one before it while the disk is ahead of the loop
			continue
		}
		if l.Status, err = m.statusOf(l); err != nil {
			return nil, err
		}
		undone := func(r rpc.ReorgRecord) bool { return slices.Contains(r.Undone, l.State.ID) }
		tips = append(tips, rpc.Branch{Entry: l, Connected: slices.ContainsFunc(lived, undone)})
	}
	return tips, nil
}

// statusOf is the status that a leaf of the tree had at this moment.
func (m *moment) statusOf(l node.Entry) (node.Status, error) {
	e, err := m.Reader.Entry(l.State.ID)
	switch {
	case err == nil && l.Status != node.Condemned:
		return e.Status, nil
	case err == nil: // ruled out since, or by a person, which the store does not know
		return l.Status, nil
	case !errors.Is(err, node.ErrUnknown):
		return l.Status, err
	case l.Status == node.Complete:
		return node.Headed, nil
	}
	return l.Status, nil
}

func (m *moment) onBest(e node.Entry) (bool, error) {
	id, err := m.At(e.State.Height)
	if errors.Is(err, node.ErrUnknown) {
		return false, nil
	}
	return id == e.State.ID, err
}

func transport(addr string) string {
	if strings.Contains(addr, "/quic") {
		return "quic"
	}
	return "tcp"
}

// pool is rpc.Pool.
type pool struct{ d *Daemon }

// Submit takes a transaction of our own user, and has it on disk when it returns.
func (p pool) Submit(ctx context.Context, tx *chain.Tx) error {
	checked, err := chain.CheckTx(p.d.p, tx)
	if err != nil {
		return err
	}
	out, err := p.d.call(ctx, func(now chain.Time, pl node.Player) (node.Outcome, error) { return pl.Tx(now, node.Self, checked) })
	switch {
	case err != nil:
		return err
	case out.Verdict != node.Accept && !p.has(checked.ID()):
		return out.Why
	}
	if err := p.d.keepOwn(ctx, checked); err != nil {
		return err
	}
	if err := p.d.net.PublishTx(tx); err != nil {
		p.d.log.Warn("a transaction was not published; it is said again later", "id", checked.ID(), "err", err)
	}
	return nil
}

func (p pool) has(id chain.Hash) (yes bool) {
	_ = p.d.loop.look(p.d.life, func(chain.Time) { yes = p.d.loop.node.Mempool().Has(id) })
	return yes
}

// Try tells what Submit would say of each after those before it.
func (p pool) Try(ctx context.Context, txs []*chain.Tx) []error {
	errs := make([]error, len(txs))
	var sound []chain.CheckedTx
	for i, tx := range txs {
		var checked chain.CheckedTx
		if checked, errs[i] = chain.CheckTx(p.d.p, tx); errs[i] == nil {
			sound = append(sound, checked)
		}
	}
	var tried []error
	err := p.d.loop.look(ctx, func(now chain.Time) { tried = p.d.loop.node.TryInOrder(now, sound) })
	if err != nil {
		return slices.Repeat([]error{err}, len(txs))
	}
	for i := range errs {
		if errs[i] == nil {
			errs[i], tried = tried[0], tried[1:]
		}
	}
	return errs
}

// Get finds a waiting transaction.
func (p pool) Get(id chain.Hash) (e mempool.Entry, ok bool) {
	_ = p.d.loop.look(p.d.life, func(chain.Time) {
		e, ok = p.d.loop.node.Mempool().Get(id)
	})
	return e, ok
}

// List lists all that waits.
func (p pool) List() (list []mempool.Entry) {
	_ = p.d.loop.look(p.d.life, func(chain.Time) {
		list = p.d.loop.node.Mempool().All()
	})
	return list
}

// Info sums the pool up.
func (p pool) Info() (info rpc.PoolInfo) {
	_ = p.d.loop.look(p.d.life, func(chain.Time) {
		m := p.d.loop.node.Mempool()
		least := rpc.Amount(m.Config().MinFeeRate)
		info = rpc.PoolInfo{
			Loaded: true, Count: m.Len(), Bytes: m.Bytes(), Usage: m.Bytes(), Fees: rpc.Amount(m.Fees()),
			Max: m.Config().MaxBytes, MinFee: rpc.Amount(m.MinRate()), RelayFee: least, Increment: least,
		}
	})
	return info
}

// Spender finds the waiting transaction that spends a coin.
func (p pool) Spender(o chain.OutPoint) (tx chain.Hash, spent bool) {
	_ = p.d.loop.look(p.d.life, func(chain.Time) { tx, spent = p.d.loop.node.Mempool().Spender(o) })
	return tx, spent
}

// network is rpc.Network.
type network struct{ d *Daemon }

// Peers are the connected peers and what they claim.
func (n network) Peers() []rpc.Peer {
	claims, now := n.claims()
	named := map[node.Peer]bool{}
	for _, w := range n.d.net.Wanted() {
		named[w.Peer] = true
	}
	var list []rpc.Peer
	for _, p := range n.d.net.Peers() {
		visit := n.d.guests.visit(p.Peer)
		if visit == 0 {
			continue // its coming or going is still to be told
		}
		r := rpc.Peer{
			Number: visit, ID: p2p.Name(p.Peer), Address: p.Addr, Agent: p.Agent, Inbound: p.Inbound,
			Named: named[p.Peer], Since: p.Since.Unix(), Ping: rpc.Seconds(p.Latency),
			Sent: uint64(p.Out), Received: uint64(p.In), Transport: transport(p.Addr), Score: p.Score,
		}
		if c, ok := claims[p.Peer]; ok {
			claimed(&r, c, now)
		}
		list = append(list, r)
	}
	return list
}

func (n network) claims() (claims map[node.Peer]node.Claim, now chain.Time) {
	claims = map[node.Peer]node.Claim{}
	_ = n.d.loop.look(n.d.life, func(t chain.Time) {
		now = t
		for _, c := range n.d.loop.node.Claims() {
			claims[c.Peer] = c
		}
	})
	return claims, now
}

func claimed(r *rpc.Peer, c node.Claim, now chain.Time) {
	tip := c.Header.ID()
	r.Tip, r.Height, r.Work = &tip, c.Height, c.Work
	r.Age, r.Offset = seconds(now-c.Seen), seconds(c.Ahead)
}

func seconds(t chain.Time) rpc.Seconds { return rpc.Seconds(time.Duration(t) * time.Millisecond) }

// Local is our own side.
func (n network) Local() rpc.Local {
	behind, _ := n.d.behind()
	all := n.d.net.Traffic()
	return rpc.Local{
		ID: p2p.Name(n.d.net.ID()), Agent: n.d.cfg.Network.Agent, Listen: n.d.net.Addrs(),
		Active: !n.d.off.Load(), Offset: seconds(behind), Sent: uint64(all.Out), Received: uint64(all.In),
	}
}

// Connect dials a peer once. One that was wanted before stays so.
func (n network) Connect(ctx context.Context, address string) error {
	keep := n.d.wanted(address)
	err := n.d.net.Connect(ctx, address)
	switch {
	case !keep:
		_ = n.d.net.Forget(address) // an address that cannot be read, or is our own, was never wanted
	case errors.Is(err, p2p.ErrUnreached):
		return rpc.Errorf(rpc.NotConnected, "%v; the node has noted it and tries again, until it is told to forget it", err)
	}
	return err
}

// Disconnect cuts a peer off.
func (n network) Disconnect(peer string) error { return n.d.net.Disconnect(peer) }

// SetActive opens or closes all connections.
func (n network) SetActive(_ context.Context, on bool) error {
	n.d.off.Store(!on)
	n.d.net.SetActive(on)
	return nil
}

// mining is rpc.Mining.
type mining struct{ d *Daemon }

// Status tells how the search goes.
func (m mining) Status() rpc.MiningStatus {
	s := m.d.miner.Status()
	status := rpc.MiningStatus{
		On: s.On, Hashrate: uint64(s.HashRate), Threads: s.Threads, Limit: uint64(s.Cap), Found: s.Blocks, Why: s.Waiting,
		Stale: s.Stale, Hashes: s.Hashes,
	}
	for _, r := range s.Rates {
		status.Rates = append(status.Rates, uint64(r))
	}
	if m.d.cfg.HasPay {
		status.Pay = &m.d.cfg.Pay
	}
	return status
}

// Start turns the miner on.
func (m mining) Start(_ context.Context, threads int) error {
	if !m.d.cfg.HasPay {
		return rpc.Errorf(rpc.Misc, "nobody is paid for blocks: restart the node with --mine-to ADDRESS")
	}
	if threads > 0 {
		m.d.miner.SetThreads(threads)
	}
	m.d.miner.Start()
	return nil
}

// Stop turns it off.
func (m mining) Stop(context.Context) error {
	m.d.miner.Stop()
	return nil
}

// control is rpc.Control.
type control struct{ d *Daemon }

// Stop begins to stop the program.
func (c control) Stop() {
	if c.d.cfg.Stop != nil {
		c.d.cfg.Stop()
	}
}

// Uptime is the time since the start.
func (c control) Uptime() time.Duration { return time.Since(c.d.start) }

// Version is the program's.
func (c control) Version() string { return c.d.cfg.Version }

// Warnings are what the person who runs the node should know.
func (c control) Warnings() (list []string) {
	if c.d.life.Err() != nil {
		return []string{context.Cause(c.d.life).Error()}
	}
	if behind, bad := c.d.behind(); bad {
		list = append(list, fmt.Sprintf("your clock is %d s behind your peers': set it", behind.Seconds()))
	}
	if back := c.d.back(); back > jump {
		list = append(list, fmt.Sprintf("the clock went back by %d s: restart the node to take the new time at once", back.Seconds()))
	}
	if n := c.d.holes.count(); n > 0 {
		list = append(list, fmt.Sprintf("blocks that the disk does not give back, and peers do not get: %d; stop the node and run `cairn db verify`", n))
	}
	if why := c.d.noRoom(); why != nil {
		list = append(list, why.Error())
	}
	if c.d.off.Load() {
		list = append(list, "the network is switched off: switch it on with setnetworkactive true")
	}
	return append(list, c.d.aliens()...)
}

// aliens tells of peers that somebody asked for and that are of another network.
func (d *Daemon) aliens() (list []string) {
	if !d.met() {
		return nil
	}
	for _, w := range d.net.Wanted() {
		if w.Alien {
			list = append(list, fmt.Sprintf("%s belongs to another network than this node, which is on %s: start the node with that network's --network, or drop the peer with `cairn peers forget`", w.Addr, d.p.Name))
		}
	}
	return list
}

// Reorgs sums up the reorganisations since the start.
func (c control) Reorgs() (r rpc.Reorgs) {
	_ = c.d.loop.look(c.d.life, func(chain.Time) {
		s := c.d.loop.node.ReorgStats()
		r = rpc.Reorgs{Count: int(s.Count), Deepest: s.Deepest, Last: s.Last.Seconds()}
	})
	return r
}
