package main

import (
	"encoding/hex"
	"encoding/json"
	"path/filepath"
	"slices"
	"testing"

	"cairn/chain"
	"cairn/rpc"
	"cairn/wallet"
)

// rich starts a teller of network dev, and a wallet whose first address has these
// coins.
func rich(t *testing.T, coins ...rpc.Coin) (*teller, *wallet.Wallet) {
	t.Helper()
	f := tell(t)
	p := chain.Dev()
	w, err := wallet.Create(filepath.Join(f.dir, walletFile), "dev", wallet.PrefundedMnemonic, "", wallet.Options{NoPassphrase: true})
	if err != nil {
		t.Fatal(err)
	}
	first := quotedJSON(t, p.FormatAddress(chain.Prefunded()[0]))
	f.always("getnetworkparams", p)
	f.always("getblockcount", 41)
	f.always("getmempoolinfo", rpc.PoolInfo{MinFee: 1000})
	f.always("getaddresshistory", []rpc.Account{})
	f.always("estimatesmartfee", rpc.Estimate{Rate: usualFeeRate, Blocks: 2})
	f.answers["getaddresscoins"] = func(params []json.RawMessage) any {
		if string(params[0]) == first {
			return coins
		}
		return []rpc.Coin{}
	}
	return f, w
}

func quotedJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func coin(name string, crn chain.Amount) rpc.Coin {
	return rpc.Coin{Tx: id(name), Index: 1, Amount: rpc.Amount(crn * chain.CRN), Height: 7, Confirmations: 35, Mature: true}
}

// takes lets the teller accept a transaction, and returns where it will stand.
func (f *teller) takes(t *testing.T) *chain.Tx {
	tx := new(chain.Tx)
	f.answers["sendrawtransaction"] = func(params []json.RawMessage) any {
		var text string
		if err := json.Unmarshal(params[0], &text); err != nil {
			t.Error(err)
		}
		raw, err := hex.DecodeString(text)
		if err != nil {
			t.Error(err)
		}
		got, err := chain.DecodeTx(raw)
		if err != nil {
			t.Error(err)
			return rpc.Errorf(rpc.Decoding, "%v", err)
		}
		*tx = *got
		return tx.ID()
	}
	return tx
}

func somebody() string { return chain.Dev().FormatAddress(chain.Prefunded()[9]) }

func TestSendPaysWithWhatIsFree(t *testing.T) {
	busy, young := coin("busy", 1000), coin("young", 1000)
	busy.SpentBy = ref(id("earlier payment"))
	young.Coinbase, young.Mature, young.Height = true, false, 40
	f, w := rich(t, coin("small", 1), coin("large", 20), busy, young)
	tx := f.takes(t)
	s := f.run(t, "send", somebody(), "12.5", "--memo", "for the stones", "--json")
	s.wants(t, done)
	if _, err := chain.CheckTxs(chain.Dev(), []*chain.Tx{tx}); err != nil {
		t.Fatalf("no node would take it: %v", err)
	}
	if len(tx.Inputs) != 1 || tx.Inputs[0].Prev.Tx != id("large") || string(tx.Memo) != "for the stones" {
		t.Errorf("%+v", tx)
	}
	paid := slices.IndexFunc(tx.Outputs, func(o chain.Output) bool { return o.To == chain.Prefunded()[9] })
	if len(tx.Outputs) != 2 || paid < 0 || tx.Outputs[paid].Value != 1_250_000_000 {
		t.Fatalf("pays %+v", tx.Outputs)
	}
	got := decode[payment](t, s)
	fee := (usualFeeRate*tx.Size() + 999) / 1000
	if *got.ID != tx.ID() || int(got.Fee) != fee || got.Amount != 1_250_000_000 || got.Change != rpc.Amount(750_000_000-fee) {
		t.Errorf("says %s for a fee of %d", s.out, fee)
	}
	again, err := wallet.Open(w.Path())
	if err != nil || again.Next(wallet.Change) != 1 {
		t.Errorf("the change address would be used again: %v", err)
	}
	if change, err := w.Address(wallet.Change, 0); err != nil || tx.Outputs[1-paid].To != change {
		t.Error("the change goes elsewhere")
	}
}

func TestSendAll(t *testing.T) {
	f, _ := rich(t, coin("a", 3), coin("b", 4))
	tx := f.takes(t)
	f.run(t, "send", somebody(), "--all").wants(t, done, "sent ", "0.00000000  CRN back")
	if len(tx.Inputs) != 2 || len(tx.Outputs) != 1 || tx.Outputs[0].Value >= 7*chain.CRN || tx.Outputs[0].Value < 699_000_000 {
		t.Errorf("%+v", tx)
	}
}

