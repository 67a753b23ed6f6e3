package wallet_test

import (
	"os"
	"reflect"
	"runtime"
	"testing"

	"cairn/chain"
	"cairn/wallet"
)

func records(t testing.TB, w *wallet.Wallet) []wallet.Record {
	t.Helper()
	list, err := w.Records()
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestJournal(t *testing.T) {
	w := create(t, "dev", about)
	if list := records(t, w); len(list) != 0 {
		t.Fatalf("%+v", list)
	}
	first, _ := build(t, wallet.Request{Coins: coins(chain.CRN), To: pay(1), FeeRate: 1000})
	second, _ := build(t, wallet.Request{Coins: coins(chain.CRN), To: pay(2), FeeRate: 1000})
	old := first.ID()
	a := wallet.Record{Tx: first, Time: 7}
	b := wallet.Record{Tx: second, Time: 8, Made: true, Replaces: &old}
	if err := w.Record(a, b); err != nil {
		t.Fatal(err)
	}
	// Written down again by us, after a line that a crash tore.
	path := w.Path() + ".journal"
	write(t, path, append(read(t, path), `{"time":9,"tx":"01ab`...))
	if err := w.Record(wallet.Record{Tx: first, Time: 10, Made: true}); err != nil {
		t.Fatal(err)
	}
	a.Made = true
	if got, want := records(t, open(t, w.Path())), []wallet.Record{a, b}; !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nwant %+v", got, want)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 && runtime.GOOS != "windows" {
		t.Errorf("%v, %v", info, err)
	}
}

// The largest payment there is fits a line.
func TestJournalHoldsTheLargestPayment(t *testing.T) {
	w := create(t, "dev", about)
	var many []chain.Coin
	for i := range 713 {
		many = append(many, coin(i, chain.CRN))
	}
	tx, s := build(t, wallet.Request{Coins: many, To: pay(0), All: true, FeeRate: 1000})
	if s.Size < wallet.MaxSize-1000 {
		t.Fatalf("%d bytes", s.Size)
	}
	if err := w.Record(wallet.Record{Tx: tx}); err != nil {
		t.Fatal(err)
	}
	if got := records(t, w); len(got) != 1 || got[0].Tx.ID() != tx.ID() {
		t.Errorf("%d records", len(got))
	}
}
