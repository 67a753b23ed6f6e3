package wallet_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"cairn/chain"
	"cairn/wallet"
)

// keyring is what the tests pay to and from.
var keyring = wallet.Prefunded()

var (
	us     = chain.Address(keyring[0].Public())
	change = chain.Address(keyring[1].Public())
	them   = chain.Address(keyring[2].Public())
)

// coin makes the n-th coin of the tests, confirmed in block 1.
func coin(n int, value chain.Amount) chain.Coin {
	return chain.Coin{
		OutPoint: chain.OutPoint{Tx: chain.SumHash([]byte{byte(n), byte(n >> 8)}), Index: uint32(n % 3)},
		Value:    value, Owner: us, Height: 1,
	}
}

func coins(values ...chain.Amount) []chain.Coin {
	list := make([]chain.Coin, len(values))
	for i, v := range values {
		list[i] = coin(i, v)
	}
	return list
}

func pay(value chain.Amount) []chain.Output { return []chain.Output{{Value: value, To: them}} }

func build(t testing.TB, r wallet.Request) (*chain.Tx, wallet.Summary) {
	t.Helper()
	r.Change = change
	tx, s, err := wallet.Build(r)
	if err != nil {
		t.Fatal(err)
	}
	return tx, s
}

func TestBuildTakesTheLargestAndReturnsTheRest(t *testing.T) {
	tx, s := build(t, wallet.Request{
		Coins: coins(1*chain.CRN, 5*chain.CRN, 3*chain.CRN), To: pay(6 * chain.CRN), FeeRate: 1000, Memo: []byte("rent"),
	})
	size := chain.TxSize(2, 2, 4)
	fee := chain.Amount(size) // 1000 grains per 1000 bytes
	want := wallet.Summary{Sent: 6 * chain.CRN, Change: 2*chain.CRN - fee, Fee: fee, Inputs: 2, Size: size}
	if s != want {
		t.Errorf("got %+v, want %+v", s, want)
	}
	if tx.Inputs[0].Value != 5*chain.CRN || tx.Inputs[1].Value != 3*chain.CRN || string(tx.Memo) != "rent" {
		t.Errorf("spends %v and %v with memo %q", tx.Inputs[0].Value, tx.Inputs[1].Value, tx.Memo)
	}
	if out := tx.Outputs[1]; len(tx.Outputs) != 2 || out.To != change || out.Value != want.Change {
		t.Errorf("outputs %+v", tx.Outputs)
	}
}

// With 1000 grains per 1000 bytes a coin costs 140 to spend: 140 of change are
// worth nothing, 141 are worth one grain.
func TestChangeStandsOnlyIfItIsWorthItsFee(t *testing.T) {
	with, spend := chain.Amount(chain.TxSize(1, 2, 0)), chain.Amount(140)
	for _, c := range []struct{ rest, change chain.Amount }{
		{with + spend - 1, 0},
		{with + spend, 0},
		{with + spend + 1, spend + 1},
	} {
		tx, s := build(t, wallet.Request{Coins: coins(chain.CRN + c.rest), To: pay(chain.CRN), FeeRate: 1000})
		if s.Change != c.change || s.Fee != c.rest-c.change || len(tx.Outputs) == 2 != (c.change > 0) {
			t.Errorf("%d left over: change %d, fee %d", c.rest, s.Change, s.Fee)
		}
	}
}

func TestBuildAll(t *testing.T) {
	tx, s := build(t, wallet.Request{
		Coins: coins(100, 2*chain.CRN, 140, 141, chain.CRN), To: pay(0), All: true, FeeRate: 1000,
	})
	// The coins of 100 and 140 grains cost as much as they bring.
	size := chain.TxSize(3, 1, 0)
	want := wallet.Summary{Sent: 3*chain.CRN + 141 - chain.Amount(size), Fee: chain.Amount(size), Inputs: 3, Size: size}
	if s != want || tx.Outputs[0].Value != want.Sent || tx.Outputs[0].To != them {
		t.Errorf("got %+v, want %+v", s, want)
	}
}

func TestBuildWithoutFee(t *testing.T) {
	tx, s := build(t, wallet.Request{Coins: coins(1), To: pay(1)})
	if s.Fee != 0 || s.Change != 0 || len(tx.Outputs) != 1 {
		t.Errorf("%+v", s)
	}
}

