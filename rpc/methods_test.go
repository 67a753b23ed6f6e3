package rpc

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/mempool"
	"cairn/node"
)

func TestChainAsTold(t *testing.T) {
	w := newWorld(t)
	s := serve(t, w)
	tip := w.names["a5"].ID()

	info := get[ChainInfo](t, s, "getblockchaininfo")
	equal(t, "chain", info.Chain, "easy")
	equal(t, "blocks", info.Blocks, 5)
	equal(t, "headers", info.Headers, 5)
	equal(t, "best", info.Best, tip)
	equal(t, "work", info.Work, w.ledger.State.Work)
	equal(t, "genesis", info.Genesis, w.p.GenesisID())
	equal(t, "prefix", info.Prefix, "ecrn")
	equal(t, "progress", info.Progress, 1)
	equal(t, "syncing", info.Syncing, false)
	equal(t, "median of heights 0 to 5", info.MedianTime, w.names["a3"].Header().Time)
	equal(t, "warning, cleaned", info.Warnings, `peer \x1b[31mX says no`)

	equal(t, "count", get[uint64](t, s, "getblockcount"), 5)
	equal(t, "best", get[chain.Hash](t, s, "getbestblockhash"), tip)
	equal(t, "genesis", get[chain.Hash](t, s, "getblockhash", 0), w.p.GenesisID())
	equal(t, "a4", get[chain.Hash](t, s, "getblockhash", 4), w.names["a4"].ID())

	p, err := chain.ParseParams(get[json.RawMessage](t, s, "getnetworkparams"))
	if err != nil || p.GenesisID() != w.p.GenesisID() || p.Prefix != w.p.Prefix || !p.OnDemand {
		t.Errorf("network params come back as %+v, %v", p, err)
	}
}

// A heavier branch whose bodies are missing means that we are catching up.
func TestSyncing(t *testing.T) {
	w := newWorld(t)
	side := chaintest.Open(w.p)
	for range 8 {
		w.keep(side.Add(chaintest.Plan{Name: "far"}), node.Headed)
	}
	s := serve(t, w)
	info := get[ChainInfo](t, s, "getblockchaininfo")
	equal(t, "headers", info.Headers, 8)
	equal(t, "progress", info.Progress, 0.625)
	equal(t, "syncing", info.Syncing, true)
	status := get[Status](t, s, "getstatus")
	equal(t, "status syncing", status.Syncing, true)
	equal(t, "status headers", status.Headers, 8)
}

func TestHeaders(t *testing.T) {
	w := newWorld(t)
	s := serve(t, w)
	a3 := w.names["a3"]
	h := get[Header](t, s, "getblockheader", a3.ID())
	equal(t, "hash", h.Hash, a3.ID())
	equal(t, "confirmations", h.Confirmations, 3)
	equal(t, "height", h.Height, 3)
	equal(t, "version", h.VersionHex, chain.Bits(1))
	equal(t, "root", h.Root, a3.Header().Root)
	equal(t, "transactions", h.Txs, 2)
	equal(t, "previous", *h.Previous, w.names["a2"].ID())
	equal(t, "next", *h.Next, w.names["a4"].ID())
	equal(t, "target", h.Target, "7fffff"+strings.Repeat("0", 58))
	if want := 4.6565423739069247e-10; h.Difficulty != want { // Bitcoin Core's for its regtest
		t.Errorf("difficulty %g, want %g", h.Difficulty, want)
	}

	head := a3.Header()
	raw := head.Bytes()
	for _, verbose := range []any{false, 0} {
		equal(t, "hex", get[string](t, s, "getblockheader", a3.ID(), verbose), hex.EncodeToString(raw[:]))
	}
	if tip := get[Header](t, s, "getblockheader", w.names["a5"].ID(), true); tip.Next != nil || tip.Confirmations != 1 {
		t.Errorf("the tip has next %v and %d confirmations", tip.Next, tip.Confirmations)
	}
	if g := get[Header](t, s, "getblockheader", w.p.GenesisID()); g.Previous != nil || g.Confirmations != 6 {
		t.Errorf("the genesis has previous %v and %d confirmations", g.Previous, g.Confirmations)
	}
	for _, name := range []string{"b1", "h4", "c2"} {
		if side := get[Header](t, s, "getblockheader", w.names[name].ID()); side.Next != nil || side.Confirmations != -1 {
			t.Errorf("%s off the best chain has next %v and %d confirmations", name, side.Next, side.Confirmations)
		}
	}
}

