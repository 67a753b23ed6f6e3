package store

import (
	"errors"
	"fmt"
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
// indexes, on a disk. It keeps nothing in memory, so there is nothing to go
// stale after a failed write.
type book struct {
	reads
	disk    disk
	params  *chain.Params
	writing sync.Mutex   // one writer at a time
	open    sync.RWMutex // held for reading by every call; Close waits for them
	closed  bool         // under open
	readers readers
}

// newBook opens the book on a disk, and writes the genesis on an empty one.
func newBook(p *chain.Params, d disk) (*book, error) {
	b := &book{disk: d, params: p}
	b.reads = reads{func(f func(snapshot) error) error {
		return b.whileOpen(func() error { return b.disk.view(f) })
	}}
	id, err := b.At(0)
	switch {
	case errors.Is(err, node.ErrUnknown):
		return b, b.begin()
	case err != nil:
		return nil, err
	case id != p.GenesisID():
		return nil, &GenesisError{Have: id, Want: p.GenesisID()}
	}
	return b, nil
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
	if err := p.enter(e); err != nil {
		return err
	}
	if err := p.extend(s, b.params.GenesisCoins()); err != nil {
		return err
	}
	return b.disk.write(p.step)
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
	b.writing.Lock()
	defer b.writing.Unlock()
	return b.whileOpen(func() error {
		batches, err := b.plan(steps)
		if err == nil && condemns(steps) {
			err = b.disk.sound()
		}
		if err != nil {
			return fmt.Errorf("commit: %w", err)
		}
		for i, batch := range batches {
			if err := b.disk.write(batch); err != nil {
				return fmt.Errorf("commit, transaction %d of %d: %w", i+1, len(batches), err)
			}
		}
		return nil
	})
}

// condemns tells whether a step condemns a block. That is for good, so the disk is
// asked before whether it may have lost the coin that seemed to be missing.
func condemns(steps []node.Step) bool {
	return slices.ContainsFunc(steps, func(s node.Step) bool {
		return len(s.Condemned) > 0 || slices.ContainsFunc(s.Entries, func(e node.Entry) bool { return e.Status == node.Condemned })
	})
}

func (b *book) plan(steps []node.Step) (batches []*batch, err error) {
	err = b.disk.view(func(s snapshot) error {
		p := newPlan(s, b.disk.room())
		for i, step := range steps {
			if err := p.take(step); err != nil {
				return fmt.Errorf("step %d of %d: %w", i+1, len(steps), err)
			}
		}
		batches = p.batches
		return nil
	})
	return batches, err
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
	b.writing.Lock()
	defer b.writing.Unlock()
	return b.whileOpen(func() error { return b.disk.write(change) })
}

// Close waits for the calls under way, those of Readers included, ends the
// Readers that are still open, and closes. A second Close does nothing.
func (b *book) Close() error {
	b.open.Lock()
	defer b.open.Unlock()
	if b.closed {
		return nil
	}
	b.closed = true
	b.readers.end()
	return b.disk.close()
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
