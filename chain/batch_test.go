package chain_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/chain/schnorr"
)

// The prefunded coins, each paid on by a transaction of its own or several by one.
func payments(p *chain.Params) (txs []*chain.Tx) {
	all := p.GenesisCoins().Created
	var keys []schnorr.PrivateKey
	for i := range all {
		keys = append(keys, chaintest.Key(i))
	}
	for n := 1; len(all) > 0; n = 1 + n%3 {
		some := all[:min(n, len(all))]
		all = all[len(some):]
		tx := &chain.Tx{}
		var sum chain.Amount
		for _, c := range some {
			tx.Inputs = append(tx.Inputs, chain.Input{Prev: c.OutPoint, Value: c.Value, Owner: c.Owner})
			sum += c.Value
		}
		tx.Outputs = []chain.Output{{Value: sum - 1000, To: chaintest.Address(1)}}
		txs = append(txs, chaintest.Sign(p, tx, keys...))
	}
	return txs
}

func TestABatchNamesTheFirstTransactionThatBreaksARule(t *testing.T) {
	p := chaintest.Easy()
	good := payments(p)
	if len(good) < 4 {
		t.Fatalf("only %d transactions", len(good))
	}
	if all, err := chain.CheckTxs(p, good); err != nil || len(all) != len(good) {
		t.Fatalf("good transactions: %d, %v", len(all), err)
	}
	forge := func(tx *chain.Tx) { tx.Inputs[len(tx.Inputs)-1].Sig[40]++ }
	empty := func(tx *chain.Tx) { tx.Outputs = nil }
	for name, bends := range map[string]map[int]func(*chain.Tx){
		"a forgery":                       {2: forge},
		"two forgeries":                   {1: forge, 3: forge},
		"a forgery, then nothing paid":    {1: forge, 2: empty},
		"nothing paid, then a forgery":    {0: empty, 2: forge},
		"a forgery at the very end":       {len(good) - 1: forge},
		"a forgery of what pays nothing":  {1: func(tx *chain.Tx) { forge(tx); empty(tx) }},
		"a forgery at the very beginning": {0: forge, len(good) - 1: forge},
	} {
		bad := slices.Clone(good)
		for i, bend := range bends {
			tx := *good[i]
			tx.Inputs = slices.Clone(tx.Inputs)
			bend(&tx)
			bad[i] = &tx
		}
		got, want := errorOf(chain.CheckTxs(p, bad)), oneByOne(p, bad)
		if fmt.Sprint(got) != fmt.Sprint(want) || want == nil {
			t.Errorf("%s: %v, one by one %v", name, got, want)
		}
	}
}

func TestAForgeryIsNamedByInputAndTransaction(t *testing.T) {
	p := chaintest.Easy()
	txs := payments(p)
	last := txs[len(txs)-1]
	for i := range txs {
		if n := len(txs[i].Inputs); n > len(last.Inputs) {
			last = txs[i]
		}
	}
	last.Inputs[1].Sig[63]++
	_, err := chain.CheckTxs(p, txs)
	if want := fmt.Sprintf("input 1 of %v", last.ID()); chain.KindOf(err) != chain.BadSignature || !strings.Contains(err.Error(), want) {
		t.Errorf("the forgery is %v, want %q", err, want)
	}
}

func errorOf(_ []chain.CheckedTx, err error) error { return err }

func oneByOne(p *chain.Params, txs []*chain.Tx) error {
	for _, tx := range txs {
		if _, err := chain.CheckTx(p, tx); err != nil {
			return err
		}
	}
	return nil
}
