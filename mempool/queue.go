package mempool

import (
	"container/heap"
	"slices"
)

// The queues that an entry may stand in.
const (
	byCheapest = iota
	byAge
	byDue
	byWorth
	queues
)

// queue is a heap whose entries know their place, so that one whose rank
// changed moves in logarithmic time. before is a total order: what comes out
// never depends on what went in first.
type queue struct {
	list   []*entry
	which  int
	before func(a, b *entry) bool
}

// Len, Less, Swap, Push and Pop serve container/heap.
func (q *queue) Len() int           { return len(q.list) }
func (q *queue) Less(i, j int) bool { return q.before(q.list[i], q.list[j]) }

func (q *queue) Swap(i, j int) {
	q.list[i], q.list[j] = q.list[j], q.list[i]
	q.list[i].place[q.which] = i
	q.list[j].place[q.which] = j
}

func (q *queue) Push(x any) {
	e := x.(*entry)
	e.place[q.which] = len(q.list)
	q.list = append(q.list, e)
}

func (q *queue) Pop() any {
	last := len(q.list) - 1
	e := q.list[last]
	q.list[last] = nil
	q.list = q.list[:last]
	e.place[q.which] = -1
	return e
}

// top is the first that is still in the pool; nil if there is none.
func (q *queue) top() *entry {
	for q.Len() > 0 && q.list[0].out {
		q.next()
	}
	if q.Len() == 0 {
		return nil
	}
	return q.list[0]
}

func (q *queue) next() *entry { return heap.Pop(q).(*entry) }

// sweep takes out what is not in the pool any more.
func (q *queue) sweep() {
	q.list = slices.DeleteFunc(q.list, func(e *entry) bool { return e.out })
	for i, e := range q.list {
		e.place[q.which] = i
	}
	heap.Init(q)
}

func (q *queue) fix(e *entry) { heap.Fix(q, e.place[q.which]) }

func (q *queue) leave(e *entry) {
	if i := e.place[q.which]; i >= 0 {
		heap.Remove(q, i)
	}
}

// rejoin puts e in, or moves it if it is in.
func (q *queue) rejoin(e *entry) {
	if e.place[q.which] >= 0 {
		q.fix(e)
		return
	}
	heap.Push(q, e)
}

func lowerID(a, b *entry) bool { return a.tx.ID().Compare(b.tx.ID()) < 0 }

// cheaper puts first what leaves first when room runs out.
func cheaper(a, b *entry) bool {
	if a.held() != b.held() {
		return b.held()
	}
	if c := a.score().compare(b.score()); c != 0 {
		return c < 0
	}
	return lowerID(b, a)
}

// older puts first what expires first.
func older(a, b *entry) bool {
	if a.held() != b.held() {
		return b.held()
	}
	if a.added != b.added {
		return a.added < b.added
	}
	return lowerID(a, b)
}

func sooner(a, b *entry) bool {
	if a.due != b.due {
		return a.due < b.due
	}
	return lowerID(a, b)
}

// worthier puts first what a block takes first.
func worthier(a, b *entry) bool {
	if c := a.rest.compare(b.rest); c != 0 {
		return c > 0
	}
	return lowerID(a, b)
}
