package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"cairn/chain"
	"cairn/rpc"
)

// evil tries to clear the screen of whoever reads it.
const evil = "cairn/1.0\x1b[2J\u202e"

// printed fails the test if a stranger's words reach the screen as they are.
func (s said) printed(t *testing.T) {
	t.Helper()
	if strings.ContainsAny(s.out+s.err, "\x1b\u202e") {
		t.Errorf("an escape sequence reaches the terminal: %q", s.out+s.err)
	}
}

func TestStatus(t *testing.T) {
	f := tell(t)
	f.always("getstatus", rpc.Status{
		Network: "dev", Version: "v1.2.3", ID: "12D3KooWself", Uptime: 3725, Height: 41, Tip: id("tip"), Headers: 50, Syncing: true,
		Peers: 2, Active: true, Listen: []string{"/ip4/127.0.0.1/tcp/1"}, Pool: rpc.StatusPool{Count: 3, Bytes: 672},
		Mining:   rpc.MiningStatus{On: true, Hashrate: 333_400, Threads: 2, Limit: 1_000_000, Found: 1, Expected: 120, Why: "the clock is behind"},
		Reorgs:   rpc.Reorgs{Count: 2, Deepest: 5},
		Warnings: []string{"careful" + evil},
	})
	s := f.run(t, "status")
	s.wants(t, done, "network  dev", "height   41 of 50, catching up", "tip      "+id("tip").String(), "peers    2\n",
		"mempool  3 transactions, 672 bytes", "mining   on, 333 kH/s with 2 threads, 1 block found, one in 2 min 0 s expected, at most 1 MH/s; it waits: the clock is behind",
		"2 since the start, the deepest undid 5 blocks", "up 1 h 2 min", "listens  /ip4/127.0.0.1/tcp/1", "warning  careful")
	s.printed(t)
	var got struct {
		Network, Tip, Work string
		Height, Peers      int
		Mempool            struct{ Count, Bytes int }
		Mining             struct {
			On                bool
			Hashrate, Threads int
		}
	}
	j := f.run(t, "status", "--json")
	if err := json.Unmarshal([]byte(j.out), &got); err != nil {
		t.Fatal(err)
	}
	if got.Network != "dev" || got.Tip != id("tip").String() || got.Height != 41 || got.Peers != 2 || got.Mempool.Count != 3 ||
		got.Mempool.Bytes != 672 || !got.Mining.On || got.Mining.Hashrate != 333_400 || got.Mining.Threads != 2 {
		t.Errorf("%+v", got)
	}
	left := int64(90)
	f.always("getstatus", rpc.Status{Height: 41, Headers: 50_000, Syncing: true, Sync: &rpc.Sync{Height: 41, Target: 50_000, Blocks: 555.1, Txs: 12_345.6, Left: &left}})
	f.run(t, "status").wants(t, done, "41 of 50000, catching up: 555 blocks/s, 12346 transactions/s, 1 min 30 s left")
}

func TestPeers(t *testing.T) {
	f := tell(t)
	f.always("getpeerinfo", []rpc.Peer{})
	f.always("getaddednodeinfo", []rpc.AddedNode{})
	f.run(t, "peers").wants(t, done, "no peers", "cairn peers add")
	f.always("getpeerinfo", []rpc.Peer{
		{ID: "12D3KooWone", Address: "/ip4/127.0.0.1/tcp/1", Agent: evil, Inbound: true, Tip: ref(id("tip")), Height: 41, Age: rpc.Seconds(3 * time.Second), Ping: rpc.Seconds(time.Millisecond)},
		{ID: "12D3KooWtwo", Address: "/ip4/127.0.0.1/tcp/2", Agent: "cairn/2"},
	})
	f.always("getaddednodeinfo", []rpc.AddedNode{
		{Address: "/ip4/127.0.0.1/tcp/2", Connected: true},
		{Address: "/ip4/127.0.0.1/tcp/3", Until: time.Now().Add(time.Hour).Unix(), Reason: evil},
		{Address: "/ip4/127.0.0.1/tcp/4"},
	})
	s := f.run(t, "peers")
	s.wants(t, done, "asked for, and cut off for 59 min", "broke the rules", "not reached yet or lost: /ip4/127.0.0.1/tcp/4")
	s.wants(t, done, "12D3KooWone  in   41      …"+id("tip").Short()+"  3.0 s ago  1 ms", `\x1b[2J`, "12D3KooWtwo  out  ?       ?")
	s.printed(t)
	if got := decode[[]rpc.Peer](t, f.run(t, "peers", "--json")); len(got) != 2 || got[0].Height != 41 {
		t.Errorf("%+v", got)
	}
}

