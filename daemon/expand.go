package daemon

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync"
	"time"

	"cairn/chain"
	"cairn/node"
)

// Bounds on briefs that wait for their sender's answer. Gossip judges more blocks
// than that at a time: those that the pool expands always find room.
const (
	maxInquiries     = 16
	maxInquiriesEach = 2 // of the senders at one address

	maxFew = 128 // transactions of a block that are asked for without their ids

	maxReads         = 2   // briefs that are held against the pool at a time
	heldPerSignature = 512 // transactions of the pool that cost as much to hold against one as verifying a signature
	heldPerName      = 4   // of them cost as much as one name

	maxWaits     = 128 // claims that wait for a brief at a time: gossip judges twice as many
	maxWaitsEach = 16  // of them that came from one address
	sureWaits    = 1   // of those that claims from elsewhere cannot take

	briefLimit   = 500 * time.Millisecond // that a claim waits for its block's brief to come
	hearingLimit = 2 * time.Second        // and for it to be judged
)

// hearing is the blocks whose briefs are being judged.
type hearing struct {
	mu   sync.Mutex
	of   map[chain.Hash]chan struct{} // guarded by mu; each is closed at the end
	next chan struct{}                // guarded by mu; closed, and replaced, when one begins
}

// begin notes a brief, until end.
func (h *hearing) begin(block chain.Hash) (end func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.of[block] != nil {
		return func() {} // another one goes first
	}
	over := make(chan struct{})
	h.of[block] = over
	close(h.next)
	h.next = make(chan struct{})
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.of, block)
		close(over)
	}
}

// wait gives a block's brief time to come and to be judged.
func (h *hearing) wait(ctx context.Context, block chain.Hash) {
	soon, cancel := context.WithTimeout(ctx, briefLimit)
	defer cancel()
	for {
		h.mu.Lock()
		over, next := h.of[block], h.next
		h.mu.Unlock()
		switch {
		case over != nil:
			await(ctx, over, hearingLimit)
			return
		case soon.Err() != nil:
			return
		}
		await(soon, next, briefLimit)
	}
}

// overtake lets a claim wait whose block is not known here: its brief is slower, and
// without that the block would be fetched from whoever made the claim, and from
// nobody else. Who makes claims of blocks that nobody has, under as many names as he
// likes, must not hold all places in which claims are heard: what finds no room to wait
// goes on at once.
func (d *Daemon) overtake(ctx context.Context, from node.Peer, tip chain.Hash) {
	known := true
	_ = d.loop.look(ctx, func(chain.Time) { _, known = d.loop.node.Entry(tip) })
	if known || !d.met() {
		return
	}
	who := d.net.Account(from)
	if !d.waits.Take(who) {
		return
	}
	defer d.waits.Give(who)
	d.hearing.wait(ctx, tip)
}

// brief shortens an announcement for nodes whose pools are like ours.
func (d *Daemon) brief(checked chain.CheckedAnnouncement) *chain.Brief {
	a := checked.Announcement()
	held := math.MaxInt32 // unless we learn better
	_ = d.loop.look(d.life, func(chain.Time) { held = len(a.IDs) + d.loop.node.Mempool().Len() })
	return a.Brief(held)
}

// errUnexpanded tells that a brief stands for transactions that we do not hold,
// and that its sender did not name.
var errUnexpanded = errors.New("not all transactions of the block are known here")

// errBorne tells that enough was done in vain for whoever sent a brief.
var errBorne = errors.New("too much was done in vain for its sender")

// errFalseBrief tells that a sender's brief and its announcement disagree: honest
// nodes pass on only briefs that they expanded.
var errFalseBrief = errors.New("the brief is not that of the block")

// expand makes an announcement of a brief: from the pool, or else from what its
// sender says.
func (d *Daemon) expand(ctx context.Context, from node.Peer, b *chain.Brief) (chain.CheckedAnnouncement, error) {
	none := chain.CheckedAnnouncement{}
	if err := chain.CheckBrief(d.p, b); err != nil {
		return none, err
	}
	var r reading
	err := d.inTurn(ctx, func() (err error) {
		r, err = d.read(ctx, from, b)
		return err
	})
	if errors.Is(err, errBorne) {
		return none, d.followHeader(from, b)
	}
	if err != nil {
		return none, err
	}
	if missing := r.x.Missing(); len(missing) > 0 && len(missing) <= maxFew {
		for i, id := range d.few(ctx, from, b.Header.ID(), missing) {
			r.x.Fill(missing[i], id)
		}
	}
	var checked chain.CheckedAnnouncement
	err = d.inTurn(ctx, func() (err error) {
		checked, err = d.settle(r.x)
		return err
	})
	if err != nil {
		checked, err = d.inquire(ctx, from, b)
	}
	if err == nil && r.fits {
		d.net.Thank(from, r.cost)
	}
	return checked, err
}

// inTurn does for few briefs at a time what takes a core and memory.
func (d *Daemon) inTurn(ctx context.Context, f func() error) error {
	select {
	case d.reads <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-d.reads }()
	return f()
}

