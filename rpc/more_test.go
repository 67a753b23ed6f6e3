package rpc

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/mempool"
)

func TestLooseCoins(t *testing.T) {
	w := newWorld(t)
	s := serve(t, w)
	who := w.p.FormatAddress(chaintest.Address(2)) // first pays it, second spends that
	equal(t, "confirmed", len(get[[]Coin](t, s, "getaddresscoins", who)), 1)
	got := get[[]Coin](t, s, "getaddresscoins", who, 0)
	equal(t, "with the pool's, change included", len(got), 3)
	loose := got[1]
	if loose.Tx != w.first.ID() || loose.Index != 0 || loose.Amount != Amount(chain.CRN) || loose.Confirmations != 0 || !loose.Mature {
		t.Errorf("the pool's is %+v", loose)
	}
	if loose.SpentBy == nil || *loose.SpentBy != w.second.ID() {
		t.Errorf("spent by %v, want %v", loose.SpentBy, w.second.ID())
	}
	equal(t, "deep ones", len(get[[]Coin](t, s, "getaddresscoins", w.p.FormatAddress(chaintest.Address(9)), 4)), 3)
}

func TestAddressHistory(t *testing.T) {
	w := newWorld(t)
	s := serve(t, w)
	tell := func(params ...any) (rows []string) {
		for _, a := range get[[]Account](t, s, "getaddresshistory", params...) {
			place := "pool"
			if a.Block != nil {
				place = fmt.Sprint(*a.Height, "/", *a.Position)
				equal(t, "block", *a.Block, w.best[*a.Height])
				equal(t, "time", a.Time, int64(w.entries[*a.Block].State.Time))
			}
			rows = append(rows, fmt.Sprint(place, " ", a.Confirmations, " +", a.Received, " -", a.Spent))
		}
		return rows
	}
	one := w.p.FormatAddress(chaintest.Address(1))
	want := []string{"pool 0 +9998.99999000 -10000.00000000", "0/0 6 +10000.00000000 -0.00000000"}
	if got := tell(one); !slices.Equal(got, want) {
		t.Errorf("history %q, want %q", got, want)
	}
	payer := w.p.FormatAddress(chaintest.Address(0))
	if got := tell(payer); len(got) != 2 || got[0] != "3/1 3 +9992.99995000 -10000.00000000" {
		t.Errorf("the payer's history %q", got)
	}
	miner := w.p.FormatAddress(chaintest.Address(9))
	var pages []string
	first := tell(miner, 4)
	pages = append(pages, first...)
	pages = append(pages, tell(miner, 4, 2)...) // the first page ends at height 2, position 0
	if all := tell(miner); !slices.Equal(pages, all) || len(all) != 6 {
		t.Errorf("pages %q, all %q", pages, all)
	}
	if none := string(get[json.RawMessage](t, s, "getaddresshistory", w.p.FormatAddress(chain.Address{7}))); none != "[]" {
		t.Errorf("no history is shown as %s", none)
	}
}

func TestSetInfo(t *testing.T) {
	w := newWorld(t)
	s := serve(t, w)
	info := get[TxOutSet](t, s, "gettxoutsetinfo")
	equal(t, "height", info.Height, 5)
	equal(t, "best", info.Best, w.names["a5"].ID())
	equal(t, "outputs", info.Outputs, 9+2+5) // prefunded keys but one, what that paid and its change, five coinbases
	equal(t, "transactions", info.Txs, 1+1+5)
	equal(t, "total", info.Total, Amount((10*10_000+5*50)*chain.CRN))
	equal(t, "hash", *info.Hash, *info.Older)
	if raw := string(get[json.RawMessage](t, s, "gettxoutsetinfo", "none")); strings.Contains(raw, "hash_serialized") {
		t.Errorf("without a hash: %s", raw)
	}
}

func TestBranchesRuledOut(t *testing.T) {
	w := newWorld(t)
	s := serve(t, w)
	get[any](t, s, "invalidateblock", w.names["a4"].ID())
	equal(t, "tip", get[chain.Hash](t, s, "getbestblockhash"), w.names["a3"].ID())
	get[any](t, s, "reconsiderblock", w.names["a5"].ID())
	equal(t, "tip", get[chain.Hash](t, s, "getbestblockhash"), w.names["a5"].ID())
}