// The network is cut and healed by methods that Bitcoin's tools know.
func TestPeersChange(t *testing.T) {
	f := tell(t)
	var called []string
	for _, method := range []string{"addnode", "disconnectnode", "setnetworkactive", "setban"} {
		f.answers[method] = func(params []json.RawMessage) any {
			raw, _ := json.Marshal(params)
			called = append(called, method+string(raw))
			return nil
		}
	}
	f.run(t, "peers", "add", "/ip4/127.0.0.1/tcp/1").wants(t, done, "added")
	f.run(t, "peers", "forget", "/ip4/127.0.0.1/tcp/1").wants(t, done, "forgot")
	f.run(t, "peers", "drop", "12D3KooWone", "--json").wants(t, done, `"done": "dropped 12D3KooWone"`)
	f.run(t, "peers", "ban", "12D3KooWone", "--for", "10m").wants(t, done, "banned 12D3KooWone for 10 min")
	f.run(t, "peers", "unban", "12D3KooWone").wants(t, done, "unbanned")
	f.run(t, "peers", "off").wants(t, done, "cairn peers on")
	f.run(t, "peers", "on").wants(t, done, "the network is on")
	want := `addnode["/ip4/127.0.0.1/tcp/1","add"] addnode["/ip4/127.0.0.1/tcp/1","remove"] disconnectnode["12D3KooWone"] setban["12D3KooWone","add",600] setban["12D3KooWone","remove"] setnetworkactive[false] setnetworkactive[true]`
	if got := strings.Join(called, " "); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	f.always("disconnectnode", rpc.Errorf(rpc.NotConnected, "Node not found in connected nodes"))
	f.run(t, "peers", "drop", "nobody").wants(t, failed, `no peer is called "nobody"`, "cairn peers")
	f.always("listbanned", []rpc.Ban{})
	f.run(t, "peers", "banned").wants(t, done, "nobody")
	f.always("listbanned", []rpc.Ban{{Address: "192.0.2.0/24", Duration: 86400, Remaining: 7200}, {Address: "12D3KooWone", Reason: evil}})
	f.run(t, "peers", "banned").wants(t, done, "192.0.2.0/24  24 h 0 min  2 h 0 min  by hand", `\x1b[2J`)
	f.run(t, "peers", "cut").wants(t, failed, `no command "cut"`)
}

func TestMine(t *testing.T) {
	f, _ := rich(t)
	var called []string
	note := func(method string, result any) {
		f.answers[method] = func(params []json.RawMessage) any {
			raw, _ := json.Marshal(params)
			called = append(called, string(raw))
			return result
		}
	}
	note("setgenerate", nil)
	found := 0
	f.answers["generatetoaddress"] = func(params []json.RawMessage) any {
		raw, _ := json.Marshal(params)
		called = append(called, string(raw))
		found++
		return []chain.Hash{id(fmt.Sprint("block", found))}
	}
	f.run(t, "mine", "start").wants(t, done, "mining is on")
	f.run(t, "mine", "start", "--threads", "3").wants(t, done)
	f.run(t, "mine", "stop").wants(t, done, "mining is off")
	f.run(t, "mine", "generate", "2", "--to", somebody()).wants(t, done, id("block1").String(), id("block2").String())
	f.run(t, "mine", "generate", "1").wants(t, done) // the wallet's
	f.run(t, "mine", "generate", "0").wants(t, failed, "from 1 on")
	first := chain.Dev().FormatAddress(chain.Prefunded()[0])
	want := `[true] [true,3] [false] [1,"` + somebody() + `"] [1,"` + somebody() + `"] [1,"` + first + `"]`
	if got := strings.Join(called, " "); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	f.always("getmininginfo", rpc.MiningInfo{Mining: rpc.MiningStatus{}, NetworkRate: 2.5e6, Next: rpc.NextBlock{Height: 42}, Pooled: 1})
	f.run(t, "mine", "status").wants(t, done, "off, 0 blocks found", "nobody: start the node", "2.5 MH/s", "height 42", "1 transaction waits")
	f.always("getmininginfo", rpc.MiningInfo{Mining: rpc.MiningStatus{
		On: true, Hashrate: 2_100_000, Threads: 2, Rates: []uint64{1_000_000, 1_100_000}, Found: 3, Stale: 1, Expected: 75,
	}})
	f.run(t, "mine", "status").wants(t, done, "on, 2.1 MH/s with 2 threads, 3 blocks found and 1 stale, one in 1 min 15 s expected", "threads", "1 MH/s, 1.1 MH/s")
}

// What was found before the node gave up is told.
func TestMineGenerateTellsWhatItFound(t *testing.T) {
	f, _ := rich(t)
	calls := 0
	f.answers["generatetoaddress"] = func([]json.RawMessage) any {
		if calls++; calls > 1 {
			return &rpc.Error{Code: rpc.Misc, Message: "the node is stopping"}
		}
		return []chain.Hash{id("one")}
	}
	f.run(t, "mine", "generate", "3", "--to", somebody()).wants(t, failed, id("one").String(), "the node is stopping")
}

