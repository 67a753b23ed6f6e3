package daemon

import (
	"slices"

	"cairn/chain"
	"cairn/converge"
	"cairn/node"
	"cairn/store"
)

// Bounds on one search. A transaction is rarely older than the point where
// branches part, so that honest searches come nowhere near them.
const (
	maxCoins     = 4096 // whose spenders are looked up
	maxBodies    = 64   // that are read
	maxConflicts = 256  // that are kept
	atOnce       = 64   // transactions that the loop is asked about at a time
)

// search finds where a transaction stands, on all branches, at one moment of the
// store.
type search struct {
	d    *Daemon
	now  *store.Reader
	tips map[chain.Hash]bool // ours, and those that peers follow
	ends []chain.Hash        // ours, and those of the others that lie beside our branch
	w    converge.Where

	seen   map[chain.Hash]bool // transactions that were looked at
	coins  int
	bodies int
	cut    bool // a bound was reached: what was not found may be there all the same
}

// a kin is a transaction, or an ancestor of it.
type kin struct {
	id     chain.Hash
	blocks []chain.Hash // that hold it
	tx     *chain.Tx    // nil if it was not read, or is a coinbase
	held   bool         // by every branch that ends in one of search.ends
	kept   bool         // it waits in the pool, or is remembered there
}

// find looks for the blocks that hold a transaction or confirm a conflicting
// spend, on the branches of our tip, of those that peers follow and of some more.
// A transaction that no block, pool or memory holds is node.ErrUnknown.
func (d *Daemon) find(now *store.Reader, id chain.Hash, also ...chain.Hash) (*search, error) {
	s := &search{d: d, now: now, seen: map[chain.Hash]bool{id: true}, tips: map[chain.Hash]bool{}}
	own, err := now.Tip()
	if err != nil {
		return nil, err
	}
	if err := d.loop.look(d.life, func(chain.Time) { s.gather(own.State.ID, also) }); err != nil {
		return nil, err
	}
	first, err := s.survey([]chain.Hash{id})
	if err != nil {
		return nil, err
	}
	if len(first[0].blocks) == 0 && !first[0].kept {
		return nil, node.ErrUnknown
	}
	s.w.Blocks = first[0].blocks
	return s, s.conflicts(first)
}

// gather lists the tips, in the loop. Those that we do not know do not count:
// nothing can be said about them. Those below our own tip decide nothing: what
// our branch holds, no part of it rules out.
func (s *search) gather(own chain.Hash, also []chain.Hash) {
	n := s.d.loop.node
	s.tips[own] = true
	s.ends = append(s.ends, own)
	for _, c := range n.Claims() {
		also = append(also[:len(also):len(also)], c.Header.ID())
	}
	for _, tip := range also {
		e, known := n.Entry(tip)
		if !known || s.tips[tip] {
			continue
		}
		s.tips[tip] = true
		if at, ok := n.Ancestor(own, e.State.Height); !ok || at != tip {
			s.ends = append(s.ends, tip)
		}
	}
}

// conflicts looks for other spends of a transaction's coins, and of those of the
// transactions that made them: what a branch rules out, it rules out with all
// that builds on it. Behind what every branch holds nothing is ruled out.
func (s *search) conflicts(level []kin) error {
	for len(level) > 0 {
		if err := s.read(level); err != nil {
			return err
		}
		parents, err := s.rivals(level)
		if err != nil || s.cut {
			return err
		}
		if level, err = s.survey(parents); err != nil {
			return err
		}
	}
	return nil
}

// survey finds the blocks that hold transactions, and tells which of them every
// branch holds and which wait in the pool.
func (s *search) survey(ids []chain.Hash) ([]kin, error) {
	family := make([]kin, len(ids))
	for i, id := range ids {
		blocks, err := s.now.TxBlocks(id)
		if err != nil {
			return nil, err
		}
		family[i] = kin{id: id, blocks: blocks}
	}
	for part := range slices.Chunk(family, atOnce) {
		err := s.d.loop.look(s.d.life, func(chain.Time) {
			for i := range part {
				s.place(&part[i])
			}
		})
		if err != nil {
			return nil, err
		}
	}
	return family, nil
}

