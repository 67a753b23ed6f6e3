package store

import (
	"bytes"
	"cmp"
	"iter"
	"maps"
	"math"
	"slices"
	"sync"

	"cairn/chain"
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
	late, err := m.late(span{prefix: key})
	if value, known := late[string(key)]; known || err != nil {
		return value, err
	}
	return m.snapshot.get(key)
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
	late, err := m.late(s)
	if err != nil {
		return err
	}
	w := weave{span: s, late: late, keys: slices.SortedFunc(maps.Keys(late), s.order), f: f}
	if err := m.snapshot.each(s, w.disk); err != nil {
		return err
	}
	return w.until(nil)
}

// order is that in which a span is read.
func (s span) order(a, b string) int {
	if s.backward {
		a, b = b, a
	}
	return cmp.Compare(a, b)
}

// weave hands out keys of the disk and those that are due in one order.
type weave struct {
	span
	late map[string][]byte
	keys []string // of late, those that were not handed out
	f    func(key, value []byte) error
}

func (w *weave) disk(key, value []byte) error {
	if err := w.until(key); err != nil {
		return err
	}
	if _, due := w.late[string(key)]; due {
		return nil
	}
	return w.f(key, value)
}

// until hands out what is due up to a key, that included; nil is the end.
func (w *weave) until(key []byte) error {
	for len(w.keys) > 0 && (key == nil || w.order(w.keys[0], string(key)) <= 0) {
		next := w.keys[0]
		w.keys = w.keys[1:]
		value := w.late[next]
		if value == nil {
			continue
		}
		if w.span.keys {
			value = nil
		}
		if err := w.f([]byte(next), value); err != nil {
			return err
		}
	}
	return nil
}

// late is what is due within a span; nil deletes. Coins are in memory. For the rest the
// blocks that may change something are read again: their keys are derived only when
// somebody asks.
func (m *moment) late(s span) (map[string][]byte, error) {
	changes := map[string][]byte{}
	low, high := s.bounds()
	note := func(key, value []byte) {
		if !bytes.HasPrefix(key, s.prefix) {
			return
		}
		if k := string(key); low <= k && k <= high {
			changes[k] = value
		}
	}
	for _, v := range m.views {
		if err := v.derive(m.snapshot, s.prefix, note); err != nil {
			return nil, err
		}
	}
	return changes, nil
}

// derive calls f with all keys that begin so and are due, and with others of their kind;
// nil deletes.
func (v view) derive(s snapshot, prefix []byte, f func(key, value []byte)) error {
	touching := func(blocks []dueBlock) iter.Seq[dueBlock] {
		return func(yield func(dueBlock) bool) {
			for _, due := range blocks {
				if due.touches(prefix[1:]) && !yield(due) {
					return
				}
			}
		}
	}
	switch kind := prefix[0]; kind {
	case kindCoin, kindOwned:
		for range touching(slices.Concat(v.off, v.on)) {
			v.changes(prefix, v.top, f)
			break
		}
		return nil
	case kindHistory:
		if err := deriveHistory(s, touching(v.off), true, f); err != nil {
			return err
		}
		return deriveHistory(s, touching(v.on), false, f)
	case kindTx:
		deriveTxs(touching(v.bodies), prefix[1:], f)
		return nil
	default:
		return deriveIndex(s, touching(v.bodies), f)
	}
}

// deriveTxs derives which blocks hold transactions whose keys begin so. No body is read.
func deriveTxs(blocks iter.Seq[dueBlock], prefix []byte, f func(key, value []byte)) {
	prefix = prefix[:min(len(prefix), len(chain.Hash{}))]
	for due := range blocks {
		for _, id := range due.names.begin(prefix) {
			f(keyTx(id, due.id), []byte{})
		}
	}
}

// deriveIndex derives the keys that follow from stored bodies on whatever branch.
func deriveIndex(s snapshot, blocks iter.Seq[dueBlock], f func(key, value []byte)) error {
	for due := range blocks {
		b, err := bodyOf(s, due.id)
		if err != nil {
			return err
		}
		for _, key := range bodyKeys(b) {
			f(key, []byte{})
		}
	}
	return nil
}

// deriveHistory derives the history that stored blocks add, or take away where they are
// taken off.
func deriveHistory(s snapshot, blocks iter.Seq[dueBlock], off bool, f func(key, value []byte)) error {
	for due := range blocks {
		b, err := bodyOf(s, due.id)
		if err != nil {
			return err
		}
		for key, item := range history(b, due.height) {
			value := encodeItem(item)
			if off {
				value = nil
			}
			f(keyHistory(key.owner, key.at), value)
		}
	}
	return nil
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
