package rpc

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/node"
)

func TestAddedAndKnownNodes(t *testing.T) {
	w := newWorld(t)
	s := serve(t, w)
	get[any](t, s, "addnode", "/ip4/127.0.0.1/tcp/5", "add")
	get[any](t, s, "addnode", "/ip4/127.0.0.1/tcp/6", "add")
	all := get[[]AddedNode](t, s, "getaddednodeinfo")
	equal(t, "added", len(all), 2)
	equal(t, "first", all[0].Addresses[0].Direction, "outbound")
	equal(t, "second", all[1].Connected, false)
	equal(t, "one", get[[]AddedNode](t, s, "getaddednodeinfo", "/ip4/127.0.0.1/tcp/6")[0].Address, "/ip4/127.0.0.1/tcp/6")
	equal(t, "one, as older clients ask", get[[]AddedNode](t, s, "getaddednodeinfo", true, "/ip4/127.0.0.1/tcp/5")[0].Connected, true)
	equal(t, "names, as older clients ask", len(get[[]string](t, s, "getaddednodeinfo", false)), 2)
	a, _ := ask(t, s, "getaddednodeinfo", "/ip4/127.0.0.1/tcp/7")
	equal(t, "not added", a.Error.Code, NotAdded)

	w.known = []KnownNode{
		{Time: 30, Multiaddr: "/ip4/192.0.2.1/tcp/9421/p2p/12D3"},
		{Time: 20, Multiaddr: "/ip6/2001:db8::1/udp/9421/quic-v1/p2p/12D4"},
		{Time: 10, Multiaddr: "/dns4/example.org/tcp/1/p2p/12D5"},
	}
	same(t, "the newest", get[[]KnownNode](t, s, "getnodeaddresses"), []KnownNode{{30, 0, "192.0.2.1", 9421, "ipv4", w.known[0].Multiaddr}})
	equal(t, "all", len(get[[]KnownNode](t, s, "getnodeaddresses", 0)), 3)
	equal(t, "IPv6", get[[]KnownNode](t, s, "getnodeaddresses", 9, "ipv6")[0].Address, "2001:db8::1")
	equal(t, "a name", get[[]KnownNode](t, s, "getnodeaddresses", 9, "dns")[0].Port, 0)
	a, _ = ask(t, s, "getnodeaddresses", -1)
	equal(t, "below none", a.Error.Code, InvalidParameter)
	a, _ = ask(t, s, "getnodeaddresses", 1, "i2p")
	equal(t, "another network", a.Error.Message, "Network not recognized: i2p")
}

func TestUpkeep(t *testing.T) {
	w := newWorld(t)
	s := serve(t, w)
	equal(t, "saved", get[SavedPool](t, s, "savemempool").Path, "/somewhere")
	w.saved = errors.New("disk full")
	a, _ := ask(t, s, "savemempool")
	equal(t, "not saved", a.Error.Message, "disk full")

	same(t, "indexes", get[map[string]IndexState](t, s, "getindexinfo"), map[string]IndexState{"txindex": {true, 5}, "addressindex": {true, 5}})
	equal(t, "one", len(get[map[string]IndexState](t, s, "getindexinfo", "txindex")), 1)
	equal(t, "none", len(get[map[string]IndexState](t, s, "getindexinfo", "coinstatsindex")), 0)

	same(t, "logged", get[map[string]bool](t, s, "logging"), map[string]bool{"daemon": false, "p2p": true})
	same(t, "changed", get[map[string]bool](t, s, "logging", []string{"all"}, []string{"p2p"}), map[string]bool{"daemon": true, "p2p": false})
	a, _ = ask(t, s, "logging", []string{"gossip\x1b"})
	equal(t, "no such part", a.Error.Message, `unknown logging category gossip\x1b`)
}

// A call that is worked on is listed, itself included.
func TestCallsUnderWay(t *testing.T) {
	w := newWorld(t)
	w.hold, w.held = make(chan struct{}), make(chan struct{})
	s := serve(t, w)
	ended := make(chan error)
	go func() {
		ended <- Dial(s.Addr(), Password(testUser, testPassword)).Call(context.Background(), "generatetoaddress", nil, 1, w.p.FormatAddress(chaintest.Address(1)))
	}()
	<-w.held
	info := get[RPCInfo](t, s, "getrpcinfo")
	if len(info.Active) != 2 || info.Active[0].Method != "generatetoaddress" || info.Active[1].Method != "getrpcinfo" {
		t.Errorf("under way: %+v", info.Active)
	}
	close(w.hold)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if info := get[RPCInfo](t, s, "getrpcinfo"); len(info.Active) != 1 {
		t.Errorf("afterwards: %+v", info.Active)
	}
}