// The busiest of other people's miners are listed, whatever they call themselves.
func TestStatusShowsOtherMiners(t *testing.T) {
	f := tell(t)
	guests := &rpc.StratumStatus{
		Listen: "127.0.0.1:29423", Connections: 3, Hashrate: 5_000_000, Found: 4, Lost: 1, Expected: 2,
		Shares: rpc.Shares{Accepted: 90, Stale: 2, Low: 1},
	}
	for i := range mostWorkers + 1 {
		guests.Workers = append(guests.Workers, rpc.StratumWorker{
			Name: fmt.Sprintf("rig%d%s", i, evil), Connections: 1, Hashrate: uint64(1000 * i),
			Shares: rpc.Shares{Accepted: 9, Duplicate: 1, Invalid: 2},
		})
	}
	f.always("getstatus", rpc.Status{Stratum: guests})
	s := f.run(t, "status")
	s.wants(t, done, "127.0.0.1:29423, 3 connections, 5 MH/s, 4 blocks found and 1 stale, one in 2.0 s expected; shares: 90 good, 2 stale, 1 above the target",
		"rig10", "10 kH/s, 0 blocks found; shares: 9 good, 1 duplicate, 2 invalid")
	if strings.Contains(s.out, "rig0") {
		t.Error("the idlest worker is listed")
	}
	s.printed(t)
}

func TestLongTimes(t *testing.T) {
	for seconds, want := range map[float64]string{0.25: "0.2 s", 75: "1 min 15 s", 3e9: "34722 days", 1e12: "3.17e+04 years"} {
		if got := lasting(seconds); got != want {
			t.Errorf("%v s are %s, want %s", seconds, got, want)
		}
	}
}

// Without a wallet a network of play money pays its first prefunded key, and
// another pays nobody.
func TestWhoIsPaidWithoutAWallet(t *testing.T) {
	f := tell(t)
	f.always("getnetworkparams", chain.Regtest())
	f.answers["generatetoaddress"] = func(params []json.RawMessage) any {
		if want := quotedJSON(t, chain.Regtest().FormatAddress(chain.Prefunded()[0])); string(params[1]) != want {
			t.Errorf("pays %s", params[1])
		}
		return []chain.Hash{id("one")}
	}
	f.run(t, "mine", "generate", "1").wants(t, done)
	f.run(t, "mine", "generate", "1", "--wallet", f.dir+"/none.json").wants(t, failed, "--to ADDRESS", "no wallet there")
	f.always("getnetworkparams", chain.Test())
	f.run(t, "mine", "generate", "1").wants(t, failed, "--to ADDRESS", "no wallet there")
}

func TestTxThatWasRuledOut(t *testing.T) {
	f := tell(t)
	f.always("getrawtransaction", rpc.Errorf(rpc.NotFound, "No such mempool or blockchain transaction"))
	f.depthsInTurn("-1 0 ?")
	s := f.run(t, "tx", id("tx").String())
	s.wants(t, done, "no block and no pool holds it", "which spends the same coin", "this node  -1", "…ooWpeerB  0", "…ooWpeerC  ?")
	s.printed(t)
	if got := decode[sight](t, f.run(t, "tx", id("tx").String(), "--json")); *got.Depth != -1 || got.Tx != nil || len(got.Convergence.Peers) != 2 {
		t.Errorf("%+v", got)
	}
	f.depthsInTurn("never seen")
	f.run(t, "tx", id("tx").String()).wants(t, unknown, "never seen")
	f.always("getconvergence", rpc.ConvergenceInfo{ID: id("tx"), Kind: rpc.KindBlock, Agreement: agreement("1 1")})
	f.run(t, "tx", id("tx").String()).wants(t, failed, "is a block", "cairn block")
}

func TestTxInABlock(t *testing.T) {
	f := tell(t)
	fee := rpc.Amount(460)
	f.always("getrawtransaction", rpc.Tx{
		ID: id("tx"), Size: 230, Fee: &fee, Block: ref(id("block")), Height: ref(uint64(7)),
		Inputs:  []rpc.Input{{Tx: ref(id("before")), Index: ref(uint32(2)), Value: ref(rpc.Amount(chain.CRN)), Address: "dcrn1from"}},
		Outputs: []rpc.Output{{Value: rpc.Amount(chain.CRN) - fee, Script: rpc.Script{Address: "dcrn1to"}}},
		Memo:    []byte(evil), MemoText: evil,
	})
	f.depthsInTurn("3 2 (1)")
	s := f.run(t, "tx", id("tx").String())
	s.wants(t, done, "block  "+id("block").String()+" at height 7", "from   1.00000000 CRN of dcrn1from (…"+id("before").Short()+":2)",
		"to     0.99999540 CRN to dcrn1to", "0.00000460 CRN for 230 bytes, 2000 grains per 1000", `memo   cairn/1.0\x1b[2J`,
		"this node  3", "…ooWpeerC  1", "not counted")
	s.printed(t)
}

