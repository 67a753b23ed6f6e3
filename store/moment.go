package store

import (
	"bytes"
	"math"
	"slices"
	"sync"
)

// A moment is a snapshot of the disk under what was due when it was taken. Where a
// key is in both, what is due counts: some of it may have been written already.
type moment struct {
	snapshot
	views []view // oldest first
}

// view is a layer as it was: it may have grown since.
type view struct {
	*layer
	off, on, bodies []dueBlock
	top             uint64 // what the layer holds above this height came later
}

// views are the layers as they are at a height of the tip.
func (b *behind) views(top uint64) []view {
	list := make([]view, len(b.layers))
	for i, l := range b.layers {
		list[i] = view{layer: l, off: l.off, on: l.on, bodies: l.bodies, top: math.MaxUint64}
	}
	list[len(list)-1].top = top
	return list
}

func (m *moment) get(key []byte) ([]byte, error) {
	switch {
	case !derives(key[0]):
		return m.snapshot.get(key)
	case key[0] == kindCoin:
		return m.coin(key)
	}
	more := m.late(span{prefix: key})
	for {
		due, err := more()
		if err != nil {
			return nil, err
		}
		if len(due) == 0 {
			return m.snapshot.get(key)
		}
		for _, p := range due {
			if bytes.Equal(p.key, key) {
				return p.value, nil
			}
		}
	}
}

func (m *moment) coin(key []byte) ([]byte, error) {
	o := readOutPoint(key[1:])
	for _, v := range slices.Backward(m.views) {
		if c, there, known := v.coin(o, v.top); there {
			return encodeCoin(c), nil
		} else if known {
			return nil, nil
		}
	}
	return m.snapshot.get(key)
}

// each merges what is due into what is on disk.
func (m *moment) each(s span, f func(key, value []byte) error) error {
	if !derives(s.prefix[0]) {
		return m.snapshot.each(s, f)
	}
	w := weave{span: s, more: m.late(s), f: f}
	if err := m.snapshot.each(s, w.disk); err != nil {
		return err
	}
	_, err := w.until(nil)
	return err
}

// order is that in which a span is read.
func (s span) order(a, b []byte) int {
	if s.backward {
		a, b = b, a
	}
	return bytes.Compare(a, b)
}

// weave hands out keys of the disk and those that are due in one order.
type weave struct {
	span
	more source
	due  []pair // of the source, those that were not handed out
	f    func(key, value []byte) error
}

func (w *weave) disk(key, value []byte) error {
	replaced, err := w.until(key)
	if err != nil || replaced {
		return err
	}
	return w.f(key, value)
}

// until hands out what is due up to a key, that included, and tells whether it was
// due; nil is the end.
func (w *weave) until(key []byte) (due bool, err error) {
	for {
		if len(w.due) == 0 {
			if w.due, err = w.more(); err != nil || len(w.due) == 0 {
				return false, err
			}
		}
		next, c := w.due[0], -1
		if key != nil {
			c = w.order(next.key, key)
		}
		if c > 0 {
			return false, nil
		}
		w.due = w.due[1:]
		if err := w.hand(next); err != nil || c == 0 {
			return c == 0, err
		}
	}
}

func (w *weave) hand(p pair) error {
	switch {
	case p.value == nil:
		return nil
	case w.span.keys:
		p.value = nil
	}
	return w.f(p.key, p.value)
}

// seen is the newest moment, which all share who look at it.
type seen struct {
	mu  sync.Mutex
	now *held // guarded by mu
}

// held is a moment that ends when nobody looks at it any more.
type held struct {
	snapshot
	end   func()
	users int // guarded by seen.mu
}

// show makes h the newest moment; nil leaves none.
func (s *seen) show(h *held) {
	s.mu.Lock()
	old := s.now
	s.now = h
	if h != nil {
		h.users++
	}
	s.mu.Unlock()
	if old != nil {
		s.drop(old)
	}
}

// take is a look at the newest moment, which drop ends.
func (s *seen) take() *held {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now.users++
	return s.now
}

func (s *seen) drop(h *held) {
	s.mu.Lock()
	h.users--
	last := h.users == 0
	s.mu.Unlock()
	if last {
		h.end()
	}
}
