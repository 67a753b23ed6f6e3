package main

import (
	"encoding/json"
	"slices"
	"testing"

	"cairn/chain"
	"cairn/rpc"
	"cairn/wallet"
)

// waits makes the wallet of rich send a payment, and lets the teller show it in its
// pool, from where the coins that it spends are marked.
func (f *teller) waits(t *testing.T) *chain.Tx {
	t.Helper()
	tx := f.takes(t)
	f.run(t, "send", somebody(), "12.5", "--fee-rate", "2000").wants(t, done)
	sent := *tx
	f.shows(t, &sent)
	return &sent
}

// shows lets the teller hold a transaction in its pool.
func (f *teller) shows(t *testing.T, tx *chain.Tx) {
	f.always("getrawtransaction", rpc.Tx{ID: tx.ID(), Hex: tx.Bytes(), Confirmations: ref(int64(0))})
	fee := rpc.Amount(feeOf(tx))
	f.always("getmempoolentry", rpc.PoolEntry{Fees: rpc.PoolFees{Base: fee, Descendant: fee}})
	f.always("getmempoolinfo", rpc.PoolInfo{MinFee: 1000, Increment: 1000, RelayFee: 1000})
}

func TestBumpRaisesTheFee(t *testing.T) {
	f, _ := rich(t, coin("large", 20))
	old := f.waits(t)
	tx := f.takes(t)
	s := f.run(t, "bump", old.ID().String(), "--json")
	s.wants(t, done)
	got := decode[successor](t, s)
	if *got.ID != tx.ID() || got.Replaces != old.ID() || got.Canceled || got.Amount != 1_250_000_000 {
		t.Errorf("%+v", got)
	}
	if want := feeOf(old) + chain.Amount(tx.Size()); feeOf(tx) != want || got.Fee != rpc.Amount(want) {
		t.Errorf("fee %d, want %d", feeOf(tx), want)
	}
	if tx.Inputs[0].Prev != old.Inputs[0].Prev || len(tx.Outputs) != 2 {
		t.Errorf("%+v", tx)
	}
	for i, o := range tx.Outputs {
		if o.To != old.Outputs[i].To {
			t.Error("the outputs changed their places or owners")
		}
	}
	dry := f.run(t, "bump", old.ID().String(), "--fee-rate", "9000", "--dry-run")
	dry.wants(t, done, "would replace "+old.ID().String())
	if f.asked["sendrawtransaction"] != 2 {
		t.Error("a dry run was sent")
	}
}

func TestCancelTakesItBack(t *testing.T) {
	f, w := rich(t, coin("large", 20))
	old := f.waits(t)
	tx := f.takes(t)
	f.run(t, "cancel", old.ID().String()).wants(t, done, "canceled "+old.ID().String(), "0.00000000")
	mine, err := w.Address(wallet.Change, 1)
	if err != nil || len(tx.Outputs) != 1 || tx.Outputs[0].To != mine {
		t.Errorf("%+v, %v", tx.Outputs, err)
	}
	if again, err := wallet.Open(w.Path()); err != nil || again.Next(wallet.Change) != 2 {
		t.Errorf("the address would be used again: %v", err)
	}
}

// A node that forgot a payment gets it again, as long as its coins are there.
func TestBumpSendsWhatWasLost(t *testing.T) {
	large := coin("large", 20)
	f, _ := rich(t, large)
	old := f.waits(t)
	f.always("getrawtransaction", rpc.Errorf(rpc.NotFound, "No such mempool or blockchain transaction"))
	tx := f.takes(t)
	f.run(t, "bump", old.ID().String()).wants(t, done, "bumped ")
	if tx.Inputs[0].Prev != old.Inputs[0].Prev || feeOf(tx) <= feeOf(old) {
		t.Errorf("%+v", tx)
	}
	f.always("getaddresscoins", []rpc.Coin{})
	f.run(t, "bump", old.ID().String()).wants(t, failed, "a coin that it spends is gone", "cairn wallet history")
}

