package mempool

import (
	"cmp"
	"container/heap"
	"slices"

	"cairn/chain"
)

// entry is one waiting transaction and its place among the others.
type entry struct {
	tx       chain.CheckedTx
	added    chain.Time
	own      bool
	parents  []*entry // whose outputs it spends, each once
	children []*entry // that spend its outputs, each once
	up       Package  // itself and all its ancestors here
	down     Package  // itself and all its descendants here
	ours     int      // own ones among itself and its descendants

	place [queues]int // in each queue; -1 is nowhere
	out   bool        // it left the pool, and stands in queues until they are swept
	due   chain.Time  // when to publish it again, if own
	wait  chain.Time  // between the last publication and due

	mark   uint64  // the last walk that came by
	rest   Package // while picking: up without what is picked
	picked bool    // while picking
}

func newEntry(tx chain.CheckedTx, added chain.Time, own bool) *entry {
	e := &entry{tx: tx, added: added, own: own, up: single(tx), down: single(tx)}
	for i := range e.place {
		e.place[i] = -1
	}
	return e
}

func up(e *entry) []*entry   { return e.parents }
func down(e *entry) []*entry { return e.children }

// score ranks an entry for eviction: the better of its own fee rate and that of
// it with its descendants, so that a child may pay for its parent and a cheap
// child does not drag its parent out (as in Bitcoin Core).
func (e *entry) score() Package {
	if own := single(e.tx); own.compare(e.down) > 0 {
		return own
	}
	return e.down
}

// held tells that the entry is our own, or that ours need it: it leaves last when
// room runs out, and does not expire.
func (e *entry) held() bool { return e.ours > 0 }

func (e *entry) share() int {
	if e.own {
		return 1
	}
	return 0
}

// hold notes that so many more of our own are an entry, or build on it, and gives
// it its place anew.
func (p *Pool) hold(e *entry, more int) {
	e.ours += more
	p.cheapest.fix(e)
	p.oldest.fix(e)
}

// reach finds everything that next leads to from the given entries, themselves
// included, each once.
func (p *Pool) reach(from []*entry, next func(*entry) []*entry) []*entry {
	if len(from) == 0 {
		return nil
	}
	p.walk++
	found := p.unseen(nil, from)
	for i := 0; i < len(found); i++ {
		found = p.unseen(found, next(found[i]))
	}
	return found
}

func (p *Pool) unseen(found, list []*entry) []*entry {
	for _, e := range list {
		if e.mark != p.walk {
			e.mark = p.walk
			found = append(found, e)
		}
	}
	return found
}

// families finds the entries and all their descendants, parents first.
func (p *Pool) families(of ...*entry) []*entry {
	all := p.reach(of, down)
	slices.SortFunc(all, parentsFirst)
	return all
}

// parentsFirst is a total order: an entry has more ancestors than any of its
// ancestors has.
func parentsFirst(a, b *entry) int {
	return cmp.Or(cmp.Compare(a.up.Count, b.up.Count), a.tx.ID().Compare(b.tx.ID()))
}

// link puts e into the pool, behind its parents.
func (p *Pool) link(e *entry) {
	id := e.tx.ID()
	p.entries[id] = e
	p.bytes += e.tx.Size()
	p.fees += e.tx.Fee()
	for i := range e.tx.Tx().Inputs {
		p.spends[e.tx.Tx().Inputs[i].Prev] = spend{by: e, at: int32(i)}
	}
	e.parents = p.parents(e.tx)
	for _, parent := range e.parents {
		parent.children = append(parent.children, e)
	}
	e.ours = e.share()
	for _, a := range p.reach(e.parents, up) {
		e.up = e.up.plus(single(a.tx))
		a.down = a.down.plus(single(e.tx))
		p.hold(a, e.ours)
	}
	heap.Push(&p.cheapest, e)
	heap.Push(&p.oldest, e)
	if e.own {
		heap.Push(&p.duest, e)
	}
}

// unlink takes e out. Sums stay right as long as an entry between an ancestor
// and a descendant never leaves before one of the two sides.
func (p *Pool) unlink(e *entry) {
	for _, a := range p.reach(e.parents, up) {
		a.down = a.down.minus(single(e.tx))
		p.hold(a, -e.share())
	}
	for _, d := range p.reach(e.children, down) {
		d.up = d.up.minus(single(e.tx))
	}
	for _, parent := range e.parents {
		parent.children = without(parent.children, e)
	}
	for _, child := range e.children {
		child.parents = without(child.parents, e)
	}
	e.out = true
	p.out++
	for i := range e.tx.Tx().Inputs {
		delete(p.spends, e.tx.Tx().Inputs[i].Prev)
	}
	delete(p.entries, e.tx.ID())
	p.bytes -= e.tx.Size()
	p.fees -= e.tx.Fee()
}

// sweep takes what left out of the queues, once it is half as much as what waits: one
// by one they would cost more than all else that a block does to the pool. Blocks that
// come one behind the other do not wait for it.
func (p *Pool) sweep() {
	if p.out <= len(p.entries)/2 {
		return
	}
	for _, q := range []*queue{&p.cheapest, &p.oldest, &p.duest} {
		q.sweep()
	}
	p.out = 0
}

func without(list []*entry, e *entry) []*entry {
	return slices.DeleteFunc(list, func(o *entry) bool { return o == e })
}

// parents finds the waiting transactions that tx spends from, each once, in the
// order of its inputs.
func (p *Pool) parents(tx chain.CheckedTx) []*entry {
	return p.inputs(tx, func(o chain.OutPoint) *entry { return p.entries[o.Tx] })
}

// rivals finds the waiting transactions that spend a coin of tx, each once.
func (p *Pool) rivals(tx chain.CheckedTx) []*entry {
	return p.inputs(tx, func(o chain.OutPoint) *entry { return p.spends[o].by })
}

func (p *Pool) inputs(tx chain.CheckedTx, at func(chain.OutPoint) *entry) (found []*entry) {
	p.walk++
	ins := tx.Tx().Inputs
	for i := range ins {
		if e := at(ins[i].Prev); e != nil && e.mark != p.walk {
			e.mark = p.walk
			found = append(found, e)
		}
	}
	return found
}

// heirs finds the waiting transactions that spend one of the first n outputs of
// id, each once.
func (p *Pool) heirs(id chain.Hash, n int) (found []*entry) {
	p.walk++
	for i := range n {
		e := p.spends[chain.OutPoint{Tx: id, Index: uint32(i)}].by
		if e != nil && e.mark != p.walk {
			e.mark = p.walk
			found = append(found, e)
		}
	}
	return found
}
