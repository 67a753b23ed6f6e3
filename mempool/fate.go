package mempool

import "cairn/chain"

// Reason tells why a transaction came or left.
type Reason string

// The reasons; the first two are of those that came.
const (
	Added      Reason = "added"
	Returned   Reason = "returned"   // a reorganisation took its block off the best chain
	Confirmed  Reason = "confirmed"  // Block holds it
	Replaced   Reason = "replaced"   // By pays more for the same coin, or for an ancestor's
	Conflicted Reason = "conflicted" // Block confirms By, which spends its coin or an ancestor's
	Evicted    Reason = "evicted"    // others pay more for the room
	Expired    Reason = "expired"    // it waited too long
	Dropped    Reason = "dropped"    // Why: it cannot be confirmed any more, or found no room after a reorganisation
)

// Fate is what became of a transaction that left.
type Fate struct {
	Tx     chain.CheckedTx
	Reason Reason
	By     chain.Hash // the transaction that replaced it or conflicts with it
	Block  chain.Hash // the block that confirmed it, or By
	Why    error      // of Dropped
	Own    bool
	Time   chain.Time // the latest that the pool had heard of
}

// Change is one line of the journal.
type Change struct {
	ID     chain.Hash
	Bytes  int
	Fee    chain.Amount // grains
	Reason Reason
	By     chain.Hash // as in Fate
	Block  chain.Hash // as in Fate
	Time   chain.Time
}

// Fate tells what became of a transaction that left the pool, or came off the
// best chain and did not return to it. Memory is bounded: the oldest are
// forgotten first.
func (p *Pool) Fate(id chain.Hash) (Fate, bool) {
	if f, ok := p.lost.get(id); ok {
		return f, true
	}
	return p.done.get(id)
}

// Since returns up to most changes from number seq on (all if most < 1), and the
// number to ask with next. With gap, some are forgotten, or seq is from another
// life of this node: read All again and go on from next. The first change has
// number 0; Seq is the number of the next.
func (p *Pool) Since(seq uint64, most int) (changes []Change, next uint64, gap bool) {
	return p.journal.since(seq, most)
}

// Seq is the number of the next change.
func (p *Pool) Seq() uint64 { return p.journal.end }

// record notes what became of a transaction that may have left before.
func (p *Pool) record(tx chain.CheckedTx, own bool, f Fate) {
	p.lost.forget(tx.ID())
	p.done.forget(tx.ID())
	p.note(tx, own, f)
}

// note notes that tx left, of which nothing is remembered: what waits has no fate.
func (p *Pool) note(tx chain.CheckedTx, own bool, f Fate) {
	f.Tx, f.Own, f.Time = tx, own, p.now
	if f.Reason == Confirmed {
		p.done.put(f)
	} else {
		p.lost.put(f)
	}
	p.journal.add(p.change(tx, f))
}

func (p *Pool) change(tx chain.CheckedTx, f Fate) Change {
	return Change{
		ID: tx.ID(), Bytes: tx.Size(), Fee: tx.Fee(),
		Reason: f.Reason, By: f.By, Block: f.Block, Time: p.now,
	}
}

// journal is a ring of the latest changes.
type journal struct {
	ring []Change
	most int    // length of the ring
	end  uint64 // number of the next change
}

func (j *journal) add(c Change) {
	if len(j.ring) < j.most {
		j.ring = append(j.ring, c)
	} else {
		j.ring[j.end%uint64(j.most)] = c
	}
	j.end++
}

func (j *journal) since(seq uint64, most int) (changes []Change, next uint64, gap bool) {
	if seq > j.end || seq < j.end-uint64(len(j.ring)) {
		return nil, j.end, true
	}
	for next = seq; next < j.end && (most < 1 || len(changes) < most); next++ {
		changes = append(changes, j.ring[next%uint64(j.most)])
	}
	return changes, next, false
}

// memory keeps the latest fates, up to so many bytes of transactions. Each has a
// number, and stands in the ring at that number modulo the ring's length: one that
// comes moves no other.
type memory struct {
	most  int
	bytes int
	ring  []Fate                // the zero Fate where one was forgotten
	first uint64                // number of the oldest
	next  uint64                // number of the next
	byID  map[chain.Hash]uint64 // numbers
}

func newMemory(most int) memory {
	return memory{most: most, byID: map[chain.Hash]uint64{}}
}

func (m *memory) at(n uint64) *Fate { return &m.ring[n%uint64(len(m.ring))] }

func (m *memory) get(id chain.Hash) (Fate, bool) {
	n, ok := m.byID[id]
	if !ok {
		return Fate{}, false
	}
	return *m.at(n), true
}

// put adds what is not here.
func (m *memory) put(f Fate) {
	if m.next-m.first == uint64(len(m.ring)) {
		m.move(max(2*len(m.byID), fewest))
	}
	m.byID[f.Tx.ID()] = m.next
	*m.at(m.next) = f
	m.next++
	m.bytes += f.Tx.Size()
	for m.bytes > m.most {
		m.drop(m.first)
	}
}

func (m *memory) forget(id chain.Hash) {
	if n, ok := m.byID[id]; ok {
		m.drop(n)
	}
}

func (m *memory) drop(n uint64) {
	f := m.at(n)
	m.bytes -= f.Tx.Size()
	delete(m.byID, f.Tx.ID())
	*f = Fate{}
	for m.first < m.next && m.at(m.first).forgotten() {
		m.first++
	}
}

// fewest is the length of the shortest ring.
const fewest = 8

// move lets what is left stand together in a ring of another length.
func (m *memory) move(length int) {
	old := *m
	m.ring, m.next = make([]Fate, length), m.first
	for n := old.first; n < old.next; n++ {
		if f := old.at(n); !f.forgotten() {
			m.byID[f.Tx.ID()] = m.next
			*m.at(m.next) = *f
			m.next++
		}
	}
}

func (f Fate) forgotten() bool { return f.Tx.Tx() == nil }