func TestBumpRefuses(t *testing.T) {
	f, _ := rich(t, coin("large", 20))
	old := f.waits(t)
	bump := func(args ...string) said { return f.run(t, append([]string{"bump"}, args...)...) }
	bump().wants(t, failed, "TXID is missing")
	bump("12").wants(t, failed, "is no id")
	bump(old.ID().String(), "--fee-rate", "3000000000").wants(t, failed, "above 10 %", "--allow-high-fee")
	bump(old.ID().String(), "--fee-rate", "900000000000").wants(t, failed, "give a lower one")
	f.always("getrawtransaction", rpc.Tx{ID: old.ID(), Hex: old.Bytes(), Confirmations: ref(int64(3))})
	bump(old.ID().String()).wants(t, failed, "is confirmed, 3 deep")

	foreign := *old
	foreign.Inputs = slices.Clone(old.Inputs)
	foreign.Inputs[0].Owner = chain.Address(id("somebody else"))
	f.shows(t, &foreign)
	bump(foreign.ID().String()).wants(t, failed, "no address of this wallet", "only who made a payment")

	f.shows(t, old)
	f.always("getmempoolentry", rpc.Errorf(rpc.NotFound, "Transaction not in mempool"))
	f.always("getconvergence", rpc.Agreement{Conflict: ref(id("rival"))})
	bump(old.ID().String()).wants(t, failed, "cannot be confirmed any more", id("rival").String())

	f.always("getrawtransaction", rpc.Errorf(rpc.NotFound, "No such mempool or blockchain transaction"))
	bump(id("nothing").String()).wants(t, failed, "neither the node nor this wallet's journal")
	if f.asked["sendrawtransaction"] != 1 {
		t.Error("a refused replacement was sent")
	}
	f.shows(t, old)
	f.always("sendrawtransaction", rpc.Errorf(rpc.TxRejected, "insufficient fee"))
	bump(old.ID().String()).wants(t, failed, "refuses the payment", "insufficient fee")
}

// An address whose coins are all spent was used all the same.
func TestSpentAddressesAreUsed(t *testing.T) {
	f, w := rich(t)
	old, err := w.Address(wallet.Receive, 19)
	if err != nil {
		t.Fatal(err)
	}
	quoted := quotedJSON(t, chain.Dev().FormatAddress(old))
	f.answers["getaddresshistory"] = func(params []json.RawMessage) any {
		if string(params[0]) == quoted {
			return []rpc.Account{{Tx: id("long ago"), Received: 5, Spent: 0}}
		}
		return []rpc.Account{}
	}
	f.run(t, "wallet", "balance").wants(t, done)
	if again, err := wallet.Open(w.Path()); err != nil || again.Next(wallet.Receive) != 20 {
		t.Errorf("the address would be handed out again: %v", err)
	}
}

// Coins of strangers wait for a block; our own change does not.
func TestSendTakesOurOwnChange(t *testing.T) {
	f, _ := rich(t, coin("large", 20))
	old := f.waits(t)
	spent, gift, change := coin("large", 20), coin("gift", 50), coin("change", 7)
	spent.SpentBy = ref(old.ID())
	gift.Confirmations, gift.Height, change.Confirmations, change.Height = 0, 0, 0, 0
	change.Tx, change.Index = old.ID(), 0
	first := quotedJSON(t, chain.Dev().FormatAddress(chain.Prefunded()[0]))
	f.answers["getaddresscoins"] = func(params []json.RawMessage) any {
		if string(params[0]) == first {
			return []rpc.Coin{spent, gift, change}
		}
		return []rpc.Coin{}
	}
	f.run(t, "send", somebody(), "9").wants(t, failed, "7.00000000 CRN can be spent", "50.00000000 CRN of unconfirmed")
	tx := f.takes(t)
	f.run(t, "send", somebody(), "5").wants(t, done)
	if len(tx.Inputs) != 1 || tx.Inputs[0].Prev.Tx != old.ID() {
		t.Errorf("%+v", tx.Inputs)
	}
}