func TestSendAsksForNothingTwice(t *testing.T) {
	f, w := rich(t, coin("a", 3))
	s := f.run(t, "send", somebody(), "1", "--dry-run")
	s.wants(t, done, "would send", "CRN to "+somebody())
	if f.asked["sendrawtransaction"] != 0 {
		t.Error("a dry run was sent")
	}
	if again, err := wallet.Open(w.Path()); err != nil || again.Next(wallet.Change) != 0 {
		t.Error("a dry run used up an address")
	}
}

func TestSendFollowsTheFeesOfAFullPool(t *testing.T) {
	f, _ := rich(t, coin("a", 3))
	f.always("getmempoolinfo", rpc.PoolInfo{MinFee: 9000})
	rateOf := func(args ...string) uint64 {
		s := f.run(t, append([]string{"send", somebody(), "1", "--dry-run", "--json"}, args...)...)
		s.wants(t, done)
		return decode[payment](t, s).FeeRate
	}
	if got := rateOf(); got != 9000 {
		t.Errorf("%d grains per 1000 bytes", got)
	}
	f.always("estimatesmartfee", rpc.Estimate{Rate: 12000, Blocks: 2})
	if got := rateOf(); got != 12000 {
		t.Errorf("%d grains per 1000 bytes, the node estimates 12000", got)
	}
	if got := rateOf("--fee-rate", "9500"); got != 9500 {
		t.Errorf("%d grains per 1000 bytes", got)
	}
	f.run(t, "send", somebody(), "1", "--dry-run", "--fee-rate", "1500").wants(t, failed, "no less than 9000 grains")
	f.always("estimatesmartfee", rpc.Errorf(rpc.Misc, "it knows too little"))
	f.always("getmempoolinfo", rpc.PoolInfo{MinFee: 1000})
	if got := rateOf(); got != usualFeeRate {
		t.Errorf("%d grains per 1000 bytes without an estimate", got)
	}
}

func TestSendRefuses(t *testing.T) {
	f, _ := rich(t, coin("a", 3))
	f.takes(t)
	pay := func(args ...string) said { return f.run(t, append([]string{"send"}, args...)...) }
	pay(somebody(), "0.00001").wants(t, failed, "above 10 %", "--allow-high-fee")
	pay(somebody(), "4").wants(t, failed, "not enough coins", "3.00000000 CRN can be spent")
	pay(somebody(), "0").wants(t, failed, "pays nobody", "Usage: cairn send")
	pay(somebody(), "-1").wants(t, failed, `amount "-1" is negative`, "Usage: cairn send")
	pay(somebody(), "-1.5").wants(t, failed, `amount "-1.5" is negative`)
	pay(somebody(), "1", "-x").wants(t, failed, "no flag -x")
	pay(somebody(), "92233720369").wants(t, failed, "too large: the most is")
	pay(somebody(), "99999999999999999999999").wants(t, failed, "too large")
	pay(somebody(), "1", "--fee-rate", "999999999999").wants(t, failed, "give a lower one")
	pay(somebody(), "much").wants(t, failed, "not a number of CRN")
	pay(somebody(), "1.123456789").wants(t, failed, "decimals")
	pay(somebody()).wants(t, failed, "AMOUNT is missing")
	pay(somebody(), "1", "--all").wants(t, failed, "too much")
	pay(chain.Main().FormatAddress(chain.Prefunded()[0]), "1").wants(t, failed, "of another network")
	pay(somebody()+"q", "1").wants(t, failed, "mistyped", "checksum does not fit")
	pay(somebody()[:40], "1").wants(t, failed, "mistyped or cut")
	pay(somebody(), "1", "--memo", string(make([]byte, 81))).wants(t, failed, "memo of 81 bytes")
	if f.asked["sendrawtransaction"] != 0 {
		t.Error("a refused payment was sent")
	}
	pay(somebody(), "0.00001", "--allow-high-fee").wants(t, done, "sent ")
}

// What was mined lately is named, and when it can be spent.
func TestSendNamesWhatIsImmature(t *testing.T) {
	young := coin("young", 50)
	young.Coinbase, young.Mature, young.Height = true, false, 40
	f, _ := rich(t, coin("a", 3), young)
	f.run(t, "send", somebody(), "4").wants(t, failed,
		"3.00000000 CRN can be spent", "50.00000000 CRN more are immature, the first of them until height 43, for 1 more block:")
}

// What our own waiting payments hold is named, for it comes back.
func TestSendNamesWhatIsHeld(t *testing.T) {
	busy := coin("busy", 50)
	busy.SpentBy = ref(id("earlier payment"))
	f, _ := rich(t, coin("a", 3), busy)
	f.run(t, "send", somebody(), "4").wants(t, failed, "50.00000000 CRN more are spent by payments that wait")
}

func TestSendTellsRefusalFromSilence(t *testing.T) {
	f, _ := rich(t, coin("a", 3))
	f.always("sendrawtransaction", rpc.Errorf(rpc.TxRejected, "txn-mempool-conflict"))
	f.run(t, "send", somebody(), "1").wants(t, failed, "refuses the payment", "txn-mempool-conflict")
	f.always("sendrawtransaction", hangUp)
	f.run(t, "send", somebody(), "1").wants(t, unknown, "nobody knows", "cairn tx ")
	f.always("sendrawtransaction", id("another"))
	f.run(t, "send", somebody(), "1").wants(t, failed, "another id")
}

