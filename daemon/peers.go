package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"cairn/chain"
	"cairn/node"
	"cairn/p2p"
)

// GossipTx hears a loose transaction.
func (d *Daemon) GossipTx(ctx context.Context, from node.Peer, tx *chain.Tx) node.Verdict {
	if d.joins.Load() {
		return node.Ignore
	}
	began := time.Now()
	checked, err := chain.CheckTx(d.p, tx)
	d.meter.check("transaction", began)
	if err != nil {
		return d.refuse("transaction", err)
	}
	return d.verdict(ctx, "transaction", checked.ID(), from, func(now chain.Time, p node.Player) (node.Outcome, error) {
		return p.Tx(now, from, checked)
	})
}

// GossipBlock hears the brief of an announcement. It is passed on once it is
// expanded.
func (d *Daemon) GossipBlock(ctx context.Context, from node.Peer, b *chain.Brief) node.Verdict {
	defer d.hearing.begin(b.Header.ID())()
	checked, err := d.expand(ctx, from, b)
	if err != nil {
		return d.refuse("block", err)
	}
	v := d.verdict(ctx, "block", checked.ID(), from, func(now chain.Time, p node.Player) (node.Outcome, error) {
		return p.Announced(now, from, checked)
	})
	if v == node.Accept {
		a := checked.Announcement()
		now := d.cfg.Clock()
		d.meter.travel.Observe(max(0, now.Sub(time.Unix(int64(a.Header.Time), 0)).Seconds()))
		d.chronicle.heard(chain.Time(now.UnixMilli()), a.Header, a.Coinbase.Height, a.IDs)
	}
	return v
}

// GossipTip hears a claim of a tip.
func (d *Daemon) GossipTip(ctx context.Context, from node.Peer, t node.TipClaim) node.Verdict {
	d.overtake(ctx, from, t.Header.ID())
	return d.verdict(ctx, "tip", t.Header.ID(), from, func(now chain.Time, p node.Player) (node.Outcome, error) {
		return p.Tip(now, from, t)
	})
}

// refuse counts what was refused before the loop heard of it.
func (d *Daemon) refuse(what string, err error) node.Verdict {
	v := refusal(err)
	d.meter.judged(what, node.Outcome{Verdict: v, Why: err})
	return v
}

// refusal blames for what is false on every chain, and for nothing else: whoever has no
// bodies yet passes on what builds on a condemned block.
func refusal(err error) node.Verdict {
	if k := chain.KindOf(err); k.Everywhere() && k != chain.BadParent || errors.Is(err, errFalseBrief) {
		return node.Reject
	}
	return node.Ignore
}

func (d *Daemon) verdict(ctx context.Context, what string, id chain.Hash, from node.Peer, s step) node.Verdict {
	out, err := d.call(ctx, s)
	if err != nil {
		return node.Ignore
	}
	d.meter.judged(what, out)
	if out.Verdict != node.Accept && !errors.Is(out.Why, node.ErrKnown) {
		d.log.Debug("not passed on", "what", what, "id", id, "why", out.Why, "from", p2p.Name(from))
	}
	return out.Verdict
}

// Answer answers a peer's request. Bodies are read here, beside the loop.
func (d *Daemon) Answer(ctx context.Context, from node.Peer, q node.Request) (node.Answer, error) {
	if g := d.gathers.get(q); g != nil {
		return node.Answer{Txs: g.share(ctx, q.Index)}, nil
	}
	var a node.Answer
	err := d.act(ctx, func(now chain.Time, p node.Player) (err error) {
		a, err = p.Answer(now, from, q)
		return err
	})
	if err == nil && a.Way != (node.Way{}) {
		err = d.readHeaders(ctx, &a)
	}
	if err != nil || len(a.Load) == 0 {
		return a, err
	}
	bodies, err := d.load(ctx, a.Load)
	if err != nil {
		return node.Answer{}, err
	}
	if err := a.Fill(q.Want, bodies); err != nil {
		d.gave(a.Load[0], err)
		return node.Answer{}, err
	}
	if len(q.Index) > maxDrawn && len(bodies) > 0 {
		a.Txs = d.offer(ctx, bodies[0], q.Index)
	}
	return a, nil
}

// readHeaders reads the headers of an answer that are only on disk.
func (d *Daemon) readHeaders(ctx context.Context, a *node.Answer) error {
	done, err := d.readSlot(ctx)
	if err != nil {
		return err
	}
	defer done()
	now, err := d.cfg.Store.Reader()
	if err != nil {
		return err
	}
	defer now.Close()
	if err = a.Follow(now.Entry); err != nil {
		d.fail(err) // where a block has an entry, so have those before it
	}
	return err
}

