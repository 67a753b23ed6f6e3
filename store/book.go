package store

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"cairn/chain"
	"cairn/node"
)

// ErrClosed is returned by every method after Close.
var ErrClosed = errors.New("the store is closed")

// MaxNamed is how many bytes a named value may have: it is meant for small
// things.
const MaxNamed = 1 << 20

// book is what both stores are: entries, bodies, the best chain's coins, and
// indexes, on a disk. Beside the newest moment of the disk it keeps in memory only
// what is due to be written there, which it could derive again.
type book struct {
	reads
	behind
	disk    disk
	params  *chain.Params
	seen    seen
	writing sync.Mutex   // one writer at a time
	open    sync.RWMutex // held for reading by every call; Close waits for them
	closed  bool         // under open
	readers readers
	breach  *breach
	log     func(slog.Level, string) // nil: nobody listens
}

// newBook opens the book on a disk, writes the genesis on an empty one, and derives
// what a crash left due.
func newBook(p *chain.Params, d disk, g lag) (*book, error) {
	b, err := bareBook(p, d, g)
	if err == nil {
		err = b.rollForward()
	}
	if err != nil {
		return nil, err
	}
	return b, nil
}

// bareBook is newBook without a look at what is due: rollForward must come before
// anything else is asked for.
func bareBook(p *chain.Params, d disk, g lag) (*book, error) {
	b := &book{disk: d, params: p, behind: behind{lag: g}, breach: newBreach()}
	b.turn.L = &b.writing
	b.reads = reads{func(f func(snapshot) error) error {
		return b.whileOpen(func() error { return b.look(f) })
	}}
	if err := b.see(); err != nil {
		return nil, err
	}
	id, err := b.At(0)
	switch {
	case errors.Is(err, node.ErrUnknown):
		err = b.begin()
	case err == nil && id != p.GenesisID():
		err = &GenesisError{Have: id, Want: p.GenesisID()}
	}
	if err != nil {
		b.seen.show(nil)
		return nil, err
	}
	return b, nil
}

// look shows f the newest moment.
func (b *book) look(f func(snapshot) error) error {
	h := b.seen.take()
	defer b.seen.drop(h)
	return f(h.snapshot)
}

func (b *book) say(level slog.Level, format string, args ...any) {
	if b.log != nil {
		b.log(level, fmt.Sprintf(format, args...))
	}
}

// begin writes the genesis. A crash here leaves an empty book: the next open
// begins again.
func (b *book) begin() error {
	genesis, err := chain.Remembered(b.params.GenesisID(), b.params.Genesis.Bytes())
	if err != nil {
		return fmt.Errorf("the genesis of %s: %w", b.params.Name, err)
	}
	s := b.params.GenesisState()
	e := node.Entry{Header: genesis.Header(), State: s, Status: node.Complete}
	p := newPlan(empty{}, b.disk.room())
	p.step = newBatch()
	p.bodies[s.ID] = genesis
	if err := p.enter(e, s.ID); err != nil {
		return err
	}
	if err := p.extend(s, chain.Hash{}, b.params.GenesisCoins()); err != nil {
		return err
	}
	if err := b.disk.write(p.step); err != nil {
		return err
	}
	return b.see()
}

// empty is the snapshot of a new disk.
type empty struct{}

func (empty) get([]byte) ([]byte, error)                     { return nil, nil }
func (empty) each(span, func(key, value []byte) error) error { return nil }

// Commit writes the steps in order and is durable on return. An error that
// wraps ErrLogic means that nothing was written. Steps are fused to their net
// effect; when that is more than one transaction holds, several transactions of
// whole steps follow one another, and a crash or an error between them leaves
// the first ones: a valid chain, shorter than was asked for.
func (b *book) Commit(steps ...node.Step) error {
	return b.whileOpen(func() error {
		b.writing.Lock()
		defer b.writing.Unlock()
		if err := b.commit(steps); err != nil {
			return fmt.Errorf("commit: %w", err)
		}
		return nil
	})
}

