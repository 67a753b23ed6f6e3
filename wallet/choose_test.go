package wallet_test

import (
	"errors"
	"testing"

	"pgregory.net/rapid"

	"cairn/chain"
	"cairn/wallet"
)

// Two coins pay to the grain what one larger coin would pay with change.
func TestChoiceWithoutChange(t *testing.T) {
	exact := fee(1000, chain.TxSize(2, 1, 0))
	list := coins(9*chain.CRN, 2*chain.CRN, 3*chain.CRN+exact, 4*chain.CRN)
	tx, s := build(t, wallet.Request{Coins: list, To: pay(5 * chain.CRN), FeeRate: 1000})
	if s.Change != 0 || s.Inputs != 2 || s.Fee != exact || len(tx.Outputs) != 1 {
		t.Errorf("%+v", s)
	}
}

// What is left over may cost as much as change would: its output of 40 bytes now
// and an input of 140 bytes later.
func TestChoiceWithoutChangeHasItsTolerance(t *testing.T) {
	exact := fee(1000, chain.TxSize(1, 1, 0))
	for _, c := range []struct {
		over   chain.Amount
		change bool
	}{{0, false}, {1, false}, {180, false}, {181, true}} {
		list := coins(9*chain.CRN, chain.CRN+exact+c.over)
		_, s := build(t, wallet.Request{Coins: list, To: pay(chain.CRN), FeeRate: 1000})
		if s.Change > 0 != c.change {
			t.Errorf("%d left over: %+v", c.over, s)
		}
	}
}

func TestChangeStandsWhereTheDrawSays(t *testing.T) {
	seen := map[int]int{}
	for draw := range uint64(30) {
		to := []chain.Output{{Value: 1, To: them}, {Value: 2, To: them}}
		tx, s := build(t, wallet.Request{Coins: coins(chain.CRN), To: to, FeeRate: 1000, Draw: draw})
		var others []chain.Amount
		for i, o := range tx.Outputs {
			if o.To == change && o.Value == s.Change {
				seen[i]++
				continue
			}
			others = append(others, o.Value)
		}
		if len(others) != 2 || others[0] != 1 || others[1] != 2 {
			t.Errorf("draw %d: payments %v", draw, others)
		}
	}
	if len(seen) != 3 || seen[0] != 10 || seen[1] != 10 || seen[2] != 10 {
		t.Errorf("places of the change: %v", seen)
	}
}

// choices tries every set of the coins, and tells the least that one leaves over
// which needs no change.
func choices(r wallet.Request, due chain.Amount) (least chain.Amount, exists bool) {
	for set := 1; set < 1<<len(r.Coins); set++ {
		var have chain.Amount
		var n int
		useful := true
		for i, c := range r.Coins {
			if set>>i&1 == 1 {
				have, n = have+c.Value, n+1
				useful = useful && c.Value > fee(r.FeeRate, 140)
			}
		}
		size := chain.TxSize(n, len(r.To), 0)
		need := due + fee(r.FeeRate, size)
		spare := fee(r.FeeRate, size+40) - fee(r.FeeRate, size) + fee(r.FeeRate, 140)
		if useful && have >= need && have-need <= spare && (!exists || have-need < least) {
			least, exists = have-need, true
		}
	}
	return least, exists
}

// largestFirst is the simple choice on its own, of coins that bring more than their
// fee: what it wastes, beside payment and inputs.
func largestFirst(r wallet.Request, due chain.Amount) (waste chain.Amount, pays bool) {
	var list []chain.Coin
	for _, c := range r.Coins {
		if c.Value > fee(r.FeeRate, 140) {
			list = append(list, c)
		}
	}
	for n := 1; n <= len(list); n++ {
		for i := n; i < len(list); i++ {
			if list[i].Value > list[n-1].Value {
				list[i], list[n-1] = list[n-1], list[i]
			}
		}
		var have chain.Amount
		for _, c := range list[:n] {
			have += c.Value
		}
		size := chain.TxSize(n, len(r.To), 0)
		if need := due + fee(r.FeeRate, size); have >= need {
			return min(have-need, fee(r.FeeRate, size+40)-fee(r.FeeRate, size)+fee(r.FeeRate, 140)), true
		}
	}
	return 0, false
}

// A payment has no change exactly if some set of coins needs none, it then leaves
// over as little as the best of them, and it never wastes more than the largest
// coins first would.
func TestChoiceIsTheBestOfAll(t *testing.T) {
	exact, changed := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		r := drawTight(t)
		due := r.To[0].Value
		tx, s, err := wallet.Build(r)
		least, exists := choices(r, due)
		simple, pays := largestFirst(r, due)
		if err != nil {
			if !errors.Is(err, wallet.ErrNotEnough) || exists || pays {
				t.Fatalf("%v, but %v or %v pay", err, exists, pays)
			}
			return
		}
		waste := s.Fee - fee(r.FeeRate, len(tx.Bytes()))
		if s.Change > 0 {
			changed++
			n := len(tx.Bytes())
			waste = fee(r.FeeRate, n) - fee(r.FeeRate, n-40) + fee(r.FeeRate, 140)
		} else {
			exact++
		}
		if exists != (s.Change == 0) || exists && waste != least {
			t.Fatalf("leaves %d over, change %d; the best choice: %d, %v", waste, s.Change, least, exists)
		}
		if pays && waste > simple {
			t.Fatalf("wastes %d, the largest first %d", waste, simple)
		}
	})
	t.Logf("%d payments without change, %d with", exact, changed)
	if exact == 0 || changed == 0 {
		t.Error("only one kind of payment was tried")
	}
}

// drawTight draws coins and a payment that some of them nearly make up.
func drawTight(t *rapid.T) wallet.Request {
	r := wallet.Request{
		Change:  change,
		FeeRate: chain.Amount(rapid.SampledFrom([]uint64{0, 1, 999, 1000, 5000}).Draw(t, "fee rate")),
		Draw:    rapid.Uint64().Draw(t, "draw"),
	}
	var some chain.Amount
	for i, v := range rapid.SliceOfN(rapid.Uint64Range(1, 5000), 1, 10).Draw(t, "coins") {
		r.Coins = append(r.Coins, coin(i, chain.Amount(v)))
		if rapid.Bool().Draw(t, "among the payment") {
			some += chain.Amount(v)
		}
	}
	less := chain.Amount(rapid.Uint64Range(0, 3000).Draw(t, "less"))
	r.To = pay(max(1, some-min(some, less)))
	return r
}

// The search is bounded: a purse made to defeat it is paid from all the same.
func TestChoiceGivesUp(t *testing.T) {
	var many []chain.Coin
	for i := range 400 {
		many = append(many, coin(i, chain.Amount(2*(1_000_000+i*i)))) // even, so that an odd payment without fee never fits
	}
	_, s := build(t, wallet.Request{Coins: many, To: pay(100_000_001), FeeRate: 0})
	if s.Sent != 100_000_001 || s.Change == 0 {
		t.Errorf("%+v", s)
	}
}
