package daemon

import (
	"crypto/rand"
	"slices"
	"strings"
	"sync"
	"time"

	"cairn/chain"
	"cairn/converge"
	"cairn/node"
	"cairn/rpc"
)

// What the chronicle keeps at most: some hours of a small network.
const (
	keptBlocks = 1 << 14
	keptMoves  = 1 << 16
	keptTxs    = 1 << 14
	firstLook  = 500  // blocks of the best chain that it begins with
	leavesWait = 1000 // milliseconds between two looks at all branches

	noteWait = 10_000 // milliseconds until a payment is noted at the latest
)

// chronicle remembers which blocks and payments came when, and who followed which
// tip. With that, and the rule that depth is a function of a payment and a tip, the
// past can be seen again. It is in memory: it begins with each start of the node.
type chronicle struct {
	p     *chain.Params
	life  string                              // differs for each start
	agree func(quorum bool, after chain.Time) // hears how long the counted nodes took for a block

	mu      sync.Mutex // guards all below; held for no I/O but headers of the tree
	blocks  ring[blockNote]
	numbers map[chain.Hash]uint64 // of the blocks kept
	moves   ring[moveNote]
	txs     ring[txNote]
	seen    map[chain.Hash]chain.Time // of the transactions kept
	aside   []txNotes                 // of payments that came since, oldest first
	waiting int                       // payments in aside
	follows map[node.Peer]chain.Hash  // the last move of each
	leaves  chain.Time                // when all branches were looked at
	agents  map[string]string         // what peers called their programs, by name
}

// blockNote is a block as it was first heard of.
type blockNote struct {
	ID, Prev chain.Hash
	Height   uint64
	Time     uint32     // of its header, in seconds
	Seen     chain.Time // 0: before this start
	All      chain.Time // when every counted node first held it; 0 not yet
	Quorum   chain.Time // when more than half did
}

// moveNote says that somebody follows another tip from now on.
type moveNote struct {
	At  chain.Time
	Who node.Peer  // Self is we
	Tip chain.Hash // zero: nothing fresh is known
}

type txNote struct {
	ID   chain.Hash
	Seen chain.Time
}

// txNotes are payments that came together.
type txNotes struct {
	ids  []chain.Hash // must not be changed
	seen chain.Time
}

func newChronicle(p *chain.Params) *chronicle {
	return &chronicle{
		p:    p,
		life: strings.ToLower(rand.Text()[:8]), agree: func(bool, chain.Time) {},
		blocks: ring[blockNote]{most: keptBlocks}, moves: ring[moveNote]{most: keptMoves}, txs: ring[txNote]{most: keptTxs},
		numbers: map[chain.Hash]uint64{}, seen: map[chain.Hash]chain.Time{}, follows: map[node.Peer]chain.Hash{}, agents: map[string]string{},
	}
}

// ring keeps the latest of a sequence.
type ring[T any] struct {
	list  []T
	first uint64 // number of list[0]
	most  int
}

func (r *ring[T]) next() uint64 { return r.first + uint64(len(r.list)) }

// add appends, and returns what is forgotten for it.
func (r *ring[T]) add(v T) (gone T, full bool) {
	r.list = append(r.list, v)
	if full = len(r.list) > r.most; full {
		gone, r.list = r.list[0], r.list[1:]
		r.first++
	}
	return gone, full
}

// since is what follows number seq; all if seq is no number of ours.
func (r *ring[T]) since(seq uint64) []T {
	if seq < r.first || seq > r.next() {
		return r.list
	}
	return r.list[seq-r.first:]
}

// begin notes the chain that was here before, without a time of its own.
func (c *chronicle) begin(n *node.Node) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.walk(n, n.Best().ID, 0)
	c.branches(n, 0)
}