func TestBlocks(t *testing.T) {
	w := newWorld(t)
	s := serve(t, w)
	a3 := w.names["a3"]
	for _, level := range []any{0, false} {
		equal(t, "hex", get[string](t, s, "getblock", a3.ID(), level), hex.EncodeToString(a3.Block().Bytes()))
	}
	for _, level := range [][]any{{}, {1}, {true}, {nil}} {
		b := get[Block](t, s, "getblock", append([]any{a3.ID()}, level...)...)
		equal(t, "size", b.Size, a3.Size())
		equal(t, "confirmations", b.Confirmations, 3)
		equal(t, "tag", b.Coinbase.Text, "a3")
		if want := []chain.Hash{a3.CoinbaseID(), w.paid.ID()}; !slices.Equal(b.IDs, want) {
			t.Errorf("transactions %v, want %v", b.IDs, want)
		}
	}
	b := get[FullBlock](t, s, "getblock", a3.ID(), 2)
	equal(t, "transactions", len(b.Body), 2)
	equal(t, "coinbase height", b.Body[0].Inputs[0].Height, 3)
	equal(t, "coinbase pays", b.Body[0].Outputs[0].Value, Amount(50*chain.CRN+5000))
	if b.Body[0].Fee != nil {
		t.Error("a coinbase has a fee")
	}
	equal(t, "paid", b.Body[1].ID, w.paid.ID())
	if g := get[FullBlock](t, s, "getblock", w.p.GenesisID(), 2); len(g.Body[0].Outputs) != 10 {
		t.Errorf("the genesis pays %d", len(g.Body[0].Outputs))
	}
}

func TestTips(t *testing.T) {
	w := newWorld(t)
	s := serve(t, w)
	var got []string
	for _, tip := range get[[]Tip](t, s, "getchaintips") {
		got = append(got, fmt.Sprint(tip.Hash == w.names["a5"].ID(), " ", tip.Height, " ", tip.Branch, " ", tip.Status))
	}
	want := []string{"true 5 0 active", "false 4 4 headers-only", "false 2 1 invalid"}
	if !slices.Equal(got, want) {
		t.Errorf("tips %q, want %q", got, want)
	}
	w.mu.Lock()
	delete(w.entries, w.names["h4"].ID())
	w.mu.Unlock()
	equal(t, "a whole side branch", get[[]Tip](t, s, "getchaintips")[1].Status, "valid-headers")
}

func TestTransactionOnTheBestChain(t *testing.T) {
	w := newWorld(t)
	s := serve(t, w)
	raw := hex.EncodeToString(w.paid.Bytes())
	for _, level := range [][]any{{}, {0}, {false}} {
		equal(t, "hex", get[string](t, s, "getrawtransaction", append([]any{w.paid.ID()}, level...)...), raw)
	}
	tx := get[Tx](t, s, "getrawtransaction", w.paid.ID(), true)
	equal(t, "block", *tx.Block, w.names["a3"].ID())
	equal(t, "confirmations", *tx.Confirmations, 3)
	equal(t, "active", *tx.Active, true)
	equal(t, "fee", *tx.Fee, 5000)
	equal(t, "to", tx.Outputs[0].Script.Address, w.p.FormatAddress(chaintest.Address(5)))
	equal(t, "value", tx.Outputs[0].Value, Amount(7*chain.CRN))
	equal(t, "spends", *tx.Inputs[0].Tx, w.fromGenesis.Tx)
	equal(t, "from", tx.Inputs[0].Address, w.p.FormatAddress(chaintest.Address(0)))
	equal(t, "memo, cleaned", tx.MemoText, `thank you\x1b[31m`)
	equal(t, "memo", string(tx.Memo), "thank you\x1b[31m")
	in := get[Tx](t, s, "getrawtransaction", w.paid.ID(), 1, w.names["a3"].ID())
	equal(t, "in the block named", *in.Confirmations, 3)

	cb := get[Tx](t, s, "getrawtransaction", w.p.Genesis.Coinbase.ID(), 1)
	equal(t, "the genesis' coinbase", *cb.Confirmations, 6)
}

// Depth is told as everywhere: 0 waits, −1 is ruled out.
func TestTransactionElsewhere(t *testing.T) {
	w := newWorld(t)
	s := serve(t, w)
	pooled := get[Tx](t, s, "getrawtransaction", w.first.ID(), 1)
	if pooled.Block != nil || *pooled.Confirmations != 0 {
		t.Errorf("in the pool: block %v, %d confirmations", pooled.Block, *pooled.Confirmations)
	}
	rival := get[Tx](t, s, "getrawtransaction", w.rival.ID(), 1)
	equal(t, "ruled out", *rival.Confirmations, -1)
	equal(t, "active", *rival.Active, false)
	equal(t, "block", *rival.Block, w.names["b3"].ID())
	cb := get[Tx](t, s, "getrawtransaction", w.names["b2"].CoinbaseID(), 1)
	equal(t, "a side branch's coinbase", *cb.Confirmations, 0)
	cb = get[Tx](t, s, "getrawtransaction", w.names["b1"].CoinbaseID(), 1)
	if cb.Confirmations != nil {
		t.Errorf("unknown depth shown as %d", *cb.Confirmations)
	}
}

