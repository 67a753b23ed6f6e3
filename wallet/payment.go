package wallet

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/btcec/v2"

	"cairn/chain"
)

// MaxSize is the largest payment that Build makes, in bytes: pools take no
// larger transaction.
const MaxSize = 100_000

// MaxFeeRate is the highest fee rate that Build takes, in grains per 1000
// bytes: one coin a byte is a slip of the keyboard.
const MaxFeeRate = 1000 * chain.CRN

// inputSize is what one more input adds to a transaction, in bytes.
var inputSize = chain.TxSize(1, 0, 0) - chain.TxSize(0, 0, 0)

// Request says what to pay, and what with.
type Request struct {
	Coins    []chain.Coin   // confirmed coins of our own, in any order; immature ones are left out here
	Height   uint64         // of the block that is to hold the payment: the tip's and one
	Maturity uint64         // Params.Maturity: blocks before a coinbase may be spent
	To       []chain.Output // what to pay
	All      bool           // pay all there is, less the fee, to To's only output, whose value stands at 0
	Change   chain.Address  // where what is left over goes
	FeeRate  chain.Amount   // grains per 1000 bytes of transaction, rounded up
	Memo     []byte         // at most chain.MaxMemo bytes
	Draw     uint64         // any number, drawn at random: who reads it later cannot tell the change by its place
}

// Summary says what a payment does, in grains unless said otherwise.
type Summary struct {
	Sent   chain.Amount // to the outputs asked for
	Change chain.Amount // back to us; 0 if there is no change output
	Fee    chain.Amount // all that is left for the miner
	Inputs int          // coins spent
	Size   int          // bytes
}

// ErrNotEnough is wrapped by *NotEnough.
var ErrNotEnough = errors.New("not enough coins")

// NotEnough tells how far the coins are from paying a request, in grains.
type NotEnough struct {
	Have     chain.Amount // what can be spent now
	Need     chain.Amount // payment and fee
	Immature chain.Amount // what can be spent later,
	Wait     uint64       // the first of it in so many blocks,
	Until    uint64       // which is at this height
}

// Error tells what there is, what is needed and what to wait for.
func (e *NotEnough) Error() string {
	s := fmt.Sprintf("%v: %v CRN can be spent, %v CRN are needed with the fee", ErrNotEnough, e.Have, e.Need)
	if e.Immature > 0 {
		blocks := "blocks"
		if e.Wait == 1 {
			blocks = "block"
		}
		s += fmt.Sprintf("; %v CRN more are immature, the first of them until height %d, for %d more %s: wait for those", e.Immature, e.Until, e.Wait, blocks)
	}
	return s
}

// Unwrap is ErrNotEnough.
func (e *NotEnough) Unwrap() error { return ErrNotEnough }

// Build chooses coins for a request and makes the unsigned transaction. The fee
// is that of the exact size: signatures all have one length. Change that would
// cost more to spend than it is worth is left to the miner; so is what a choice
// leaves over that needs no change and thereby wastes less. It is a pure
// function: equal requests give equal transactions. If the coins do not reach,
// the error is a *NotEnough.
func Build(r Request) (*chain.Tx, Summary, error) {
	due, err := r.check()
	if err != nil {
		return nil, Summary{}, err
	}
	usable, later := r.sort()
	coins, err := r.choose(usable, due)
	if short := (*NotEnough)(nil); errors.As(err, &short) {
		short.Immature, short.Wait, short.Until = later.Immature, later.Wait, later.Until
	}
	if err != nil {
		return nil, Summary{}, err
	}
	tx, change := r.assemble(coins)
	return tx, summarize(tx, change), nil
}

// check refuses what no choice of coins could pay, and sums up what is due.
func (r *Request) check() (due chain.Amount, err error) {
	switch {
	case len(r.To) == 0:
		return 0, errors.New("a payment needs somebody to pay")
	case r.All && len(r.To) != 1:
		return 0, fmt.Errorf("all there is goes to one address, not to %d", len(r.To))
	case r.All && r.To[0].Value != 0:
		return 0, errors.New("give an amount, or ask for all there is, not both")
	case len(r.Memo) > chain.MaxMemo:
		return 0, fmt.Errorf("a memo of %d bytes is too long: %d are allowed", len(r.Memo), chain.MaxMemo)
	case r.FeeRate > MaxFeeRate:
		return 0, fmt.Errorf("a fee rate of %d grains per 1000 bytes is above %d: give a lower one", r.FeeRate, MaxFeeRate)
	case r.size(1, len(r.To)+1) > MaxSize:
		return 0, fmt.Errorf("%d outputs do not fit into one transaction of %d bytes: make several payments", len(r.To), MaxSize)
	}
	return r.sum()
}

