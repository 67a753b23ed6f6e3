package store

import (
	"encoding/binary"
	"iter"
	"maps"
	"slices"

	"cairn/chain"
)

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

func fateOf(c chain.Coin) fate {
	return fate{owner: c.Owner, value: c.Value, height: c.Height, coinbase: c.Coinbase}
}

func (f fate) coin(o chain.OutPoint) chain.Coin {
	return chain.Coin{OutPoint: o, Value: f.value, Owner: f.owner, Height: f.height, Coinbase: f.coinbase}
}

// seen tells what whoever looks from a height sees of the coin: there, gone, or
// nothing.
func (f *fate) seen(top uint64) (there, known bool) {
	switch {
	case f.spent != 0 && f.spent <= top:
		return false, true
	case f.made:
		return f.height <= top, true
	}
	return false, false
}

// fates are those of a layer's coins, in the order in which they came: what the last
// block brought stands last. A small index finds them. Most are written once and
// looked at once, so one map of all would cost a wait for memory at each of its slots.
type fates struct {
	newest map[uint64]uint32 // by mark: which record, counted from 1
	lists  [][]record        // of atOnce records each, the last of fewer
	count  int
}

// record is a coin's place in the list.
type record struct {
	chain.OutPoint
	older uint32 // the record before it with the same mark, counted from 1; 0 for none
	fate
}

const atOnce = 1 << 12

func newFates() fates { return fates{newest: map[uint64]uint32{}} }

// markOf tells outpoints apart but for those that somebody worked hard on.
func markOf(o chain.OutPoint) uint64 {
	const odd = 0x9e3779b97f4a7c15
	return binary.LittleEndian.Uint64(o.Tx[:]) ^ (uint64(o.Index)+1)*odd
}

// at is a record, counted from 1.
func (f *fates) at(i uint32) *record { return &f.lists[(i-1)/atOnce][(i-1)%atOnce] }

// find is what became of a coin, to be changed in place; nil if it is not known.
func (f *fates) find(o chain.OutPoint) *fate {
	for i := f.newest[markOf(o)]; i > 0; {
		r := f.at(i)
		if r.OutPoint == o {
			return &r.fate
		}
		i = r.older
	}
	return nil
}

// push adds a coin that is not known.
func (f *fates) push(o chain.OutPoint, is fate) {
	last := f.count / atOnce
	if last == len(f.lists) {
		room := 0 // most layers are small
		if last > 0 {
			room = atOnce
		}
		f.lists = append(f.lists, make([]record, 0, room))
	}
	mark := markOf(o)
	f.lists[last] = append(f.lists[last], record{o, f.newest[mark], is})
	f.count++
	f.newest[mark] = uint32(f.count)
}

// cut takes off all records but the first n.
func (f *fates) cut(n int) {
	for ; f.count > n; f.count-- {
		r := f.at(uint32(f.count))
		if mark := markOf(r.OutPoint); r.older > 0 {
			f.newest[mark] = r.older
		} else {
			delete(f.newest, mark)
		}
		last := len(f.lists) - 1
		if f.lists[last] = f.lists[last][:len(f.lists[last])-1]; len(f.lists[last]) == 0 {
			f.lists = f.lists[:last]
		}
	}
}

func (f *fates) all() iter.Seq2[chain.OutPoint, fate] {
	return func(yield func(chain.OutPoint, fate) bool) {
		for _, list := range f.lists {
			for i := range list {
				if !yield(list[i].OutPoint, list[i].fate) {
					return
				}
			}
		}
	}
}

func (f *fates) clone() fates {
	own := fates{newest: maps.Clone(f.newest), count: f.count}
	for _, list := range f.lists {
		own.lists = append(own.lists, slices.Clone(list))
	}
	return own
}