func TestImmatureCoinsWait(t *testing.T) {
	p := chain.Main()
	mined := coin(0, 50*chain.CRN)
	mined.Coinbase, mined.Height = true, 200
	for height := uint64(201); height < 305; height++ {
		_, _, err := wallet.Build(wallet.Request{
			Coins: []chain.Coin{mined}, To: pay(chain.CRN), Change: change, FeeRate: 1000,
			Height: height, Maturity: p.Maturity,
		})
		if (err == nil) != p.Mature(mined, height) {
			t.Errorf("height %d: %v, but mature is %v", height, err, p.Mature(mined, height))
		}
		var short *wallet.NotEnough
		if err != nil && (!errors.As(err, &short) || short.Immature != 50*chain.CRN || height+short.Wait != 300) {
			t.Errorf("height %d: %v", height, err)
		}
	}
}

func TestNotEnoughSaysHowMuch(t *testing.T) {
	later := coin(9, 7*chain.CRN)
	later.Coinbase, later.Height = true, 98
	r := wallet.Request{
		Coins: append(coins(chain.CRN, chain.CRN), later), To: pay(2 * chain.CRN), Change: change, FeeRate: 1000,
		Height: 100, Maturity: 10,
	}
	_, _, err := wallet.Build(r)
	const want = "not enough coins: 2.00000000 CRN can be spent, 2.00000324 CRN are needed with the fee; " +
		"7.00000000 CRN more are immature, the first of them until height 108, for 8 more blocks: wait for those"
	if !errors.Is(err, wallet.ErrNotEnough) || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
	r.Coins, r.All, r.To = nil, true, pay(0)
	if _, _, err := wallet.Build(r); !errors.Is(err, wallet.ErrNotEnough) || strings.Contains(err.Error(), "immature") {
		t.Errorf("all of nothing: %v", err)
	}
}

func TestBuildRefuses(t *testing.T) {
	rich := coins(5*chain.CRN, 5*chain.CRN)
	offCurve := chain.Address(bytes.Repeat([]byte{0xff}, 32))
	for _, c := range []struct {
		name, says string
		r          wallet.Request
	}{
		{"nobody", "needs somebody", wallet.Request{}},
		{"zero", "pays nothing", wallet.Request{To: pay(0)}},
		{"above the most", "more than a transaction can hold", wallet.Request{To: append(pay(chain.MaxAmount), pay(1)...)}},
		{"beyond the type", "more than a transaction can hold", wallet.Request{To: pay(math.MaxUint64)}},
		{"no key", "no key", wallet.Request{To: []chain.Output{{Value: 1, To: offCurve}}}},
		{"change to no key", "no key", wallet.Request{To: pay(1), Change: offCurve}},
		{"all to two", "to one address", wallet.Request{All: true, To: append(pay(0), pay(0)...)}},
		{"all and an amount", "not both", wallet.Request{All: true, To: pay(1)}},
		{"long memo", "81 bytes is too long: 80", wallet.Request{To: pay(1), Memo: make([]byte, 81)}},
		{"dear", "give a lower one", wallet.Request{To: pay(1), FeeRate: wallet.MaxFeeRate + 1}},
		{"crowd", "several payments", wallet.Request{To: make([]chain.Output, 2500)}},
	} {
		c.r.Coins = rich
		if c.r.Change == (chain.Address{}) {
			c.r.Change = change
		}
		if _, _, err := wallet.Build(c.r); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want it to say %q", c.name, err, c.says)
		}
	}
}

