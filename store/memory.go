package store

import (
	"bytes"
	"hash/fnv"
	"math"
	"strings"
	"sync"
	"sync/atomic"

	"cairn/chain"
)

// Memory remembers as long as it is referenced: the twin of Badger for imagined
// networks and tests. Make it with NewMemory.
type Memory struct{ *book }

// NewMemory makes a store that holds the genesis of p.
func NewMemory(p *chain.Params) *Memory {
	b, err := newBook(p, &tree{}, lag{})
	if err != nil {
		panic(err) // NewParams has checked the genesis, and nothing else can fail
	}
	return &Memory{b}
}

// tree is a disk in memory: a treap whose leaves never change once they are
// seen, so that its root is a snapshot (Seidel and Aragon, "Randomized search
// trees", 1996). The ranks are hashes of the keys: equal contents give equal
// trees.
type tree struct {
	root   atomic.Pointer[leaf]
	mu     sync.Mutex
	writes uint64 // guarded by mu
}

type leaf struct {
	key         string
	value       []byte
	rank        uint64 // no child's is higher
	write       uint64 // the one that made it, and may still change it
	left, right *leaf
}

func (t *tree) room() size { return size{math.MaxInt64, math.MaxInt64} }

func (t *tree) sound() error { return nil }

func (t *tree) close() error { return nil }

func (t *tree) view(f func(snapshot) error) error { return f(t.root.Load()) }

func (t *tree) hold() (snapshot, func()) { return t.root.Load(), func() {} }

func (t *tree) write(b *batch) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.writes++
	root := t.root.Load()
	_ = b.each(func(k, value []byte) error {
		if key := string(k); value == nil {
			root = root.without(key, t.writes)
		} else {
			root = root.with(&leaf{key: key, value: value, rank: rank(key), write: t.writes})
		}
		return nil
	})
	t.root.Store(root)
	return nil
}

func rank(key string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(key)) //nolint:errcheck // never fails
	n := h.Sum64()
	n = (n ^ n>>32) * 0xd6e8feb86659fd93 // FNV's high bits vary little in the last bytes
	return n ^ n>>32
}

// mine is n, or a copy if an older write made n: snapshots may hold that.
func (n *leaf) mine(write uint64) *leaf {
	if n.write == write {
		return n
	}
	own := *n
	own.write = write
	return &own
}

// with is the tree with one more leaf, in place of one with its key.
func (n *leaf) with(l *leaf) *leaf {
	if n == nil {
		return l
	}
	n = n.mine(l.write)
	switch {
	case l.key == n.key:
		n.value = l.value
	case l.key < n.key:
		n.left = n.left.with(l)
		if top := n.left; top.rank > n.rank {
			n.left, top.right = top.right, n
			return top
		}
	default:
		n.right = n.right.with(l)
		if top := n.right; top.rank > n.rank {
			n.right, top.left = top.left, n
			return top
		}
	}
	return n
}

func (n *leaf) without(key string, write uint64) *leaf {
	switch {
	case n == nil:
		return nil
	case key == n.key:
		return join(n.left, n.right, write)
	}
	n = n.mine(write)
	if key < n.key {
		n.left = n.left.without(key, write)
	} else {
		n.right = n.right.without(key, write)
	}
	return n
}

// join makes one tree of two, where all keys of a are below those of b.
func join(a, b *leaf, write uint64) *leaf {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	case a.rank > b.rank:
		a = a.mine(write)
		a.right = join(a.right, b, write)
		return a
	}
	b = b.mine(write)
	b.left = join(a, b.left, write)
	return b
}

func (n *leaf) get(key []byte) ([]byte, error) {
	for n != nil {
		switch c := strings.Compare(string(key), n.key); {
		case c < 0:
			n = n.left
		case c > 0:
			n = n.right
		default:
			return n.value, nil
		}
	}
	return nil, nil
}

func (n *leaf) each(s span, f func(key, value []byte) error) error {
	low, high := s.bounds()
	return n.walk(low, high, s.backward, f)
}

// bounds are the least and the greatest key of a span.
func (s span) bounds() (low, high string) {
	low, high = string(s.prefix), string(s.prefix)+string(beyond)
	switch {
	case s.from == nil:
	case s.backward:
		high = string(s.from)
	default:
		low = string(s.from)
	}
	return low, high
}

// beyond is greater than whatever follows a prefix: no key is as long.
var beyond = bytes.Repeat([]byte{0xff}, 512)

func (n *leaf) walk(low, high string, backward bool, f func(key, value []byte) error) error {
	if n == nil {
		return nil
	}
	near, far := n.left, n.right
	seeNear, seeFar := low < n.key, n.key < high
	if backward {
		near, far, seeNear, seeFar = far, near, seeFar, seeNear
	}
	if seeNear {
		if err := near.walk(low, high, backward, f); err != nil {
			return err
		}
	}
	if low <= n.key && n.key <= high {
		if err := f([]byte(n.key), n.value); err != nil {
			return err
		}
	}
	if seeFar {
		return far.walk(low, high, backward, f)
	}
	return nil
}