// place is called in the loop.
func (s *search) place(k *kin) {
	n := s.d.loop.node
	if len(k.blocks) > 0 {
		k.held = !slices.ContainsFunc(s.ends, func(tip chain.Hash) bool {
			return converge.OfTx(n, tip, converge.Where{Blocks: k.blocks}).N < 1
		})
		return
	}
	if e, ok := n.Mempool().Get(k.id); ok {
		k.tx, k.kept = e.Tx.Tx(), true
	} else if f, ok := n.Mempool().Fate(k.id); ok {
		k.tx, k.kept = f.Tx.Tx(), true
	}
}

// read reads those that some branch lacks, each block once.
func (s *search) read(family []kin) error {
	wanted := map[chain.Hash][]*kin{} // by the first block that holds them
	for i := range family {
		if k := &family[i]; !k.held && k.tx == nil && len(k.blocks) > 0 {
			wanted[k.blocks[0]] = append(wanted[k.blocks[0]], k)
		}
	}
	for id, kins := range wanted {
		if s.bodies++; s.bodies > maxBodies {
			s.cut = true
			return nil
		}
		b, err := s.now.Body(id)
		if err != nil {
			return err
		}
		for _, t := range b.Txs() {
			if i := slices.IndexFunc(kins, func(k *kin) bool { return k.id == t.ID() }); i >= 0 {
				kins[i].tx = t.Tx()
			}
		}
	}
	return nil
}

// rivals notes the other spends of what a level spends, and lists the
// transactions that made it and were not looked at before.
func (s *search) rivals(level []kin) (parents []chain.Hash, err error) {
	for _, k := range level {
		if k.held || k.tx == nil {
			continue
		}
		for i := range k.tx.Inputs {
			prev := k.tx.Inputs[i].Prev
			if s.coins++; s.coins > maxCoins {
				s.cut = true
			}
			if s.cut {
				return nil, nil
			}
			if err := s.rivalsFor(k.id, prev); err != nil {
				return nil, err
			}
			if !s.seen[prev.Tx] {
				s.seen[prev.Tx] = true
				parents = append(parents, prev.Tx)
			}
		}
	}
	return parents, nil
}

func (s *search) rivalsFor(id chain.Hash, coin chain.OutPoint) error {
	spenders, err := s.now.Spenders(coin)
	if err != nil {
		return err
	}
	for _, by := range spenders {
		if by == id {
			continue
		}
		blocks, err := s.now.TxBlocks(by)
		if err != nil {
			return err
		}
		for _, b := range blocks {
			if len(s.w.Conflicts) >= maxConflicts {
				s.cut = true
				return nil
			}
			s.w.Conflicts = append(s.w.Conflicts, converge.Conflict{Block: b, By: by})
		}
	}
	return nil
}

// depth is the depth of what was searched under a tip, in the loop. Where the
// search does not reach, what it did not find is no zero.
func (s *search) depth(n *node.Node, tip chain.Hash) converge.Depth {
	d := converge.OfTx(indexed{n, s.now}, tip, s.w)
	if d.Known && d.N == 0 && (s.cut || !s.tips[tip]) {
		return converge.Depth{}
	}
	return d
}

// indexed is the header tree as far as one moment's index covers it: nothing is
// known of what a body holds that came later.
type indexed struct {
	*node.Node
	now *store.Reader
}

// Header implements converge.Tree.
func (t indexed) Header(id chain.Hash) (parent chain.Hash, height uint64, complete, ok bool) {
	parent, height, complete, ok = t.Node.Header(id)
	if complete {
		e, err := t.now.Entry(id)
		complete = err == nil && e.Status == node.Complete
	}
	return parent, height, complete, ok
}