// What a side branch holds as well stands first where the best chain has it.
func TestTransactionOnBothBranches(t *testing.T) {
	w := newWorld(t)
	side := chaintest.Open(w.p)
	for _, name := range []string{"x", "y", "z"} { // whichever order the index has them in
		w.keep(side.Add(chaintest.Plan{Name: name, Txs: map[string][]*chain.Tx{"z": {w.paid}}[name]}), node.Complete)
	}
	s := serve(t, w)
	for range 20 {
		tx := get[Tx](t, s, "getrawtransaction", w.paid.ID(), 1)
		equal(t, "block", *tx.Block, w.names["a3"].ID())
		equal(t, "blocks", len(tx.Blocks), 2)
	}
}

// A block that takes a transaction out of the pool while we look does not hide it.
func TestConfirmedMeanwhile(t *testing.T) {
	for _, ask := range []func(*Server, *world) int64{
		func(s *Server, w *world) int64 {
			return *get[Tx](t, s, "getrawtransaction", w.first.ID(), 1).Confirmations
		},
		func(s *Server, w *world) int64 { return get[*TxOut](t, s, "gettxout", w.second.ID(), 0).Confirmations },
	} {
		w := newWorld(t)
		s := serve(t, w)
		w.opening = func() { w.pool.Confirm(w.grow("a6", w.first, w.second)) }
		equal(t, "confirmations", ask(s, w), 1)
	}
}

func TestDecode(t *testing.T) {
	w := newWorld(t)
	s := serve(t, w)
	tx := get[Tx](t, s, "decoderawtransaction", hex.EncodeToString(w.rival.Bytes()))
	equal(t, "txid", tx.ID, w.rival.ID())
	equal(t, "size", tx.Size, w.rival.Size())
	if tx.Block != nil || tx.Confirmations != nil {
		t.Error("a decoded transaction has a place")
	}
}

func TestSend(t *testing.T) {
	w := newWorld(t)
	s := serve(t, w)
	tx := chaintest.Pay(w.p, chaintest.Funds(w.p, 2), chaintest.Key(2), 2000)
	raw := hex.EncodeToString(tx.Bytes())
	tried := get[[]Tried](t, s, "testmempoolaccept", []string{raw})
	if !tried[0].Allowed || tried[0].Fees.Base != 2000 || tried[0].VSize != tx.Size() {
		t.Errorf("tried: %+v", tried[0])
	}
	if _, ok := w.Get(tx.ID()); ok {
		t.Fatal("a trial let it in")
	}
	equal(t, "sent", get[chain.Hash](t, s, "sendrawtransaction", raw), tx.ID())
	if _, ok := w.Get(tx.ID()); !ok {
		t.Fatal("the pool does not have it")
	}
	equal(t, "sent again", get[chain.Hash](t, s, "sendrawtransaction", raw), tx.ID())
	equal(t, "tried again", get[[]Tried](t, s, "testmempoolaccept", []string{raw})[0].Reason, "txn-already-in-mempool")

	dear := chaintest.Pay(w.p, chaintest.Funds(w.p, 3), chaintest.Key(3), chain.CRN)
	raw = hex.EncodeToString(dear.Bytes())
	equal(t, "dear", get[[]Tried](t, s, "testmempoolaccept", []string{raw})[0].Reason, "max-fee-exceeded")
	equal(t, "no limit", get[chain.Hash](t, s, "sendrawtransaction", raw, 0), dear.ID())
}

func TestTrialsRefused(t *testing.T) {
	w := newWorld(t)
	s := serve(t, w)
	cheap := chaintest.Pay(w.p, chaintest.Funds(w.p, 4), chaintest.Key(4), 1)
	got := get[[]Tried](t, s, "testmempoolaccept", []string{hex.EncodeToString(w.rival.Bytes()), hex.EncodeToString(cheap.Bytes())})
	equal(t, "its coin is spent", got[0].Reason, "missing-inputs")
	equal(t, "the fake judges no fee", got[1].Allowed, true)
	bent := *cheap
	bent.Memo = []byte("changed after signing")
	got = get[[]Tried](t, s, "testmempoolaccept", []string{hex.EncodeToString(bent.Bytes())})
	equal(t, "bent", got[0].Reason, string(chain.BadSignature))
	if !strings.HasPrefix(got[0].Details, string(chain.BadSignature)+": ") {
		t.Errorf("details %q", got[0].Details)
	}
}

