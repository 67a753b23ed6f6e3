package store

import (
	"bytes"
	"cmp"
	"math"
	"slices"

	"cairn/chain"
)

// Place is where a transaction stands in a chain.
type Place struct {
	Height   uint64
	Position uint32 // in its block; 0 is the coinbase
}

// Newest is above every place.
var Newest = Place{math.MaxUint64, math.MaxUint32}

// before is the place next to p on the side of the genesis; ok is false for the
// first of all.
func (p Place) before() (q Place, ok bool) {
	if p.Position > 0 {
		return Place{p.Height, p.Position - 1}, true
	}
	return Place{p.Height - 1, math.MaxUint32}, p.Height > 0
}

// HistoryItem is what one transaction on the best chain did to one address.
type HistoryItem struct {
	Place
	Tx       chain.Hash
	Received chain.Amount // by its outputs, in grains
	Spent    chain.Amount // by its inputs, in grains
}

// bodyKeys are the keys of all that is derived from a stored body on whatever
// branch: which block holds a transaction, and which transaction spends an
// output. Their values are empty.
func bodyKeys(b chain.CheckedBlock) [][]byte {
	keys := append(make([][]byte, 0, 1+2*len(b.Txs())), keyTx(b.CoinbaseID(), b.ID()))
	for _, t := range b.Txs() {
		keys = append(keys, keyTx(t.ID(), b.ID()))
		for i := range t.Tx().Inputs {
			keys = append(keys, keySpend(t.Tx().Inputs[i].Prev, t.ID(), b.ID()))
		}
	}
	return keys
}

// derives tells whether keys of a kind follow from bodies and diffs, so that they
// may be written behind the tip.
func derives(kind byte) bool {
	switch kind {
	case kindCoin, kindOwned, kindHistory, kindTx, kindSpend:
		return true
	}
	return false
}

// pair is a key and its value; nil deletes.
type pair struct{ key, value []byte }

// compare orders by key. Most differ in what an id or an address begins with.
func (p pair) compare(q pair) int {
	const n = 1 + 8
	if len(p.key) >= n && len(q.key) >= n && p.key[0] == q.key[0] {
		if c := cmp.Compare(nameOf(p.key[1:]), nameOf(q.key[1:])); c != 0 {
			return c
		}
	}
	return bytes.Compare(p.key, q.key)
}

// coinPair is one of the two keys under which an unspent coin is kept.
func coinPair(kind byte, c chain.Coin) pair {
	if kind == kindCoin {
		return pair{keyCoin(c.OutPoint), encodeCoin(c)}
	}
	return pair{keyOwned(c.Owner, c.OutPoint), appendCoin(make([]byte, 0, 5+9), c)}
}

// touch names an item of history.
type touch struct {
	owner chain.Address
	at    Place
}

// history is what the block does to each address as part of the best chain. The
// owner of a spent coin stands in the input, so no coin is looked up.
func history(b chain.CheckedBlock, height uint64) map[touch]HistoryItem {
	items := make(map[touch]HistoryItem, 2*len(b.Txs())+1)
	effect(items, Place{height, 0}, b.CoinbaseID(), nil, b.Block().Coinbase.Outputs)
	for i, t := range b.Txs() {
		effect(items, Place{height, uint32(i + 1)}, t.ID(), t.Tx().Inputs, t.Tx().Outputs)
	}
	return items
}

// historyOf is history as far as it is that of addresses that begin so, and some more.
// Only the transactions that concern them are hashed.
func historyOf(b *chain.Block, height uint64, prefix []byte) map[touch]HistoryItem {
	items := map[touch]HistoryItem{}
	prefix = prefix[:min(len(prefix), len(chain.Address{}))]
	if cb := b.Coinbase; concerns(prefix, nil, cb.Outputs) {
		effect(items, Place{height, 0}, cb.ID(), nil, cb.Outputs)
	}
	for i, t := range b.Txs {
		if concerns(prefix, t.Inputs, t.Outputs) {
			effect(items, Place{height, uint32(i + 1)}, t.ID(), t.Inputs, t.Outputs)
		}
	}
	return items
}

func concerns(prefix []byte, ins []chain.Input, outs []chain.Output) bool {
	return slices.ContainsFunc(ins, func(in chain.Input) bool { return bytes.HasPrefix(in.Owner[:], prefix) }) ||
		slices.ContainsFunc(outs, func(o chain.Output) bool { return bytes.HasPrefix(o.To[:], prefix) })
}

// effect adds what one transaction does.
func effect(items map[touch]HistoryItem, at Place, id chain.Hash, ins []chain.Input, outs []chain.Output) {
	for _, o := range outs {
		item := items[touch{o.To, at}]
		item.Place, item.Tx = at, id
		item.Received += o.Value
		items[touch{o.To, at}] = item
	}
	for i := range ins {
		item := items[touch{ins[i].Owner, at}]
		item.Place, item.Tx = at, id
		item.Spent += ins[i].Value
		items[touch{ins[i].Owner, at}] = item
	}
}
