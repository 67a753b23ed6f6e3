package rpc

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"cairn/chain/chaintest"
)

func TestWhoMayCall(t *testing.T) {
	s := serve(t, newWorld(t))
	const count = `{"method":"getblockcount"}`
	user, password, err := Cookie(s.cfg.Cookie).read()
	if err != nil || user != "__cookie__" || len(password) != 64 {
		t.Fatalf("cookie %s:%s, %v", user, password, err)
	}
	for what, c := range map[string]struct {
		status int
		change func(*http.Request)
	}{
		"password":      {200, func(*http.Request) {}},
		"cookie":        {200, func(r *http.Request) { r.SetBasicAuth(user, password) }},
		"nobody":        {401, func(r *http.Request) { r.Header.Del("Authorization") }},
		"wrong":         {401, func(r *http.Request) { r.SetBasicAuth(user, testPassword) }},
		"empty":         {401, func(r *http.Request) { r.SetBasicAuth("", "") }},
		"colon":         {401, func(r *http.Request) { r.SetBasicAuth("some", "one:"+testPassword) }},
		"another kind":  {401, func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+password) }},
		"no base64":     {401, func(r *http.Request) { r.Header.Set("Authorization", "Basic ?") }},
		"localhost":     {200, func(r *http.Request) { r.Host = "localhost:1" }},
		"LocalHost":     {200, func(r *http.Request) { r.Host = "LocalHost" }},
		"IPv6":          {200, func(r *http.Request) { r.Host = "[::1]:29422" }},
		"bare IPv6":     {200, func(r *http.Request) { r.Host = "[::1]" }},
		"rebound":       {403, func(r *http.Request) { r.Host = "evil.example:29422" }},
		"looks local":   {403, func(r *http.Request) { r.Host = "127.0.0.1.evil.example" }},
		"other address": {403, func(r *http.Request) { r.Host = "192.0.2.1" }},
		"own origin":    {200, func(r *http.Request) { r.Header.Set("Origin", "http://"+s.Addr()) }},
		"other origin":  {403, func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") }},
		"null origin":   {403, func(r *http.Request) { r.Header.Set("Origin", "null") }},
		"cross-site":    {403, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }},
		"PUT":           {405, func(r *http.Request) { r.Method = http.MethodPut }},
		"another path":  {404, func(r *http.Request) { r.URL.Path = "/wallet/x" }},
	} {
		status, answer, header := post(t, s, count, c.change)
		if status != c.status {
			t.Errorf("%s: status %d, want %d: %s", what, status, c.status, answer)
		}
		if challenge := header.Get("WWW-Authenticate"); (status == 401) != (challenge == `Basic realm="jsonrpc"`) {
			t.Errorf("%s: status %d with challenge %q", what, status, challenge)
		}
	}
}

// Listening on a name or on every address changes who we are.
func TestHosts(t *testing.T) {
	for _, c := range []struct {
		listen, host string
		allow        bool
	}{
		{"node.example:1", "node.example", true},
		{"node.example:1", "NODE.example:7", true},
		{"node.example:1", "other.example", false},
		{"192.0.2.1:1", "192.0.2.1:1", true},
		{"192.0.2.1:1", "192.0.2.2:1", false},
		{"192.0.2.1:1", "127.0.0.1", true},
		{"0.0.0.0:1", "192.0.2.2:1", true},
		{":1", "[2001:db8::1]:1", true},
		{":1", "evil.example", false},
		{":1", "", false},
		{"127.0.0.1:1", "", false},
	} {
		if got := newHosts(c.listen).allow(c.host); got != c.allow {
			t.Errorf("listening on %q, host %q: allowed %v", c.listen, c.host, got)
		}
	}
}

func TestHealth(t *testing.T) {
	s := serve(t, newWorld(t))
	resp, err := http.Get("http://" + s.Addr() + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	defer http.DefaultClient.CloseIdleConnections()
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 || string(body) != `{"status":"ok"}`+"\n" {
		t.Errorf("%d %q %v", resp.StatusCode, body, err)
	}
}

// A node that takes nothing in is not well, and what is wrong is for whoever has a
// password.
func TestHealthTellsWhatIsWrong(t *testing.T) {
	w := newWorld(t)
	s := serve(t, w)
	for _, c := range []struct {
		refuses  error
		password bool
		status   int
		body     string
	}{
		{nil, true, 200, `{"status":"ok","warnings":["peer \\x1b[31mX says no"]}`},
		{errors.New("only 7 bytes are free in /home/alice"), false, 503, `{"status":"refuses"}`},
		{errors.New("only 7 bytes are free"), true, 503, `{"status":"refuses","warnings":["peer \\x1b[31mX says no"]}`},
	} {
		w.refuses = c.refuses
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.Addr()+"/healthz", nil)
		if err != nil {
			t.Fatal(err)
		}
		if c.password {
			r.SetBasicAuth(testUser, testPassword)
		}
		resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != c.status || string(body) != c.body+"\n" {
			t.Errorf("%d %s %v, want %d %s", resp.StatusCode, body, err, c.status, c.body)
		}
	}
}