func TestAddresses(t *testing.T) {
	w := newWorld(t)
	s := serve(t, w)
	own := w.p.FormatAddress(chaintest.Address(5))
	good := get[AddressInfo](t, s, "validateaddress", own)
	if key := chaintest.Address(5); !good.Valid || good.Address != own || string(*good.Script) != string(key[:]) {
		t.Errorf("a good address: %+v", good)
	}
	bad := get[AddressInfo](t, s, "validateaddress", chain.Main().FormatAddress(chaintest.Address(5)))
	if bad.Valid || !strings.Contains(bad.Error, "another network") {
		t.Errorf("another network's: %+v", bad)
	}
}

func TestCoins(t *testing.T) {
	w := newWorld(t)
	s := serve(t, w)
	got := get[[]Coin](t, s, "getaddresscoins", w.p.FormatAddress(chaintest.Address(9)))
	var shown []string
	for _, c := range got {
		shown = append(shown, fmt.Sprint(c.Amount, " ", c.Height, " ", c.Coinbase, " ", c.Confirmations, " ", c.Mature))
	}
	want := []string{ // and what the prefunded key had; maturity is 3
		"10000.00000000 0 true 6 true", "50.00000000 1 true 5 true", "50.00000000 2 true 4 true",
		"50.00005000 3 true 3 true", "50.00000000 4 true 2 false", "50.00000000 5 true 1 false",
	}
	if !slices.Equal(shown, want) {
		t.Errorf("coins %q, want %q", shown, want)
	}
	got = get[[]Coin](t, s, "getaddresscoins", w.p.FormatAddress(chaintest.Address(1)))
	if len(got) != 1 || got[0].SpentBy == nil || *got[0].SpentBy != w.first.ID() {
		t.Errorf("what the pool spends: %+v", got)
	}
	if none := string(get[json.RawMessage](t, s, "getaddresscoins", w.p.FormatAddress(chain.Address{7}))); none != "[]" {
		t.Errorf("no coins are shown as %s", none)
	}
}

func TestTxOut(t *testing.T) {
	w := newWorld(t)
	s := serve(t, w)
	out := get[*TxOut](t, s, "gettxout", w.paid.ID(), 0)
	equal(t, "confirmations", out.Confirmations, 3)
	equal(t, "value", out.Value, Amount(7*chain.CRN))
	equal(t, "best", out.Best, w.names["a5"].ID())
	equal(t, "of the pool", get[*TxOut](t, s, "gettxout", w.second.ID(), 0).Confirmations, 0)
	for what, params := range map[string][]any{
		"spent by the pool":         {w.fromGenesis.Tx, 1},
		"spent in the pool":         {w.first.ID(), 0},
		"spent":                     {w.fromGenesis.Tx, 0},
		"of the pool, without it":   {w.second.ID(), 0, false},
		"no such index in the pool": {w.second.ID(), 5},
		"unknown":                   {chain.Hash{1}, 0},
	} {
		if out := get[*TxOut](t, s, "gettxout", params...); out != nil {
			t.Errorf("%s: %+v", what, out)
		}
	}
	if out := get[*TxOut](t, s, "gettxout", w.fromGenesis.Tx, 1, false); out == nil {
		t.Error("without the pool the coin is unspent")
	}
}

func TestPool(t *testing.T) {
	w := newWorld(t)
	s := serve(t, w)
	ids := get[[]chain.Hash](t, s, "getrawmempool")
	if want := []chain.Hash{w.second.ID(), w.first.ID()}; !slices.Equal(ids, want) {
		t.Errorf("by fee rate: %v, want %v", ids, want)
	}
	all := get[map[string]PoolEntry](t, s, "getrawmempool", true)
	equal(t, "all", len(all), 2)
	e := get[PoolEntry](t, s, "getmempoolentry", w.second.ID())
	equal(t, "fee", e.Fees.Base, 9000)
	equal(t, "with its parent", e.Fees.Ancestor, 10_000)
	equal(t, "ancestors", e.AncestorCount, 2)
	equal(t, "bytes", e.AncestorSize, w.first.Size()+w.second.Size())
	equal(t, "time", e.Time, 1_800_000_000)
	if !slices.Equal(e.Depends, []chain.Hash{w.first.ID()}) || e.SpentBy == nil || len(e.SpentBy) != 0 {
		t.Errorf("depends %v, spent by %v", e.Depends, e.SpentBy)
	}
	info := get[PoolInfo](t, s, "getmempoolinfo")
	equal(t, "size", info.Count, 2)
	equal(t, "fees", info.Fees, 10_000)
	raw := string(get[json.RawMessage](t, s, "getmempoolinfo"))
	if !strings.Contains(raw, `"total_fee":0.00010000`) {
		t.Errorf("fees are no number of CRN: %s", raw)
	}
}

