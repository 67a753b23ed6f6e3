package store

import (
	"encoding/binary"
	"maps"
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
	coins  map[chain.OutPoint]fate // guarded by mu
	blocks []dueBlock              // guarded by mu; by height, without a gap

	weight int64 // bytes of memory, about; owned by the writer
	frozen bool  // owned by the writer
	again  bool  // a crash may have left some of its keys on disk
}

// fate is what became of a coin in a layer. It is without pointers: no collection
// of garbage looks at a million of them.
type fate struct {
	owner    chain.Address
	value    chain.Amount
	height   uint64 // of the block that made it
	spent    uint64 // height of the block that spent it; 0 for none
	coinbase bool
	made     bool // in this layer; otherwise below it
}

// dueBlock is a block in a layer.
type dueBlock struct {
	id     chain.Hash
	height uint64
	names  []uint64 // beginnings of all ids and addresses that its keys begin with, sorted
}

// What a coin and a name in a layer take of memory, in bytes: the map is two thirds
// full on the average.
const (
	coinWeight = 160
	nameWeight = 8
	dueWeight  = 128 // of a block, beside its names
)

func newLayer() *layer { return &layer{coins: map[chain.OutPoint]fate{}} }

func fateOf(c chain.Coin) fate {
	return fate{owner: c.Owner, value: c.Value, height: c.Height, coinbase: c.Coinbase}
}

func (f fate) coin(o chain.OutPoint) chain.Coin {
	return chain.Coin{OutPoint: o, Value: f.value, Owner: f.owner, Height: f.height, Coinbase: f.coinbase}
}

// add puts the next block on.
func (l *layer) add(b late) {
	block := dueBlock{b.body.ID(), b.height, names(b)}
	l.mu.Lock()
	defer l.mu.Unlock()
	known := len(l.coins)
	for _, c := range b.diff.Spent {
		f, ok := l.coins[c.OutPoint]
		if !ok {
			f = fateOf(c)
		}
		f.spent = b.height
		l.coins[c.OutPoint] = f
	}
	for _, c := range b.diff.Created {
		f := fateOf(c)
		f.made = true
		l.coins[c.OutPoint] = f
	}
	l.blocks = append(l.blocks, block)
	l.weight += int64(len(l.coins)-known)*coinWeight + int64(len(block.names))*nameWeight + dueWeight
}

// clone is a layer of its own: moments go on looking at the old one.
func (l *layer) clone() *layer {
	return &layer{coins: maps.Clone(l.coins), blocks: slices.Clone(l.blocks), weight: l.weight}
}

// takeBack undoes the last add: the diff is that of the undo.
func (l *layer) takeBack(b late) {
	known := len(l.coins)
	for _, c := range b.diff.Spent {
		delete(l.coins, c.OutPoint)
	}
	for _, c := range b.diff.Created {
		if f := l.coins[c.OutPoint]; f.made {
			f.spent = 0
			l.coins[c.OutPoint] = f
		} else {
			delete(l.coins, c.OutPoint)
		}
	}
	gone := l.last()
	l.blocks = l.blocks[:len(l.blocks)-1]
	l.weight -= int64(known-len(l.coins))*coinWeight + int64(len(gone.names))*nameWeight + dueWeight
}

// coin tells what the layer knows of a coin from some height: there, gone, or
// nothing.
func (l *layer) coin(o chain.OutPoint, top uint64) (c chain.Coin, there, known bool) {
	l.mu.RLock()
	f, ok := l.coins[o]
	l.mu.RUnlock()
	switch {
	case !ok:
		return c, false, false
	case f.spent != 0 && f.spent <= top:
		return c, false, true
	case f.made:
		return f.coin(o), f.height <= top, true
	}
	return c, false, false
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

// names begin the keys that are derived from a block: its transactions, those whose
// outputs it spends, and all owners.
func names(b late) []uint64 {
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
	slices.Sort(list)
	return slices.Clip(slices.Compact(list))
}

func nameOf(b []byte) uint64 { return binary.BigEndian.Uint64(b) }

// touches tells whether the block may have keys that begin so, behind their kind.
// A beginning that is too short to tell touches every block.
func (b *dueBlock) touches(prefix []byte) bool {
	if len(prefix) < 8 {
		return true
	}
	_, found := slices.BinarySearch(b.names, nameOf(prefix))
	return found
}
