package store

import (
	"bytes"
	"encoding/binary"
	"slices"
	"sync"

	"cairn/chain"
)

// kindOfMove tells what a commit did to the tree.
type kindOfMove int

const (
	putOn    kindOfMove = iota // a block went on the tip
	tookOff                    // the tip was taken off
	setAside                   // a body came in beside the best chain
)

// move is what a commit did, and of which not all keys are on disk.
type move struct {
	kind  kindOfMove
	block dueBlock
	diff  chain.Diff // what putting on or taking off did to the coins
	tip   chain.Hash // after it
	fresh bool       // keys that follow from the body on whatever branch are not on disk
}

// A layer is what is due to be written for a way from one tip to another: some blocks
// off, and some on. It knows what the way did to the coins, and which blocks a question
// has to look into. While only blocks are put on it grows in place, and whoever looks
// from some height sees what was made up to there and not spent up to there. Where a
// block is taken off, a clone of the layer takes its place. Once it is frozen it does
// not change.
type layer struct {
	mu    sync.RWMutex
	coins fates // guarded by mu

	// Owned by the writer. Moments keep the slices as they were: nothing in them
	// changes, but by a clone.
	off    []dueBlock            // from the tip below the layer down, newest first
	on     []dueBlock            // from there up, oldest first
	bodies []dueBlock            // blocks on whatever branch whose keys t and x are due
	tip    chain.Hash            // where the way leads
	names  map[chain.Hash]*names // of all blocks above; clones share it
	weight int64                 // bytes of memory, about
	frozen bool
	again  bool           // a crash may have left some of its keys on disk
	weighs int            // how many coins count in weight
	later  sync.WaitGroup // coins are being put on, see putOnLater
}

// dueBlock is a block in a layer.
type dueBlock struct {
	id     chain.Hash
	height uint64
	names  *names
	marked bool // of bodies: the key i tells of it
}

// What a coin and a name in a layer take of memory, in bytes: the map is two thirds
// full on the average.
const (
	coinWeight = 150
	nameWeight = 8
	idWeight   = len(chain.Hash{})
	dueWeight  = 256 // of a block, beside its names
)

// newLayer begins at a tip.
func newLayer(tip chain.Hash) *layer {
	return &layer{coins: newFates(), names: map[chain.Hash]*names{}, tip: tip}
}

// size is how many blocks the layer holds, about.
func (l *layer) size() int { return len(l.off) + max(len(l.on), len(l.bodies)) }

// moves tells whether there is a way at all.
func (l *layer) moves() bool { return len(l.off)+len(l.on) > 0 }

// take adds a move.
func (l *layer) take(m move) {
	l.note(m)
	l.apply(m)
	l.weigh()
}

// apply does to the coins what a move did.
func (l *layer) apply(m move) {
	switch m.kind {
	case putOn:
		l.mu.Lock()
		defer l.mu.Unlock()
		l.putOn(m.block.height, m.diff)
	case tookOff:
		l.takeOff(m.diff)
	case setAside:
	}
}

// takeLater is take for moves of which none takes a block off, but that their coins are
// put on while the writer goes on: whoever asks for one meanwhile waits. Until then each
// weighs as if it were new.
func (l *layer) takeLater(moves []move) {
	for _, m := range moves {
		l.note(m)
		n := len(m.diff.Spent) + len(m.diff.Created)
		l.weight, l.weighs = l.weight+int64(n)*coinWeight, l.weighs+n
	}
	l.mu.Lock()
	l.later.Go(func() {
		defer l.mu.Unlock()
		for _, m := range moves {
			l.putOn(m.block.height, m.diff)
		}
	})
}

// wait ends what takeLater began: nobody but those who hold mu may look at coins before.
func (l *layer) wait() {
	l.later.Wait()
	l.weigh()
}

// weigh counts the coins.
func (l *layer) weigh() {
	l.weight += int64(l.coins.count-l.weighs) * coinWeight
	l.weighs = l.coins.count
}

// note adds a move, but for the coins.
func (l *layer) note(m move) {
	b := m.block
	if _, there := l.names[b.id]; !there {
		l.names[b.id] = b.names
		l.weight += int64(len(b.names.list)*nameWeight+len(b.names.txs)*idWeight) + dueWeight
	}
	switch m.kind {
	case setAside:
		b.marked = true
		l.bodies = append(l.bodies, b)
	case putOn:
		if m.fresh {
			l.bodies = append(l.bodies, b)
		}
		l.on = append(l.on, b)
	case tookOff:
		if n := len(l.on); n > 0 {
			l.on = l.on[:n-1]
			l.leaveAside(b)
		} else {
			l.off = append(l.off, b)
		}
	}
	l.tip = m.tip
}

// leaveAside keeps due what follows from the body of a block that was on the way.
func (l *layer) leaveAside(b dueBlock) {
	b.marked = true
	if n := slices.IndexFunc(l.bodies, func(o dueBlock) bool { return o.id == b.id }); n >= 0 {
		l.bodies[n] = b
		return
	}
	l.bodies = append(l.bodies, b)
}