// A miner's thousand small coins do not fit one transaction; the error tells
// what does, and that is then accepted.
func TestTooManyCoinsForOnePayment(t *testing.T) {
	const each = 1000
	var many []chain.Coin
	for i := range 1000 {
		many = append(many, coin(i, each))
	}
	r := wallet.Request{Coins: many, To: pay(0), All: true, Change: change, FeeRate: 1000}
	_, _, err := wallet.Build(r)
	if err == nil || !strings.Contains(err.Error(), "too many for one transaction") {
		t.Fatal(err)
	}
	var most string
	if _, err := fmt.Sscanf(err.Error()[strings.Index(err.Error(), "at most "):], "at most %s", &most); err != nil {
		t.Fatal(err)
	}
	value, err := chain.ParseAmount(most)
	if err != nil {
		t.Fatal(err)
	}
	r.All, r.To = false, pay(value)
	_, s := build(t, r)
	if s.Size > wallet.MaxSize || s.Sent != value {
		t.Errorf("%+v", s)
	}
	r.To = pay(value + 1)
	if _, _, err := wallet.Build(r); err == nil {
		t.Error("one grain more fits too")
	}
	r.To = pay(1000*each + 1)
	short := (*wallet.NotEnough)(nil)
	if _, _, err := wallet.Build(r); !errors.As(err, &short) || short.Have != 1000*each {
		t.Errorf("more than all there is: %v", err)
	}
}

// What a lying node tells of coins never makes Build panic or overflow.
func TestAbsurdCoins(t *testing.T) {
	for _, list := range [][]chain.Coin{
		coins(math.MaxUint64, math.MaxUint64), coins(chain.MaxAmount, chain.MaxAmount), coins(0, 0),
	} {
		for _, all := range []bool{true, false} {
			r := wallet.Request{Coins: list, All: all, To: pay(0), Change: change, FeeRate: 1000}
			if !all {
				r.To = pay(chain.MaxAmount)
			}
			tx, _, err := wallet.Build(r)
			if err == nil {
				t.Errorf("%v makes %+v", list, tx)
			}
		}
	}
}

// The whole way: a wallet's file, its coins, a payment that every node takes,
// on its own network only.
func TestSignedPaymentIsAccepted(t *testing.T) {
	w := create(t, "dev", about)
	var mine []chain.Coin
	for i := range 5 {
		c := coin(i, chain.Amount(i+1)*chain.CRN)
		b := wallet.Branch(i % 2)
		c.Owner = next(t, w, b)
		mine = append(mine, c)
	}
	tx, s := build(t, wallet.Request{Coins: mine, To: pay(14 * chain.CRN), FeeRate: 1500, Memo: []byte("lunch")})
	keys, err := w.Unlock(passphrase)
	if err != nil {
		t.Fatal(err)
	}
	dev := chain.Dev()
	if err := keys.Sign(tx, dev.GenesisID()); err != nil {
		t.Fatal(err)
	}
	checked, err := chain.CheckTxs(dev, []*chain.Tx{tx})
	if err != nil {
		t.Fatal(err)
	}
	if checked[0].Fee() != s.Fee || checked[0].Size() != s.Size {
		t.Errorf("fee %d, size %d; the summary said %+v", checked[0].Fee(), checked[0].Size(), s)
	}
	found := chain.Coins{}
	for _, c := range mine {
		found[c.OutPoint] = c
	}
	if _, err := chain.Admit(dev, chain.State{Height: 1}, checked[0], found); err != nil {
		t.Error(err)
	}
	if _, err := chain.CheckTxs(chain.Regtest(), []*chain.Tx{tx}); chain.KindOf(err) != chain.BadSignature {
		t.Errorf("replayed on another network: %v", err)
	}
}

func TestSignWithoutTheKey(t *testing.T) {
	tx, _ := build(t, wallet.Request{Coins: coins(chain.CRN), To: pay(1), FeeRate: 1})
	err := derive(t, zoo, "dev").Sign(tx, chain.Dev().GenesisID())
	if err == nil || !strings.Contains(err.Error(), us.String()) {
		t.Errorf("%v, want it to name %v", err, us)
	}
	if tx.Inputs[0].Sig != [64]byte{} {
		t.Error("the transaction was changed")
	}
}

