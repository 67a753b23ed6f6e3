package store

import "sync"

// Reader is one moment of a store: all its answers agree with each other,
// whatever is committed meanwhile. It may be used from many goroutines. While it
// is open the disk keeps what was overwritten since, so it is meant for one
// question of a person, not for a lifetime.
type Reader struct {
	reads
	book *book
	hold snapshot // under busy
	free func()   // ends hold
	busy sync.RWMutex
}

// Reader opens the present moment. Whoever opened it closes it.
func (b *book) Reader() (*Reader, error) {
	r := &Reader{book: b}
	r.reads = reads{r.look}
	if err := b.whileOpen(func() error {
		h := b.seen.take()
		r.hold, r.free = h.snapshot, func() { b.seen.drop(h) }
		b.readers.add(r)
		return nil
	}); err != nil {
		return nil, err
	}
	return r, nil
}

func (r *Reader) look(f func(snapshot) error) error {
	return r.book.whileOpen(func() error {
		r.busy.RLock()
		defer r.busy.RUnlock()
		if r.free == nil {
			return ErrClosed
		}
		return f(r.hold)
	})
}

// Close waits for the Reader's calls under way and ends it: after that they
// return ErrClosed. A second Close does nothing, nor does one after the store's,
// which ends every Reader.
func (r *Reader) Close() {
	_ = r.book.whileOpen(func() error {
		r.end()
		r.book.readers.drop(r)
		return nil
	})
}

func (r *Reader) end() {
	r.busy.Lock()
	defer r.busy.Unlock()
	if r.free != nil {
		r.free()
		r.hold, r.free = nil, nil
	}
}

// readers are those that are open: a disk must not close under them.
type readers struct {
	mu  sync.Mutex
	all map[*Reader]struct{} // guarded by mu
}

func (o *readers) add(r *Reader) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.all == nil {
		o.all = map[*Reader]struct{}{}
	}
	o.all[r] = struct{}{}
}

func (o *readers) drop(r *Reader) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.all, r)
}

// end ends all of them; none has a call under way.
func (o *readers) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for r := range o.all {
		r.end()
	}
	o.all = nil
}