// A side branch that was our chain before connects; of one that never was, only
// the headers are known to be right.
func TestBranchesThatConnected(t *testing.T) {
	w := newWorld(t)
	b4 := chaintest.Check(w.p, chaintest.Block(w.p, w.entries[w.names["b3"].ID()].State, chaintest.Plan{Name: "b4", Pay: chaintest.Address(8)}))
	w.keep(b4, node.Complete)
	s := serve(t, w)
	statuses := func() string {
		var all []string
		for _, tip := range get[[]Tip](t, s, "getchaintips") {
			all = append(all, tip.Status)
		}
		slices.Sort(all)
		return strings.Join(all, " ")
	}
	equal(t, "never ours", statuses(), "active headers-only invalid valid-headers")
	w.left[b4.ID()] = true
	equal(t, "ours before", statuses(), "active headers-only invalid valid-fork")
	equal(t, "its block", get[Header](t, s, "getblockheader", b4.ID()).Confirmations, -1)
	equal(t, "its payment", *get[Tx](t, s, "getrawtransaction", w.rival.ID(), 1).Confirmations, -1)
}

func TestChainTxStats(t *testing.T) {
	w := newWorld(t)
	s := serve(t, w)
	all := get[ChainTxStats](t, s, "getchaintxstats")
	equal(t, "final", all.Final, w.names["a5"].ID())
	equal(t, "transactions", all.Txs, 7) // six coinbases and one payment
	equal(t, "blocks", all.Blocks, 4)
	equal(t, "of them", *all.WindowTxs, 5)
	if want := float64(*all.WindowTxs) / float64(*all.Interval); *all.Rate != want {
		t.Errorf("rate %v, want %v", *all.Rate, want)
	}
	two := get[ChainTxStats](t, s, "getchaintxstats", 2, w.names["a4"].ID())
	equal(t, "two up to a4", *two.WindowTxs, 3)
	equal(t, "up to there", two.Txs, 6)
	if none := get[ChainTxStats](t, s, "getchaintxstats", 0); none.WindowTxs != nil || none.Rate != nil {
		t.Errorf("no window has %v transactions", *none.WindowTxs)
	}
	for _, bad := range [][]any{{5}, {-1}, {1, w.names["b1"].ID()}} {
		if a, _ := ask(t, s, "getchaintxstats", bad...); a.Error == nil || a.Error.Code != InvalidParameter {
			t.Errorf("%v: %+v", bad, a)
		}
	}
}

// Counts that were made before a reorganisation do not count after it.
func TestCountsOfAnotherBranch(t *testing.T) {
	w := newWorld(t)
	v := must(w.open())
	defer v.Close()
	counts := newCounts()
	equal(t, "counted", must(counts.upTo(t.Context(), v, 5)), 7)
	equal(t, "marks", len(counts.marks), 1) // the genesis
	counts.put(mark{4, w.names["b3"].ID(), 99})
	counts.put(mark{2, w.names["a2"].ID(), 3})
	equal(t, "marks", len(counts.marks), 2)
	counts.put(mark{4, w.names["b3"].ID(), 99})
	equal(t, "counted again", must(counts.upTo(t.Context(), v, 5)), 7)
	gone, leave := context.WithCancel(t.Context())
	leave()
	if _, err := counts.upTo(gone, v, 5); err == nil {
		t.Error("went on counting for nobody")
	}
}

func TestVerifyChain(t *testing.T) {
	w := newWorld(t)
	s := serve(t, w)
	verify := func(params ...any) bool { t.Helper(); return get[bool](t, s, "verifychain", params...) }
	for level := range 5 {
		equal(t, "sound", verify(level, 0), true)
	}
	equal(t, "by default", verify(), true)

	a3 := w.names["a3"]
	whole := w.diffs[a3.ID()]
	bent := chain.Diff{Spent: whole.Spent, Created: slices.Clone(whole.Created)}
	bent.Created[0].Value++
	w.diffs[a3.ID()] = bent
	equal(t, "another coin was made, levels 2 and 3", [2]bool{verify(2, 0), verify(3, 0)}, [2]bool{true, false})
	equal(t, "not looked at", verify(3, 2), true)
	w.diffs[a3.ID()] = chain.Diff{Spent: whole.Spent[1:], Created: whole.Created}
	equal(t, "a coin was not spent, levels 3 and 4", [2]bool{verify(3, 0), verify(4, 0)}, [2]bool{true, false})
	delete(w.diffs, a3.ID())
	equal(t, "no diff, levels 1 and 2", [2]bool{verify(1, 0), verify(2, 0)}, [2]bool{true, false})
	w.diffs[a3.ID()] = whole

	forged := must(chain.Remembered(a3.ID(), a3.Block().Bytes()))
	forged.Block().Txs[0].Inputs[0].Sig[0] ^= 1 // as memory may change after it was read
	w.bodies[a3.ID()] = forged
	equal(t, "another body under the root, levels 0 and 1", [2]bool{verify(0, 0), verify(1, 0)}, [2]bool{true, false})
	delete(w.bodies, a3.ID())
	equal(t, "no body", verify(0, 0), false)
	for _, bad := range [][]any{{5}, {-1}, {0, -1}} {
		if a, _ := ask(t, s, "verifychain", bad...); a.Error == nil || a.Error.Code != InvalidParameter {
			t.Errorf("%v: %+v", bad, a)
		}
	}
}

