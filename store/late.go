package store

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"

	"cairn/chain"
)

// A source hands out what is due within a span, some pairs at a time and in the order
// of the span; nil deletes. At the end there are none. Nothing is derived before
// somebody asks for it: most questions end early.
type source func() ([]pair, error)

// late is what is due within a span. Coins are in memory. For the rest the blocks that
// may change something are read again: their keys are derived only when somebody asks.
func (m *moment) late(s span) source {
	switch s.prefix[0] {
	case kindCoin, kindOwned:
		return m.lateCoins(s)
	case kindHistory:
		return m.lateHistory(s)
	case kindTx:
		return s.once(m.lateTxs)
	default:
		return s.once(m.lateSpends)
	}
}

// once is a source that derives all at once.
func (s span) once(derive func(prefix []byte, note func(key, value []byte)) error) source {
	done := false
	return func() ([]pair, error) {
		if done {
			return nil, nil
		}
		done = true
		return s.gather(derive)
	}
}

// gather puts what is derived within a span in order. Of what is noted for one key the
// last counts.
func (s span) gather(derive func(prefix []byte, note func(key, value []byte)) error) ([]pair, error) {
	changes := map[string][]byte{}
	low, high := s.bounds()
	err := derive(s.prefix[1:], func(key, value []byte) {
		if !bytes.HasPrefix(key, s.prefix) {
			return
		}
		if k := string(key); low <= k && k <= high {
			changes[k] = value
		}
	})
	pairs := make([]pair, 0, len(changes))
	for key, value := range changes {
		pairs = append(pairs, pair{[]byte(key), value})
	}
	slices.SortFunc(pairs, func(a, b pair) int { return s.order(a.key, b.key) })
	return pairs, err
}

// lateTxs derives which blocks hold transactions whose ids begin so. No body is read.
func (m *moment) lateTxs(prefix []byte, note func(key, value []byte)) error {
	prefix = prefix[:min(len(prefix), len(chain.Hash{}))]
	for _, v := range m.views {
		for _, due := range v.bodies {
			if !due.touches(prefix) {
				continue
			}
			for _, id := range due.names.begin(prefix) {
				note(keyTx(id, due.id), []byte{})
			}
		}
	}
	return nil
}

// lateSpends derives which transactions of stored bodies, on whatever branch, spend
// outputs that begin so.
func (m *moment) lateSpends(prefix []byte, note func(key, value []byte)) error {
	prefix = prefix[:min(len(prefix), outPointBytes)]
	for _, v := range m.views {
		for _, due := range v.bodies {
			if len(prefix) == outPointBytes && !due.names.has(markOf(readOutPoint(prefix))) {
				continue
			}
			b, err := blockOf(m.snapshot, due.id)
			if err != nil {
				return err
			}
			for _, t := range b.Txs {
				spends(t, due.id, prefix, note)
			}
		}
	}
	return nil
}

func spends(t *chain.Tx, block chain.Hash, prefix []byte, note func(key, value []byte)) {
	var id chain.Hash
	for i := range t.Inputs {
		o := t.Inputs[i].Prev
		if !bytes.HasPrefix(keysSpend(o)[1:], prefix) {
			continue
		}
		if id == (chain.Hash{}) {
			id = t.ID()
		}
		note(keySpend(o, id, block), []byte{})
	}
}

// blockOf reads a stored block again. Its names are not hashed: questions ask for few of
// them, and would wait for all.
func blockOf(s snapshot, id chain.Hash) (*chain.Block, error) {
	raw, err := find(s, keyBody(id))
	if err != nil {
		return nil, err
	}
	b, err := chain.DecodeBlock(raw)
	if err != nil {
		return nil, damaged("body", id, err)
	}
	return b, nil
}

// passed is a due block that changes the history: it went on the best chain or off.
type passed struct {
	dueBlock
	off bool
}