func (b *book) commit(steps []node.Step) error {
	behind, err := b.prepare(steps)
	if err != nil {
		return err
	}
	p, err := b.plan(steps, behind)
	if err == nil && condemns(steps) {
		err = b.disk.sound()
	}
	if err != nil {
		return err
	}
	n, err := b.write(p.batches)
	if n > 0 {
		b.follow(p.moves[:p.upTo[n-1]])
	}
	if seen := b.see(); err == nil {
		err = seen
	}
	b.settleSoon()
	return err
}

// write writes batches until one fails, and tells how many are on disk: that which
// failed may be there.
func (b *book) write(batches []*batch) (n int, err error) {
	for i, batch := range batches {
		if err = b.disk.write(batch); err == nil {
			continue
		}
		err = fmt.Errorf("transaction %d of %d: %w", i+1, len(batches), err)
		if b.disk.view(batch.written) == nil {
			i++
		}
		return i, err
	}
	return len(batches), nil
}

// prepare tells what is due where steps are to be written behind. Otherwise they find
// everything written: so that a block can be condemned without a trace.
func (b *book) prepare(steps []node.Step) (*stand, error) {
	if b.lag.none() {
		return nil, b.fault()
	}
	if err := b.makeRoom(); err != nil {
		return nil, err
	}
	if b.condemnsDue(steps) {
		return nil, b.settle()
	}
	return b.stand(), nil
}

// condemnsDue tells whether steps condemn a block of which something is due, or will be.
func (b *book) condemnsDue(steps []node.Step) bool {
	bodies := map[chain.Hash]bool{}
	for _, s := range steps {
		for _, body := range s.Bodies {
			bodies[body.ID()] = true
		}
	}
	due := func(id chain.Hash) bool {
		_, is := b.names(id)
		return is || bodies[id]
	}
	return slices.ContainsFunc(steps, func(s node.Step) bool {
		return slices.ContainsFunc(s.Condemned, due) || slices.ContainsFunc(s.Entries, func(e node.Entry) bool {
			return e.Status == node.Condemned && due(e.State.ID)
		})
	})
}

// condemns tells whether a step condemns a block. That is for good, so the disk is
// asked before whether it may have lost the coin that seemed to be missing.
func condemns(steps []node.Step) bool {
	return slices.ContainsFunc(steps, func(s node.Step) bool {
		return len(s.Condemned) > 0 || slices.ContainsFunc(s.Entries, func(e node.Entry) bool { return e.Status == node.Condemned })
	})
}

func (b *book) plan(steps []node.Step, behind *stand) (p *plan, err error) {
	err = b.look(func(s snapshot) error {
		p = newPlan(s, b.disk.room())
		p.behind = behind
		for i, step := range steps {
			if err := p.take(step); err != nil {
				return fmt.Errorf("step %d of %d: %w", i+1, len(steps), err)
			}
		}
		return nil
	})
	return p, err
}

// Put keeps a value of at most MaxNamed bytes under a name, durable on return;
// nil forgets it. Names of different packages differ by a prefix of their own.
func (b *book) Put(name string, value []byte) error {
	if len(value) > MaxNamed {
		return fmt.Errorf("%q: %d bytes, allowed %d", name, len(value), MaxNamed)
	}
	change := newBatch()
	if value == nil {
		change.remove(keyNamed(name))
	} else {
		change.put(keyNamed(name), value)
	}
	return b.whileOpen(func() error {
		b.writing.Lock()
		defer b.writing.Unlock()
		if err := b.disk.write(change); err != nil {
			return err
		}
		return b.see()
	})
}

// Close waits for the calls under way, those of Readers included, ends the
// Readers that are still open, writes what is due, and closes. Where there is no
// room for that, it is derived again by the next open. A second Close does nothing.
func (b *book) Close() error {
	b.open.Lock()
	defer b.open.Unlock()
	if b.closed {
		return nil
	}
	b.closed = true
	b.readers.end()
	err := b.finish()
	b.seen.show(nil)
	return errors.Join(err, b.disk.close())
}

// whileOpen must not be nested: a waiting Close stands between.
func (b *book) whileOpen(f func() error) error {
	b.open.RLock()
	defer b.open.RUnlock()
	if b.closed {
		return ErrClosed
	}
	return f()
}