// watch notes what is new in the node. It is called in its loop, with the peers
// that count for "all".
func (c *chronicle) watch(now chain.Time, n *node.Node, counted []node.Peer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.walk(n, n.Best().ID, now)
	if now-c.leaves >= leavesWait {
		c.leaves = now
		c.branches(n, now)
	}
	moved := c.move(now, node.Self, n.Best().ID)
	for _, claim := range n.Claims() {
		if h := claim.Header; c.likely(h, n.Best()) {
			c.noteBlock(blockNote{ID: h.ID(), Prev: h.Prev, Height: claim.Height, Time: h.Time, Seen: now})
		}
	}
	tips := fresh(n, now)
	for who, tip := range tips {
		moved = c.move(now, who, tip) || moved
	}
	for who := range c.follows {
		if _, fresh := tips[who]; !fresh && who != node.Self {
			moved = c.move(now, who, chain.Hash{}) || moved
			delete(c.follows, who)
		}
	}
	if moved {
		c.settle(now, n, counted, tips)
	}
}

// likely tells whether a claimed tip that nobody showed us yet may be a block: words
// are free and would fill the record, so it must have cost about a block's work.
func (c *chronicle) likely(h chain.Header, best chain.State) bool {
	return chain.CheckHeader(c.p, h) == nil && h.Bits.Work().Times(16).Cmp(best.Bits.Work()) >= 0
}

// fresh are the tips that peers claimed lately.
func fresh(n *node.Node, now chain.Time) map[node.Peer]chain.Hash {
	tips := map[node.Peer]chain.Hash{}
	for _, c := range n.Claims() {
		if time.Duration(now-c.Seen)*time.Millisecond < converge.Fresh {
			tips[c.Peer] = c.Header.ID()
		}
	}
	return tips
}

// heard notes a block, and payments that only it told us of.
func (c *chronicle) heard(now chain.Time, h chain.Header, height uint64, ids []chain.Hash) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.noteBlock(blockNote{ID: h.ID(), Prev: h.Prev, Height: height, Time: h.Time, Seen: now})
	c.put(ids, now)
}

// heardTx notes a payment.
func (c *chronicle) heardTx(now chain.Time, id chain.Hash) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.put([]chain.Hash{id}, now)
}

// put lays payments aside for a while, or until somebody asks: during a first sync most
// of them are pushed out by then, and were never noted.
func (c *chronicle) put(ids []chain.Hash, now chain.Time) {
	if len(c.aside) > 0 && now-c.aside[0].seen > noteWait {
		c.catchUp()
	}
	if len(ids) == 0 {
		return
	}
	c.aside = append(c.aside, txNotes{ids, now})
	if c.waiting += len(ids); c.waiting >= 2*keptTxs {
		c.skip()
	}
}

// skip forgets all payments but the latest.
func (c *chronicle) skip() {
	first := c.txs.next()
	for c.waiting-len(c.aside[0].ids) >= keptTxs {
		first += uint64(len(c.aside[0].ids))
		c.waiting -= len(c.aside[0].ids)
		c.aside = c.aside[1:]
	}
	c.txs.list, c.txs.first = nil, first
	clear(c.seen)
}

// catchUp notes what was laid aside. mu is held.
func (c *chronicle) catchUp() {
	for _, some := range c.aside {
		for _, id := range some.ids {
			c.noteTx(id, some.seen)
		}
	}
	c.aside, c.waiting = nil, 0
}

// seenAt is when a payment came, if that is kept. mu is held.
func (c *chronicle) seenAt(id chain.Hash) (at chain.Time, known bool) {
	c.catchUp()
	at, known = c.seen[id]
	return at, known
}

func (c *chronicle) noteTx(id chain.Hash, now chain.Time) {
	if _, known := c.seen[id]; known {
		return
	}
	c.seen[id] = now
	if gone, full := c.txs.add(txNote{id, now}); full {
		delete(c.seen, gone.ID)
	}
}

func (c *chronicle) noteBlock(b blockNote) {
	if _, known := c.numbers[b.ID]; known {
		return
	}
	c.numbers[b.ID] = c.blocks.next()
	if gone, full := c.blocks.add(b); full {
		delete(c.numbers, gone.ID)
	}
}

