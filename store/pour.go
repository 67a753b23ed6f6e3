package store

import (
	"slices"

	"cairn/chain"
)

// What is due is written in the order of keys, as far as it fits pourAtOnce: the
// database finds the place of a key sooner where it has just put its neighbour. A
// transaction is small, for a commit may have to wait for it.
const (
	pourAtOnce  = 100_000 // keys that are sorted together
	pourEntries = 5_000   // in a transaction, at most: Badger shuffles those of one
	pourBytes   = 2 << 20
)

// pour writes a frozen layer's keys but for the last transaction's.
func (b *book) pour(l *layer) (rest *batch, err error) {
	room := b.disk.room()
	s := &stream{disk: b.disk, next: newBatch(), room: size{
		min(room.entries, pourEntries) - 2, // the mark is still to come, and where the way led goes
		min(room.bytes, pourBytes) - weigh(keyWritten, keyTip) - 32 - weigh(keyToward, nil),
	}}
	for _, kind := range []byte{kindOwned, kindCoin} {
		if err := s.coins(l, kind); err != nil {
			return nil, err
		}
	}
	if err := b.look(func(now snapshot) error { return s.bodies(now, l) }); err != nil {
		return nil, err
	}
	if err := s.flush(); err != nil {
		return nil, err
	}
	for _, b := range l.bodies { // after their keys
		if b.marked {
			s.pairs = append(s.pairs, pair{key: keyAside(b.id)})
		}
	}
	return s.next, s.flush()
}

// stream writes pairs in transactions of a bounded size.
type stream struct {
	disk  disk
	room  size
	pairs []pair // not in order yet
	next  *batch // not written yet
}

// flush hands what was gathered to the disk, in order, but for what fits one
// transaction.
func (s *stream) flush() error {
	slices.SortFunc(s.pairs, pair.compare)
	for _, p := range s.pairs {
		one := size{1, weigh(p.key, p.value)}
		weight := s.next.weight.plus(one)
		if !weight.fits(s.room) && len(s.next.run) > 0 {
			if err := s.disk.write(s.next); err != nil {
				return err
			}
			s.next = newBatch()
			weight = one
		}
		s.next.run, s.next.weight = append(s.next.run, p), weight
	}
	s.pairs = s.pairs[:0]
	return nil
}

func (s *stream) gather(p pair) error {
	s.pairs = append(s.pairs, p)
	if len(s.pairs) < pourAtOnce {
		return nil
	}
	return s.flush()
}

// coins writes what became of a layer's coins, in one of the two orders in which
// they are kept. What was made and spent in it never reached the disk, and what is as
// it was needs no write, unless a crash came between.
func (s *stream) coins(l *layer, kind byte) error {
	parts := 1 + l.coins.count/pourAtOnce
	for part := range parts {
		for o, f := range l.coins.all() {
			if f.idle() && !l.again || partOf(kind, o, f)*parts>>16 != part {
				continue
			}
			p := coinPair(kind, f.coin(o))
			if !f.there() {
				p.value = nil
			}
			s.pairs = append(s.pairs, p)
		}
		if err := s.flush(); err != nil {
			return err
		}
	}
	return nil
}

// partOf is where a coin's key stands among all keys, in 65,536ths.
func partOf(kind byte, o chain.OutPoint, f fate) int {
	first := o.Tx[:2]
	if kind == kindOwned {
		first = f.owner[:2]
	}
	return int(first[0])<<8 | int(first[1])
}

// bodies writes what follows from the bodies of a layer, which are read again.
func (s *stream) bodies(now snapshot, l *layer) error {
	off, due := map[uint64]chain.Hash{}, map[chain.Hash]bool{}
	for _, b := range l.off {
		off[b.height] = b.id
	}
	for _, b := range l.bodies {
		due[b.id] = true
	}
	for _, on := range l.on {
		b, err := bodyOf(now, on.id)
		if err == nil && due[on.id] {
			err = s.index(b)
			delete(due, on.id)
		}
		if err == nil {
			err = s.turn(now, off, history(b, on.height), on.height, l.again)
		}
		if err != nil {
			return err
		}
	}
	for height := range off {
		if err := s.turn(now, off, nil, height, l.again); err != nil {
			return err
		}
	}
	return s.indexAll(now, due)
}

// turn writes what became of the history at a height: the block that was taken off
// there, if any, is no more in off then. The same payments may be in the one put on.
func (s *stream) turn(now snapshot, off map[uint64]chain.Hash, on map[touch]HistoryItem, height uint64, again bool) error {
	var was map[touch]HistoryItem
	if id, ok := off[height]; ok {
		b, err := bodyOf(now, id)
		if err != nil {
			return err
		}
		was = history(b, height)
		delete(off, height)
	}
	for key, item := range on {
		old, there := was[key]
		if delete(was, key); there && old == item && !again {
			continue
		}
		if err := s.gather(pair{keyHistory(key.owner, key.at), encodeItem(item)}); err != nil {
			return err
		}
	}
	for key := range was {
		if err := s.gather(pair{key: keyHistory(key.owner, key.at)}); err != nil {
			return err
		}
	}
	return nil
}

// index writes what follows from a body on whatever branch.
func (s *stream) index(b chain.CheckedBlock) error {
	for _, key := range bodyKeys(b) {
		if err := s.gather(pair{key, []byte{}}); err != nil {
			return err
		}
	}
	return nil
}

func (s *stream) indexAll(now snapshot, ids map[chain.Hash]bool) error {
	for id := range ids {
		b, err := bodyOf(now, id)
		if err == nil {
			err = s.index(b)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
