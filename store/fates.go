package store

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"iter"
	"maps"
	"math"
	"slices"

	"cairn/chain"
)

// fate is what became of a coin in a layer. It is without pointers: no collection
// of garbage looks at a million of them.
type fate struct {
	owner    chain.Address
	value    chain.Amount
	height   uint64 // of the block that made it
	spent    uint64 // height of the block on the way that spent it; 0 for none
	coinbase bool
	made     bool // by a block on the way; otherwise whoever made it lies below
	gone     bool // whoever made it was taken off
	below    bool // below the layer it is there
	aged     bool // and was made at another height there
}

func fateOf(c chain.Coin) fate {
	return fate{owner: c.Owner, value: c.Value, height: c.Height, coinbase: c.Coinbase}
}

func (f fate) coin(o chain.OutPoint) chain.Coin {
	return chain.Coin{OutPoint: o, Value: f.value, Owner: f.owner, Height: f.height, Coinbase: f.coinbase}
}

// seen tells whether the coin is there for whoever looks from a height.
func (f *fate) seen(top uint64) bool {
	return !f.gone && (f.spent == 0 || f.spent > top) && (!f.made || f.height <= top)
}

// there tells whether the coin is unspent at the end of the way.
func (f *fate) there() bool { return !f.gone && f.spent == 0 }

// idle tells that the way changed nothing about the coin.
func (f *fate) idle() bool { return f.there() == f.below && !(f.below && f.aged) }

// unmake takes off whoever made the coin.
func (f *fate) unmake() { f.gone, f.made, f.spent = true, false, 0 }

// remake makes a coin again that is gone.
func (f *fate) remake(height uint64) {
	f.aged = f.below && (f.aged || f.height != height)
	f.gone, f.made, f.spent, f.height = false, true, 0, height
}

// fates are those of a layer's coins. They stand behind each other in the order in which
// they came, and a small index finds them: most are written once and looked at once, so
// one map of all would cost a wait for memory at each of its slots.
type fates struct {
	newest map[uint64]uint32 // by mark: which record, counted from 1
	lists  [][]record        // of atOnce records each, the last of fewer
	count  int               // of coins
	holes  int               // records whose coins were dropped
}

// record is a coin's place in the lists.
type record struct {
	chain.OutPoint
	older uint32 // the record before it with the same mark, counted from 1; 0 for none
	fate
}

// begins tells whether one of the coin's two keys may begin so.
func (r *record) begins(prefix []byte) bool {
	first := r.first(prefix[0])
	n := min(len(prefix)-1, len(first))
	return bytes.Equal(first[:n], prefix[1:1+n])
}

// first is what one of the coin's two keys begins with.
func (r *record) first(kind byte) []byte {
	if kind == kindOwned {
		return r.owner[:]
	}
	return r.Tx[:]
}

// compare orders by one of the two keys.
func (r *record) compare(o *record, kind byte) int {
	return cmp.Or(bytes.Compare(r.first(kind), o.first(kind)), r.Tx.Compare(o.Tx), cmp.Compare(r.Index, o.Index))
}

const (
	atOnce = 1 << 12
	hole   = math.MaxUint32 // older than a record whose coin was dropped
)

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

// add adds a coin that is not known.
func (f *fates) add(o chain.OutPoint, is fate) *fate {
	last := (f.count + f.holes) / atOnce
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
	f.newest[mark] = uint32(f.count + f.holes)
	return &f.at(uint32(f.count + f.holes)).fate
}

// drop forgets a coin.
func (f *fates) drop(o chain.OutPoint) {
	mark := markOf(o)
	var newer *record
	for i := f.newest[mark]; i > 0; {
		r := f.at(i)
		if r.OutPoint != o {
			newer, i = r, r.older
			continue
		}
		switch {
		case newer != nil:
			newer.older = r.older
		case r.older > 0:
			f.newest[mark] = r.older
		default:
			delete(f.newest, mark)
		}
		r.older = hole
		f.count, f.holes = f.count-1, f.holes+1
		return
	}
}

func (f *fates) all() iter.Seq2[chain.OutPoint, fate] {
	return func(yield func(chain.OutPoint, fate) bool) {
		for _, r := range f.records() {
			if !yield(r.OutPoint, r.fate) {
				return
			}
		}
	}
}

// records are those of all coins, and which they are, counted from 1.
func (f *fates) records() iter.Seq2[uint32, *record] {
	return func(yield func(uint32, *record) bool) {
		for n, list := range f.lists {
			for i := range list {
				if list[i].older != hole && !yield(uint32(n*atOnce+i+1), &list[i]) {
					return
				}
			}
		}
	}
}

// clone is without holes, if they are many.
func (f *fates) clone() fates {
	if f.holes > f.count {
		own := newFates()
		for o, is := range f.all() {
			own.add(o, is)
		}
		return own
	}
	own := fates{newest: maps.Clone(f.newest), count: f.count, holes: f.holes}
	for _, list := range f.lists {
		own.lists = append(own.lists, slices.Clone(list))
	}
	return own
}
