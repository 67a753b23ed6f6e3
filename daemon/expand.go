package daemon

import (
	"bytes"
	"context"
	"errors"
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
	maxInquiriesEach = 2 // of one sender
)

// inquiries counts briefs that wait for their senders' answers.
type inquiries struct {
	mu  sync.Mutex
	all int               // guarded by mu
	of  map[node.Peer]int // guarded by mu
}

func (q *inquiries) enter(p node.Peer) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.all >= maxInquiries || q.of[p] >= maxInquiriesEach {
		return false
	}
	if q.of == nil {
		q.of = map[node.Peer]int{}
	}
	q.all++
	q.of[p]++
	return true
}

func (q *inquiries) leave(p node.Peer) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.all--
	if q.of[p]--; q.of[p] == 0 {
		delete(q.of, p)
	}
}

// errUnexpanded tells that a brief stands for transactions that we do not hold,
// and that its sender did not name.
var errUnexpanded = errors.New("not all transactions of the block are known here")

// errFalseBrief tells that a sender's brief and its announcement disagree: honest
// nodes pass on only briefs that they expanded.
var errFalseBrief = errors.New("the brief is not that of the block")

// expand makes an announcement of a brief: from the pool, or else from what its
// sender says.
func (d *Daemon) expand(ctx context.Context, from node.Peer, b *chain.Brief) (chain.CheckedAnnouncement, error) {
	none := chain.CheckedAnnouncement{}
	if err := chain.CheckHeader(d.p, b.Header); err != nil {
		return none, err
	}
	var held []chain.Hash
	var known bool
	err := d.loop.look(ctx, func(chain.Time) {
		e, ok := d.loop.node.Entry(b.Header.ID())
		if known = ok && e.Status != node.Headed; !known {
			held = slices.Collect(d.loop.node.Mempool().Held())
		}
	})
	if err != nil {
		return none, err
	}
	if known { // before any work on its ids: their like can be made from every block that there is
		return none, node.ErrKnown
	}
	if a, ok := b.Expand(held); ok {
		if checked, err := d.checkAnnouncement(a); err == nil {
			return checked, nil
		}
	}
	return d.inquire(ctx, from, b)
}

// inquire asks who sent a brief for all of the announcement. If that fails the
// header is followed, and leads to the whole block.
func (d *Daemon) inquire(ctx context.Context, from node.Peer, b *chain.Brief) (chain.CheckedAnnouncement, error) {
	a, err := d.announcement(ctx, from, b.Header.ID())
	if err == nil && a == nil {
		err = errUnexpanded
	}
	if err != nil {
		d.blameBreach(from, err)
		return chain.CheckedAnnouncement{}, errors.Join(errUnexpanded, d.feedHeaders(from, []chain.Header{b.Header}))
	}
	if !bytes.Equal(a.Brief().Bytes(), b.Bytes()) {
		return chain.CheckedAnnouncement{}, errFalseBrief
	}
	return d.checkAnnouncement(a)
}

func (d *Daemon) checkAnnouncement(a *chain.Announcement) (chain.CheckedAnnouncement, error) {
	defer d.meter.check("announcement", time.Now())
	return chain.CheckAnnouncement(d.p, a)
}

// announcement is what a peer says of a block; nil if it says nothing.
func (d *Daemon) announcement(ctx context.Context, from node.Peer, block chain.Hash) (*chain.Announcement, error) {
	select {
	case <-d.linked:
	default:
		return nil, errUnexpanded
	}
	if !d.inquiries.enter(from) {
		return nil, errUnexpanded
	}
	defer d.inquiries.leave(from)
	a, err := d.net.Ask(ctx, from, node.Request{Want: node.WantAnnouncement, IDs: []chain.Hash{block}})
	return a.Announcement, err
}
