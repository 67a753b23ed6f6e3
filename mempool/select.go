package mempool

import (
	"container/heap"
	"math"
	"slices"

	"cairn/chain"
)

// patience is after how many packages in a row that did not fit Select gives up:
// little room is left then (as in Bitcoin Core).
const patience = 1000

// Select chooses transactions of at most maxBytes for a block, parents before
// children. It takes the best package first: a transaction together with those
// of its ancestors that are not chosen yet, by the fee rate of all of them, so
// that a child can pay for its parents. Ties go to the lower id.
func (p *Pool) Select(maxBytes int) []chain.CheckedTx {
	return txs(p.pick(maxBytes, len(p.entries)))
}

// IDs lists the best transactions in the order of Select: those by which an
// empty pool gains most, parents first.
func (p *Pool) IDs(most int) []chain.Hash {
	list := p.pick(math.MaxInt, most)
	return ids(list[:max(0, min(most, len(list)))])
}

func (p *Pool) pick(room, most int) (chosen []*entry) {
	q := p.candidates()
	for misses := 0; q.Len() > 0 && len(chosen) < most && misses < patience; {
		e := q.next()
		if e.rest.Bytes > room {
			misses++
			continue
		}
		misses = 0
		room -= e.rest.Bytes
		chosen = append(chosen, p.choose(q, e)...)
	}
	return chosen
}

func (p *Pool) candidates() *queue {
	q := &queue{which: byWorth, before: worthier, list: make([]*entry, 0, len(p.entries))}
	for _, e := range p.entries {
		e.rest, e.picked = e.up, false
		q.Push(e)
	}
	heap.Init(q)
	return q
}

// choose marks e and its ancestors and lightens what depends on them. A package
// that did not fit before may fit then, and is a candidate again.
func (p *Pool) choose(q *queue, e *entry) []*entry {
	pack := append(p.reach(e.parents, up), e)
	pack = slices.DeleteFunc(pack, func(a *entry) bool { return a.picked })
	slices.SortFunc(pack, parentsFirst)
	for _, a := range pack {
		a.picked = true
		q.leave(a)
	}
	for _, a := range pack {
		for _, d := range p.reach(a.children, down) {
			if !d.picked {
				d.rest = d.rest.minus(single(a.tx))
				q.rejoin(d)
			}
		}
	}
	return pack
}