// Added paths are guarded like the calls.
func TestHandle(t *testing.T) {
	s := serve(t, newWorld(t), func(c *Config) {
		c.Handle = map[string]http.Handler{"/metrics": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "cairn_height 4") })}
	})
	path := func(r *http.Request) { r.URL.Path = "/metrics"; r.Header.Del("Authorization") }
	if status, body, _ := post(t, s, "", path); status != 200 || body != "cairn_height 4" {
		t.Errorf("%d %q", status, body)
	}
	if status, _, _ := post(t, s, "", path, func(r *http.Request) { r.Host = "evil.example" }); status != 403 {
		t.Errorf("status %d", status)
	}
}

// Every version is answered in its own shape.
func TestShapes(t *testing.T) {
	s := serve(t, newWorld(t))
	for _, c := range []struct {
		call   string
		status int
		answer string
	}{
		{`{"method":"getblockcount"}`, 200, `{"result":5,"error":null,"id":null}`},
		{`{"method":"getblockcount","params":null,"id":7}`, 200, `{"result":5,"error":null,"id":7}`},
		{`{"jsonrpc":"1.0","method":"getblockcount","params":[],"id":"x"}`, 200, `{"result":5,"error":null,"id":"x"}`},
		{`{"jsonrpc":"1.1","method":"getblockcount","params":{},"id":"x"}`, 200, `{"result":5,"error":null,"id":"x"}`},
		{`{"jsonrpc":"2.0","method":"getblockcount","id":null}`, 200, `{"jsonrpc":"2.0","result":5,"id":null}`},
		{`{"jsonrpc":"2.0","method":"getblockcount"}`, 204, ``},
		{`{"jsonrpc":"2.0","method":"nothing"}`, 204, ``},
		{`{"jsonrpc":"2.0","method":"gettxout","params":["` + zeros + `",0],"id":1}`, 200, `{"jsonrpc":"2.0","result":null,"id":1}`},
		{`{"jsonrpc":"2.0","method":"nothing","id":1}`, 200, `{"jsonrpc":"2.0","error":{"code":-32601,"message":"Method not found"},"id":1}`},
		{`{"method":"nothing","id":1}`, 404, `{"result":null,"error":{"code":-32601,"message":"Method not found"},"id":1}`},
		{`{"method":"getblockhash","params":[-1],"id":1}`, 500, `{"result":null,"error":{"code":-8,"message":"Block height out of range"},"id":1}`},
		{`{"jsonrpc":"2.0","method":"getblockhash","params":[-1],"id":1}`, 200, `{"jsonrpc":"2.0","error":{"code":-8,"message":"Block height out of range"},"id":1}`},
		{`{"method":7,"id":1}`, 400, `{"result":null,"error":{"code":-32600,"message":"Method must be a string"},"id":1}`},
		{`{"method":null,"id":1}`, 400, `{"result":null,"error":{"code":-32600,"message":"Method must be a string"},"id":1}`},
		{`{"id":1}`, 400, `{"result":null,"error":{"code":-32600,"message":"Missing method"},"id":1}`},
		{`{"jsonrpc":"2.0"}`, 200, `{"jsonrpc":"2.0","error":{"code":-32600,"message":"Missing method"},"id":null}`},
		{`{"jsonrpc":"3.0","method":"uptime","id":1}`, 400, `{"result":null,"error":{"code":-32600,"message":"JSON-RPC version not supported"},"id":1}`},
		{`{"jsonrpc":2,"method":"uptime","id":1}`, 400, `{"result":null,"error":{"code":-32600,"message":"jsonrpc field must be a string"},"id":1}`},
		{`{"method":"uptime","params":5,"id":1}`, 400, `{"result":null,"error":{"code":-32600,"message":"Params must be an array or object"},"id":1}`},
		{`{`, 500, `{"result":null,"error":{"code":-32700,"message":"Parse error"},"id":null}`},
		{``, 500, `{"result":null,"error":{"code":-32700,"message":"Parse error"},"id":null}`},
		{`5`, 500, `{"result":null,"error":{"code":-32700,"message":"Top-level object parse error"},"id":null}`},
		{`{"method":"uptime"} {}`, 500, `{"result":null,"error":{"code":-32700,"message":"Parse error"},"id":null}`},
		{" \n{\"method\" : \"getblockhash\" , \"params\" : [ 99 ] }\t", 500, `{"result":null,"error":{"code":-8,"message":"Block height out of range"},"id":null}`},
		{`[]`, 200, `[]`},
		{
			`[{"method":"getblockcount","id":1},{"jsonrpc":"2.0","method":"uptime"},5,{"jsonrpc":"2.0","method":"uptime","id":"b"}]`, 200,
			`[{"result":5,"error":null,"id":1},{"result":null,"error":{"code":-32600,"message":"Invalid Request object"},"id":null},{"jsonrpc":"2.0","result":90,"id":"b"}]`,
		},
		{`[{"jsonrpc":"2.0","method":"uptime"},{"jsonrpc":"2.0","method":"uptime"}]`, 204, ``},
		{`[[]]`, 200, `[{"result":null,"error":{"code":-32600,"message":"Invalid Request object"},"id":null}]`},
	} {
		status, answer, _ := post(t, s, c.call)
		if status != c.status || strings.TrimSuffix(answer, "\n") != c.answer {
			t.Errorf("%s\n got %d %s\nwant %d %s", c.call, status, answer, c.status, c.answer)
		}
	}
}

