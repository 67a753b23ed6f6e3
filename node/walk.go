package node

import (
	"errors"
	"math"

	"cairn/chain"
)

// A branch off the best chain may be as long as that, and lie on disk. Whoever asks for
// something on it must not keep the node reading all of it, again and again: who walks
// down such a branch leaves skips behind, and a walk has only so many steps.

// errFar tells that a walk took as many steps as it may. What it left behind makes the
// next one shorter.
var errFar = errors.New("a block is far from the best chain")

// strides are how far skips lead, the longest first; each is a multiple of the next.
var strides = [...]uint64{4096, 64}

// A skip begins at a block off the best chain, and leads so many blocks down its branch.
type skip struct {
	from   chain.Hash
	stride uint64
}

// walk goes down the branch of a block.
type walk struct {
	tree   *tree
	at     *entry
	left   int                  // steps that it may take
	passed [len(strides)]*entry // last, of the heights that are multiples of the stride
}

func (t *tree) walk(from *entry, most int) *walk {
	w := &walk{tree: t, at: from, left: most}
	w.note()
	return w
}

// to goes to the block at a height; it stays where it is if that is higher.
func (w *walk) to(height uint64) error {
	for w.at.State.Height > height {
		best, err := w.tree.onBest(w.at)
		if err != nil {
			return err
		}
		if best {
			return w.jump(height)
		}
		if w.left--; w.left < 0 {
			return errFar
		}
		if w.at, err = w.tree.known(w.next(height)); err != nil {
			return err
		}
		w.note()
	}
	return nil
}

// jump goes along the best chain.
func (w *walk) jump(height uint64) error {
	id, err := w.tree.store.At(height)
	if err == nil {
		w.at, err = w.tree.known(id)
	}
	return err
}

// next is the lowest block that one step leads to, but not below a height.
func (w *walk) next(height uint64) chain.Hash {
	here := w.at.State.Height
	for _, stride := range strides {
		if here%stride == 0 && here >= height+stride {
			if id, ok := w.tree.skips[skip{w.at.id(), stride}]; ok {
				return id
			}
		}
	}
	return w.at.parent()
}

// note leaves the skips behind that end here. Those of branches that nobody asks for are
// forgotten with all others.
func (w *walk) note() {
	here := w.at.State.Height
	for i, stride := range strides {
		if here%stride != 0 {
			continue
		}
		if last := w.passed[i]; last != nil && last.State.Height == here+stride {
			if len(w.tree.skips) >= maxSkips {
				clear(w.tree.skips)
			}
			w.tree.skips[skip{last.id(), stride}] = w.at.id()
		}
		w.passed[i] = w.at
	}
}

// ancestor finds the block at height on the branch that ends at e; e itself if that is
// higher.
func (t *tree) ancestor(e *entry, height uint64) (*entry, error) {
	w := t.walk(e, math.MaxInt)
	err := w.to(height)
	return w.at, err
}
