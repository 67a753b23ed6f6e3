package converge

import (
	"encoding/json"
	"fmt"
	"strconv"

	"cairn/chain"
)

// Tree is what must be known of a header tree.
type Tree interface {
	// Header describes a block whose header is known. Complete means that its
	// body and those of all its ancestors are here, so that a transaction that
	// is not indexed is not on that branch.
	Header(id chain.Hash) (parent chain.Hash, height uint64, complete, ok bool)
	// Ancestor is the block at a height, not above tip's, on the branch that
	// ends at tip; tip itself at its own height.
	Ancestor(tip chain.Hash, height uint64) (chain.Hash, bool)
}

// Where tells what is known of the places of a transaction, on all branches.
type Where struct {
	Blocks    []chain.Hash // that hold it
	Conflicts []Conflict   // that confirm another spend of one of its coins, or of an unconfirmed ancestor's
}

// Conflict is a conflicting spend that a block confirms.
type Conflict struct {
	Block chain.Hash
	By    chain.Hash // the transaction
}

// Off is the depth of what a branch rules out.
const Off = -1

// Depth is how deep something lies under a tip. The zero value is unknown.
type Depth struct {
	N     int64      // 1 at the tip; 0 not yet on that branch; Off if that branch rules it out
	Known bool       // false if the tip, or a body that may decide, is not known here
	Block chain.Hash // that holds it, or that confirms By
	By    chain.Hash // the conflicting transaction, if N is Off
}

// String is the number, or "?".
func (d Depth) String() string {
	if !d.Known {
		return "?"
	}
	return strconv.FormatInt(d.N, 10)
}

// MarshalJSON writes the number, or null.
func (d Depth) MarshalJSON() ([]byte, error) {
	if !d.Known {
		return []byte("null"), nil
	}
	return strconv.AppendInt(nil, d.N, 10), nil
}

// UnmarshalJSON reads what MarshalJSON writes.
func (d *Depth) UnmarshalJSON(b []byte) error {
	var n *int64
	if err := json.Unmarshal(b, &n); err != nil {
		return fmt.Errorf("depth: %w", err)
	}
	*d = Depth{}
	if n != nil {
		d.N, d.Known = *n, true
	}
	return nil
}

// Reaches tells whether the depth is known and at least n.
func (d Depth) Reaches(n int64) bool { return d.Known && d.N >= n }

// OfTx is the depth of a transaction under a tip: that of its block; 0 if the
// tip's branch holds neither it nor a conflict, for then it can still be
// confirmed there; Off if that branch confirms a conflicting spend. It is
// unknown if the tip is, or if the transaction is not found and a body of that
// branch is not here: that one may hold it.
func OfTx(t Tree, tip chain.Hash, w Where) Depth {
	_, height, complete, ok := t.Header(tip)
	if !ok {
		return Depth{}
	}
	for _, b := range w.Blocks {
		if n := under(t, tip, height, b); n > 0 {
			return Depth{N: n, Known: true, Block: b}
		}
	}
	for _, c := range w.Conflicts {
		if under(t, tip, height, c.Block) > 0 {
			return Depth{N: Off, Known: true, Block: c.Block, By: c.By}
		}
	}
	return Depth{Known: complete}
}

// under is the depth of block on the branch that ends at tip, 0 if it is not on
// it.
func under(t Tree, tip chain.Hash, height uint64, block chain.Hash) int64 {
	_, at, _, ok := t.Header(block)
	if !ok || at > height {
		return 0
	}
	if a, ok := t.Ancestor(tip, at); !ok || a != block {
		return 0
	}
	return int64(height-at) + 1
}

// OfBlock is the depth of a block under a tip: 1 if it is the tip; 0 if the tip
// is one of its ancestors, for then that branch may still take it; Off if the
// branches part below it. It is unknown if one of both headers is.
func OfBlock(t Tree, tip, block chain.Hash) Depth {
	_, height, _, ok := t.Header(tip)
	_, at, _, known := t.Header(block)
	if !ok || !known {
		return Depth{}
	}
	if n := under(t, tip, height, block); n > 0 {
		return Depth{N: n, Known: true, Block: block}
	}
	if under(t, block, at, tip) > 0 {
		return Depth{Known: true}
	}
	return Depth{N: Off, Known: true}
}
