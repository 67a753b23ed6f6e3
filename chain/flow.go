package chain

import (
	"cmp"
	"encoding/binary"
	"slices"
)

// flow is how coins go through a block. It follows from the ids alone, so that it
// is found beside the line in which blocks are connected.
type flow struct {
	needs []OutPoint // coins of other blocks, in the order of the inputs that spend them
	again []bool     // of needs: an input before spends the same coin; nil if none does
	rank  []int32    // positions in needs, in the order of the coins
	from  []int32    // for each input: which transaction of this block, before its own, made the coin; -1 for a need
	first []int32    // for each transaction: the number of its first output, counted through the block
	made  []int32    // the block's leaves in the order of their ids
}

// flowOf finds the flow of transactions. leaves are their ids behind the coinbase's, and
// sorted lists the leaves in order.
func flowOf(leaves []Hash, sorted []int32, txs []CheckedTx) *flow {
	f := &flow{first: make([]int32, 1+len(txs)), made: sorted}
	inputs := 0
	for i, t := range txs {
		inputs += len(t.tx.Inputs)
		f.first[1+i] = f.first[i] + int32(len(t.tx.Outputs))
	}
	f.trace(txs, inputs, func(id Hash) int {
		at, ok := slices.BinarySearchFunc(sorted, id, func(i int32, id Hash) int { return leaves[i].Compare(id) })
		if !ok {
			return -1
		}
		return int(sorted[at]) - 1
	})
	f.rank = order(len(f.needs), func(i int) OutPoint { return f.needs[i] })
	f.compare()
	return f
}

// trace finds where each input's coin comes from; maker is the number of the
// transaction with an id, or -1.
func (f *flow) trace(txs []CheckedTx, inputs int, maker func(Hash) int) {
	f.needs = make([]OutPoint, 0, inputs)
	f.from = make([]int32, 0, inputs)
	for i, t := range txs {
		for k := range t.tx.Inputs {
			prev := t.tx.Inputs[k].Prev
			by := maker(prev.Tx)
			if by >= i { // what comes later has made nothing yet
				by = -1
			}
			if by < 0 {
				f.needs = append(f.needs, prev)
			}
			f.from = append(f.from, int32(by))
		}
	}
}

// compare notes the coins that are needed twice.
func (f *flow) compare() {
	for i := 1; i < len(f.rank); i++ {
		if f.needs[f.rank[i]] != f.needs[f.rank[i-1]] {
			continue
		}
		if f.again == nil {
			f.again = make([]bool, len(f.needs))
		}
		f.again[f.rank[i]] = true
	}
}

// orderOf lists the positions of ids in their order, equal ones as they come.
func orderOf(ids []Hash) []int32 {
	return order(len(ids), func(i int) OutPoint { return OutPoint{Tx: ids[i]} })
}

// order lists the positions of n outpoints in the outpoints' order, equal ones as
// they come.
func order(n int, at func(int) OutPoint) []int32 {
	type ranked struct {
		head uint64 // of the outpoint: nearly always enough to compare
		at   int32
	}
	list := make([]ranked, n)
	for i := range list {
		o := at(i)
		list[i] = ranked{binary.BigEndian.Uint64(o.Tx[:]), int32(i)}
	}
	slices.SortFunc(list, func(a, b ranked) int {
		if a.head != b.head {
			return cmp.Compare(a.head, b.head)
		}
		return cmp.Or(at(int(a.at)).Compare(at(int(b.at))), cmp.Compare(a.at, b.at))
	})
	positions := make([]int32, n)
	for i := range list {
		positions[i] = list[i].at
	}
	return positions
}
