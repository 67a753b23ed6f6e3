package store

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"cairn/chain"
	"cairn/node"
)

// A lag bounds what may be due: the memory that it takes, and the blocks that an
// open after a crash has to derive again. Without one, everything is written at
// once.
type lag struct {
	bytes  int64
	blocks int
}

func (g lag) none() bool { return g.bytes <= 0 || g.blocks <= 0 }

// full tells whether a layer is half of what may be due: it is then frozen, and the
// next one begins.
func (g lag) full(l *layer) bool { return 2*l.weight >= g.bytes || 2*len(l.blocks) >= g.blocks }

// behind is the write-back side of a book. All fields are guarded by book.writing.
type behind struct {
	lag    lag
	layers []*layer  // what is due, oldest first: at most one that is frozen, and one that grows
	busy   bool      // the oldest is being written
	turn   sync.Cond // busy has ended
	broken error     // why nothing can be written any more
	told   bool      // a caller has heard it

	flusher *flusher // nil: commits write what is due themselves
}

// due adds a block to the layer that grows.
func (b *behind) due(l late) {
	if n := len(b.layers); n == 0 || b.layers[n-1].frozen {
		b.layers = append(b.layers, newLayer())
	}
	b.layers[len(b.layers)-1].add(l)
}

// growing is how many blocks are due of which nothing was written.
func (b *behind) growing() int {
	if n := len(b.layers); n > 0 && !b.layers[n-1].frozen {
		return len(b.layers[n-1].blocks)
	}
	return 0
}

// follow does to what is due what moves did to the tip.
func (b *behind) follow(moves []move) {
	if b.growing() > 0 && slices.ContainsFunc(moves, func(m move) bool { return m.undo }) {
		last := len(b.layers) - 1
		b.layers[last] = b.layers[last].clone()
	}
	for _, m := range moves {
		if !m.undo {
			b.due(m.late)
			continue
		}
		last := len(b.layers) - 1
		if b.layers[last].takeBack(m.late); len(b.layers[last].blocks) == 0 {
			b.layers = b.layers[:last]
		}
	}
}

// see makes what the disk holds now the newest moment. moves are those that were just
// to be written; its tip tells how many of them were.
func (b *book) see(moves ...move) error {
	s, end := b.disk.hold()
	m := &moment{snapshot: s}
	if len(moves)+len(b.layers) > 0 {
		tip, err := tipOf(s)
		if err != nil {
			end()
			b.broken = fmt.Errorf("what was written cannot be read: %w", err)
			return b.broken
		}
		m.top = tip.State.Height
		for n := len(moves); n > 0; n-- {
			if moves[n-1].tip == tip.State.ID {
				b.follow(moves[:n])
				break
			}
		}
	}
	if m.layers = slices.Clone(b.layers); len(m.layers) > 0 {
		s = m
	}
	b.seen.show(&held{snapshot: s, end: end})
	return nil
}

// makeRoom waits while as much is due as may be.
func (b *book) makeRoom() error {
	if b.dueBlocks() > sayFrom && len(b.layers) > 1 && b.lag.full(b.layers[1]) {
		b.say(slog.LevelInfo, "the next blocks wait: what follows from %d before them is being written", len(b.layers[0].blocks))
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

// settle writes all that is due.
func (b *book) settle() error {
	for len(b.layers) > 0 && b.broken == nil {
		if err := b.advance(); err != nil {
			return cmp.Or(b.fault(), err)
		}
	}
	return b.fault()
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

// flushOldest writes the oldest layer: first its keys, in as many transactions as
// they take, then the mark that says so. A crash between them leaves the mark where
// it was; the blocks behind it are on disk, and to derive their keys once more gives
// every one of them its value. Only the last transaction needs the book for itself.
func (b *book) flushOldest(aside func(write func())) (err error) {
	l := b.layers[0]
	l.frozen, b.busy = true, true
	var rest *batch
	aside(func() { rest, err = b.pour(l) })
	if err == nil {
		err = b.written(l, rest)
	}
	b.busy = false
	b.turn.Broadcast()
	if full := (*FullError)(nil); err != nil && !errors.As(err, &full) {
		b.broken = fmt.Errorf("write what follows from blocks: %w", err)
		b.say(slog.LevelError, "%v", b.broken)
		b.breach.tell(b.broken)
		return b.broken
	}
	return err
}

// written ends a flush: the rest of a layer's keys and the mark are one transaction.
func (b *book) written(l *layer, rest *batch) error {
	last := l.last().id
	tip, err := b.tipID()
	if err != nil {
		return err
	}
	if tip == last {
		rest.remove(keyWritten)
	} else {
		rest.put(keyWritten, last[:])
	}
	if err := b.disk.write(rest); err != nil {
		return err
	}
	b.layers = b.layers[1:]
	return b.see()
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
		n += len(l.blocks)
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

func (b *book) tipID() (id chain.Hash, err error) {
	err = b.look(func(s snapshot) error {
		raw, err := find(s, keyTip)
		copy(id[:], raw)
		return err
	})
	return id, err
}

// rollForward derives what a crash left due, from the blocks that are on disk.
func (b *book) rollForward() error {
	b.writing.Lock()
	defer b.writing.Unlock()
	from, to, err := b.gap()
	if err != nil || from == to {
		return err
	}
	bound := b.lag
	if bound.none() {
		bound = defaultLag
	}
	b.say(slog.LevelInfo, "the program ended before it had written all that follows from %d blocks: deriving it again", to-from)
	for h := from + 1; h <= to; h++ {
		l, err := b.stored(h)
		if err != nil {
			return err
		}
		b.due(l)
		b.layers[0].again = true
		if h == to || bound.full(b.layers[0]) {
			if err := b.settle(); err != nil {
				return err
			}
			b.say(slog.LevelInfo, "derived again up to block %d of %d", h, to)
		}
	}
	return nil
}

// gap tells between which heights everything derived may be missing.
func (b *book) gap() (from, to uint64, err error) {
	err = b.look(func(s snapshot) error {
		raw, err := s.get(keyWritten)
		if err != nil || raw == nil {
			return err
		}
		var mark chain.Hash
		copy(mark[:], raw)
		e, err := entryOf(s, mark)
		if err == nil {
			var at []byte
			if at, err = find(s, keyHeight(e.State.Height)); err == nil && string(at) != string(mark[:]) {
				err = errors.New("it is not on the best chain")
			}
		}
		if err != nil {
			return damaged("mark", mark, err)
		}
		tip, err := tipOf(s)
		from, to = e.State.Height, tip.State.Height
		return err
	})
	return from, to, err
}

// stored is a block of the best chain.
func (b *book) stored(height uint64) (l late, err error) {
	err = b.look(func(s snapshot) error {
		raw, err := find(s, keyHeight(height))
		if errors.Is(err, node.ErrUnknown) {
			return damaged("best chain at height", height, errors.New("missing"))
		}
		if err != nil {
			return err
		}
		id := chain.Hash(raw)
		l.height = height
		if l.body, err = bodyOf(s, id); err == nil {
			l.diff, err = diffOf(s, id)
		}
		return err
	})
	return l, err
}
