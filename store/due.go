package store

import (
	"encoding/binary"
	"slices"
	"sync"

	"cairn/chain"
)

// late is a block that extended the tip, and whose derived keys are not on disk.
type late struct {
	height uint64
	body   chain.CheckedBlock
	diff   chain.Diff
}

// A layer is what is due to be written for a run of blocks on the best chain: what
// they did to the coins, and in which of them a question may find something. It only
// grows, and on a chain that grows a coin is made once and spent once, so whoever
// looks from some height sees what was made up to there and not spent up to there.
// Once it is frozen it does not change. Where a block is taken off, a clone of the
// layer takes its place.
type layer struct {
	mu     sync.RWMutex
	coins  fates      // guarded by mu
	blocks []dueBlock // guarded by mu; by height, without a gap

	weight int64 // bytes of memory, about; owned by the writer
	frozen bool  // owned by the writer
	again  bool  // a crash may have left some of its keys on disk
}

// dueBlock is a block in a layer.
type dueBlock struct {
	id     chain.Hash
	height uint64
	names  *names
}

// What a coin and a name in a layer take of memory, in bytes: the map is two thirds
// full on the average.
const (
	coinWeight = 150
	nameWeight = 8
	dueWeight  = 192 // of a block, beside its names
)

func newLayer() *layer { return &layer{coins: newFates()} }

// add puts the next block on.
func (l *layer) add(b late) {
	block := dueBlock{b.body.ID(), b.height, namesOf(b)}
	l.mu.Lock()
	defer l.mu.Unlock()
	known := l.coins.count
	for _, c := range b.diff.Spent {
		if f := l.coins.find(c.OutPoint); f != nil {
			f.spent = b.height
			continue
		}
		below := fateOf(c)
		below.spent = b.height
		l.coins.add(c.OutPoint, below)
	}
	for _, c := range b.diff.Created {
		f := fateOf(c)
		f.made = true
		l.coins.add(c.OutPoint, f)
	}
	l.blocks = append(l.blocks, block)
	l.weight += int64(l.coins.count-known)*coinWeight + int64(len(block.names.list))*nameWeight + dueWeight
}

// clone is a layer of its own: moments go on looking at the old one.
func (l *layer) clone() *layer {
	return &layer{coins: l.coins.clone(), blocks: slices.Clone(l.blocks), weight: l.weight}
}

// takeBack undoes the last add: the diff is that of the undo.
func (l *layer) takeBack(b late) {
	known := l.coins.count
	for _, c := range b.diff.Spent {
		l.coins.drop(c.OutPoint)
	}
	for _, c := range b.diff.Created {
		if f := l.coins.find(c.OutPoint); f != nil && f.made {
			f.spent = 0
		} else {
			l.coins.drop(c.OutPoint)
		}
	}
	gone := l.last()
	l.blocks = l.blocks[:len(l.blocks)-1]
	l.weight -= int64(known-l.coins.count)*coinWeight + int64(len(gone.names.list))*nameWeight + dueWeight
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
	there, known = f.seen(top)
	return f.coin(o), there, known
}

// changes calls f with each key of a coin that begins so, as whoever looks from some
// height sees it; nil deletes. f is called while commits wait, for some records at a time.
func (l *layer) changes(prefix []byte, top uint64, f func(key, value []byte)) {
	if !slices.ContainsFunc(l.upTo(top), func(b dueBlock) bool { return b.touches(prefix[1:]) }) {
		return
	}
	for i := 0; l.changesOf(i, prefix, top, f); i++ {
	}
}

// changesOf is changes for the records of one list, if there is one.
func (l *layer) changesOf(i int, prefix []byte, top uint64, f func(key, value []byte)) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if i >= len(l.coins.lists) {
		return false
	}
	list := l.coins.lists[i]
	for j := range list {
		r := &list[j]
		if r.older == hole || !r.begins(prefix) {
			continue
		}
		there, known := r.seen(top)
		if !known {
			continue
		}
		p := coinPair(prefix[0], r.coin(r.OutPoint))
		if !there {
			p.value = nil
		}
		f(p.key, p.value)
	}
	return true
}

// upTo lists the blocks up to a height.
func (l *layer) upTo(top uint64) []dueBlock {
	l.mu.RLock()
	defer l.mu.RUnlock()
	n := len(l.blocks)
	for n > 0 && l.blocks[n-1].height > top {
		n--
	}
	return l.blocks[:n]
}

func (l *layer) last() dueBlock { return l.blocks[len(l.blocks)-1] }

// names are the beginnings of all ids and addresses that a block's keys begin with,
// sorted by the first who asks for one: most blocks are written before anybody does.
type names struct {
	sort sync.Once
	list []uint64
}

// namesOf are those of a block's transactions, of those whose outputs it spends, and
// of all owners.
func namesOf(b late) *names {
	list := make([]uint64, 0, 5*len(b.body.Txs())+2)
	name := func(h [32]byte) { list = append(list, nameOf(h[:])) }
	name(b.body.CoinbaseID())
	for _, out := range b.body.Block().Coinbase.Outputs {
		name(out.To)
	}
	for _, t := range b.body.Txs() {
		name(t.ID())
		for i := range t.Tx().Inputs {
			name(t.Tx().Inputs[i].Prev.Tx)
			name(t.Tx().Inputs[i].Owner)
		}
		for _, out := range t.Tx().Outputs {
			name(out.To)
		}
	}
	return &names{list: slices.Clip(list)}
}

func (n *names) has(name uint64) bool {
	n.sort.Do(func() { slices.Sort(n.list) })
	_, found := slices.BinarySearch(n.list, name)
	return found
}

func nameOf(b []byte) uint64 { return binary.BigEndian.Uint64(b) }

// touches tells whether the block may have keys that begin so, behind their kind.
// A beginning that is too short to tell touches every block.
func (b *dueBlock) touches(prefix []byte) bool {
	return len(prefix) < 8 || b.names.has(nameOf(prefix))
}