// lateHistory reads blocks in the order of heights, and those of one height in the order
// in which they went on and off, as far as somebody asks.
func (m *moment) lateHistory(s span) source {
	list := m.passed(s)
	slices.SortStableFunc(list, func(a, b passed) int {
		if s.backward {
			a, b = b, a
		}
		return cmp.Compare(a.height, b.height)
	})
	return func() ([]pair, error) {
		for len(list) > 0 {
			n := 1
			for n < len(list) && (list[n].height == list[0].height || len(s.prefix) < ownerBytes) {
				n++
			}
			now := list[:n]
			list = list[n:]
			pairs, err := s.gather(func(prefix []byte, note func(key, value []byte)) error {
				return m.history(now, prefix, note)
			})
			if err != nil || len(pairs) > 0 {
				return pairs, err
			}
		}
		return nil, nil
	}
}

// ownerBytes is how long the prefix of all keys of one owner is. A shorter one is that of
// several owners, whose keys are not in the order of heights.
const ownerBytes = 1 + len(chain.Address{})

// passed are the blocks that may change the history within a span, layer after layer.
func (m *moment) passed(s span) (list []passed) {
	low, high := s.bounds()
	add := func(blocks []dueBlock, off bool) {
		for _, due := range blocks {
			if len(s.prefix) >= ownerBytes {
				first := string(binary.BigEndian.AppendUint64(bytes.Clone(s.prefix[:ownerBytes]), due.height))
				if last := first + "\xff\xff\xff\xff"; last < low || high < first {
					continue
				}
			}
			if due.touches(s.prefix[1:]) {
				list = append(list, passed{due, off})
			}
		}
	}
	for _, v := range m.views {
		add(v.off, true)
		add(v.on, false)
	}
	return list
}

// history derives what stored blocks add to the history of owners that begin so, or take
// away from it.
func (m *moment) history(blocks []passed, prefix []byte, note func(key, value []byte)) error {
	for _, due := range blocks {
		b, err := blockOf(m.snapshot, due.id)
		if err != nil {
			return err
		}
		for key, item := range historyOf(b, due.height, prefix) {
			value := encodeItem(item)
			if due.off {
				value = nil
			}
			note(keyHistory(key.owner, key.at), value)
		}
	}
	return nil
}

// lateCoins is what became of coins, as whoever looks from the moment's height sees it.
// Of many coins only their places are put in order, which are a tenth as large as their keys.
func (m *moment) lateCoins(s span) source {
	from, to := s.bounds()
	low, high := []byte(from), []byte(to)
	list, last := m.coinPlaces(s), []byte(nil)
	pairs := make([]pair, 0, min(len(list), atOnce))
	return func() ([]pair, error) {
		pairs = pairs[:0] // those before were handed out
		for len(list) > 0 && len(pairs) < atOnce {
			v := m.views[list[0].view]
			p := v.pairAt(s.prefix[0], list[0].at, v.top)
			list = list[1:]
			if bytes.Compare(p.key, low) >= 0 && bytes.Compare(p.key, high) <= 0 && !bytes.Equal(p.key, last) {
				pairs, last = append(pairs, p), p.key
			}
		}
		return pairs, nil
	}
}

// coinPlace says where a view knows of a coin.
type coinPlace struct {
	name uint64 // how the key begins
	view int32
	at   uint32 // among the records, counted from 1
}

// coinPlaces are those of the keys that begin as a span does, in its order; of one key
// that in the newest view first.
func (m *moment) coinPlaces(s span) (list []coinPlace) {
	kind := s.prefix[0]
	known := make([]fates, len(m.views))
	for i, v := range m.views {
		if kind == kindOwned && !v.touches(s.prefix[1:]) {
			continue
		}
		known[i] = v.known()
		for at, r := range known[i].records() {
			if r.begins(s.prefix) {
				list = append(list, coinPlace{nameOf(r.first(kind)), int32(i), at})
			}
		}
	}
	slices.SortFunc(list, func(a, b coinPlace) int {
		c := cmp.Compare(a.name, b.name)
		if c == 0 {
			c = known[a.view].at(a.at).compare(known[b.view].at(b.at), kind)
		}
		if s.backward {
			c = -c
		}
		return cmp.Or(c, cmp.Compare(b.view, a.view))
	})
	return list
}

// touches tells whether a block on the way may have keys of coins that begin so.
func (v view) touches(prefix []byte) bool {
	touches := func(due dueBlock) bool { return due.touches(prefix) }
	return slices.ContainsFunc(v.off, touches) || slices.ContainsFunc(v.on, touches)
}