func TestNetwork(t *testing.T) {
	w := newWorld(t)
	s := serve(t, w)
	peers := get[[]Peer](t, s, "getpeerinfo")
	equal(t, "peers", len(peers), 2)
	equal(t, "agent, cleaned", peers[0].Agent, `cairn\x1b[2J`)
	equal(t, "clock, in whole seconds", peers[1].Whole, -2)
	equal(t, "count", get[int](t, s, "getconnectioncount"), 2)
	info := get[NetworkInfo](t, s, "getnetworkinfo")
	equal(t, "version", info.Version, 10203)
	equal(t, "in", info.In, 1)
	equal(t, "out", info.Out, 1)
	equal(t, "offset", info.Offset, 2)
	equal(t, "active", info.Active, true)
	if want := []LocalAddress{{"127.0.0.1", 29421, 1}}; !slices.Equal(info.Addresses, want) {
		t.Errorf("addresses %v, want %v", info.Addresses, want)
	}
	equal(t, "switched off", get[bool](t, s, "setnetworkactive", false), false)
	equal(t, "active", get[NetworkInfo](t, s, "getnetworkinfo").Active, false)
}

func TestBans(t *testing.T) {
	s := serve(t, newWorld(t))
	if list := get[[]Ban](t, s, "listbanned"); list == nil || len(list) != 0 {
		t.Errorf("bans at first: %v", list)
	}
	get[any](t, s, "setban", "192.0.2.0/24", "add", 100)
	get[any](t, s, "setban", "192.0.2.7", "add")
	get[any](t, s, "setban", "192.0.2.8", "add", time.Now().Unix()+50, true)
	get[any](t, s, "setban", "192.0.2.9", "add", int64(1)<<62)
	list := get[[]Ban](t, s, "listbanned")
	for i, want := range []struct{ lasts, about int64 }{{100, 1}, {24 * 60 * 60, 1}, {50, 1}, {100 * 365 * 24 * 60 * 60, 1}} {
		b := list[i]
		if b.Duration != b.Until-b.Created || b.Duration < want.lasts-want.about || b.Duration > want.lasts+want.about ||
			b.Remaining > b.Duration || b.Remaining < b.Duration-60 {
			t.Errorf("ban %d is %+v, to last %d s", i, b, want.lasts)
		}
	}
	equal(t, "reason, cleaned", list[0].Reason, `bad\x1b words`)
	get[any](t, s, "setban", "192.0.2.7", "remove")
	equal(t, "bans left", len(get[[]Ban](t, s, "listbanned")), 3)
	get[any](t, s, "clearbanned")
	equal(t, "bans left", len(get[[]Ban](t, s, "listbanned")), 0)
}

func TestAddAndDisconnect(t *testing.T) {
	w := newWorld(t)
	s := serve(t, w)
	get[any](t, s, "addnode", "/ip4/127.0.0.1/tcp/5", "add")
	get[any](t, s, "addnode", "/ip4/127.0.0.1/tcp/6", "onetry")
	equal(t, "connected", get[int](t, s, "getconnectioncount"), 3)
	a, _ := ask(t, s, "addnode", "/ip4/127.0.0.1/tcp/5", "add")
	equal(t, "twice", a.Error.Code, AlreadyAdded)
	get[any](t, s, "addnode", "/ip4/127.0.0.1/tcp/5", "remove")
	a, _ = ask(t, s, "addnode", "/ip4/127.0.0.1/tcp/5", "remove")
	equal(t, "removed twice", a.Error.Code, NotAdded)

	get[any](t, s, "disconnectnode", "12D3KooWnew")
	get[any](t, s, "disconnectnode", "", 4)
	get[any](t, s, "disconnectnode", w.peers[0].Address)
	equal(t, "left", len(w.peers), 0)
}

// door is two workers' work.
type door struct{}

func (door) Status() StratumStatus {
	return StratumStatus{Listen: "127.0.0.1:1", Hashrate: 1_000_000, Workers: []StratumWorker{{Name: "a"}, {Name: "b"}}}
}

// How long a block takes is said by whoever's rate it is, at the difficulty of the next one.
func TestTimeToABlockIsExpected(t *testing.T) {
	w := newWorld(t)
	w.door = door{}
	s := serve(t, w)
	hashes, _ := new(big.Float).SetInt(w.p.Easiest.Work().Big()).Float64() // this network's never change
	st := get[Status](t, s, "getstatus")
	equal(t, "ours", st.Mining.Expected, hashes/1234)
	equal(t, "theirs", st.Stratum.Expected, hashes/1_000_000)
	equal(t, "workers", len(st.Stratum.Workers), 2)
	info := get[MiningInfo](t, s, "getmininginfo")
	equal(t, "ours", info.Mining.Expected, st.Mining.Expected)
	equal(t, "theirs", info.Stratum.Expected, st.Stratum.Expected)
	equal(t, "of nobody", expected(w.p.Easiest, 0), 0)
}

