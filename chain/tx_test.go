package chain_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/chain/schnorr"
)

// A fee is computed from TxSize before there is a transaction.
func TestSizesAreThoseOfTheBytes(t *testing.T) {
	for _, in := range []int{0, 1, 2, 252, 253, 254} {
		for _, out := range []int{0, 1, 252, 253} {
			for _, memo := range []int{0, 1, 80} {
				tx := &chain.Tx{Inputs: make([]chain.Input, in), Outputs: make([]chain.Output, out), Memo: make([]byte, memo)}
				if got, want := chain.TxSize(in, out, memo), len(tx.Bytes()); got != want || tx.Size() != want {
					t.Errorf("%d inputs, %d outputs, %d of memo: %d and %d, encoded %d", in, out, memo, got, tx.Size(), want)
				}
			}
		}
	}
}

// Every byte of a transaction but the signatures is signed, and so is the network.
func TestSigHashCoversAllButTheSignatures(t *testing.T) {
	tx, _ := samples()
	genesis := chain.Hash{1}
	before, id := tx.SigHash(genesis), tx.ID()
	tx.Inputs[1].Sig[5]++
	if tx.SigHash(genesis) != before || tx.ID() == id {
		t.Error("a signature is signed, or is no part of the id")
	}
	tx.Inputs[1].Sig[5]--
	if tx.SigHash(chain.Hash{2}) == before {
		t.Error("the network is not signed")
	}
	raw := tx.Bytes()
	sigs := [][2]int{{2 + 76, 2 + 140}, {142 + 76, 142 + 140}}
	for at := range raw {
		if at >= sigs[0][0] && at < sigs[0][1] || at >= sigs[1][0] && at < sigs[1][1] {
			continue
		}
		bent := bytes.Clone(raw)
		bent[at] ^= 1
		other, err := chain.DecodeTx(bent)
		if err == nil && other.SigHash(genesis) == before {
			t.Errorf("byte %d is not signed", at)
		}
	}
}

func TestSignNeedsEveryKey(t *testing.T) {
	tx, _ := samples()
	keys := map[chain.Address]schnorr.PrivateKey{chaintest.Address(0): chaintest.Key(0)}
	if err := tx.Sign(chain.Hash{}, keys); err == nil || !strings.Contains(err.Error(), "no key for input 1") {
		t.Errorf("signed without a key: %v", err)
	}
}

func TestOutPointsComeBack(t *testing.T) {
	o := chain.OutPoint{Tx: chain.SumHash([]byte{1}), Index: 1<<32 - 1}
	if got, err := chain.ParseOutPoint(o.String()); err != nil || got != o {
		t.Errorf("%v reads as %v, %v", o, got, err)
	}
	for _, bad := range []string{"", ":", "1", o.Tx.String(), o.Tx.String() + ":", o.Tx.String() + ":4294967296", "ab:1", o.Tx.String() + ":-1"} {
		if _, err := chain.ParseOutPoint(bad); err == nil {
			t.Errorf("%q is read", bad)
		}
	}
	a, b := chain.OutPoint{Index: 1}, chain.OutPoint{Index: 2}
	if a.Compare(b) >= 0 || b.Compare(a) <= 0 || a.Compare(a) != 0 || o.Compare(a) <= 0 {
		t.Error("outpoints have no order")
	}
}

// What our own store wrote reads as it was checked, and nothing else is read.
func TestRememberedIsWhatWasChecked(t *testing.T) {
	_, b := samples()
	want := chaintest.Check(chaintest.Easy(), b)
	got, err := chain.Remembered(b.ID(), b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if got.ID() != want.ID() || got.Size() != want.Size() || got.CoinbaseID() != want.CoinbaseID() ||
		got.Header() != want.Header() || !reflect.DeepEqual(got.Block(), want.Block()) || !reflect.DeepEqual(got.Needs(), want.Needs()) {
		t.Errorf("remembered %+v, checked %+v", got, want)
	}
	for i, tx := range got.Txs() {
		if w := want.Txs()[i]; tx.ID() != w.ID() || tx.Fee() != w.Fee() || tx.Size() != w.Size() {
			t.Errorf("transaction %d: %v, want %v", i, tx, w)
		}
	}
	if _, err := chain.Remembered(b.ID(), b.Bytes()[1:]); err == nil {
		t.Error("a damaged block is remembered")
	}
	for at := range b.Bytes() {
		raw := b.Bytes()
		raw[at] ^= 0x10
		if _, err := chain.Remembered(b.ID(), raw); err == nil {
			t.Errorf("byte %d changed, and the block is remembered", at)
		}
	}
	b.Txs[0].Outputs = nil
	b = chaintest.Seal(chaintest.Easy(), b)
	if _, err := chain.Remembered(b.ID(), b.Bytes()); chain.KindOf(err) != chain.NoOutputs {
		t.Errorf("a block that was never checked: %v", err)
	}
}

// An announcement is the same whether made from the block or from the checked one.
func TestAnnouncementsAgree(t *testing.T) {
	_, b := samples()
	p := chaintest.Easy()
	checked := chaintest.Check(p, b)
	a, err := chain.CheckAnnouncement(p, b.Announce())
	if err != nil {
		t.Fatal(err)
	}
	if a.ID() != b.ID() || checked.Announce().ID() != b.ID() ||
		!bytes.Equal(a.Announcement().Bytes(), checked.Announce().Announcement().Bytes()) {
		t.Error("two announcements of one block")
	}
}

func TestNeedsAreWhatTheBlockDoesNotMake(t *testing.T) {
	_, b := samples()
	got := chaintest.Check(chaintest.Easy(), b).Needs()
	want := []chain.OutPoint{b.Txs[0].Inputs[0].Prev, b.Txs[0].Inputs[1].Prev}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("needs %v, want %v", got, want)
	}
}

func TestBlocksReadAsText(t *testing.T) {
	_, b := samples()
	text, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	got := new(chain.Block)
	if err := json.Unmarshal(text, got); err != nil || got.ID() != b.ID() || !bytes.Equal(got.Bytes(), b.Bytes()) {
		t.Errorf("%s reads as %v, %v", text, got.ID(), err)
	}
	kept := got.ID()
	for _, bad := range []string{`"zz"`, `"00"`, `""`} {
		if err := json.Unmarshal([]byte(bad), got); err == nil || got.ID() != kept {
			t.Errorf("%s is read: %v", bad, err)
		}
	}
}
