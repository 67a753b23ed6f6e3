package wallet_test

import (
	"errors"
	"testing"

	"pgregory.net/rapid"

	"cairn/chain"
	"cairn/mempool"
	"cairn/wallet"
)

// waiting makes a payment that is to be replaced, and what replaces it so far.
func waiting(t testing.TB, value chain.Amount, from ...chain.Amount) (*chain.Tx, wallet.Replacement) {
	t.Helper()
	tx, s := build(t, wallet.Request{Coins: coins(from...), To: pay(value), FeeRate: 1000, Memo: []byte("rent"), Draw: 1})
	r := wallet.Replacement{Tx: tx, Back: -1, Leaving: s.Fee, Step: 1000, Change: change}
	for i, o := range tx.Outputs {
		if o.To == change {
			r.Back = i
		}
	}
	return tx, r
}

func replace(t testing.TB, r wallet.Replacement) (*chain.Tx, wallet.Summary) {
	t.Helper()
	tx, s, err := wallet.Replace(r)
	if err != nil {
		t.Fatal(err)
	}
	return tx, s
}

func TestBumpTakesTheFeeFromTheChange(t *testing.T) {
	old, r := waiting(t, 3*chain.CRN, 5*chain.CRN)
	tx, s := replace(t, r)
	if len(tx.Inputs) != 1 || tx.Inputs[0].Prev != old.Inputs[0].Prev || len(tx.Outputs) != 2 || string(tx.Memo) != "rent" {
		t.Fatalf("%+v", tx)
	}
	if s.Fee != 2*r.Leaving || s.Sent != 3*chain.CRN {
		t.Errorf("%+v, the old fee was %d", s, r.Leaving)
	}
	for i, o := range tx.Outputs {
		want := old.Outputs[i]
		if i == r.Back {
			want.Value -= s.Fee - r.Leaving
		}
		if o != want {
			t.Errorf("output %d: %+v, want %+v", i, o, want)
		}
	}
}

func TestBumpAsHighAsAskedFor(t *testing.T) {
	_, r := waiting(t, 3*chain.CRN, 5*chain.CRN)
	r.FeeRate = 7777
	if tx, s := replace(t, r); s.Fee != fee(7777, tx.Size()) {
		t.Errorf("%+v", s)
	}
}

// A payment without change takes another coin for its fee, and gives the rest back.
func TestBumpTakesAnotherCoin(t *testing.T) {
	exact := fee(1000, chain.TxSize(1, 1, 4))
	old, r := waiting(t, 3*chain.CRN, 3*chain.CRN+exact)
	if len(old.Outputs) != 1 || r.Back >= 0 {
		t.Fatalf("%+v", old)
	}
	_, _, err := wallet.Replace(r)
	if short := (*wallet.NotEnough)(nil); !errors.As(err, &short) || short.Have != 3*chain.CRN+exact || short.Need <= short.Have {
		t.Fatal(err)
	}
	young := coin(8, 9*chain.CRN)
	young.Coinbase, young.Height = true, 99
	r.Coins, r.Height, r.Maturity = []chain.Coin{coin(7, chain.CRN), young}, 100, 10
	tx, s := replace(t, r)
	if len(tx.Inputs) != 2 || tx.Inputs[1].Prev != coin(7, 0).OutPoint || s.Sent != 3*chain.CRN || s.Change == 0 {
		t.Errorf("%+v of %+v", s, tx)
	}
	r.Coins = []chain.Coin{young}
	if _, _, err := wallet.Replace(r); !errors.Is(err, wallet.ErrNotEnough) {
		t.Errorf("pays with an immature coin: %v", err)
	}
}

func TestCancelPaysOurselves(t *testing.T) {
	old, r := waiting(t, 3*chain.CRN, 2*chain.CRN, 2*chain.CRN)
	r.Cancel = true
	tx, s := replace(t, r)
	if len(tx.Outputs) != 1 || tx.Outputs[0].To != change || len(tx.Memo) != 0 || s.Sent != 0 {
		t.Errorf("%+v", tx)
	}
	if len(tx.Inputs) != len(old.Inputs) || s.Change+s.Fee != 4*chain.CRN {
		t.Errorf("%+v", s)
	}
}