func TestMining(t *testing.T) {
	w := newWorld(t)
	s := serve(t, w)
	get[any](t, s, "setgenerate", true, 3)
	info := get[MiningInfo](t, s, "getmininginfo")
	if !info.Generate || !info.Mining.On || info.Threads != 3 || info.Rate != 1234 {
		t.Errorf("mining: %+v", info)
	}
	equal(t, "next", info.Next.Height, 6)
	equal(t, "pays", info.Pay, w.p.FormatAddress(chaintest.Address(9)))
	equal(t, "network, 2 hashes in 2 s", info.NetworkRate, 1)
	get[any](t, s, "setgenerate", false)
	equal(t, "off", get[MiningInfo](t, s, "getmininginfo").Generate, false)

	ids := get[[]chain.Hash](t, s, "generatetoaddress", 3, w.p.FormatAddress(chaintest.Address(7)))
	equal(t, "blocks", len(ids), 3)
	equal(t, "tip", get[chain.Hash](t, s, "getbestblockhash"), ids[2])
	equal(t, "paid", len(get[[]Coin](t, s, "getaddresscoins", w.p.FormatAddress(chaintest.Address(7)))), 4)
	if none := string(get[json.RawMessage](t, s, "generatetoaddress", 1, w.p.FormatAddress(chaintest.Address(7)), 1)); none != "[]" {
		t.Errorf("no block found is shown as %s", none)
	}
}

func TestConvergence(t *testing.T) {
	w := newWorld(t)
	s := serve(t, w)
	info := get[ConvergenceInfo](t, s, "getconvergence", w.paid.ID())
	equal(t, "kind", info.Kind, KindTx)
	equal(t, "our depth", *info.Self.Depth, 3)
	equal(t, "bob's", *info.Peers[0].Depth, -1)
	equal(t, "agent, cleaned", info.Peers[0].Agent, `\x1b[2Jbob`)
	raw := string(get[json.RawMessage](t, s, "getconvergence", w.paid.ID()))
	for _, want := range []string{`"age":1.500`, `"all":null`, `"tip":null`, `"conflict":"` + w.paid.ID().String()} {
		if !strings.Contains(raw, want) {
			t.Errorf("%s is not in %s", want, raw)
		}
	}
	equal(t, "a block", get[ConvergenceInfo](t, s, "getconvergence", w.names["a3"].ID()).Kind, KindBlock)
	equal(t, "our tip", get[ConvergenceInfo](t, s, "getconvergence").ID, w.names["a5"].ID())
}

func TestControl(t *testing.T) {
	w := newWorld(t)
	s := serve(t, w)
	st := get[Status](t, s, "getstatus")
	equal(t, "network", st.Network, "easy")
	equal(t, "height", st.Height, 5)
	equal(t, "tip", st.Tip, w.names["a5"].ID())
	equal(t, "peers", st.Peers, 2)
	equal(t, "mempool", st.Pool.Count, 2)
	equal(t, "rate", st.Mining.Hashrate, 1234)
	equal(t, "reorgs", st.Reorgs.Deepest, 2)
	raw := string(get[json.RawMessage](t, s, "getstatus"))
	for _, want := range []string{`"mempool":{"count":2,"bytes":`, `"mining":{"on":false,"hashrate":1234,"threads":2`, `"work":"0000`, `"sync":{"height":5,"target":105,"blocks_per_second":5,"transactions_per_second":12.5,"seconds_left":20}`} {
		if !strings.Contains(raw, want) {
			t.Errorf("%s is not in %s", want, raw)
		}
	}
	equal(t, "uptime", get[int](t, s, "uptime"), 90)
	equal(t, "load", string(get[json.RawMessage](t, s, "getload")), `{"goroutines":7,"heap":1048576,"lock_wait":0.5,"longest_step":0.025}`)
	if said := get[string](t, s, "stop"); !w.stopped || said == "" {
		t.Error("stop did not stop")
	}
}

func TestHelp(t *testing.T) {
	s := serve(t, newWorld(t))
	all := get[string](t, s, "help")
	for _, m := range methods {
		if !strings.Contains(all, "\n"+m.usage()) {
			t.Errorf("help does not list %q", m.usage())
		}
		one := get[string](t, s, "help", m.name)
		if example := "> cairn rpc " + m.name; !strings.Contains(one, "\n"+example) || !strings.Contains(one, `"method": "`+m.name+`"`) {
			t.Errorf("help %s has no example:\n%s", m.name, one)
		}
		for _, p := range m.params {
			if !strings.Contains(one, p.name+" ("+p.kind.name) {
				t.Errorf("help %s does not tell of %s", m.name, p.name)
			}
		}
	}
	one := get[string](t, s, "help", "getaddresscoins")
	for _, want := range []string{`getaddresscoins "address"`, `"amount": number`, `"txid": text`, `"mature": true or false`} {
		if !strings.Contains(one, want) {
			t.Errorf("help getaddresscoins lacks %q:\n%s", want, one)
		}
	}
	equal(t, "usage", byName["getblock"].usage(), `getblock "blockhash" ( verbosity )`)
}