func (r *Request) sum() (due chain.Amount, err error) {
	for i, o := range r.To {
		var ok bool
		if o.Value == 0 && !r.All {
			return 0, fmt.Errorf("output %d pays nothing: give an amount above 0", i)
		}
		if due, ok = due.Plus(o.Value); !ok {
			return 0, fmt.Errorf("the payment is above %v CRN, more than a transaction can hold", chain.MaxAmount)
		}
		if !spendable(o.To) {
			return 0, fmt.Errorf("output %d pays to %v, which is no key: nobody could ever spend it", i, o.To)
		}
	}
	if !r.All && !spendable(r.Change) {
		return 0, fmt.Errorf("the change address %v is no key: nobody could ever spend it", r.Change)
	}
	return due, nil
}

// spendable tells whether an x-only key lies on the curve (BIP340, lift_x).
func spendable(a chain.Address) bool {
	_, err := btcec.ParsePubKey(append([]byte{2}, a[:]...))
	return err == nil
}

// sort parts the coins that may be spent, each once and the largest first, from
// those that are immature, of which it tells the sum and the wait.
func (r *Request) sort() (usable []chain.Coin, later NotEnough) {
	for _, c := range distinct(r.Coins) {
		mature := c.Height + r.Maturity
		if !c.Coinbase || mature <= r.Height {
			usable = append(usable, c)
			continue
		}
		if wait := mature - r.Height; later.Immature == 0 || wait < later.Wait {
			later.Wait, later.Until = wait, mature
		}
		if sum, ok := later.Immature.Plus(c.Value); ok {
			later.Immature = sum
		}
	}
	return usable, later
}

func distinct(coins []chain.Coin) []chain.Coin {
	coins = slices.Clone(coins)
	slices.SortFunc(coins, func(a, b chain.Coin) int {
		return cmp.Or(cmp.Compare(b.Value, a.Value), a.OutPoint.Compare(b.OutPoint))
	})
	return slices.CompactFunc(coins, func(a, b chain.Coin) bool { return a.OutPoint == b.OutPoint })
}

// assemble makes the transaction that spends these coins, and tells how much of
// it is change.
func (r *Request) assemble(coins []chain.Coin) (tx *chain.Tx, change chain.Amount) {
	tx = r.draft(coins)
	rest, _ := r.rest(coins) // chosen to pay
	if r.All {
		tx.Outputs[0].Value = rest - r.fee(tx.Size())
		return tx, 0
	}
	fee := r.fee(r.size(len(coins), len(r.To)+1))
	if rest <= fee+r.fee(inputSize) {
		return tx, 0 // it would cost as much to spend as it is worth
	}
	change = rest - fee
	tx.Outputs = slices.Insert(tx.Outputs, r.place(), chain.Output{Value: change, To: r.Change})
	return tx, change
}

// place is where the change stands among the outputs.
func (r *Request) place() int {
	n := uint64(len(r.To))
	return int(n - r.Draw%(n+1))
}

func summarize(tx *chain.Tx, change chain.Amount) Summary {
	s := Summary{Change: change, Inputs: len(tx.Inputs), Size: tx.Size()}
	for _, in := range tx.Inputs {
		s.Fee += in.Value
	}
	for _, o := range tx.Outputs {
		s.Sent += o.Value
	}
	s.Fee -= s.Sent
	s.Sent -= change
	return s
}

// fee is the price of so many bytes.
func (r *Request) fee(size int) chain.Amount {
	const unit = 1000 // bytes
	return (r.FeeRate*chain.Amount(size) + unit - 1) / unit
}

func (r *Request) size(inputs, outputs int) int {
	return chain.TxSize(inputs, outputs, len(r.Memo))
}
