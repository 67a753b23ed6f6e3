package chain

import "fmt"

// Birth is what an input does not repeat of the coin that it spends: where it was made.
type Birth struct {
	Height   uint64
	Coinbase bool
}

// Birth is the coin's.
func (c Coin) Birth() Birth { return Birth{c.Height, c.Coinbase} }

// Effect is the Diff that Connect gave for a block, from the block itself and from the
// births of the coins that it spends, in the order of Diff.Spent: nothing else of a Diff is
// not in the block. It holds for a block that was connected; an error says that these
// births are not that block's.
func (b CheckedBlock) Effect(births []Birth) (Diff, error) {
	l := newLedger(nil, b, b.block.Coinbase.Height)
	if len(births) != len(l.needs) {
		return Diff{}, fmt.Errorf("the births of %d coins, the block spends %d", len(births), len(l.needs))
	}
	for _, t := range b.txs {
		for i := range t.tx.Inputs {
			if err := l.recall(&t.tx.Inputs[i]); err != nil {
				return Diff{}, err
			}
		}
	}
	d := Diff{Spent: l.allSpent(), Created: l.allCreated()}
	for i, born := range births {
		d.Spent[i].Height, d.Spent[i].Coinbase = born.Height, born.Coinbase
	}
	return d, nil
}

// recall spends again what an input spent.
func (l *ledger) recall(in *Input) error {
	by := l.from[l.inputs]
	l.inputs++
	if by < 0 {
		l.spent = append(l.spent, Coin{OutPoint: in.Prev, Value: in.Value, Owner: in.Owner})
		return nil
	}
	if _, ok := l.take(int(by), in.Prev); !ok {
		return fmt.Errorf("%v was not there to be spent", in.Prev)
	}
	return nil
}