func TestSendAndWait(t *testing.T) {
	f, _ := rich(t, coin("a", 3))
	tx := f.takes(t)
	f.depthsInTurn("0 0", "2 2")
	s := f.run(t, "send", somebody(), "1", "--wait", "2", "--json")
	s.wants(t, done)
	if got := decode[payment](t, s); got.Waited == nil || got.Waited.Result != agreed || got.Waited.ID != tx.ID() {
		t.Error(s.out)
	}
	f.depthsInTurn("0 0", "-1 0")
	f.run(t, "send", somebody(), "1", "--wait", "2").wants(t, failed, "sent ", "ruled out")
	f.depthsInTurn("0 0")
	f.run(t, "send", somebody(), "1", "--wait", "2", "--timeout", "1ms").wants(t, unknown, "sent ")
}

func TestSendWantsItsOwnNetwork(t *testing.T) {
	f, _ := rich(t, coin("a", 3))
	f.always("getnetworkparams", chain.Regtest())
	f.run(t, "send", somebody(), "1").wants(t, failed, `is for "dev", this is "regtest"`)
}

// The pool spends 8, of which 3 come back, and of those it spends 1 more: only what
// nobody spends counts.
func TestBalanceAddsUp(t *testing.T) {
	busy, young, back, gone := coin("busy", 8), coin("young", 4), coin("back", 3), coin("gone", 1)
	busy.SpentBy, gone.SpentBy, young.Mature = ref(id("payment")), ref(id("next")), false
	back.Confirmations, gone.Confirmations, back.Height, gone.Height = 0, 0, 0, 0
	f, _ := rich(t, coin("a", 1), coin("b", 2), busy, young, back, gone)
	s := f.run(t, "wallet", "balance", "--json")
	s.wants(t, done)
	want := balance{
		Confirmed: rpc.Amount(3 * chain.CRN), Immature: rpc.Amount(4 * chain.CRN), Unconfirmed: rpc.Amount(3 * chain.CRN),
		Total: rpc.Amount(10 * chain.CRN), Coins: 4, Height: 41, Network: "dev",
	}
	if got := decode[balance](t, s); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	f.run(t, "wallet", "balance").wants(t, done, "confirmed    3.00000000   CRN", "unconfirmed  3.00000000", "total        10.00000000")
}

// A restored wallet has handed out addresses that it does not remember.
func TestBalanceFindsForgottenAddresses(t *testing.T) {
	f, w := rich(t)
	far, err := w.Address(wallet.Receive, 25)
	if err != nil {
		t.Fatal(err)
	}
	near, err := w.Address(wallet.Receive, 12)
	if err != nil {
		t.Fatal(err)
	}
	p := chain.Dev()
	f.answers["getaddresscoins"] = func(params []json.RawMessage) any {
		switch string(params[0]) {
		case quotedJSON(t, p.FormatAddress(near)):
			return []rpc.Coin{coin("near", 1)}
		case quotedJSON(t, p.FormatAddress(far)):
			return []rpc.Coin{coin("far", 2)}
		}
		return []rpc.Coin{}
	}
	s := f.run(t, "wallet", "balance", "--json")
	s.wants(t, done)
	if got := decode[balance](t, s); got.Confirmed != rpc.Amount(3*chain.CRN) || got.Coins != 2 {
		t.Errorf("%+v", got)
	}
	if again, err := wallet.Open(w.Path()); err != nil || again.Next(wallet.Receive) != 26 {
		t.Error("the addresses would be handed out again")
	}
}

func TestSendWantsTheRightPassphrase(t *testing.T) {
	f, w := rich(t, coin("a", 3))
	sealed := filepath.Join(f.dir, "sealed.json")
	quick := wallet.Options{WorkFactor: 4}
	if _, err := wallet.Create(sealed, "dev", wallet.PrefundedMnemonic, "right", quick); err != nil {
		t.Fatal(err)
	}
	tx := f.takes(t)
	pay := func() said { return f.run(t, "send", somebody(), "1", "--wallet", sealed) }
	pay().wants(t, failed, "no terminal to ask at")
	t.Setenv(passphraseVariable, "wrong")
	pay().wants(t, failed, "wrong passphrase")
	if f.asked["sendrawtransaction"] != 0 {
		t.Error("something was sent")
	}
	right := filepath.Join(f.dir, "passphrase")
	put(t, right, "right\r\n")
	f.run(t, "send", somebody(), "1", "--wallet", sealed, "--passphrase-file", right).wants(t, done, "sent ")
	if tx.Inputs[0].Prev.Tx != id("a") || w.Sealed() {
		t.Errorf("%+v", tx)
	}
}