// putOn does to the coins what a block did, under mu. It spares a moment that looks at them.
func (l *layer) putOn(height uint64, d chain.Diff) {
	for _, c := range d.Spent {
		l.fate(c, true).spent = height
	}
	for _, c := range d.Created {
		if len(l.off) > 0 { // otherwise it is new
			if f := l.coins.find(c.OutPoint); f != nil {
				f.remake(c.Height)
				continue
			}
		}
		f := fateOf(c)
		f.made = true
		l.coins.add(c.OutPoint, f)
	}
}

// fate is that of a coin, which was there below the layer or not if it is not known yet.
func (l *layer) fate(c chain.Coin, below bool) *fate {
	if f := l.coins.find(c.OutPoint); f != nil {
		return f
	}
	f := fateOf(c)
	f.below = below
	return l.coins.add(c.OutPoint, f)
}

// takeOff does to the coins what taking a block off did: d is the inverse of what the
// block did. Nobody else looks at a layer to which this happens.
func (l *layer) takeOff(d chain.Diff) {
	for _, c := range d.Spent {
		f := l.fate(c, true)
		f.unmake()
		l.forget(c.OutPoint, f)
	}
	for _, c := range d.Created {
		f := l.fate(c, false)
		f.spent = 0
		l.forget(c.OutPoint, f)
	}
}

// forget lets go of a coin of which all is as below. After a crash it does not: the disk
// may hold some of what was to become of the coin.
func (l *layer) forget(o chain.OutPoint, f *fate) {
	if f.idle() && !f.made && !l.again {
		l.coins.drop(o)
	}
}

// clone is a layer of its own: moments go on looking at the old one.
func (l *layer) clone() *layer {
	return &layer{
		coins: l.coins.clone(), off: slices.Clone(l.off), on: slices.Clone(l.on), bodies: slices.Clone(l.bodies),
		tip: l.tip, names: l.names, weight: l.weight, weighs: l.weighs, again: l.again,
	}
}

// coin tells what the layer knows of a coin from some height: there, gone, or
// nothing.
func (l *layer) coin(o chain.OutPoint, top uint64) (c chain.Coin, there, known bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	f := l.coins.find(o)
	if f == nil {
		return c, false, false
	}
	return f.coin(o), f.seen(top), true
}

// known are the layer's records as they stand now, of which only names and owners may be
// looked at: these never change.
func (l *layer) known() fates {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return fates{lists: slices.Clone(l.coins.lists)}
}

// pairAt is one of the two keys of a coin in a record, as whoever looks from some height
// sees it; nil deletes.
func (l *layer) pairAt(kind byte, at uint32, top uint64) pair {
	l.mu.RLock()
	defer l.mu.RUnlock()
	r := l.coins.at(at)
	p := coinPair(kind, r.coin(r.OutPoint))
	if !r.seen(top) {
		p.value = nil
	}
	return p
}

// names are the beginnings of all ids and addresses that a block's keys begin with, marks
// of the outputs that it spends, and the whole ids of its transactions: peers name many of these, and their questions
// must not cost more while the block is due. Both are sorted by the first who asks:
// most blocks are written before anybody does.
type names struct {
	sort sync.Once
	list []uint64
	txs  []chain.Hash
}

// namesOf are those of a block's transactions, of the outputs that they spend, and of all
// owners.
func namesOf(b chain.CheckedBlock) *names {
	list := make([]uint64, 0, 5*len(b.Txs())+2)
	txs := append(make([]chain.Hash, 0, 1+len(b.Txs())), b.CoinbaseID())
	name := func(h [32]byte) { list = append(list, nameOf(h[:])) }
	name(b.CoinbaseID())
	for _, out := range b.Block().Coinbase.Outputs {
		name(out.To)
	}
	for _, t := range b.Txs() {
		name(t.ID())
		txs = append(txs, t.ID())
		for i := range t.Tx().Inputs {
			list = append(list, markOf(t.Tx().Inputs[i].Prev))
			name(t.Tx().Inputs[i].Owner)
		}
		for _, out := range t.Tx().Outputs {
			name(out.To)
		}
	}
	return &names{list: slices.Clip(list), txs: txs}
}

func (n *names) sorted() {
	n.sort.Do(func() {
		slices.Sort(n.list)
		slices.SortFunc(n.txs, chain.Hash.Compare)
	})
}

func (n *names) has(name uint64) bool {
	n.sorted()
	_, found := slices.BinarySearch(n.list, name)
	return found
}

// begin are those of the block's transactions whose ids begin so.
func (n *names) begin(prefix []byte) []chain.Hash {
	n.sorted()
	first, _ := slices.BinarySearchFunc(n.txs, prefix, func(id chain.Hash, p []byte) int { return bytes.Compare(id[:], p) })
	last := first
	for last < len(n.txs) && bytes.HasPrefix(n.txs[last][:], prefix) {
		last++
	}
	return n.txs[first:last]
}

func nameOf(b []byte) uint64 { return binary.BigEndian.Uint64(b) }

// touches tells whether the block may have keys that begin so, behind their kind.
// A beginning that is too short to tell touches every block.
func (b *dueBlock) touches(prefix []byte) bool {
	return len(prefix) < 8 || b.names.has(nameOf(prefix))
}
