package node

import (
	"errors"
	"slices"

	"cairn/chain"
)

// entry is a block in the tree that is held in memory. A stored entry is
// complete, or condemned, and its parent is stored.
type entry struct {
	Entry
	stored   bool
	shunned  bool                // a person ruled it out, or what it builds on
	told     bool                // its announcement was passed on
	wanted   bool                // asked for because its branch carries more work than ours
	body     *chain.CheckedBlock // in hand, until it is stored
	seq      uint64              // order in which bodies became whole: the first wins a tie
	children []*entry            // those in memory
	reason   error               // why it was condemned, if that was since the start

	teller Peer       // who told us last
	server Peer       // who is being asked for its body
	asked  chain.Time // when; 0 if no request is under way
	tries  int        // requests that failed
	retry  chain.Time // not asked for again before
	vain   []vain     // who did not bring it, those of late last
	fresh  bool       // the last try after a failure was with somebody new
	voices bool       // and the last of the others with one whom we chose

	hastes int        // times that news of somebody made us ask before retry
	haste  chain.Time // it does so not before
}

// vain is a try that failed.
type vain struct {
	peer Peer
	at   chain.Time
}

func (e *entry) id() chain.Hash     { return e.State.ID }
func (e *entry) parent() chain.Hash { return e.Header.Prev }

// heavier tells whether e's branch carries more work than o's.
func (e *entry) heavier(o *entry) bool { return e.State.Work.Cmp(o.State.Work) > 0 }

// whole tells whether the body and all bodies before it are here.
func (e *entry) whole() bool { return e.Status == Complete }

func (e *entry) sound() bool { return e.Status != Condemned && !e.shunned }

// loose tells that the entry lives in memory alone, and nothing builds on it.
func (e *entry) loose() bool {
	return !e.stored && e.Status != Complete && len(e.children) == 0
}

// tree holds recent and side entries in memory; older ones it reads from the
// store when somebody asks.
type tree struct {
	store Store
	m     map[chain.Hash]*entry
	heads map[chain.Hash]*entry // entries in memory that are headed and have no child but condemned ones
	bytes int                   // of bodies in hand
	skips map[skip]chain.Hash   // down branches off the best chain, where somebody went

	shunned map[chain.Hash]bool // stored entries that a person ruled out, and what builds on them as far as we know
}

func newTree(s Store, recent []Entry) *tree {
	t := &tree{store: s, m: map[chain.Hash]*entry{}, heads: map[chain.Hash]*entry{}, skips: map[skip]chain.Hash{}, shunned: map[chain.Hash]bool{}}
	for _, e := range recent {
		t.put(&entry{Entry: e, stored: true})
	}
	return t
}

// get finds an entry in memory or in the store; nil if it is unknown.
func (t *tree) get(id chain.Hash) (*entry, error) {
	if e := t.m[id]; e != nil {
		return e, nil
	}
	stored, err := t.store.Entry(id)
	if errors.Is(err, ErrUnknown) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &entry{Entry: stored, stored: true, shunned: t.shunned[id]}, nil
}

// family finds a block and its parent; nil is what is unknown. The store is asked
// for the block only if it holds the parent: in a first sync it never does.
func (t *tree) family(h chain.Header) (parent, e *entry, err error) {
	if parent, err = t.get(h.Prev); err != nil {
		return nil, nil, err
	}
	id := h.ID()
	if e = t.m[id]; e == nil && parent != nil && parent.stored {
		e, err = t.get(id)
	}
	return parent, e, err
}

// put takes an entry into memory.
func (t *tree) put(e *entry) {
	t.m[e.id()] = e
	t.crown(e)
	if p := t.m[e.parent()]; p != nil {
		p.children = append(p.children, e)
		t.crown(p)
	}
}

// putBranch takes a branch, oldest first, into memory as far as it is not there.
func (t *tree) putBranch(branch []*entry) {
	for i, e := range branch {
		if t.m[e.id()] != nil {
			continue
		}
		t.put(e)
		if i+1 < len(branch) && t.m[branch[i+1].id()] != nil {
			e.children = append(e.children, branch[i+1])
		}
	}
}

// crown notes whether e is a head, after it or a child of it changed.
func (t *tree) crown(e *entry) {
	if e.Status == Headed && !slices.ContainsFunc(e.children, (*entry).sound) {
		t.heads[e.id()] = e
	} else {
		delete(t.heads, e.id())
	}
}

// onBest tells whether the entry lies on the stored best chain.
func (t *tree) onBest(e *entry) (bool, error) {
	if e.Status != Complete {
		return false, nil
	}
	id, err := t.store.At(e.State.Height)
	if errors.Is(err, ErrUnknown) {
		return false, nil
	}
	return err == nil && id == e.id(), err
}

// fork finds where two branches part.
func (t *tree) fork(a, b *entry) (*entry, error) {
	var err error
	for a.id() != b.id() {
		if a.State.Height < b.State.Height {
			a, b = b, a
		}
		if a, err = t.known(a.parent()); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// known is get for an entry that must be there: the parent of a known one.
func (t *tree) known(id chain.Hash) (*entry, error) {
	e, err := t.get(id)
	if err == nil && e == nil {
		err = errors.New("the tree has lost block " + id.String())
	}
	return e, err
}

// branch lists the entries above fork up to end, oldest first.
func (t *tree) branch(fork, end *entry) ([]*entry, error) {
	var list []*entry
	for e := end; e.id() != fork.id(); {
		list = append(list, e)
		var err error
		if e, err = t.known(e.parent()); err != nil {
			return nil, err
		}
	}
	slices.Reverse(list)
	return list, nil
}

// hold keeps a body in hand.
func (t *tree) hold(e *entry, b chain.CheckedBlock) {
	t.drop(e)
	e.body = &b
	t.bytes += b.Size()
}

// drop lets a body in hand go.
func (t *tree) drop(e *entry) {
	if e.body != nil {
		t.bytes -= e.body.Size()
		e.body = nil
	}
}

// body finds the body of an entry in hand or in the store.
func (t *tree) body(e *entry) (chain.CheckedBlock, error) {
	if e.body != nil {
		return *e.body, nil
	}
	return t.store.Body(e.id())
}

// remove lets an entry in memory go.
func (t *tree) remove(e *entry) {
	t.drop(e)
	delete(t.m, e.id())
	delete(t.heads, e.id())
	if p := t.m[e.parent()]; p != nil {
		p.children = slices.DeleteFunc(p.children, func(c *entry) bool { return c == e })
		t.crown(p)
	}
}
