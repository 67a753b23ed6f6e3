package rpc

import (
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"cairn/chain"
)

func TestTxOutProof(t *testing.T) {
	w := newWorld(t)
	s := serve(t, w)
	a3 := w.names["a3"]
	proof := get[string](t, s, "gettxoutproof", []chain.Hash{w.paid.ID()})
	head := a3.Header()
	first := head.Bytes()
	if !strings.HasPrefix(proof, hex.EncodeToString(first[:])) {
		t.Errorf("it does not begin with the header: %s", proof)
	}
	if got := get[[]chain.Hash](t, s, "verifytxoutproof", proof); !slices.Equal(got, []chain.Hash{w.paid.ID()}) {
		t.Errorf("it proves %v", got)
	}
	both := get[string](t, s, "gettxoutproof", []chain.Hash{w.paid.ID(), a3.CoinbaseID()}, a3.ID())
	if got := get[[]chain.Hash](t, s, "verifytxoutproof", both); !slices.Equal(got, []chain.Hash{a3.CoinbaseID(), w.paid.ID()}) {
		t.Errorf("both together prove %v", got)
	}
	side := get[string](t, s, "gettxoutproof", []chain.Hash{w.rival.ID()}, w.names["b3"].ID())

	p, err := chain.DecodeMerkleProof(must(hex.DecodeString(proof)))
	if err != nil {
		t.Fatal(err)
	}
	root := *p // takes the root for a transaction
	root.Total, root.Hashes, root.Flags = 1, []chain.Hash{p.Header.Root}, []byte{1}
	bent := *p
	bent.Hashes = []chain.Hash{p.Hashes[1], p.Hashes[0]}
	for what, none := range map[string]*chain.MerkleProof{"the root": &root, "another order": &bent} {
		if got := get[[]chain.Hash](t, s, "verifytxoutproof", hex.EncodeToString(none.Bytes())); len(got) != 0 {
			t.Errorf("%s proves %v", what, got)
		}
	}
	unknown := *p
	unknown.Header.Nonce++
	for _, c := range []struct {
		code   Code
		says   string
		method string
		params []any
	}{
		{InvalidParameter, "cannot be empty", "gettxoutproof", []any{[]chain.Hash{}}},
		{InvalidParameter, "duplicated txid", "gettxoutproof", []any{[]chain.Hash{w.paid.ID(), w.paid.ID()}}},
		{InvalidParameter, "length 64", "gettxoutproof", []any{[]string{"beef"}}},
		{WrongType, "of expected type array", "gettxoutproof", []any{w.paid.ID()}},
		{NotFound, "not yet in block", "gettxoutproof", []any{[]chain.Hash{w.first.ID()}}},
		{NotFound, "name that block", "gettxoutproof", []any{[]chain.Hash{w.rival.ID()}}},
		{NotFound, "Not all transactions found", "gettxoutproof", []any{[]chain.Hash{w.paid.ID(), w.first.ID()}}},
		{NotFound, "Block not found", "gettxoutproof", []any{[]chain.Hash{w.paid.ID()}, chain.Hash{1}}},
		{Misc, "not fully downloaded", "gettxoutproof", []any{[]chain.Hash{w.paid.ID()}, w.names["h4"].ID()}},
		{Decoding, "hexadecimal", "verifytxoutproof", []any{"zz"}},
		{Decoding, "proof", "verifytxoutproof", []any{proof + "00"}},
		{NotFound, "Block not found in chain", "verifytxoutproof", []any{side}},
		{NotFound, "Block not found in chain", "verifytxoutproof", []any{hex.EncodeToString(unknown.Bytes())}},
		{InvalidParameter, "blocklocators must be of length 64", "getheaders", []any{[]string{"beef"}}},
		{InvalidParameter, "hashstop must be of length 64", "getheaders", []any{[]string{}, "beef"}},
	} {
		a, _ := ask(t, s, c.method, c.params...)
		if a.Error == nil || a.Error.Code != c.code || !strings.Contains(a.Error.Message, c.says) {
			t.Errorf("%s%.100v: %s %+v, want %d %q", c.method, c.params, a.Result, a.Error, c.code, c.says)
		}
	}
}

func TestHeadersInARow(t *testing.T) {
	w := newWorld(t)
	s := serve(t, w)
	all := get[[]Hex](t, s, "getheaders", []chain.Hash{})
	equal(t, "all behind the genesis", len(all), 5)
	for i, raw := range all {
		h := must(chain.DecodeHeader(raw))
		equal(t, "header", h.ID(), w.best[i+1])
	}
	locator := []chain.Hash{{9}, w.names["b3"].ID(), w.names["a2"].ID(), w.names["a1"].ID()}
	same(t, "behind a2", get[[]Hex](t, s, "getheaders", locator, ""), all[2:])
	same(t, "up to a4", get[[]Hex](t, s, "getheaders", locator, w.names["a4"].ID()), all[2:4])
	equal(t, "behind the tip", len(get[[]Hex](t, s, "getheaders", []chain.Hash{w.names["a5"].ID()})), 0)
}