// Waiting calls see the block that comes after they looked, and end with the
// server, their time or their caller.
func TestWaiting(t *testing.T) {
	w := newWorld(t)
	s := serve(t, w)
	who := w.p.FormatAddress(chaintest.Address(7))
	equal(t, "already so high", get[Awaited](t, s, "waitforblockheight", 4).Height, 5)
	equal(t, "already there", get[Awaited](t, s, "waitforblock", w.names["a5"].ID()).Height, 5)
	equal(t, "elsewhere already", get[Awaited](t, s, "waitfornewblock", 0, w.names["a4"].ID()).Height, 5)
	equal(t, "in vain", get[Awaited](t, s, "waitforblockheight", 99, 1).Height, 5)
	equal(t, "in vain", get[Awaited](t, s, "waitforblock", chain.Hash{1}, 1).Hash, w.names["a5"].ID())

	b := w.backend()
	wait := func(ctx context.Context, method, params string, then func()) (told *Awaited) {
		asked := make(chan struct{})
		w.listen(asked)
		got := make(chan any)
		go func() {
			result, _ := b.invoke(ctx, byName[method], json.RawMessage(params))
			got <- result
		}()
		<-asked
		then()
		for {
			select {
			case <-asked: // it was woken and looks again, unless it had yet to look at all
			case result := <-got:
				w.listen(nil)
				told, _ = result.(*Awaited)
				return told
			}
		}
	}
	find := func() { get[[]chain.Hash](t, s, "generatetoaddress", 1, who) }
	ctx, cancel := context.WithCancel(context.Background())
	equal(t, "a new one", wait(ctx, "waitfornewblock", "[]", find).Height, 6)
	equal(t, "the seventh", wait(ctx, "waitforblockheight", "[7]", find).Height, 7)
	equal(t, "the caller left", wait(ctx, "waitforblockheight", "[1000]", cancel).Height, 7)
}

func TestEstimates(t *testing.T) {
	w := newWorld(t)
	s := serve(t, w)
	got := get[Estimate](t, s, "estimatesmartfee", 6)
	equal(t, "for", got.Blocks, 6)
	equal(t, "nothing is scarce", got.Rate, Amount(w.pool.Config().MinFeeRate))
	equal(t, "mode", get[Estimate](t, s, "estimatesmartfee", 6, "CONSERVATIVE").Rate, got.Rate)

	first, _ := w.pool.Get(w.first.ID())
	second, _ := w.pool.Get(w.second.ID())
	waiting := []mempool.Entry{first, second}
	both := w.first.Size() + w.second.Size()
	equal(t, "all fit", outbid(waiting, both), 0)
	cheaper := min(first.Ancestors.Rate(), second.Ancestors.Rate())
	equal(t, "one fits", outbid(waiting, both-1), cheaper+1)
	equal(t, "none fits", outbid(waiting, 1), max(first.Ancestors.Rate(), second.Ancestors.Rate())+1)

	rates := []mempool.FeeRate{1, 9, 8, 1, 5, 1}
	for n, want := range map[int]mempool.FeeRate{1: 9, 2: 8, 3: 1, 6: 1, 100: 1} {
		equal(t, fmt.Sprintf("stretches of %d", n), worstStretch(rates, n), want)
	}
	equal(t, "no block yet", worstStretch(nil, 2), 0)
	a3 := w.names["a3"]
	equal(t, "a full block", lowest(a3, a3.Size(), 1), rateOf(a3.Txs()[0]))
	equal(t, "a roomy one", lowest(a3, 2*a3.Size(), 1), 1)
}

func TestBlockStats(t *testing.T) {
	w := newWorld(t)
	s := serve(t, w)
	a3 := w.names["a3"]
	stats := get[BlockStats](t, s, "getblockstats", 3)
	equal(t, "block", stats.Block, a3.ID())
	equal(t, "by id", get[BlockStats](t, s, "getblockstats", a3.ID()), stats)
	equal(t, "txs", stats.Txs, 2)
	equal(t, "ins", stats.Ins, 1)
	equal(t, "outs", stats.Outs, len(w.paid.Outputs)+1)
	equal(t, "total fee", stats.TotalFee, 5000)
	equal(t, "median fee", stats.MedianFee, 5000)
	equal(t, "total size", stats.TotalSize, w.paid.Size())
	equal(t, "rate", stats.MaxRate, chain.Amount(5000/w.paid.Size()))
	equal(t, "percentile", stats.Percentiles[2], uint64(5000/w.paid.Size()))
	equal(t, "subsidy", stats.Subsidy, 50*chain.CRN)
	equal(t, "empty", get[BlockStats](t, s, "getblockstats", 1).Txs, 1)
	some := string(get[json.RawMessage](t, s, "getblockstats", 3, []string{"txs", "totalfee"}))
	equal(t, "chosen", some, `{"totalfee":5000,"txs":2}`)
	least, middle, most := spread([]int{4, 1, 3, 2})
	equal(t, "spread", [3]int{least, middle, most}, [3]int{1, 2, 4})
}