func TestBuildHoldsItsBooks(t *testing.T) {
	dev := derive(t, wallet.PrefundedMnemonic, "dev")
	rapid.Check(t, func(t *rapid.T) {
		r := drawRequest(t)
		tx, s, err := wallet.Build(r)
		if err != nil {
			checkRefusal(t, r, err)
			return
		}
		var in, out chain.Amount
		spent := map[chain.OutPoint]bool{}
		for _, i := range tx.Inputs {
			in += i.Value
			spent[i.Prev] = true
		}
		for _, o := range tx.Outputs {
			out += o.Value
		}
		if in != out+s.Fee || len(spent) != len(tx.Inputs) || s.Sent+s.Change != out {
			t.Fatalf("takes %d from %d coins, pays %d, fee %d", in, len(spent), out, s.Fee)
		}
		checkFee(t, r, tx, s)
		if err := dev.Sign(tx, chain.Dev().GenesisID()); err != nil {
			t.Fatal(err)
		}
		if _, err := chain.CheckTx(chain.Dev(), tx); err != nil {
			t.Fatal(err)
		}
	})
}

func drawRequest(t *rapid.T) wallet.Request {
	amount := rapid.Custom(func(t *rapid.T) chain.Amount {
		digits := rapid.IntRange(0, 33).Draw(t, "binary digits")
		return chain.Amount(rapid.Uint64Range(1, 1<<digits).Draw(t, "grains"))
	})
	r := wallet.Request{
		Change:  change,
		FeeRate: chain.Amount(rapid.SampledFrom([]uint64{0, 1, 999, 1000, 1001, 12345, 1e6}).Draw(t, "fee rate")),
		Memo:    rapid.SliceOfN(rapid.Byte(), 0, chain.MaxMemo).Draw(t, "memo"),
		All:     rapid.Bool().Draw(t, "all"),
		Height:  50, Maturity: 10,
	}
	for i, v := range rapid.SliceOfN(amount, 0, 12).Draw(t, "coins") {
		c := coin(i, v)
		c.Coinbase, c.Height = i%4 == 0, rapid.Uint64Range(30, 49).Draw(t, "height")
		r.Coins = append(r.Coins, c)
	}
	if r.Coins = append(r.Coins, r.Coins[:len(r.Coins)/2]...); r.All { // a node may name a coin twice
		r.To = pay(0)
		return r
	}
	for _, v := range rapid.SliceOfN(amount, 1, 4).Draw(t, "payments") {
		r.To = append(r.To, pay(v)...)
	}
	return r
}

func fee(rate chain.Amount, bytes int) chain.Amount { return (rate*chain.Amount(bytes) + 999) / 1000 }

// checkFee: with change, or for all there is, the fee is the rate's to the
// grain. Without change it is higher at most by what a change output would cost
// to make and to spend.
func checkFee(t *rapid.T, r wallet.Request, tx *chain.Tx, s wallet.Summary) {
	exact := fee(r.FeeRate, len(tx.Bytes()))
	spare := fee(r.FeeRate, 140) + fee(r.FeeRate, len(tx.Bytes())+40) - exact
	switch {
	case (s.Change > 0 || r.All) && s.Fee != exact:
		t.Fatalf("fee %d, want exactly %d", s.Fee, exact)
	case s.Fee < exact || s.Fee > exact+spare:
		t.Fatalf("fee %d, want %d to %d", s.Fee, exact, exact+spare)
	case s.Change > 0 && s.Change <= fee(r.FeeRate, 140):
		t.Fatalf("change of %d is dust", s.Change)
	}
	for _, in := range tx.Inputs {
		if in.Value <= fee(r.FeeRate, 140) {
			t.Fatalf("spends a coin of %d, which brings less than its fee", in.Value)
		}
	}
}

// checkRefusal: no set of the coins pays. The best set is every coin that brings
// more than its fee, which is tried here without the chooser.
func checkRefusal(t *rapid.T, r wallet.Request, err error) {
	if !errors.Is(err, wallet.ErrNotEnough) {
		t.Fatal(err)
	}
	useful := map[chain.OutPoint]chain.Amount{}
	var have, due chain.Amount
	for _, c := range r.Coins {
		if (!c.Coinbase || c.Height+r.Maturity <= r.Height) && c.Value > fee(r.FeeRate, 140) {
			useful[c.OutPoint] = c.Value
		}
	}
	for _, v := range useful {
		have += v
	}
	for _, o := range r.To {
		due += max(o.Value, 1)
	}
	if len(useful) > 0 && have >= due+fee(r.FeeRate, chain.TxSize(len(useful), len(r.To), len(r.Memo))) {
		t.Fatalf("%v, but %d grains pay %d", err, have, due)
	}
}
