package store

import (
	"errors"
	"log/slog"
	"slices"

	"cairn/chain"
	"cairn/node"
)

// way leads from one tip to another: blocks off, newest first, and blocks on.
type way struct{ off, on []dueBlock }

func (w way) len() int { return len(w.off) + len(w.on) }

// wayBetween finds the way from one stored block to another.
func wayBetween(s snapshot, from, to chain.Hash) (w way, err error) {
	a, err := entryOf(s, from)
	if err != nil {
		return w, damaged("mark", from, err)
	}
	b, err := entryOf(s, to)
	for err == nil && a.State.ID != b.State.ID {
		if a.State.Height >= b.State.Height {
			w.off = append(w.off, dueBlock{id: a.State.ID, height: a.State.Height})
			a, err = entryOf(s, a.Header.Prev)
		} else {
			w.on = append(w.on, dueBlock{id: b.State.ID, height: b.State.Height})
			b, err = entryOf(s, b.Header.Prev)
		}
	}
	if errors.Is(err, node.ErrUnknown) {
		err = damaged("mark", from, errors.New("the blocks between it and the tip are not all there"))
	}
	slices.Reverse(w.on)
	return w, err
}

// forward derives again what a crash left due.
type forward struct {
	*book
	bound     lag
	tip       chain.Hash // that of the last move
	done, all int        // blocks
}

// rollForward derives what a crash left due, from the blocks that are on disk: what
// follows from the way on which a flush was, then from the way on to the tip, and from
// bodies beside.
func (b *book) rollForward() error {
	b.writing.Lock()
	defer b.writing.Unlock()
	from, first, second, aside, err := b.left()
	if err != nil {
		return err
	}
	f := forward{book: b, bound: b.lag, tip: from, all: first.len() + second.len() + len(aside)}
	if f.bound.none() {
		f.bound = defaultLag
	}
	if f.all > 0 {
		b.say(slog.LevelInfo, "the program ended before it had written all that follows from %d blocks: deriving it again", f.all)
	}
	if err = f.follow(first); err == nil {
		err = f.arrive()
	}
	if err == nil {
		err = f.follow(second)
	}
	for _, id := range aside {
		if err == nil {
			err = f.move(dueBlock{id: id}, setAside)
		}
	}
	if err != nil {
		return err
	}
	return f.settle()
}

// left is what a crash left due: the way on which a flush was, the one from there to
// the tip, and the bodies beside.
func (b *book) left() (from chain.Hash, first, second way, aside []chain.Hash, err error) {
	err = b.look(func(s snapshot) error {
		ends := make([]chain.Hash, 3)
		for i, key := range [][]byte{keyTip, keyWritten, keyToward} {
			raw, err := s.get(key)
			if err != nil {
				return err
			}
			if copy(ends[i][:], raw); raw == nil {
				ends[i] = ends[0]
			} else if i == 2 {
				b.toward = ends[i]
			}
		}
		tip, toward := ends[0], ends[2]
		from = ends[1]
		if first, err = wayBetween(s, from, toward); err != nil {
			return err
		}
		if second, err = wayBetween(s, toward, tip); err != nil {
			return err
		}
		return s.each(span{prefix: []byte{kindAside}, keys: true}, func(key, _ []byte) error {
			aside = append(aside, chain.Hash(key[1:]))
			return nil
		})
	})
	return from, first, second, aside, err
}

// arrive ends the way on which a flush was.
func (f *forward) arrive() error {
	if err := f.settle(); err != nil || f.toward == (chain.Hash{}) {
		return err
	}
	change := newBatch() // it led nowhere
	change.remove(keyToward)
	f.toward = chain.Hash{}
	if err := f.disk.write(change); err != nil {
		return err
	}
	return f.see()
}

func (f *forward) follow(w way) error {
	for _, b := range w.off {
		if err := f.move(b, tookOff); err != nil {
			return err
		}
	}
	for _, b := range w.on {
		if err := f.move(b, putOn); err != nil {
			return err
		}
	}
	return nil
}

// move adds to what is due what a stored block does.
func (f *forward) move(due dueBlock, kind kindOfMove) error {
	m := move{kind: kind, block: due, tip: due.id, fresh: true}
	if err := f.look(func(s snapshot) error { return m.read(s) }); err != nil {
		return err
	}
	l := f.grows()
	if l == nil {
		l = newLayer(f.tip)
		l.again = true
		f.layers = append(f.layers, l)
	}
	if kind == setAside {
		m.tip = l.tip
	}
	l.take(m)
	f.tip = l.tip
	if f.done++; f.done < f.all && !f.bound.full(l) {
		return nil
	}
	if err := f.settle(); err != nil {
		return err
	}
	f.say(slog.LevelInfo, "derived again what follows from %d of %d blocks", f.done, f.all)
	return nil
}

// read reads what a move does from its stored block.
func (m *move) read(s snapshot) error {
	b, err := bodyOf(s, m.block.id)
	if err != nil {
		return err
	}
	m.block.names = namesOf(b)
	if m.kind == setAside {
		return nil
	}
	if m.diff, err = diffOf(s, b); m.kind == tookOff {
		m.diff, m.tip = m.diff.Inverse(), b.Header().Prev
	}
	return err
}
