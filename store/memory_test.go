package store

import (
	"bytes"
	"encoding/binary"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// The tree beside a map and a sort: random writes, and every way to read. A
// snapshot that was taken before stays as it was.
func TestTreeIsAnOrderedMap(t *testing.T) {
	const seed = 9
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, seed))
	tr, naive := &tree{}, map[string]string{}
	for range 60 {
		before, then := tr.root.Load(), maps.Clone(naive)
		b := newBatch()
		for range 20 {
			key := randomKey(rnd)
			if rnd.IntN(3) == 0 {
				b.remove([]byte(key))
				delete(naive, key)
			} else {
				value := randomKey(rnd)
				b.put([]byte(key), []byte(value))
				naive[key] = value
			}
		}
		if err := tr.write(b); err != nil {
			t.Fatal(err)
		}
		compareTree(t, rnd, tr.root.Load(), naive)
		compareTree(t, rnd, before, then)
	}
}

func randomKey(rnd *rand.Rand) string {
	key := make([]byte, rnd.IntN(4))
	for i := range key {
		key[i] = []byte{0, 'a', 'b', 0xff}[rnd.IntN(4)]
	}
	return string(key)
}

func compareTree(t *testing.T, rnd *rand.Rand, root *leaf, naive map[string]string) {
	t.Helper()
	prefix := randomKey(rnd)
	s := span{prefix: []byte(prefix), backward: rnd.IntN(2) == 0}
	if rnd.IntN(2) == 0 {
		s.from = []byte(prefix + randomKey(rnd))
	}
	var want, got []string
	for key, value := range naive {
		if v, err := root.get([]byte(key)); err != nil || string(v) != value {
			t.Fatalf("%q: got %q, want %q (%v)", key, v, value, err)
		}
		before := s.from != nil && key < string(s.from) && !s.backward
		behind := s.from != nil && key > string(s.from) && s.backward
		if strings.HasPrefix(key, prefix) && !before && !behind {
			want = append(want, key)
		}
	}
	slices.Sort(want)
	if s.backward {
		slices.Reverse(want)
	}
	_ = root.each(s, func(key, value []byte) error {
		got = append(got, string(key))
		if naive[string(key)] != string(value) {
			t.Fatalf("%q: got %q, want %q", key, value, naive[string(key)])
		}
		return nil
	})
	if !slices.Equal(got, want) {
		t.Fatalf("%+v: got %q, want %q", s, got, want)
	}
}

// Keys that come in order, as heights do, must not make a list of the tree.
func TestTreeStaysShallow(t *testing.T) {
	tr := &tree{}
	const n = 1 << 13
	for i := range uint64(n) {
		b := newBatch()
		b.add(binary.BigEndian.AppendUint64(nil, i), nil)
		if err := tr.write(b); err != nil {
			t.Fatal(err)
		}
	}
	if d := tr.root.Load().depth(); d > 4*13 {
		t.Errorf("%d keys lie %d deep", n, d)
	}
}

func (n *leaf) depth() int {
	if n == nil {
		return 0
	}
	return 1 + max(n.left.depth(), n.right.depth())
}

// Equal contents give equal trees, whatever came first and went.
func TestTreeHasOneShape(t *testing.T) {
	tree := func(keys ...int) *tree {
		tr := &tree{}
		for _, i := range keys {
			b := newBatch()
			b.add(binary.BigEndian.AppendUint16(nil, uint16(i)), nil)
			_ = tr.write(b)
		}
		return tr
	}
	var stay []int
	for i := range 300 {
		if i%3 > 0 {
			stay = append(stay, i)
		}
	}
	want := tree(stay...).root.Load().shape(nil)
	for seed := range uint64(4) {
		tr := tree(rand.New(rand.NewPCG(seed, 0)).Perm(300)...)
		for i := range uint16(100) {
			b := newBatch()
			b.remove(binary.BigEndian.AppendUint16(nil, 3*i))
			_ = tr.write(b)
		}
		if !bytes.Equal(tr.root.Load().shape(nil), want) {
			t.Error("the order of writing shows")
		}
	}
}

func (n *leaf) shape(b []byte) []byte {
	if n == nil {
		return append(b, '.')
	}
	return n.right.shape(n.left.shape(append(b, n.key...)))
}