// readSlot waits until one more answer may be read from the disk, and done must follow.
func (d *Daemon) readSlot(ctx context.Context) (done func(), err error) {
	select {
	case d.loads <- struct{}{}:
		return func() { <-d.loads }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// load reads bodies until an answer is full, but for those of blocks that were
// condemned meanwhile, and those that the disk lost.
func (d *Daemon) load(ctx context.Context, ids []chain.Hash) (bodies []chain.RawBlock, err error) {
	done, err := d.readSlot(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	size := 0
	for _, id := range ids {
		if size >= node.MaxBodyBytes {
			break
		}
		raw, err := d.cfg.Store.BodyBytes(id)
		if errors.Is(err, node.ErrUnknown) {
			continue
		}
		d.gave(id, err)
		if err != nil {
			continue
		}
		bodies = append(bodies, raw)
		size += len(raw)
	}
	return bodies, ctx.Err()
}

// Joined greets a new peer.
func (d *Daemon) Joined(p node.Peer) {
	v := d.guests.arrive(p)
	d.goes(func() { d.attend(p, v) })
}

// Settled greets a peer again.
func (d *Daemon) Settled(p node.Peer) { d.guests.settle(p) }

// Left forgets a peer's connection.
func (d *Daemon) Left(p node.Peer) {
	d.guests.leave(p)
	_ = d.loop.do(d.life, func(now chain.Time) { d.loop.player.Left(now, p) })
}

// Missed hears that transactions of a peer were dropped.
func (d *Daemon) Missed(p node.Peer) {
	_ = d.loop.do(d.life, func(now chain.Time) { d.loop.node.Missed(now, p) })
}

const (
	helloAgain   = time.Second // after a first hello that failed; doubles
	helloLongest = time.Minute
)

// attend greets a peer when it comes, so that it can be asked for what we lack, and
// again when gossip has found its way: what was new in between is told by neither.
func (d *Daemon) attend(p node.Peer, v *visit) {
	for {
		last := v.gossips()
		d.greet(p, v.number)
		if last || !v.awaitGossip(d.life) {
			return
		}
	}
}

// greet says hello until it is answered: a peer that we know no hello of is asked
// for nothing.
func (d *Daemon) greet(p node.Peer, visit int) {
	wait := helloAgain
	for d.ready() && d.guests.visit(p) == visit {
		err := d.hello(p, visit)
		if err == nil {
			return
		}
		d.log.Debug("no hello", "peer", p2p.Name(p), "err", err)
		if !d.pause(wait) {
			return
		}
		wait = min(2*wait, helloLongest)
	}
}

func (d *Daemon) hello(p node.Peer, visit int) error {
	q := node.Request{Want: node.WantHello}
	if err := d.loop.do(d.life, func(now chain.Time) { q.Hello = d.loop.node.OurHello(now) }); err != nil {
		return err
	}
	a, err := d.net.Ask(d.life, p, q)
	if err != nil {
		d.blameBreach(p, err)
		return err
	}
	out, err := d.call(d.life, func(now chain.Time, pl node.Player) (node.Outcome, error) {
		if d.guests.visit(p) != visit {
			return node.Outcome{Verdict: node.Ignore}, nil // it left: the node must not take it for a neighbour
		}
		out, err := pl.Hello(now, p, a.Hello)
		if d.net.Chose(p) {
			d.loop.node.Chose(p)
		}
		return out, err
	})
	if err == nil && out.Verdict == node.Reject {
		d.log.Debug("peer refused", "peer", p2p.Name(p), "why", out.Why)
		d.net.Part(p)
	}
	return err
}

// ask fetches one thing and feeds the answer back.
func (d *Daemon) ask(a node.Ask) {
	if !d.ready() {
		return
	}
	if a.From == node.Self {
		a.From = d.anyone()
	}
	if a.Request.Want == node.WantPoolTxs {
		if a.Request.IDs = d.unheard(a.From, a.Request.IDs); len(a.Request.IDs) == 0 {
			return
		}
	}
	got, done, err := d.fetch(a)
	defer done()
	if err == nil {
		err = d.feed(a, got)
	}
	if err == nil || d.life.Err() != nil {
		return
	}
	d.log.Debug("a request failed", "want", a.Request.Want, "peer", p2p.Name(a.From), "err", err)
	var lie *wrongBodies
	if errors.As(err, &lie) {
		a.Request.IDs = lie.missing // none of them came: the node asks elsewhere
	}
	_, _ = d.call(d.life, func(now chain.Time, p node.Player) (node.Outcome, error) {
		return p.Failed(now, a.From, a.Request)
	})
	d.blameBreach(a.From, err)
}

// anyone is some connected peer; Self if there is none.
func (d *Daemon) anyone() node.Peer {
	for _, p := range d.net.Peers() {
		return p.Peer
	}
	return node.Self
}

// blameBreach blames a peer whose answer breaks the protocol. Silence and broken
// connections are nobody's fault.
func (d *Daemon) blameBreach(p node.Peer, err error) {
	var breach *p2p.BadPeerError
	if errors.As(err, &breach) {
		_ = d.blame(p, breach.Err)
	}
}

// feed hands an answer to the player. An error means that the request failed, at
// least in part.
func (d *Daemon) feed(a node.Ask, got node.Answer) error {
	switch a.Request.Want {
	case node.WantHeaders:
		return d.feedHeaders(a.From, got.Headers)
	case node.WantBodies:
		return d.feedBodies(a, got.Blocks)
	case node.WantTxs:
		return d.feedTxs(a, got.Txs)
	case node.WantPool:
		_, err := d.call(d.life, func(now chain.Time, p node.Player) (node.Outcome, error) { return p.Pool(now, a.From, got.IDs) })
		return err
	case node.WantPoolTxs:
		return d.feedPool(a, got.Txs)
	}
	return fmt.Errorf("nothing feeds an answer to request %d", a.Request.Want)
}

func (d *Daemon) feedHeaders(from node.Peer, hs []chain.Header) error {
	for _, h := range hs {
		if err := chain.CheckHeader(d.p, h); err != nil {
			return d.blame(from, err)
		}
	}
	out, err := d.call(d.life, func(now chain.Time, p node.Player) (node.Outcome, error) { return p.Headers(now, from, hs) })
	d.judge(from, out)
	return err
}

var (
	errShort   = errors.New("the answer lacks what was asked for")
	errUnasked = errors.New("the answer holds what nobody asked for")
)

// wrongBodies tells that an answer held something else than what was asked for,
// and what is missing for it.
type wrongBodies struct {
	error
	missing []chain.Hash
}

// feedBodies checks blocks and hands them over together. What is missing or wrong
// counts as failed.
func (d *Daemon) feedBodies(a node.Ask, blocks []chain.RawBlock) error {
	bodies, missing, wrong := open(a.Request.IDs, blocks)
	if err := d.takeBodies(a.From, bodies); err != nil {
		return err
	}
	switch {
	case wrong != nil:
		return &wrongBodies{d.blame(a.From, wrong), missing}
	case len(missing) > 0:
		return errShort
	}
	return nil
}

// open reads the blocks of an answer up to the first that is wrong, and tells which
// of those asked for are missing.
func open(asked []chain.Hash, blocks []chain.RawBlock) (bodies []chain.Body, missing []chain.Hash, wrong error) {
	missing = slices.Clone(asked)
	for _, raw := range blocks {
		at := slices.Index(missing, raw.ID())
		if at < 0 {
			return bodies, missing, errUnasked
		}
		b, err := chain.ReadBody(raw)
		if err != nil {
			return bodies, missing, err
		}
		bodies = append(bodies, b)
		missing = slices.Delete(missing, at, at+1)
	}
	return bodies, missing, nil
}

// takeBodies checks blocks and hands them over.
func (d *Daemon) takeBodies(from node.Peer, bodies []chain.Body) error {
	blocks, err := d.checkBodies(d.life, bodies)
	if err != nil {
		return err
	}
	for len(blocks) > 0 {
		out, n, err := d.takeSome(from, blocks)
		if err != nil {
			return err
		}
		d.judge(from, out)
		blocks = blocks[n:]
	}
	return nil
}

// takeSome hands over the first bodies that are sound, or the first that is not:
// a false block is remembered as such once what it builds on is stored.
func (d *Daemon) takeSome(from node.Peer, blocks []checkedBody) (out node.Outcome, n int, err error) {
	var sound []chain.CheckedBlock
	for n < len(blocks) && blocks[n].err == nil {
		sound = append(sound, blocks[n].block)
		n++
	}
	if n == 0 {
		out, err = d.call(d.life, func(now chain.Time, p node.Player) (node.Outcome, error) {
			return p.Broken(now, from, blocks[0].id, blocks[0].err)
		})
		return out, 1, err
	}
	out, err = d.call(d.life, func(now chain.Time, p node.Player) (node.Outcome, error) { return p.Block(now, from, sound...) })
	if err == nil && out.Verdict != node.Reject {
		d.note(sound)
	}
	return out, n, err
}

// note tells the chronicle what came with blocks.
func (d *Daemon) note(blocks []chain.CheckedBlock) {
	now := chain.Time(d.cfg.Clock().UnixMilli())
	for _, b := range blocks {
		a := b.Announce().Announcement()
		d.chronicle.heard(now, a.Header, a.Coinbase.Height, a.IDs)
	}
}

// feedTxs hands over the transactions that an announced block lacked here.
func (d *Daemon) feedTxs(a node.Ask, txs []*chain.Tx) error {
	if len(txs) < len(a.Expect) {
		return errShort
	}
	named := chain.Names(txs)
	for i, id := range a.Expect {
		if named[i].ID() != id {
			return d.blame(a.From, errUnasked)
		}
	}
	block := a.Request.IDs[0]
	checked, err := d.checkNamed(named)
	_, fault := d.call(d.life, func(now chain.Time, p node.Player) (node.Outcome, error) {
		if err != nil {
			return p.Broken(now, a.From, block, err)
		}
		return p.Filled(now, a.From, block, checked)
	})
	return fault
}

// feedPool hands over a peer's waiting transactions, and passes on what is new
// to us: our side of a network that was split has not heard them.
func (d *Daemon) feedPool(a node.Ask, txs []*chain.Tx) error {
	for _, tx := range txs {
		if !slices.Contains(a.Request.IDs, tx.ID()) {
			return d.blame(a.From, errUnasked)
		}
	}
	for len(txs) > 0 {
		n := piece(txs)
		some := d.lackingTxs(txs[:n]) // several peers may be asked for one
		if !d.net.Bear(a.From, signatures(some)) {
			return nil // a later look at its pool finds the rest
		}
		useful, err := d.feedSome(a.From, some)
		d.net.Thank(a.From, useful)
		if err != nil {
			return err
		}
		txs = txs[n:]
	}
	return nil
}

// piece is how many of the first transactions to check together: a batch gains
// little from more signatures.
func piece(txs []*chain.Tx) (n int) {
	const most = 256
	for sum := 0; n < len(txs); n++ {
		if sum += len(txs[n].Inputs); n > 0 && sum > most {
			break
		}
	}
	return n
}

// lacking are those that the pool has not, and did not let go.
func (d *Daemon) lacking(ids []chain.Hash) (left []chain.Hash) {
	_ = d.loop.look(d.life, func(chain.Time) {
		pool := d.loop.node.Mempool()
		for _, id := range ids {
			if _, gone := pool.Fate(id); !gone && !pool.Has(id) {
				left = append(left, id)
			}
		}
	})
	return left
}

func (d *Daemon) lackingTxs(txs []*chain.Tx) (left []*chain.Tx) {
	of := make(map[chain.Hash]*chain.Tx, len(txs))
	ids := make([]chain.Hash, len(txs))
	for i, tx := range txs {
		ids[i] = tx.ID()
		of[ids[i]] = tx
	}
	for _, id := range d.lacking(ids) {
		left = append(left, of[id])
	}
	return left
}

// lookups are about as costly as one signature.
const lookups = 16

// unheard are those of a peer's transactions that are worth asking for: the pool may
// have got some from others meanwhile, and its memory of what the chain holds is short,
// and ends with the process. Who names what nobody has makes us look for nothing, so he
// bears the cost.
func (d *Daemon) unheard(from node.Peer, ids []chain.Hash) (left []chain.Hash) {
	ids = d.lacking(ids)
	if !d.net.Bear(from, 1+len(ids)/lookups) {
		return nil // a later look at its pool finds the rest
	}
	s, err := d.cfg.Store.Reader()
	if err != nil {
		return nil
	}
	defer s.Close()
	for _, id := range ids {
		if _, confirmed, err := confirmedAt(s, id); err == nil && !confirmed {
			left = append(left, id)
		}
	}
	return left
}

// feedSome hands some of them over, and counts the signatures that were of use.
func (d *Daemon) feedSome(from node.Peer, txs []*chain.Tx) (useful int, err error) {
	all, bad := chain.CheckTxs(d.p, txs)
	for i, tx := range txs {
		if bad != nil { // those before the bad one are welcome
			one, err := chain.CheckTx(d.p, tx)
			if err != nil {
				return useful, d.blame(from, err)
			}
			all = append(all, one)
		}
		checked := all[i]
		out, err := d.call(d.life, func(now chain.Time, p node.Player) (node.Outcome, error) { return p.Tx(now, from, checked) })
		if err != nil {
			return useful, err
		}
		d.judge(from, out)
		if out.Verdict == node.Accept {
			useful += len(tx.Inputs)
			d.logPublish(d.net.PublishTx(tx))
		}
	}
	return useful, nil
}

// judge blames a peer whose answer was rejected.
func (d *Daemon) judge(from node.Peer, out node.Outcome) {
	if out.Verdict == node.Reject {
		_ = d.blame(from, out.Why)
	}
}

// blame counts a fault of a peer, and returns it.
func (d *Daemon) blame(from node.Peer, why error) error {
	if from != node.Self && d.met() {
		d.log.Info("a peer breaks the rules", "peer", p2p.Name(from), "why", why)
		d.net.Blame(from)
	}
	return why
}
