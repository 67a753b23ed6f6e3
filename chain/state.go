package chain

import (
	"fmt"
	"slices"
)

// Time is in milliseconds since 1970. Header times are whole seconds.
type Time int64

// Seconds is the time in whole seconds, as headers carry it.
func (t Time) Seconds() int64 { return int64(t) / 1000 }

// State is all that the rules must know of the chain that ends at one block,
// coins excepted.
type State struct {
	Height uint64
	ID     Hash
	Work   Work   // of the whole chain; fork choice looks at nothing else
	Bits   Bits   //
	Time   uint32 // this block's, in seconds,
	Gap    uint32 // and how much later than its parent: all that the next target asks for
}

// Coin is an output of the chain that nothing has spent.
type Coin struct {
	OutPoint
	Value    Amount
	Owner    Address
	Height   uint64 // of the block that created it
	Coinbase bool
}

// String names the coin and its value.
func (c Coin) String() string { return fmt.Sprintf("%v (%v CRN)", c.OutPoint, c.Value) }

// Mature tells whether a block at this height may spend the coin.
func (p *Params) Mature(c Coin, height uint64) bool {
	return !c.Coinbase || height >= c.Height+p.Maturity
}

// Coins is what a caller found; a missing key is a missing coin.
type Coins map[OutPoint]Coin

// Diff is the net effect of one block on the unspent coins: a coin that the
// block both creates and spends is in neither list.
type Diff struct{ Spent, Created []Coin }

// Inverse undoes the diff: the same data read backwards.
func (d Diff) Inverse() Diff { return Diff{Spent: d.Created, Created: d.Spent} }

// Then is the net effect of d followed by e.
func (d Diff) Then(e Diff) Diff {
	created := make(Coins, len(d.Created)+len(e.Created))
	spent := make(Coins, len(d.Spent)+len(e.Spent))
	for _, step := range []Diff{d, e} {
		step.cancel(created, spent)
	}
	return Diff{Spent: sorted(spent), Created: sorted(created)}
}

func (d Diff) cancel(created, spent Coins) {
	for _, c := range d.Spent {
		if _, ours := created[c.OutPoint]; ours {
			delete(created, c.OutPoint)
		} else {
			spent[c.OutPoint] = c
		}
	}
	for _, c := range d.Created {
		if old, back := spent[c.OutPoint]; back && old == c {
			delete(spent, c.OutPoint)
		} else {
			created[c.OutPoint] = c
		}
	}
}

// sorted lists coins in one order, so that equal sets give equal diffs.
func sorted(m Coins) []Coin {
	list := make([]Coin, 0, len(m))
	for _, c := range m {
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b Coin) int { return a.OutPoint.Compare(b.OutPoint) })
	return list
}

// Apply changes the coins in place by the diff.
func (m Coins) Apply(d Diff) {
	for _, c := range d.Spent {
		delete(m, c.OutPoint)
	}
	for _, c := range d.Created {
		m[c.OutPoint] = c
	}
}