func TestReplaceRefuses(t *testing.T) {
	_, r := waiting(t, 3*chain.CRN, 5*chain.CRN)
	dear := r
	dear.FeeRate = wallet.MaxFeeRate + 1
	if _, _, err := wallet.Replace(dear); err == nil {
		t.Error("takes an absurd fee rate")
	}
	lost := r
	lost.Cancel, lost.Change = true, chain.Address{31: 5} // x = 5 is on no point of the curve
	if _, _, err := wallet.Replace(lost); err == nil {
		t.Error("pays to no key")
	}
	poor := r
	poor.Cancel, poor.Leaving = true, 5*chain.CRN
	if _, _, err := wallet.Replace(poor); !errors.Is(err, wallet.ErrNotEnough) {
		t.Errorf("pays a fee above all there is: %v", err)
	}
}

// Whatever waits, the pool takes its replacement, and would not have taken it for
// one grain less.
func TestPoolTakesEveryReplacement(t *testing.T) {
	keys := derive(t, wallet.PrefundedMnemonic, "dev")
	rapid.Check(t, func(t *rapid.T) {
		r := drawRequest(t)
		r.FeeRate = max(r.FeeRate, 1000)
		r.Draw = rapid.Uint64().Draw(t, "draw")
		old, s, err := wallet.Build(r)
		if err != nil {
			t.Skip("nothing to replace")
		}
		w := wallet.Replacement{
			Tx: old, Back: -1, Cancel: rapid.Bool().Draw(t, "cancel"), Leaving: s.Fee, Step: 1000,
			Coins: r.Coins, Height: r.Height, Maturity: r.Maturity, Change: change, Draw: r.Draw,
		}
		for i, o := range old.Outputs {
			if o.To == change {
				w.Back = i
			}
		}
		tx, sum, err := wallet.Replace(w)
		if errors.Is(err, wallet.ErrNotEnough) {
			t.Skip("too poor to replace")
		}
		if err != nil {
			t.Fatal(err)
		}
		pool := mempool.New(mempool.Config{})
		if _, err := pool.Add(1, signed(t, keys, old), true); err != nil {
			t.Fatal(err)
		}
		replaced, err := pool.Add(2, signed(t, keys, tx), true)
		if err != nil || len(replaced) != 1 || replaced[0].ID() != old.ID() {
			t.Fatalf("replaces %d: %v", len(replaced), err)
		}
		if !w.Cancel && sum.Sent != s.Sent {
			t.Fatalf("pays %d, was %d", sum.Sent, s.Sent)
		}
		if sum.Change > 0 {
			checkThrift(t, keys, old, tx)
		}
	})
}

// checkThrift gives one grain of the fee back to the change: that is refused.
func checkThrift(t *rapid.T, keys *wallet.Keys, old, tx *chain.Tx) {
	pool := mempool.New(mempool.Config{})
	if _, err := pool.Add(1, signed(t, keys, old), true); err != nil {
		t.Fatal(err)
	}
	for i := range tx.Outputs {
		if tx.Outputs[i].To == change {
			tx.Outputs[i].Value++
			break
		}
	}
	if _, err := pool.Add(2, signed(t, keys, tx), true); err == nil {
		t.Fatal("a lower fee replaces as well")
	}
}

func signed(t *rapid.T, keys *wallet.Keys, tx *chain.Tx) chain.CheckedTx {
	if err := keys.Sign(tx, chain.Dev().GenesisID()); err != nil {
		t.Fatal(err)
	}
	checked, err := chain.CheckTxs(chain.Dev(), []*chain.Tx{tx})
	if err != nil {
		t.Fatal(err)
	}
	return checked[0]
}