const zeros = "0000000000000000000000000000000000000000000000000000000000000000"

func TestNamedParameters(t *testing.T) {
	w := newWorld(t)
	s := serve(t, w)
	id := w.names["a3"].ID().String()
	for _, c := range []struct {
		params string
		code   Code
	}{
		{`{"blockhash":"` + id + `","verbosity":0}`, 0},
		{`{"args":["` + id + `"],"verbosity":0}`, 0},
		{`{"args":["` + id + `",0]}`, 0},
		{`{"blockhash":"` + id + `","verbosity":null}`, 0},
		{`{"verbosity":0}`, Misc},
		{`{"blockhash":"` + id + `","colour":0}`, InvalidParameter},
		{`{"args":["` + id + `"],"blockhash":"` + id + `"}`, InvalidParameter},
		{`{"args":["` + id + `",0,0]}`, Misc},
		{`{"args":5}`, InvalidRequest},
	} {
		_, answer, _ := post(t, s, `{"method":"getblock","params":`+c.params+`}`)
		var a said
		if err := json.Unmarshal([]byte(answer), &a); err != nil {
			t.Fatal(err)
		}
		if a.Error == nil && c.code != 0 || a.Error != nil && a.Error.Code != c.code {
			t.Errorf("%s: %v, want code %d", c.params, a.Error, c.code)
		}
	}
}

func TestTooMuch(t *testing.T) {
	s := serve(t, newWorld(t))
	if status, _, _ := post(t, s, strings.Repeat(" ", MaxBody)+`{"method":"uptime"}`); status != http.StatusRequestEntityTooLarge {
		t.Errorf("an oversized request: status %d", status)
	}
	if status, answer, _ := post(t, s, `{"method":"uptime"`+strings.Repeat(" ", MaxBody-19)+`}`); status != 200 {
		t.Errorf("the largest request: status %d %s", status, answer)
	}
	deep := func(n int) string {
		return `{"method":"help","params":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}`
	}
	if _, answer, _ := post(t, s, deep(MaxDepth)); !strings.Contains(answer, "too deeply") {
		t.Errorf("nested too deeply: %s", answer)
	}
	if _, answer, _ := post(t, s, deep(MaxDepth-1)); !strings.Contains(answer, "not of expected type") {
		t.Errorf("nested as deep as allowed: %s", answer)
	}
	if _, answer, _ := post(t, s, `{"method":"help","params":["`+strings.Repeat(`\"[{`, 100)+`"]}`); !strings.Contains(answer, "unknown command") {
		t.Errorf("brackets in a string: %s", answer)
	}
	calls := func(n int) string {
		return "[" + strings.TrimSuffix(strings.Repeat(`{"method":"uptime"},`, n), ",") + "]"
	}
	if status, answer, _ := post(t, s, calls(MaxBatch+1)); status != 400 || !strings.Contains(answer, "at most 1000") {
		t.Errorf("a batch too large: %d %s", status, answer)
	}
	if status, answer, _ := post(t, s, calls(MaxBatch)); status != 200 || strings.Count(answer, `"result":90`) != MaxBatch {
		t.Errorf("the largest batch: %d, %d answers", status, strings.Count(answer, `"result":90`))
	}
}