func (c *chronicle) move(now chain.Time, who node.Peer, tip chain.Hash) bool {
	if at, known := c.follows[who]; known && at == tip {
		return false
	}
	c.follows[who] = tip
	c.moves.add(moveNote{now, who, tip})
	return true
}

// walk notes a branch down to the first block that is known.
func (c *chronicle) walk(n *node.Node, tip chain.Hash, now chain.Time) {
	var way []blockNote
	for id := tip; len(way) < firstLook; {
		e, ok := n.Entry(id)
		if _, known := c.numbers[id]; known || !ok {
			break
		}
		way = append(way, blockNote{ID: id, Prev: e.Header.Prev, Height: e.State.Height, Time: e.State.Time, Seen: now})
		id = e.Header.Prev
	}
	for _, b := range slices.Backward(way) {
		c.noteBlock(b)
	}
}

// branches notes those that lie beside ours.
func (c *chronicle) branches(n *node.Node, now chain.Time) {
	for _, e := range n.Leaves() {
		if n.Best().Height-min(n.Best().Height, e.State.Height) < keptBlocks/4 {
			c.walk(n, e.State.ID, now)
		}
	}
}

// settle notes since when all counted nodes, and a quorum of them, hold blocks of
// our best chain.
func (c *chronicle) settle(now chain.Time, n *node.Node, counted []node.Peer, tips map[node.Peer]chain.Hash) {
	best := n.Best()
	shared := []uint64{best.Height} // heights up to which each agrees with us
	known := map[chain.Hash]uint64{}
	for _, who := range counted {
		shared = append(shared, sharedHeight(n, best, tips[who], known))
	}
	slices.Sort(shared)
	slices.Reverse(shared)
	c.reached(n, best.ID, shared[len(shared)/2], func(b *blockNote) *chain.Time { return &b.Quorum }, now)
	c.reached(n, best.ID, shared[len(shared)-1], func(b *blockNote) *chain.Time { return &b.All }, now)
}

// sharedHeight is how high a tip's branch goes along with ours, 0 if that is not
// known. What was found for the blocks of one branch is known for all that claim them:
// many peers may, and each step reads the disk.
func sharedHeight(n *node.Node, best chain.State, tip chain.Hash, known map[chain.Hash]uint64) (height uint64) {
	var way []chain.Hash
	for len(way) < firstLook {
		if h, ok := known[tip]; ok {
			height = h
			break
		}
		e, ok := n.Entry(tip)
		if !ok {
			break
		}
		if at, ok := n.Ancestor(best.ID, e.State.Height); ok && at == tip {
			height = e.State.Height
			break
		}
		way, tip = append(way, tip), e.Header.Prev
	}
	if len(way) == firstLook { // nothing was found: those nearer to ours may yet get there
		way = way[:1]
	}
	for _, id := range way {
		known[id] = height
	}
	return height
}

// reached writes the time into each block up to a height that has none yet.
func (c *chronicle) reached(n *node.Node, best chain.Hash, height uint64, when func(*blockNote) *chain.Time, now chain.Time) {
	id, ok := n.Ancestor(best, height)
	for ok {
		number, known := c.numbers[id]
		if !known {
			return
		}
		b := &c.blocks.list[number-c.blocks.first]
		t := when(b)
		if *t != 0 {
			return
		}
		*t = now
		if b.Seen != 0 {
			c.agree(t == &b.Quorum, now-b.Seen)
		}
		id = b.Prev
	}
}

// remember notes the payments that events tell of.
func (d *Daemon) remember(events []rpc.Event) {
	now := chain.Time(d.cfg.Clock().UnixMilli())
	for _, e := range events {
		if tx, ok := e.Value.(rpc.TxEvent); ok {
			d.chronicle.heardTx(now, tx.ID)
		}
	}
}