// reading is a brief as far as our pool tells what it stands for.
type reading struct {
	x    *chain.Expansion
	cost int  // in signatures
	fits bool // where its header stands we know, so that its work is what the rules ask for
}

// read looks for a brief's transactions in the pool. Before that it looks at the
// header: of a block that is known, or breaks a rule, any number of briefs can be
// made. Those of orphans can as well, so their sender has to bear them.
func (d *Daemon) read(ctx context.Context, from node.Peer, b *chain.Brief) (r reading, err error) {
	var foreseen error
	pool := 0
	if err := d.loop.look(ctx, func(now chain.Time) {
		foreseen, pool = d.loop.node.Foresee(now, b.Header), d.loop.node.Mempool().Len()
	}); err != nil {
		return r, err
	}
	if foreseen != nil && !errors.Is(foreseen, node.ErrOrphan) && !errors.Is(foreseen, node.ErrFuture) {
		return r, foreseen
	}
	r.fits, r.cost = foreseen == nil, 1+(pool+heldPerName*len(b.Short))/heldPerSignature
	if !d.bears(from, r.cost) {
		return r, errBorne
	}
	var held []chain.Hash
	err = d.loop.look(ctx, func(chain.Time) { held = slices.Collect(d.loop.node.Mempool().Held()) })
	if err != nil {
		return r, err
	}
	r.x = b.Expand(held)
	return r, nil
}

// settle makes the announcement of what was found.
func (d *Daemon) settle(x *chain.Expansion) (chain.CheckedAnnouncement, error) {
	if a := x.Announcement(); a != nil {
		return d.checkAnnouncement(a)
	}
	return chain.CheckedAnnouncement{}, errUnexpanded
}

// bears tells whether to do for a peer what may be in vain.
func (d *Daemon) bears(from node.Peer, signatures int) bool {
	return d.met() && d.net.Bear(from, signatures)
}

// inquire asks who sent a brief for all of the announcement. If that fails the
// header is followed.
func (d *Daemon) inquire(ctx context.Context, from node.Peer, b *chain.Brief) (chain.CheckedAnnouncement, error) {
	a, err := d.announcement(ctx, from, b.Header.ID())
	if err == nil && a == nil {
		err = errUnexpanded
	}
	if err != nil {
		d.blameBreach(from, err)
		return chain.CheckedAnnouncement{}, d.followHeader(from, b)
	}
	if !b.Of(a) {
		return chain.CheckedAnnouncement{}, errFalseBrief
	}
	return d.checkAnnouncement(a)
}

// followHeader gives a brief up: its header alone leads to the whole block.
func (d *Daemon) followHeader(from node.Peer, b *chain.Brief) error {
	return errors.Join(errUnexpanded, d.feedHeaders(from, []chain.Header{b.Header}))
}

func (d *Daemon) checkAnnouncement(a *chain.Announcement) (chain.CheckedAnnouncement, error) {
	defer d.meter.check("announcement", time.Now())
	return chain.CheckAnnouncement(d.p, a)
}

// announcement is what a peer says of a block; nil if it says nothing.
func (d *Daemon) announcement(ctx context.Context, from node.Peer, block chain.Hash) (*chain.Announcement, error) {
	a, err := d.askAside(ctx, from, node.Request{Want: node.WantAnnouncement, IDs: []chain.Hash{block}})
	return a.Announcement, err
}

// few fetches the few transactions that a brief names and the pool lacks or cannot
// tell apart, which is one question where the announcement would make it two. They
// wait in the pool for their block; a failure means nothing, for the announcement is
// asked for then.
func (d *Daemon) few(ctx context.Context, from node.Peer, block chain.Hash, missing []uint32) (ids []chain.Hash) {
	a, err := d.askAside(ctx, from, node.Request{Want: node.WantTxs, IDs: []chain.Hash{block}, Index: missing})
	if err != nil {
		d.blameBreach(from, err)
		return nil
	}
	if len(a.Txs) != len(missing) || !d.net.Bear(from, signatures(a.Txs)) {
		return nil
	}
	checked, err := d.checkTxs(a.Txs)
	if err != nil {
		return nil
	}
	for _, tx := range checked {
		ids = append(ids, tx.ID())
		out, err := d.call(d.life, func(now chain.Time, p node.Player) (node.Outcome, error) { return p.Tx(now, from, tx) })
		if err == nil && out.Verdict == node.Accept {
			d.net.Thank(from, len(tx.Tx().Inputs))
		}
	}
	return ids
}

func signatures(txs []*chain.Tx) (n int) {
	for _, tx := range txs {
		n += len(tx.Inputs)
	}
	return n
}

// askAside asks while gossip waits for the answer: nobody may make it wait much.
func (d *Daemon) askAside(ctx context.Context, from node.Peer, q node.Request) (node.Answer, error) {
	if !d.met() {
		return node.Answer{}, errUnexpanded
	}
	who := d.net.Account(from)
	if !d.inquiries.Take(who) {
		return node.Answer{}, errUnexpanded
	}
	defer d.inquiries.Give(who)
	return d.net.Ask(ctx, from, q)
}