// Each refusal has Bitcoin Core's code.
func TestRefusals(t *testing.T) {
	w := newWorld(t)
	none := chain.Hash{1}
	a3, key := w.names["a3"].ID(), w.p.FormatAddress(chaintest.Address(3))
	spent := hex.EncodeToString(w.rival.Bytes())
	confirmed := hex.EncodeToString(w.paid.Bytes())
	bent := *w.rival
	bent.Outputs = slices.Clone(bent.Outputs)
	bent.Outputs[0].Value++
	dear := hex.EncodeToString(chaintest.Pay(w.p, chaintest.Funds(w.p, 3), chaintest.Key(3), chain.CRN).Bytes())
	double := hex.EncodeToString(chaintest.Pay(w.p, chaintest.Funds(w.p, 1), chaintest.Key(1), 500).Bytes())
	for _, c := range []struct {
		code   Code
		says   string
		method string
		params []any
	}{
		{UnknownMethod, "Method not found: did you mean getblockhash?", "getblockhsah", nil},
		{UnknownMethod, "Method not found: did you mean getblock?", "getblok", nil},
		{UnknownMethod, "Method not found", "sendtoaddress", nil},
		{Misc, "height is missing", "getblockhash", nil},
		{Misc, "at most 0 are known", "getblockcount", []any{1}},
		{Misc, "out of range", "getblockhash", []any{1.5}},
		{Misc, "out of range", "getblockhash", []any{json.RawMessage("1e30")}},
		{InvalidParameter, "height out of range", "getblockhash", []any{6}},
		{InvalidParameter, "height out of range", "getblockhash", []any{-1}},
		{WrongType, "type string is not of expected type number", "getblockhash", []any{"1"}},
		{WrongType, "type array is not of expected type number", "getblockhash", []any{[]int{1}}},
		{WrongType, "type number is not of expected type string", "getblock", []any{1}},
		{WrongType, "type object is not of expected type number", "getblock", []any{a3, map[string]int{}}},
		{InvalidSubnet, "Invalid IP/Subnet", "setban", []any{"nonsense", "add"}},
		{InvalidSubnet, "Unban failed", "setban", []any{"192.0.2.1", "remove"}},
		{Misc, "add or remove", "setban", []any{"192.0.2.1", "keep"}},
		{InvalidParameter, "in the past", "setban", []any{"192.0.2.1", "add", 1, true}},
		{WrongType, "type number is not of expected type bool", "setnetworkactive", []any{1}},
		{WrongType, "type bool is not of expected type string", "validateaddress", []any{true}},
		{WrongType, "type string is not of expected type array", "testmempoolaccept", []any{spent}},
		{WrongType, "not a number or string", "sendrawtransaction", []any{spent, true}},
		{WrongType, "negative", "sendrawtransaction", []any{spent, -1}},
		{InvalidParameter, "must be of length 64 (not 4, for 'beef')", "getblock", []any{"beef"}},
		{InvalidParameter, "must be hexadecimal", "getblock", []any{strings.Repeat("z", 64)}},
		{NotFound, "Block not found", "getblock", []any{none}},
		{NotFound, "Block not found", "getblockheader", []any{none}},
		{Misc, "not fully downloaded", "getblock", []any{w.names["h4"].ID()}},
		{NotFound, "No such mempool or blockchain transaction", "getrawtransaction", []any{none}},
		{NotFound, "Block not found", "getrawtransaction", []any{w.paid.ID(), 1, none}},
		{NotFound, "in the provided block", "getrawtransaction", []any{w.paid.ID(), 1, w.names["a4"].ID()}},
		{Misc, "not available", "getrawtransaction", []any{w.paid.ID(), 1, w.names["h4"].ID()}},
		{Decoding, "TX decode failed", "decoderawtransaction", []any{"00"}},
		{Decoding, "TX decode failed", "decoderawtransaction", []any{"zz"}},
		{Decoding, "TX decode failed", "sendrawtransaction", []any{confirmed + "00"}},
		{Decoding, "coinbase", "sendrawtransaction", []any{hex.EncodeToString(w.p.Genesis.Coinbase.Bytes())}},
		{Decoding, "TX decode failed", "testmempoolaccept", []any{[]string{spent, "00"}}},
		{InvalidParameter, "between 1 and 25", "testmempoolaccept", []any{[]string{}}},
		{TxError, "missingorspent", "sendrawtransaction", []any{spent}},
		{TxError, "Fee exceeds maximum", "sendrawtransaction", []any{dear}},
		{TxError, "Fee exceeds maximum", "sendrawtransaction", []any{confirmed, json.RawMessage("1e-8")}},
		{TxRejected, string(chain.BadSignature), "sendrawtransaction", []any{hex.EncodeToString(bent.Bytes())}},
		{TxRejected, string(mempool.Conflict), "sendrawtransaction", []any{double}},
		{TxInChain, "already in block chain", "sendrawtransaction", []any{confirmed}},
		{InvalidParameter, "index", "gettxout", []any{none, -1}},
		{InvalidParameter, "index", "gettxout", []any{none, 1 << 32}},
		{NotFound, "not in mempool", "getmempoolentry", []any{w.paid.ID()}},
		{NotFound, "another network", "getaddresscoins", []any{chain.Main().FormatAddress(chain.Address{})}},
		{NotFound, "mistyped", "generatetoaddress", []any{1, key[:20]}},
		{InvalidParameter, "nblocks", "generatetoaddress", []any{-1, key}},
		{InvalidParameter, "maxtries", "generatetoaddress", []any{1, key, -1}},
		{InvalidParameter, "threads", "setgenerate", []any{true, 5000}},
		{Misc, "multiaddr", "addnode", []any{"nonsense", "add"}},
		{Misc, "add, remove or onetry", "addnode", []any{"x", "befriend"}},
		{NotConnected, "not found", "disconnectnode", []any{"12D3KooWnobody"}},
		{NotConnected, "not found", "disconnectnode", []any{nil, 99}},
		{InvalidParams, "Only one of", "disconnectnode", []any{"x", 4}},
		{InvalidParams, "Only one of", "disconnectnode", nil},
		{NotFound, "No such transaction or block", "getconvergence", []any{none}},
		{Misc, "unknown command: \\x1b", "help", []any{"\x1b"}},
	} {
		t.Run(fmt.Sprint(c.method, c.params), func(t *testing.T) {
			s := serve(t, w)
			a, status := ask(t, s, c.method, c.params...)
			if a.Error == nil {
				t.Fatalf("answers %s", a.Result)
			}
			if a.Error.Code != c.code || !strings.Contains(a.Error.Message, c.says) {
				t.Errorf("code %d %q, want %d %q", a.Error.Code, a.Error.Message, c.code, c.says)
			}
			equal(t, "status", status, map[bool]int{true: 404, false: 500}[c.code == UnknownMethod])
			equal(t, "result", string(a.Result), "null")
		})
	}
}

