package chain_test

import (
	"bytes"
	"reflect"
	"slices"
	"testing"

	"cairn/chain"
	"cairn/chain/chaintest"
)

// A body that was read is the block that was written, its ids hashed from the bytes.
func TestABodyIsItsBlock(t *testing.T) {
	p, b := chaintest.Easy(), block(t)
	body, err := chain.ReadBody(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	var txs []chain.CheckedTx
	for i, named := range body.Txs() {
		if named.ID() != b.Txs[i].ID() || named.Tx().ID() != named.ID() {
			t.Errorf("transaction %d is %v, want %v", i, named.ID(), b.Txs[i].ID())
		}
		txs = append(txs, chaintest.CheckTx(p, named.Tx()))
	}
	got, err := chain.CheckBody(p, body, txs)
	if err != nil {
		t.Fatal(err)
	}
	want := chaintest.Check(p, b)
	if body.ID() != b.ID() || got.ID() != want.ID() || got.CoinbaseID() != want.CoinbaseID() || got.Size() != want.Size() ||
		!bytes.Equal(got.Raw(), want.Raw()) || !reflect.DeepEqual(got.Block(), want.Block()) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if c, err := chain.CheckBody(p, body, txs[1:]); chain.KindOf(err) != chain.BadRoot || c.Block() != nil {
		t.Errorf("transactions are missing: %v", err)
	}
	slices.Reverse(txs)
	if _, err := chain.CheckBody(p, body, txs); chain.KindOf(err) != chain.BadRoot {
		t.Errorf("transactions in another order: %v", err)
	}
}

// An announcement that was filled in is the block, and nothing else fills it in.
func TestAFilledAnnouncementIsItsBlock(t *testing.T) {
	p, b := chaintest.Easy(), block(t)
	a, err := chain.CheckAnnouncement(p, b.Announce())
	if err != nil {
		t.Fatal(err)
	}
	want := chaintest.Check(p, b)
	got, err := chain.CheckFilled(p, a, want.Txs())
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v: %v", got, want, err)
	}
	for name, txs := range map[string][]chain.CheckedTx{
		"one is missing":         want.Txs()[1:],
		"one is another":         append(slices.Clone(want.Txs()[1:]), chaintest.CheckTx(p, chaintest.Pay(p, chaintest.Funds(p, 0), chaintest.Key(0), 7))),
		"one that is not filled": append([]chain.CheckedTx{{}}, want.Txs()[1:]...),
	} {
		if _, err := chain.CheckFilled(p, a, txs); chain.KindOf(err) != chain.BadRoot {
			t.Errorf("%s: %v", name, err)
		}
	}
	small := *p
	small.MaxBlock = want.Size() - 1
	if _, err := chain.CheckFilled(&small, a, want.Txs()); chain.KindOf(err) != chain.BadLength {
		t.Errorf("too long: %v", err)
	}
}

// What a sender bends never condemns the block: the header is someone else's.
func TestABentBodyCondemnsNothing(t *testing.T) {
	raw := block(t).Bytes()
	for at := chain.HeaderSize; at < len(raw); at++ {
		bent := bytes.Clone(raw)
		bent[at] ^= 0x10
		if _, err := chain.ReadBody(bent); err == nil || chain.KindOf(err).Condemns() {
			t.Fatalf("byte %d: %v", at, err)
		}
	}
	for n := range raw {
		if _, err := chain.ReadBody(raw[:n]); chain.KindOf(err) != chain.Malformed {
			t.Fatalf("%d bytes: %v", n, err)
		}
	}
	twice := block(t)
	twice.Txs = append(twice.Txs, twice.Txs[len(twice.Txs)-1])
	if _, err := chain.ReadBody(chaintest.Seal(chaintest.Easy(), twice).Bytes()); chain.KindOf(err) != chain.Mutated {
		t.Errorf("one transaction twice: %v", err)
	}
}

// What breaks a rule under its own root condemns the block.
func TestAFalseBodyIsCondemned(t *testing.T) {
	p := chaintest.Easy()
	short := block(t)
	short.Coinbase.Extra, short.Coinbase.Outputs = nil, nil
	small := *p
	small.MaxBlock = len(block(t).Bytes()) - 1
	for name, c := range map[string]struct {
		p    *chain.Params
		b    *chain.Block
		kind chain.Kind
	}{
		"a short coinbase": {p, chaintest.Seal(p, short), chain.BadCoinbase},
		"too long":         {&small, block(t), chain.BadLength},
	} {
		body, err := chain.ReadBody(c.b.Bytes())
		if err != nil {
			t.Fatal(name, err)
		}
		txs, err := chain.CheckNamed(c.p, body.Txs())
		if err != nil {
			t.Fatal(name, err)
		}
		if _, err := chain.CheckBody(c.p, body, txs); chain.KindOf(err) != c.kind || !c.kind.Condemns() {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// block is one of a few payments.
func block(t *testing.T) *chain.Block {
	t.Helper()
	p := chaintest.Easy()
	return chaintest.Next(p, p.GenesisState(), chaintest.Address(1), payments(p)...)
}
