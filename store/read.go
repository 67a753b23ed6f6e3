package store

import (
	"bytes"
	"encoding/binary"
	"errors"

	"cairn/chain"
	"cairn/node"
)

// getter is a snapshot, or a plan on top of one.
type getter interface {
	get(key []byte) ([]byte, error)
}

// find reads what must be there, or node.ErrUnknown.
func find(g getter, key []byte) ([]byte, error) {
	value, err := g.get(key)
	if err == nil && value == nil {
		err = node.ErrUnknown
	}
	return value, err
}

func tipOf(g getter) (node.Entry, error) {
	raw, err := find(g, keyTip)
	if err != nil {
		return node.Entry{}, err
	}
	var id chain.Hash
	copy(id[:], raw)
	return entryOf(g, id)
}

func entryOf(g getter, id chain.Hash) (node.Entry, error) {
	raw, err := find(g, keyEntry(id))
	if err != nil {
		return node.Entry{}, err
	}
	return decodeEntry(id, raw)
}

func bodyOf(g getter, id chain.Hash) (chain.CheckedBlock, error) {
	raw, err := find(g, keyBody(id))
	if err != nil {
		return chain.CheckedBlock{}, err
	}
	b, err := chain.Remembered(id, raw)
	if err != nil {
		return b, damaged("body", id, err)
	}
	return b, nil
}

func diffOf(g getter, b chain.CheckedBlock) (chain.Diff, error) {
	raw, err := find(g, keyDiff(b.ID()))
	if err != nil {
		return chain.Diff{}, err
	}
	return decodeDiff(b, raw)
}

// reads is all that can be asked of what is remembered. A book answers from the
// newest snapshot each time, a Reader from its own.
type reads struct {
	view func(func(snapshot) error) error
}

// Tip is the end of the best chain; the genesis at first.
func (r reads) Tip() (e node.Entry, err error) {
	err = r.view(func(s snapshot) error {
		e, err = tipOf(s)
		return err
	})
	return e, err
}

// Entry is a complete or condemned entry, else node.ErrUnknown.
func (r reads) Entry(id chain.Hash) (e node.Entry, err error) {
	err = r.view(func(s snapshot) error {
		e, err = entryOf(s, id)
		return err
	})
	return e, err
}

// At is the block at a height of the best chain, else node.ErrUnknown.
func (r reads) At(height uint64) (id chain.Hash, err error) {
	err = r.view(func(s snapshot) error {
		raw, err := find(s, keyHeight(height))
		copy(id[:], raw)
		return err
	})
	return id, err
}

// Recent lists every stored entry of the highest n heights, in order of height.
func (r reads) Recent(n int) (list []node.Entry, err error) {
	err = r.view(func(s snapshot) error {
		least, err := lowest(s, n)
		if err != nil {
			return err
		}
		span := span{prefix: []byte{kindStanding}, from: keysStanding(least), keys: true}
		return s.each(span, func(key, _ []byte) error {
			e, err := entryOf(s, chain.Hash(key[1+8:]))
			list = append(list, e)
			return err
		})
	})
	return list, err
}

// lowest is the lowest of the highest n heights.
func lowest(s snapshot, n int) (uint64, error) {
	var top uint64
	last := span{prefix: []byte{kindStanding}, backward: true, keys: true}
	err := s.each(last, func(key, _ []byte) error {
		top = binary.BigEndian.Uint64(key[1:])
		return errEnough
	})
	if !errors.Is(err, errEnough) {
		return 0, err
	}
	if n <= 0 {
		return top + 1, nil
	}
	return top + 1 - min(uint64(n), top+1), nil
}

// errEnough ends an iteration before its end.
var errEnough = errors.New("enough")

// Body is the body of a complete entry, else node.ErrUnknown.
func (r reads) Body(id chain.Hash) (body chain.CheckedBlock, err error) {
	raw, err := r.BodyBytes(id)
	if err != nil {
		return body, err
	}
	// Outside the view: hashing a block's transactions must not hold a snapshot.
	if body, err = chain.Remembered(id, raw); err != nil {
		return chain.CheckedBlock{}, damaged("body", id, err)
	}
	return body, nil
}

// BodyBytes is the canonical encoding of a complete entry's body, else
// node.ErrUnknown.
func (r reads) BodyBytes(id chain.Hash) (raw []byte, err error) {
	return r.copyOf(keyBody(id))
}

func (r reads) copyOf(key []byte) (raw []byte, err error) {
	err = r.view(func(s snapshot) error {
		found, err := find(s, key)
		raw = bytes.Clone(found)
		return err
	})
	return raw, err
}

// Diff is what a block on the best chain did to the coins, else node.ErrUnknown.
func (r reads) Diff(b chain.CheckedBlock) (d chain.Diff, err error) {
	id := b.ID()
	err = r.view(func(s snapshot) error {
		e, err := entryOf(s, id)
		if err != nil {
			return err
		}
		at, err := find(s, keyHeight(e.State.Height))
		if err == nil && string(at) != string(id[:]) {
			err = node.ErrUnknown
		}
		if err == nil {
			d, err = diffOf(s, b)
		}
		return err
	})
	return d, err
}

// Coins are those of the outpoints that are unspent at the tip.
func (r reads) Coins(want []chain.OutPoint) (chain.Coins, error) {
	found := make(chain.Coins, len(want))
	err := r.view(func(s snapshot) error {
		for _, o := range want {
			raw, err := s.get(keyCoin(o))
			if err != nil {
				return err
			}
			if raw == nil {
				continue
			}
			if found[o], err = decodeCoin(o, raw); err != nil {
				return err
			}
		}
		return nil
	})
	return found, err
}

// eachKey calls f with every key of a kind.
func (r reads) eachKey(kind byte, f func(key []byte) error) error {
	return r.view(func(s snapshot) error {
		return s.each(span{prefix: []byte{kind}, keys: true}, func(key, _ []byte) error { return f(key) })
	})
}

// Get is the value that Put keeps under the name; ok is false if there is none.
func (r reads) Get(name string) (value []byte, ok bool, err error) {
	value, err = r.copyOf(keyNamed(name))
	if errors.Is(err, node.ErrUnknown) {
		return nil, false, nil
	}
	return value, err == nil, err
}
