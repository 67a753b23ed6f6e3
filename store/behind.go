package store

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"cairn/chain"
)

// A lag bounds what may be due: the memory that it takes, and the blocks that an
// open after a crash has to derive again. Without one, everything is written at
// once. A commit begins within the bounds and may end beyond them, by what its own
// steps do: whoever commits these holds as much of them already.
type lag struct {
	bytes  int64
	blocks int
}

func (g lag) none() bool { return g.bytes <= 0 || g.blocks <= 0 }

// full tells whether a layer is half of what may be due: it is then frozen, and the
// next one begins.
func (g lag) full(l *layer) bool { return 2*l.weight >= g.bytes || 2*l.size() >= g.blocks }

// behind is the write-back side of a book. All fields are guarded by book.writing.
type behind struct {
	lag    lag
	layers []*layer   // what is due, oldest first: at most one that is frozen, and one that grows
	busy   bool       // the oldest is being written
	turn   sync.Cond  // busy has ended
	toward chain.Hash // what the key v names; zero if it is not there
	broken error      // why nothing can be written any more
	told   bool       // a caller has heard it

	tally tally

	flusher *flusher // nil: commits write what is due themselves
}

// grows is the layer that grows, if there is one.
func (b *behind) grows() *layer {
	if n := len(b.layers); n > 0 && !b.layers[n-1].frozen {
		return b.layers[n-1]
	}
	return nil
}

// stand is what is due now.
func (b *behind) stand() *stand {
	s := &stand{names: b.names, frozen: len(b.layers) > 0 && b.layers[0].frozen}
	if l := b.grows(); l != nil {
		s.growing = len(l.on)
	}
	return s
}

// names are those of a block that is due.
func (b *behind) names(id chain.Hash) (*names, bool) {
	for _, l := range b.layers {
		if names, ok := l.names[id]; ok {
			return names, true
		}
	}
	return nil, false
}

// follow adds to what is due what a commit did. However many blocks it takes off, it
// clones what grows once: a node reorganises in one commit. Where it only puts blocks on,
// their coins find their places later: nobody who waits for the commit waits for that.
func (b *behind) follow(moves []move) {
	if len(moves) == 0 {
		return
	}
	l, off := b.grows(), slices.ContainsFunc(moves, func(m move) bool { return m.kind == tookOff })
	switch {
	case l == nil:
		l = newLayer(moves[0].tip)
		b.layers = append(b.layers, l)
	case off:
		l.wait()
		l = l.clone()
		b.layers[len(b.layers)-1] = l
	default:
		l.wait()
	}
	if !off {
		l.takeLater(moves)
		return
	}
	for _, m := range moves {
		l.take(m)
	}
}

// see makes what the disk holds now, under what is due, the newest moment.
func (b *book) see() error {
	s, end := b.disk.hold()
	if len(b.layers) > 0 {
		tip, err := tipOf(s)
		if err != nil {
			end()
			return b.breaks(fmt.Errorf("what was written cannot be read: %w", err))
		}
		s = &moment{snapshot: s, views: b.views(tip.State.Height)}
	}
	b.tally.stands(b.layers)
	b.seen.show(&held{snapshot: s, end: end})
	return nil
}

// makeRoom waits while as much is due as may be.
func (b *book) makeRoom() error {
	if b.dueBlocks() > sayFrom && len(b.layers) > 1 && b.lag.full(b.layers[1]) {
		b.say(slog.LevelInfo, "the next blocks wait: what follows from %d before them is being written", b.layers[0].size())
	}
	for len(b.layers) > 1 && b.lag.full(b.layers[1]) && b.broken == nil {
		if err := b.advance(); err != nil {
			return cmp.Or(b.fault(), err)
		}
	}
	return b.fault()
}

// fault is why nothing can be written any more, if so.
func (b *behind) fault() error {
	b.told = b.told || b.broken != nil
	return b.broken
}

// Settle writes all that is due, which otherwise happens soon after commits pause:
// what follows from the newest blocks is then in the indexes on disk too.
func (b *book) Settle() error {
	return b.whileOpen(func() error {
		b.writing.Lock()
		defer b.writing.Unlock()
		return b.settle()
	})
}

// settle writes all that is due, and leaves no mark where the tip is.
func (b *book) settle() error {
	for len(b.layers) > 0 && b.broken == nil {
		if err := b.advance(); err != nil {
			return cmp.Or(b.fault(), err)
		}
	}
	if b.broken == nil {
		if err := b.unlessFull(b.unmark()); err != nil {
			return cmp.Or(b.fault(), err)
		}
	}
	return b.fault()
}

// unmark forgets a mark from which no way leads to the tip, where nothing is due: a crash
// leaves it after the marked block was taken off and put on again. If it stayed, the next
// mark would not be made, and a tip below it would seem to have a way of its own.
func (b *book) unmark() error {
	marked, tip, err := b.marks()
	if none := (chain.Hash{}); err != nil || marked == none || marked != tip || b.toward != none {
		return err
	}
	change := newBatch()
	change.remove(keyWritten)
	if err := b.disk.write(change); err != nil {
		return err
	}
	return b.see()
}

