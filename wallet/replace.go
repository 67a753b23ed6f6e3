package wallet

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"

	"cairn/chain"
)

// Replacement says how to put another transaction in the place of one that waits.
type Replacement struct {
	Tx      *chain.Tx    // what waits; all its inputs are ours
	Back    int          // which of its outputs is our change; negative if none is
	Cancel  bool         // pay everything to Change, nobody else
	Leaving chain.Amount // fees of all that would leave with it, itself included
	Step    chain.Amount // grains per 1000 bytes that a replacement adds (BIP125, rule 4)
	FeeRate chain.Amount // grains per 1000 bytes; raised to the least that replaces

	Coins    []chain.Coin  // more of our own, for when the change does not reach; none of Tx's outputs
	Height   uint64        // as in Request
	Maturity uint64        // as in Request
	Change   chain.Address // where new change goes, and what is cancelled
	Draw     uint64        // as in Request
}

// Replace makes the unsigned transaction that takes the place of one that waits:
// it spends the same coins, so that only one of the two can ever be confirmed. It
// pays the same outputs, and its higher fee comes out of the change, then out of
// more coins, the largest first; or it cancels. The fee is the least at least
// that a pool takes: all fees that leave and the step for its own bytes (BIP125,
// rules 3 and 4), at a higher rate than before. A *NotEnough says how far the
// coins are from that.
func Replace(r Replacement) (*chain.Tx, Summary, error) {
	if r.FeeRate > MaxFeeRate || r.Step > MaxFeeRate {
		return nil, Summary{}, fmt.Errorf("a fee rate of %d grains per 1000 bytes is above %d: give a lower one", max(r.FeeRate, r.Step), MaxFeeRate)
	}
	if !spendable(r.Change) {
		return nil, Summary{}, fmt.Errorf("the change address %v is no key: nobody could ever spend it", r.Change)
	}
	base := r.request()
	usable, later := base.sort()
	usable = slices.DeleteFunc(base.useful(usable), r.spends)
	old, ok := inputs(r.Tx)
	if !ok {
		return nil, Summary{}, errors.New("the transaction to be replaced spends more than there is")
	}
	for n := range len(usable) + 1 {
		taken := append(slices.Clone(old), usable[:n]...)
		if tx, change, ok := r.assemble(&base, taken); ok {
			return tx, summarize(tx, change), nil
		}
	}
	return nil, Summary{}, r.short(&base, append(old, usable...), later)
}

// request are the payments that stay.
func (r *Replacement) request() Request {
	base := Request{
		Coins: r.Coins, Height: r.Height, Maturity: r.Maturity, Change: r.Change,
		FeeRate: r.FeeRate, Memo: r.Tx.Memo, Draw: r.Draw,
	}
	if r.Cancel {
		base.Memo = nil
		return base
	}
	base.To = slices.Clone(r.Tx.Outputs)
	if r.back() {
		base.To = slices.Delete(base.To, r.Back, r.Back+1)
		base.Change = r.Tx.Outputs[r.Back].To
		base.Draw = uint64(len(base.To) - r.Back) // it stays where it stood
	}
	return base
}

func (r *Replacement) back() bool { return r.Back >= 0 && r.Back < len(r.Tx.Outputs) }

func (r *Replacement) spends(c chain.Coin) bool {
	return slices.ContainsFunc(r.Tx.Inputs, func(in chain.Input) bool { return in.Prev == c.OutPoint }) || c.Tx == r.Tx.ID()
}

// inputs are the coins that a transaction names.
func inputs(tx *chain.Tx) (coins []chain.Coin, ok bool) {
	var sum chain.Amount
	for _, in := range tx.Inputs {
		if sum, ok = sum.Plus(in.Value); !ok {
			return nil, false
		}
		coins = append(coins, chain.Coin{OutPoint: in.Prev, Value: in.Value, Owner: in.Owner})
	}
	return coins, ok
}

// assemble tries to pay with these coins: with change if that is worth its fee.
func (r *Replacement) assemble(base *Request, coins []chain.Coin) (tx *chain.Tx, change chain.Amount, ok bool) {
	rest, ok := base.rest(coins)
	size := base.size(len(coins), len(base.To)+1)
	if !ok || size > MaxSize {
		return nil, 0, false
	}
	tx = base.draft(coins)
	if fee := r.least(size); rest > fee && (rest-fee > base.fee(inputSize) || len(base.To) == 0) {
		change = rest - fee
		tx.Outputs = slices.Insert(tx.Outputs, base.place(), chain.Output{Value: change, To: base.Change})
		return tx, change, true
	}
	return tx, 0, len(base.To) > 0 && rest >= r.least(tx.Size())
}

// rest is what the coins leave over for fee and change.
func (r *Request) rest(coins []chain.Coin) (rest chain.Amount, ok bool) {
	var due chain.Amount
	for _, c := range coins {
		if rest, ok = rest.Plus(c.Value); !ok {
			return 0, false
		}
	}
	for _, o := range r.To {
		if due, ok = due.Plus(o.Value); !ok {
			return 0, false
		}
	}
	return rest - min(rest, due), rest >= due
}

// draft spends coins to the outputs asked for.
func (r *Request) draft(coins []chain.Coin) *chain.Tx {
	tx := &chain.Tx{Outputs: slices.Clone(r.To), Memo: slices.Clone(r.Memo)}
	for _, c := range coins {
		tx.Inputs = append(tx.Inputs, chain.Input{Prev: c.OutPoint, Value: c.Value, Owner: c.Owner})
	}
	return tx
}

// least is the lowest fee of a replacement of so many bytes: what was asked for,
// what a pool asks for, and more per byte than what waits pays.
func (r *Replacement) least(size int) chain.Amount {
	step := Request{FeeRate: r.Step}
	wish := Request{FeeRate: r.FeeRate}
	fee := max(r.Leaving+step.fee(size), wish.fee(size))
	// The old fee by the new size and the old: 128 bits hold the product.
	high, low := bits.Mul64(uint64(oldFee(r.Tx)), uint64(size))
	if high < uint64(r.Tx.Size()) {
		same, _ := bits.Div64(high, low, uint64(r.Tx.Size()))
		fee = max(fee, chain.Amount(same)+1)
	}
	return fee
}

func oldFee(tx *chain.Tx) (fee chain.Amount) {
	for _, in := range tx.Inputs {
		fee += in.Value
	}
	for _, o := range tx.Outputs {
		fee -= o.Value
	}
	return fee
}

// short tells what is missing.
func (r *Replacement) short(base *Request, coins []chain.Coin, later NotEnough) error {
	short := later
	for _, c := range coins {
		short.Have, _ = short.Have.Plus(c.Value)
	}
	for _, o := range base.To {
		short.Need += o.Value
	}
	short.Need += max(r.least(base.size(len(coins), max(len(base.To), 1))), 1)
	return &short
}