// The answers of a batch are bounded in sum.
func TestTooLongAnswers(t *testing.T) {
	s := serve(t, newWorld(t))
	call := json.RawMessage(`{"method":"uptime","id":3}`)
	if answer := string(s.item(context.Background(), call, maxReply)); !strings.Contains(answer, `"result":90`) {
		t.Errorf("at the limit: %s", answer)
	}
	if answer := string(s.item(context.Background(), call, maxReply+1)); !strings.Contains(answer, "ask for less") || !strings.Contains(answer, `"id":3`) {
		t.Errorf("above the limit: %s", answer)
	}
	if answer := s.item(context.Background(), json.RawMessage(`{"jsonrpc":"2.0","method":"uptime"}`), maxReply+1); answer != nil {
		t.Errorf("a notification above the limit: %s", answer)
	}
}

// Callers that dawdle over their requests hold no token: with a single one, others
// are served at once.
func TestSlowCallers(t *testing.T) {
	s := serve(t, newWorld(t), func(c *Config) { c.MaxCalls = 1 })
	auth := base64.StdEncoding.EncodeToString([]byte(testUser + ":" + testPassword))
	for range 50 {
		c, err := net.Dial("tcp", s.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic %s\r\nContent-Length: 100\r\n\r\n{", auth)
	}
	equal(t, "served", get[int](t, s, "uptime"), 90)
	if status, _, _ := post(t, s, `{"method":"uptime"}`); status != 200 {
		t.Errorf("status %d", status)
	}
}

// A call that waits for blocks keeps nobody from being served, and ends when the
// server does.
func TestWaitingCall(t *testing.T) {
	w := newWorld(t)
	w.hold, w.held = make(chan struct{}), make(chan struct{})
	s := serve(t, w, func(c *Config) { c.MaxCalls = 1 })
	type end struct {
		status int
		answer string
	}
	ended := make(chan end)
	go func() {
		status, answer, _ := post(t, s, `{"method":"generatetoaddress","params":[1,"`+w.p.FormatAddress(chaintest.Address(1))+`"]}`)
		ended <- end{status, answer}
	}()
	<-w.held
	if status, _, _ := post(t, s, `{"method":"uptime"}`); status != 200 {
		t.Errorf("status %d", status)
	}
	if err := s.Close(context.Background()); err != nil {
		t.Error(err)
	}
	if e := <-ended; e.status != 500 || !strings.Contains(e.answer, "context canceled") {
		t.Errorf("the waiting call: %d %s", e.status, e.answer)
	}
}

// Who does not listen is cut off when the time to end is over, and Close says so.
func TestCloseCutsOff(t *testing.T) {
	w := newWorld(t)
	w.hold, w.held, w.deaf = make(chan struct{}), make(chan struct{}), true
	s := serve(t, w)
	ended := make(chan error)
	go func() {
		c := Dial(s.Addr(), Password(testUser, testPassword))
		ended <- c.Call(context.Background(), "generatetoaddress", nil, 1, w.p.FormatAddress(chaintest.Address(1)))
	}()
	<-w.held
	over, end := context.WithCancel(context.Background())
	end()
	if err := s.Close(over); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "1 rpc calls were cut off") {
		t.Errorf("close: %v", err)
	}
	if err := <-ended; err == nil {
		t.Error("the call was answered")
	}
	if _, err := os.Stat(s.cfg.Cookie); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the cookie is still there: %v", err)
	}
	close(w.hold)
}

// When the caller hangs up, what it waited for is given up.
func TestCallerHangsUp(t *testing.T) {
	w := newWorld(t)
	w.hold, w.held = make(chan struct{}), make(chan struct{})
	s := serve(t, w)
	c := Dial(s.Addr(), Password(testUser, testPassword))
	ctx, hangUp := context.WithCancel(context.Background())
	go func() { <-w.held; hangUp() }()
	err := c.Call(ctx, "generatetoaddress", nil, 1, w.p.FormatAddress(chaintest.Address(1)))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("the call ends with %v", err)
	}
	for s.active.Load() != 0 { // ends, or the test times out
		runtime.Gosched()
	}
}