// advance writes the oldest layer, or waits for whoever does so.
func (b *book) advance() error {
	if b.busy {
		b.turn.Wait()
		return nil
	}
	return b.flushOldest(func(write func()) { write() })
}

// flush writes the oldest layer while commits go on.
func (b *book) flush() error {
	b.writing.Lock()
	defer b.writing.Unlock()
	if b.busy || len(b.layers) == 0 || b.broken != nil {
		return b.broken
	}
	return b.flushOldest(func(write func()) {
		b.writing.Unlock()
		defer b.writing.Lock()
		write()
	})
}

// flushOldest writes the oldest layer: first where it leads, then its keys, in as many
// transactions as they take, then the mark that says so. A crash between them leaves
// the mark where it was; the blocks on the way are on disk, and to derive their keys once
// more gives every one of them its value, wherever the tip is by then. Only the last
// transaction needs the book for itself, and the first: from then on a block of the layer
// may be taken off and still be on the way.
func (b *book) flushOldest(aside func(write func())) (err error) {
	defer func(began time.Time) { b.tally.flushed(began, err) }(time.Now())
	if err = b.head(b.layers[0]); err == nil {
		err = b.flushBehind(b.layers[0], aside)
	}
	return b.unlessFull(err)
}

// unlessFull breaks the book with what went wrong when something due was written, unless
// there was no room: that is asked for again.
func (b *book) unlessFull(err error) error {
	if full := (*FullError)(nil); err == nil || errors.As(err, &full) {
		return err
	}
	return b.breaks(fmt.Errorf("write what follows from blocks: %w", err))
}

// breaks ends writing, and tells everybody why. Only the first reason counts.
func (b *book) breaks(why error) error {
	if b.broken == nil {
		b.broken = why
		b.say(slog.LevelError, "%v", why)
		b.breach.tell(why)
	}
	return b.broken
}

// flushBehind writes a layer after its head, most of it aside.
func (b *book) flushBehind(l *layer, aside func(write func())) (err error) {
	l.wait()
	l.frozen, b.busy = true, true
	var rest *batch
	aside(func() { rest, err = b.pour(l) })
	if err == nil {
		err = b.written(l, rest)
	}
	b.busy = false
	b.turn.Broadcast()
	return err
}

// head says where a flush leads, unless one that a crash ended leads further. Without it
// nobody would know of the keys of blocks that are taken off before the mark moves.
func (b *book) head(l *layer) error {
	if !l.moves() || b.toward != (chain.Hash{}) {
		return nil
	}
	change := newBatch()
	change.put(keyToward, l.tip[:])
	if err := b.disk.write(change); err != nil {
		return err
	}
	b.toward = l.tip
	return nil
}

// written ends a flush: the rest of a layer's keys and the mark are one transaction.
func (b *book) written(l *layer, rest *batch) error {
	marked, tip, err := b.marks()
	if err != nil {
		return err
	}
	none := chain.Hash{}
	arrived := b.toward == l.tip
	switch {
	case marked == none:
	case tip == l.tip && (arrived || b.toward == none):
		rest.remove(keyWritten)
	default:
		rest.put(keyWritten, l.tip[:])
	}
	if arrived {
		rest.remove(keyToward)
	}
	if err := b.disk.write(rest); err != nil {
		return err
	}
	if arrived {
		b.toward = none
	}
	b.layers = b.layers[1:]
	return b.see()
}

// marks are the mark and the tip, both zero if there is no mark.
func (b *book) marks() (marked, tip chain.Hash, err error) {
	err = b.look(func(s snapshot) error {
		raw, err := s.get(keyWritten)
		if copy(marked[:], raw); err != nil || raw == nil {
			return err
		}
		raw, err = find(s, keyTip)
		copy(tip[:], raw)
		return err
	})
	return marked, tip, err
}

// settleSoon lets what is due be written: by the flusher, or here and now where there
// is none and a layer is full. A disk without room is asked again later.
func (b *book) settleSoon() {
	if len(b.layers) == 0 {
		return
	}
	newest := b.layers[len(b.layers)-1]
	switch full := !newest.frozen && b.lag.full(newest); {
	case b.flusher == nil && b.lag.full(b.layers[0]):
		_ = b.advance() // the next commit tells what keeps it from being written
	case b.flusher != nil && full:
		tell(b.flusher.full)
	case b.flusher != nil:
		tell(b.flusher.moved)
	}
}

// sayFrom is how many blocks it takes for a wait to be noticed.
const sayFrom = 100

func (b *behind) dueBlocks() (n int) {
	for _, l := range b.layers {
		n += l.size()
	}
	return n
}

// finish ends writing behind.
func (b *book) finish() error {
	if b.flusher != nil {
		b.flusher.stop()
	}
	b.writing.Lock()
	defer b.writing.Unlock()
	if l := b.grows(); l != nil {
		l.wait()
	}
	switch {
	case b.told:
		return nil
	case b.broken != nil: // in the background, and nobody asked since
		return b.broken
	}
	if n := b.dueBlocks(); n > sayFrom {
		b.say(slog.LevelInfo, "writing what follows from the last %d blocks", n)
	}
	err := b.settle()
	if full := (*FullError)(nil); errors.As(err, &full) {
		return nil
	}
	return err
}