func TestBlock(t *testing.T) {
	f := tell(t)
	asked := ""
	f.answers["getblockhash"] = func(params []json.RawMessage) any {
		if asked = string(params[0]); asked != "41" {
			return rpc.Errorf(rpc.InvalidParameter, "Block height out of range")
		}
		return id("block")
	}
	fee := rpc.Amount(5)
	f.always("getblock", rpc.FullBlock{
		Header: rpc.Header{Hash: id("block"), Height: 41, Confirmations: 3, Previous: ref(id("parent")), Time: 1_800_000_000}, Size: 900,
		Coinbase: rpc.Coinbase{Text: evil},
		Body:     []*rpc.Tx{{ID: id("coinbase"), Outputs: []rpc.Output{{Value: rpc.Amount(50 * chain.CRN)}}}, {ID: id("tx"), Fee: &fee, MemoText: evil}},
	})
	for _, name := range []string{"41", id("block").String()} {
		s := f.run(t, "block", name)
		s.wants(t, done, "block   "+id("block").String(), "height  41, 3 confirmations", "2027-01-15 08:00:00 UTC", "parent  …"+id("parent").Short(),
			"900 bytes, 2 transactions", id("coinbase").String()+"  50.00000000  mined", "0.00000005")
		s.printed(t)
	}
	if got := decode[rpc.FullBlock](t, f.run(t, "block", "41", "--json")); got.Height != 41 || len(got.Body) != 2 {
		t.Errorf("%+v", got)
	}
	f.run(t, "block", "42").wants(t, unknown, "no block at height 42")
	f.always("getblock", rpc.Errorf(rpc.NotFound, "Block not found"))
	f.run(t, "block", id("other").String()).wants(t, unknown, "cairn tips")
}

func TestTipsAndMempool(t *testing.T) {
	f := tell(t)
	f.always("getchaintips", []rpc.Tip{{Height: 41, Hash: id("a"), Status: "active"}, {Height: 39, Hash: id("b"), Branch: 2, Status: "valid-headers"}})
	f.run(t, "tips").wants(t, done, "41      active", "39      valid-headers  2", id("b").String())
	f.always("getmempoolinfo", rpc.PoolInfo{Count: 2, Bytes: 460, Fees: 1000, MinFee: 1000})
	all := map[string]rpc.PoolEntry{
		id("good").String(): {VSize: 230, Fees: rpc.PoolFees{Base: 690}, Own: true},
		id("poor").String(): {VSize: 230, Fees: rpc.PoolFees{Base: 310}},
	}
	f.answers["getrawmempool"] = func(params []json.RawMessage) any {
		if len(params) == 0 {
			return []chain.Hash{id("good"), id("gone meanwhile"), id("poor")}
		}
		return all
	}
	s := f.run(t, "mempool")
	s.wants(t, done, "2 transactions, 460 bytes, 0.00001000 CRN of fees", "0.00000690  3000", "sent here")
	if strings.Index(s.out, id("good").String()) > strings.Index(s.out, id("poor").String()) {
		t.Error("the best payer does not come first")
	}
	if got := decode[pool](t, f.run(t, "mempool", "--json")); got.Count != 2 || len(got.Txs) != 2 || got.Txs[0].ID != id("good") {
		t.Errorf("%+v", got)
	}
}

func TestRPC(t *testing.T) {
	f := tell(t)
	var params []json.RawMessage
	f.answers["getblock"] = func(p []json.RawMessage) any { params = p; return "00ff" }
	f.run(t, "rpc", "getblock", id("a").String(), "0").wants(t, done, "00ff\n")
	if len(params) != 2 || string(params[0]) != quotedJSON(t, id("a")) || string(params[1]) != "0" {
		t.Errorf("%s", params)
	}
	f.run(t, "rpc", "getblock", id("a").String(), "--json").wants(t, done, `"00ff"`)
	f.always("getblockcount", 41)
	f.run(t, "rpc", "getblockcount").wants(t, done, "41\n")
	f.always("gettxout", nil)
	f.run(t, "rpc", "gettxout", id("a").String(), "0").wants(t, done, "null\n")
	f.always("getpeerinfo", []any{})
	f.run(t, "rpc", "getpeerinfo").wants(t, done, "[]\n")
	f.run(t, "rpc", "help").wants(t, failed, "the test has no answer to help")
}