// A connection on which nothing was said yet does not hold up the end.
func TestCloseWithSilentConnection(t *testing.T) {
	s := serve(t, newWorld(t))
	c, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := s.Close(context.Background()); err != nil {
		t.Error(err)
	}
	if _, err := bufio.NewReader(c).ReadByte(); err == nil {
		t.Error("the connection is still open")
	}
	if c, err := net.Dial("tcp", s.Addr()); err == nil {
		c.Close()
		t.Error("the port is still open")
	}
}

// More connections than there is room for wait, and are served when others end.
func TestFullHouse(t *testing.T) {
	s := serve(t, newWorld(t), func(c *Config) { c.MaxConns = 2 })
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if status, _, _ := post(t, s, `{"method":"uptime"}`); status != 200 {
				t.Errorf("status %d", status)
			}
		})
	}
	wg.Wait()
}

// A handler that panics is one failed call, and leaves no snapshot open.
func TestPanic(t *testing.T) {
	w := newWorld(t)
	s := serve(t, w)
	s.backend.Pool = nil
	a, status := ask(t, s, "getmempoolinfo")
	if status != 500 || a.Error == nil || a.Error.Code != Internal {
		t.Errorf("%d %+v", status, a.Error)
	}
	a, _ = ask(t, s, "getaddresscoins", w.p.FormatAddress(chaintest.Address(1))) // panics with its snapshot open
	if a.Error == nil || a.Error.Code != Internal {
		t.Errorf("%+v", a.Error)
	}
	equal(t, "next", get[int](t, s, "uptime"), 90)
}

// Many ask while the chain grows: every answer is one moment's.
func TestConcurrentCalls(t *testing.T) {
	w := newWorld(t)
	s := serve(t, w)
	address := w.p.FormatAddress(chaintest.Address(7))
	tx := w.paid.ID().String()
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for range 10 {
				switch worker {
				case 0:
					get[[]any](t, s, "generatetoaddress", 1, address)
				case 1:
					info := get[ChainInfo](t, s, "getblockchaininfo")
					h := get[Header](t, s, "getblockheader", info.Best)
					equal(t, "height", h.Height, info.Blocks)
				case 2:
					post(t, s, `[{"method":"getstatus"},{"method":"getmininginfo"},{"method":"getchaintips"},{"method":"getrawmempool","params":[true]}]`)
				case 3:
					get[any](t, s, "setgenerate", true, 1)
				case 4:
					for _, c := range get[[]Coin](t, s, "getaddresscoins", address) {
						if c.Confirmations < 1 {
							t.Errorf("a coin of height %d above its own tip", c.Height)
						}
					}
				default:
					if tx := get[Tx](t, s, "getrawtransaction", tx, 1); *tx.Confirmations < 3 {
						t.Errorf("%d confirmations", *tx.Confirmations)
					}
				}
			}
		})
	}
	wg.Wait()
	equal(t, "grown", get[int](t, s, "getblockcount"), 15)
}

func TestCookieFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), ".cookie")
	if err := os.WriteFile(path, []byte("old:cookie"), 0o644); err != nil {
		t.Fatal(err)
	}
	first, err := bake(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	second, err := bake(path)
	if err != nil || first.text == second.text {
		t.Fatalf("two cookies are the same, or %v", err)
	}
	if err := first.remove(); err != nil {
		t.Error(err)
	}
	if raw, err := os.ReadFile(path); err != nil || string(raw) != second.text {
		t.Errorf("the first server took the second's cookie away: %q, %v", raw, err)
	}
	if err := errors.Join(second.remove(), second.remove()); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestStartRefusals(t *testing.T) {
	w := newWorld(t)
	s := serve(t, w)
	cookie := filepath.Join(t.TempDir(), "missing", ".cookie")
	for want, cfg := range map[string]Config{
		"listen for RPC on " + s.Addr(): {Listen: s.Addr(), User: "a", Password: "b"},
		"nobody could call":             {Listen: "127.0.0.1:0"},
		"needs a password":              {Listen: "127.0.0.1:0", User: "a"},
		"write the cookie":              {Listen: "127.0.0.1:0", Cookie: cookie},
	} {
		if _, err := Start(cfg, w.backend()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	b := w.backend()
	b.Mining = nil
	if _, err := Start(Config{Listen: "127.0.0.1:0", User: "a", Password: "b"}, b); err == nil {
		t.Error("a backend without mining was taken")
	}
}