func same(t testing.TB, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// talk says something over a bare connection and reads until the server hangs up.
func talk(t *testing.T, s *Server, said string) string {
	t.Helper()
	c, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, said); err != nil {
		t.Fatal(err)
	}
	got, _ := io.ReadAll(c) // a reset connection ended as well
	return string(got)
}

func testAuth() string {
	return base64.StdEncoding.EncodeToString([]byte(testUser + ":" + testPassword))
}

// Every slip names the method that was meant, and strangers' texts name none.
func TestSuggestions(t *testing.T) {
	for slip, want := range map[string]string{
		"getblokhash": "getblockhash", "getBlockCount": "getblockcount", "getmempolinfo": "getmempoolinfo",
		"getblock ": "getblock", "hlep": "help", "x": "", "": "", "sendtoaddress": "",
		strings.Repeat("getblock", 1000): "",
	} {
		got := didYouMean(slip)
		if want == "" && got != "" || want != "" && got != ": did you mean "+want+"?" {
			t.Errorf("%.40q gives %q, want %q", slip, got, want)
		}
	}
	equal(t, "distance", distance("abcd", "acbd"), 1)
	equal(t, "distance", distance("", "abc"), 3)
	equal(t, "distance", distance("kitten", "sitting"), 3)
}

// Each refusal of a request says what to do next.
func TestRefusedRequestsSayWhatToDo(t *testing.T) {
	s := serve(t, newWorld(t))
	const fine = `{"method":"uptime"}`
	for what, c := range map[string]struct {
		body   string
		change func(*http.Request)
		status int
		says   string
	}{
		"no cookie":      {fine, func(r *http.Request) { r.Header.Del("Authorization") }, 401, "those in the file .cookie of the node's data directory"},
		"a foreign host": {fine, func(r *http.Request) { r.Host = "evil.example" }, 403, "call localhost or 127.0.0.1, or let the node listen"},
		"a foreign page": {fine, func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") }, 403, "call from a program"},
		"a large body":   {strings.Repeat(" ", MaxBody) + fine, func(*http.Request) {}, 413, "send several smaller ones"},
		"a large batch":  {"[" + strings.Repeat(fine+",", MaxBatch) + fine + "]", func(*http.Request) {}, 400, "send several requests"},
		"deep nesting":   {strings.Repeat("[", 100) + strings.Repeat("]", 100), func(*http.Request) {}, 500, "at most 32 are allowed"},
		"another verb":   {fine, func(r *http.Request) { r.Method = http.MethodPut }, 405, "only POST"},
		"another path":   {fine, func(r *http.Request) { r.URL.Path = "/rpc" }, 404, "calls go to /"},
		"a slip":         {`{"method":"getblockconut"}`, func(*http.Request) {}, 404, "did you mean getblockcount?"},
		"a wrong type":   {`{"method":"getblockhash","params":["7"]}`, func(*http.Request) {}, 500, "height: JSON value of type string is not of expected type number"},
		"too little":     {`{"method":"getblockhash"}`, func(*http.Request) {}, 500, "cairn rpc getblockhash 1"},
	} {
		if status, answer, _ := post(t, s, c.body, c.change); status != c.status || !strings.Contains(answer, c.says) {
			t.Errorf("%s: status %d, %s", what, status, answer)
		}
	}
}

// A caller who says nothing, or half of what he wants, is let go.
func TestSlowRequests(t *testing.T) {
	s := serve(t, newWorld(t), func(c *Config) { c.HeaderTimeout, c.BodyTimeout = 50*time.Millisecond, 50*time.Millisecond })
	for what, c := range map[string]struct{ sent, answer string }{
		"half a header": {"POST / HTTP/1.1\r\nHost: local", ""},
		"half a body":   {"POST / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic " + testAuth() + "\r\nContent-Length: 100\r\n\r\n{", "408 Request Timeout"},
	} {
		got := talk(t, s, c.sent)
		if !strings.Contains(got, c.answer) || c.answer == "" && strings.Contains(got, " 200 ") {
			t.Errorf("%s is answered with %q", what, got)
		}
	}
	if got := talk(t, s, "POST / HTTP/1.1\r\nHost: localhost\r\nX: "+strings.Repeat("x", 2*maxHeader)+"\r\n\r\n"); !strings.Contains(got, "431") {
		t.Errorf("a long header is answered with %.100q", got)
	}
	equal(t, "others are served", get[int](t, s, "uptime"), 90)
}
