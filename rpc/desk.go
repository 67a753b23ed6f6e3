package rpc

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"cairn/chain"
)

const (
	extraNonce = 8                // bytes at the start of a coinbase's Extra that are ours to fill
	newer      = 5 * time.Second  // how long a template serves, so that time and fees keep up
	longest    = 60 * time.Second // that a long poll waits
	maxHanded  = 1024             // works that getwork remembers
	maxCallers = 1024             // hosts whose last tip is remembered
)

// A desk hands out work to miners. Each gets a coinbase of its own, so that no
// two search the same nonces.
type desk struct {
	work  Work
	least chain.Target // the easiest that is handed out

	turn  chan struct{} // whoever holds its token fetches the next sheet
	extra atomic.Uint64

	mu      sync.Mutex // guards what follows
	sheet   *sheet
	handed  map[chain.Hash]*chain.Block // by getwork, by merkle root; of one tip
	order   []chain.Hash                // the same, oldest first
	callers map[string]chain.Hash       // the tip whose work a host got last
}

// sheet is a template and all that its copies have in common.
type sheet struct {
	number uint64
	block  *chain.Block
	branch []chain.Hash    // beside the coinbase's path to the merkle root
	over   <-chan struct{} // closed when the best chain has moved on
	old    time.Time       // when there is to be another
}

func newDesk(p *chain.Params, w Work) *desk {
	return &desk{
		work: w, least: easiestWork(p), turn: make(chan struct{}, 1),
		handed: map[chain.Hash]*chain.Block{}, callers: map[string]chain.Hash{},
	}
}

// easiestWork is the easiest target for miners. On a network for tests, where
// nearly any hash may be a block, it is difficulty 2⁻¹⁰: a miner comes back with
// every hit, and must not come more than a few times a second. On any other a
// target harder than a block's would lose blocks.
func easiestWork(p *chain.Params) chain.Target {
	target, _ := p.Easiest.Target()
	if p.Easiest.Work().Cmp(chain.NewWork(1<<16)) < 0 {
		target, _ = chain.Bits(0x1e03fffc).Target() // 0xFFFF·2²¹⁸
	}
	return target
}

// target is what work on b is to meet.
func (d *desk) target(b *chain.Block) chain.Target {
	t, _ := b.Header.Bits.Target()
	if d.least.Cmp(t) < 0 {
		return d.least
	}
	return t
}

// current is a sheet of the best chain.
func (d *desk) current(ctx context.Context) (*sheet, error) {
	select {
	case d.turn <- struct{}{}:
		defer func() { <-d.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	d.mu.Lock()
	s := d.sheet
	d.mu.Unlock()
	if s != nil && !s.moved() && time.Now().Before(s.old) {
		return s, nil
	}
	next, err := d.fetch(ctx, s)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sheet = next
	return next, nil
}

func (d *desk) fetch(ctx context.Context, last *sheet) (*sheet, error) {
	over := d.work.Moved()
	b, err := d.work.Template(ctx)
	switch {
	case err != nil:
		return nil, err
	case len(b.Coinbase.Extra) < extraNonce:
		return nil, errors.New("the template has no room for an extra nonce")
	}
	s := &sheet{number: 1, block: b, branch: chain.MerkleBranch(b.Leaves(), 0), over: over, old: time.Now().Add(newer)}
	if last != nil {
		s.number = last.number + 1
	}
	return s, nil
}

func (s *sheet) moved() bool {
	select {
	case <-s.over:
		return true
	default:
		return false
	}
}

// after waits until the best chain's tip is another than prev. After a while it
// gives newer work on the same tip.
func (d *desk) after(ctx context.Context, prev chain.Hash) (*sheet, error) {
	enough := time.NewTimer(longest)
	defer enough.Stop()
	for {
		s, err := d.current(ctx)
		if err != nil || s.block.Header.Prev != prev {
			return s, err
		}
		select {
		case <-s.over:
		case <-enough.C:
			return d.current(ctx)
		case <-ctx.Done():
			return nil, errors.New("the node is stopping, or the caller is gone")
		}
	}
}

// issue is a copy of the sheet's block for one miner. The top bits of the extra
// nonce keep it apart from those that the node's own miner counts up from zero.
func (d *desk) issue(s *sheet) *chain.Block {
	cb := *s.block.Coinbase
	cb.Extra = slices.Clone(cb.Extra)
	binary.LittleEndian.PutUint64(cb.Extra, d.extra.Add(1)|1<<62)
	h := s.block.Header
	h.Root = chain.MerkleFromBranch(cb.ID(), 0, s.branch)
	return &chain.Block{Header: h, Coinbase: &cb, Txs: s.block.Txs}
}

// remember keeps a block whose header alone goes out. A new tip makes all
// earlier ones worthless.
func (d *desk) remember(b *chain.Block) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.order) > 0 && d.handed[d.order[0]].Header.Prev != b.Header.Prev {
		clear(d.handed)
		d.order = nil
	}
	if len(d.order) >= maxHanded {
		delete(d.handed, d.order[0])
		d.order = d.order[1:]
	}
	d.handed[b.Header.Root] = b
	d.order = append(d.order, b.Header.Root)
}

// recall is the block of a header that came back; nil if it is not ours, or of
// an earlier tip.
func (d *desk) recall(h chain.Header) *chain.Block {
	d.mu.Lock()
	defer d.mu.Unlock()
	b := d.handed[h.Root]
	if b == nil || b.Header.Prev != h.Prev || b.Header.Bits != h.Bits {
		return nil
	}
	return &chain.Block{Header: h, Coinbase: b.Coinbase, Txs: b.Txs}
}

// served notes which tip's work a host got.
func (d *desk) served(host string, tip chain.Hash) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, known := d.callers[host]; !known && len(d.callers) >= maxCallers {
		clear(d.callers) // a poll may wait once where it could have had an answer
	}
	d.callers[host] = tip
}

// lastOf is the tip whose work a host got last.
func (d *desk) lastOf(host string) (tip chain.Hash, known bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	tip, known = d.callers[host]
	return tip, known
}
