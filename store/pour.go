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
	pourEntries = 2_000   // in a transaction, at most: Badger shuffles those of one
	pourBytes   = 1 << 20
)

// pour writes a frozen layer's keys but for the last transaction's.
func (b *book) pour(l *layer) (rest *batch, err error) {
	room := b.disk.room()
	s := &stream{disk: b.disk, next: newBatch(), room: size{
		min(room.entries, pourEntries) - 1, // the mark is still to come
		min(room.bytes, pourBytes) - weigh(string(keyWritten), keyTip) - 32,
	}}
	for _, kind := range []byte{kindOwned, kindCoin} {
		if err := s.coins(l, kind); err != nil {
			return nil, err
		}
	}
	if err := b.look(func(now snapshot) error { return s.bodies(now, l.blocks) }); err != nil {
		return nil, err
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
		weight := s.next.weight.plus(size{1, weigh(string(p.key), p.value)})
		if !weight.fits(s.room) && len(s.next.run) > 0 {
			if err := s.disk.write(s.next); err != nil {
				return err
			}
			s.next = newBatch()
			weight = size{1, weigh(string(p.key), p.value)}
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
// they are kept. What was made and spent in it never reached the disk, unless a
// crash came between.
func (s *stream) coins(l *layer, kind byte) error {
	parts := 1 + l.coins.count/pourAtOnce
	for part := range parts {
		for o, f := range l.coins.all() {
			if f.made && f.spent != 0 && !l.again || partOf(kind, o, f)*parts>>16 != part {
				continue
			}
			p := coinPair(kind, f.coin(o))
			if f.spent != 0 {
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

// bodies writes what follows from the bodies of blocks, which are read again.
func (s *stream) bodies(now snapshot, blocks []dueBlock) error {
	for _, due := range blocks {
		b, err := bodyOf(now, due.id)
		if err != nil {
			return err
		}
		for _, key := range bodyKeys(b) {
			if err := s.gather(pair{key, []byte{}}); err != nil {
				return err
			}
		}
		for key, item := range history(b, due.height) {
			if err := s.gather(pair{keyHistory(key.owner, key.at), encodeItem(item)}); err != nil {
				return err
			}
		}
	}
	return nil
}