// Trouble of our own is nobody's fault but ours, whatever was asked.
func TestBrokenDisk(t *testing.T) {
	w := newWorld(t)
	w.broken = errors.New("disk on fire\x1b[5m")
	s := serve(t, w)
	raw := hex.EncodeToString(w.rival.Bytes())
	for method, params := range map[string][]any{
		"getblockchaininfo": nil, "getblockcount": nil, "getbestblockhash": nil, "getblockhash": {0}, "getchaintips": nil,
		"getblock": {chain.Hash{}}, "getblockheader": {chain.Hash{}}, "getrawtransaction": {chain.Hash{}},
		"gettxout": {chain.Hash{}, 0}, "getaddresscoins": {w.p.FormatAddress(chain.Address{})},
		"getmininginfo": nil, "getstatus": nil, "getconvergence": nil, "sendrawtransaction": {raw},
	} {
		a, _ := ask(t, s, method, params...)
		if a.Error == nil || a.Error.Code != Misc || a.Error.Message != `disk on fire\x1b[5m` {
			t.Errorf("%s on a broken disk: %s, %+v", method, a.Result, a.Error)
		}
	}
}

// The table says of each result what the handler's type is, and every parameter
// can be given by name.
func TestTableIsSound(t *testing.T) {
	w := newWorld(t)
	seen := map[string]bool{}
	for _, m := range methods {
		if seen[m.name] || m.doc == "" || m.group == "" || m.result == nil {
			t.Errorf("row %q is wrong", m.name)
		}
		seen[m.name] = true
		optional := false
		for _, p := range m.params {
			if p.name == "args" || p.doc == "" || optional && !p.optional {
				t.Errorf("%s: parameter %q is wrong", m.name, p.name)
			}
			optional = p.optional
		}
	}
	b := w.backend()
	got, failure := b.invoke(context.Background(), byName["getstatus"], nil)
	if failure != nil || reflect.TypeOf(got) != byName["getstatus"].result {
		t.Errorf("getstatus gives %T, the table says %v", got, byName["getstatus"].result)
	}
}