func TestSmallOnes(t *testing.T) {
	w := newWorld(t)
	s := serve(t, w)
	if d := get[float64](t, s, "getdifficulty"); d != 4.6565423739069247e-10 {
		t.Errorf("difficulty %g", d)
	}
	equal(t, "network's rate", get[float64](t, s, "getnetworkhashps"), 1)
	equal(t, "of two blocks", get[float64](t, s, "getnetworkhashps", 2, 4), get[float64](t, s, "getnetworkhashps", -1))
	equal(t, "before there are two", get[float64](t, s, "getnetworkhashps", 120, 1), 0)
	equal(t, "generate", get[bool](t, s, "getgenerate"), false)
	equal(t, "rate", get[uint64](t, s, "gethashespersec"), 1234)
	equal(t, "generated", len(get[[]chain.Hash](t, s, "generate", 2)), 2)
	equal(t, "ours", len(get[[]Coin](t, s, "getaddresscoins", w.p.FormatAddress(chaintest.Address(9)))), 8)

	equal(t, "ancestors", get[[]chain.Hash](t, s, "getmempoolancestors", w.second.ID())[0], w.first.ID())
	equal(t, "descendants", get[[]chain.Hash](t, s, "getmempooldescendants", w.first.ID())[0], w.second.ID())
	equal(t, "none", len(get[[]chain.Hash](t, s, "getmempoolancestors", w.first.ID())), 0)
	equal(t, "in full", get[map[string]PoolEntry](t, s, "getmempoolancestors", w.second.ID(), true)[w.first.ID().String()].DescendantCount, 2)

	coin := map[string]any{"txid": w.first.ID(), "vout": 0}
	spent := get[[]Spent](t, s, "gettxspendingprevout", []any{coin, map[string]any{"txid": w.second.ID(), "vout": 1}})
	if len(spent) != 2 || spent[0].By == nil || *spent[0].By != w.second.ID() || spent[1].By != nil || spent[1].Index != 1 {
		t.Errorf("spent by %+v", spent)
	}

	totals := get[NetTotals](t, s, "getnettotals")
	equal(t, "sent", totals.Sent, 7)
	equal(t, "received", totals.Received, 5)
	equal(t, "ping", get[any](t, s, "ping"), nil)
}

func TestMoreRefusals(t *testing.T) {
	w := newWorld(t)
	none, who := chain.Hash{1}, w.p.FormatAddress(chaintest.Address(3))
	for _, c := range []struct {
		code   Code
		says   string
		method string
		params []any
	}{
		{NotFound, "Block not found", "invalidateblock", []any{none}},
		{NotFound, "Block not found", "reconsiderblock", []any{none}},
		{InvalidParameter, "length 64", "invalidateblock", []any{"beef"}},
		{Misc, "Negative timeout", "waitfornewblock", []any{-1}},
		{Misc, "Negative timeout", "waitforblock", []any{none, -1}},
		{Misc, "height is missing", "waitforblockheight", nil},
		{InvalidParameter, "conf_target, must be between 1 and 1008", "estimatesmartfee", []any{0}},
		{InvalidParameter, "conf_target, must be between 1 and 1008", "estimatesmartfee", []any{1009}},
		{InvalidParameter, "estimate_mode", "estimatesmartfee", []any{1, "hopeful"}},
		{NotFound, "another network", "getaddresshistory", []any{chain.Main().FormatAddress(chain.Address{})}},
		{InvalidParameter, "count", "getaddresshistory", []any{who, 0}},
		{InvalidParameter, "count", "getaddresshistory", []any{who, 1001}},
		{InvalidParameter, "height and position", "getaddresshistory", []any{who, 1, -1}},
		{InvalidParameter, "height and position", "getaddresshistory", []any{who, 1, 1, 1 << 32}},
		{InvalidParameter, "'muhash' is not a valid hash_type", "gettxoutsetinfo", []any{"muhash"}},
		{InvalidParameter, "coinstatsindex", "gettxoutsetinfo", []any{"none", 5}},
		{InvalidParameter, "is negative", "getblockstats", []any{-1}},
		{InvalidParameter, "after current tip 5", "getblockstats", []any{6}},
		{NotFound, "Block not found", "getblockstats", []any{none}},
		{Misc, "not fully downloaded", "getblockstats", []any{w.names["h4"].ID()}},
		{InvalidParameter, "Invalid selected statistic 'luck'", "getblockstats", []any{3, []string{"luck"}}},
		{WrongType, "expected type array of strings", "getblockstats", []any{3, []int{1}}},
		{InvalidParameter, "Invalid nblocks", "getnetworkhashps", []any{0}},
		{InvalidParameter, "does not exist at specified height", "getnetworkhashps", []any{1, 6}},
		{InvalidParameter, "maxtries", "generate", []any{1, -1}},
		{InvalidParameter, "nblocks", "generate", []any{-1}},
		{NotFound, "not in mempool", "getmempoolancestors", []any{none}},
		{InvalidParameter, "outputs are missing", "gettxspendingprevout", []any{[]any{}}},
		{InvalidParameter, "needs a txid and a vout", "gettxspendingprevout", []any{[]any{map[string]any{"txid": none}}}},
		{InvalidParameter, "length 64", "gettxspendingprevout", []any{[]any{map[string]any{"txid": "beef", "vout": 0}}}},
		{WrongType, "array of outputs", "gettxspendingprevout", []any{"x"}},
	} {
		t.Run(fmt.Sprint(c.method, c.params), func(t *testing.T) {
			a, status := ask(t, serve(t, w), c.method, c.params...)
			if a.Error == nil || a.Error.Code != c.code || !strings.Contains(a.Error.Message, c.says) || status != 500 {
				t.Errorf("answers %s, %+v, status %d, want %d %q", a.Result, a.Error, status, c.code, c.says)
			}
		})
	}
}
