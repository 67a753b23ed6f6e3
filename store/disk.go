package store

import (
	"bytes"
	"cmp"
	"errors"
)

// A disk is an ordered key-value store. There are two: Badger, and a tree in
// memory.
type disk interface {
	// view hands out a snapshot that no later write changes; it ends with f.
	view(f func(snapshot) error) error
	// hold is view until end is called, once. The snapshot may be read from many
	// goroutines at a time, none of them beyond end.
	hold() (s snapshot, end func())
	// write makes all changes of a batch or none, and is durable on return.
	write(*batch) error
	// sound reads again what was written, and tells what a disk has bent.
	sound() error
	// room is how much one batch may hold.
	room() size
	close() error
}

type snapshot interface {
	// get returns nil if there is no such key. The value must not be changed,
	// nor kept beyond the view.
	get(key []byte) ([]byte, error)
	// each calls f in the order of keys until it fails. The slices must not be
	// kept beyond the call.
	each(s span, f func(key, value []byte) error) error
}

// span names the keys that begin with prefix.
type span struct {
	prefix   []byte
	from     []byte // the first key that counts, if not nil
	backward bool   // from the last key down; then from is the last key that counts
	keys     bool   // values are not wanted
}

// size is what a batch weighs in a transaction.
type size struct{ entries, bytes int64 }

func (s size) plus(o size) size { return size{s.entries + o.entries, s.bytes + o.bytes} }

func (s size) fits(room size) bool { return s.entries <= room.entries && s.bytes <= room.bytes }

// A batch is a net change of keys.
type batch struct {
	changes map[string]change
	run     []pair // further ones, which nobody looks up and no other batch is fused with
	weight  size
}

type change struct {
	value []byte // nil deletes
	fresh bool   // the disk does not hold the key: to delete it is to forget the change
}

func newBatch() *batch { return &batch{changes: map[string]change{}} }

// put writes a key that may be there.
func (b *batch) put(key, value []byte) {
	b.set(string(key), change{value: present(value)})
}

// add writes a key that is not there.
func (b *batch) add(key, value []byte) {
	b.set(string(key), change{value: present(value), fresh: true})
}

// remove deletes a key that is there.
func (b *batch) remove(key []byte) { b.set(string(key), change{}) }

// each calls f with every change; a nil value deletes.
func (b *batch) each(f func(key, value []byte) error) error {
	for _, p := range b.run {
		if err := f(p.key, p.value); err != nil {
			return err
		}
	}
	return b.net(f)
}

// net is each without the run.
func (b *batch) net(f func(key, value []byte) error) error {
	for key, c := range b.changes {
		if err := f([]byte(key), c.value); err != nil {
			return err
		}
	}
	return nil
}

// written fails unless all that is looked up of a batch is on disk.
func (b *batch) written(s snapshot) error {
	for key, c := range b.changes {
		value, err := s.get([]byte(key))
		if err != nil || !bytes.Equal(value, c.value) || (value == nil) != (c.value == nil) {
			return cmp.Or(err, errors.New("it is not there"))
		}
	}
	return nil
}

// present keeps an empty value apart from a deleted one.
func present(value []byte) []byte {
	if value == nil {
		return []byte{}
	}
	return value
}

func (b *batch) set(key string, c change) {
	old, known := b.changes[key]
	if known {
		c.fresh = old.fresh
		b.weight = b.weight.plus(size{-1, -weigh(key, old.value)})
	}
	if c.fresh && c.value == nil {
		delete(b.changes, key)
		return
	}
	b.changes[key] = c
	b.weight = b.weight.plus(size{1, weigh(key, c.value)})
}

// then adds a later batch: both become their net effect.
func (b *batch) then(later *batch) {
	for key, c := range later.changes {
		b.set(key, c)
	}
}

// valueThreshold is the size in bytes from which Badger keeps a value in its
// value log, and only a pointer in the tree: bodies and large diffs.
const valueThreshold = 64 << 10

// weigh is what Badger counts for an entry, in bytes: key, value or a pointer of
// 12, two bytes of flags, and 10 for the version.
func weigh[K string | []byte](key K, value []byte) int64 {
	n := len(value)
	if n >= valueThreshold {
		n = 12
	}
	return int64(len(key) + n + 2 + 10)
}
