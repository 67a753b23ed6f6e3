package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cairn/chain"
)

func TestClient(t *testing.T) {
	w := newWorld(t)
	s := serve(t, w)
	for _, c := range []*Client{Dial(s.Addr(), Cookie(s.cfg.Cookie)), Dial(s.Addr(), Password(testUser, testPassword))} {
		var h Header
		if err := c.Call(context.Background(), "getblockheader", &h, w.names["a3"].ID()); err != nil || h.Height != 3 {
			t.Errorf("height %d, %v", h.Height, err)
		}
		var count int
		if err := c.CallRaw(context.Background(), "getblockcount", &count, json.RawMessage(`{}`)); err != nil || count != 5 {
			t.Errorf("count %d, %v", count, err)
		}
		if err := c.Call(context.Background(), "setgenerate", nil, true); err != nil {
			t.Error(err)
		}
		err := c.Call(context.Background(), "getblockhash", nil, 99)
		if !errors.Is(err, InvalidParameter.Err()) || errors.Is(err, Misc.Err()) || err.Error() != "Block height out of range" {
			t.Errorf("a refusal arrives as %v", err)
		}
		err = c.Call(context.Background(), "getblockcount", new(string))
		if err == nil || !strings.Contains(err.Error(), "result of getblockcount") {
			t.Errorf("a number as text: %v", err)
		}
	}
}

// The cookie is read anew: a node that starts again bakes another.
func TestClientOutlivesNode(t *testing.T) {
	w := newWorld(t)
	s := serve(t, w)
	c := Dial(s.Addr(), Cookie(s.cfg.Cookie))
	if err := c.Call(context.Background(), "uptime", nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	err := c.Call(context.Background(), "uptime", nil)
	if !errors.Is(err, ErrNoNode) || !strings.Contains(err.Error(), "no node answers at "+s.Addr()+": start one with `cairn node`") {
		t.Errorf("nobody there: %v", err)
	}
	again := serve(t, w, func(cfg *Config) { cfg.Listen, cfg.Cookie = s.Addr(), s.cfg.Cookie })
	if err := c.Call(context.Background(), "uptime", nil); err != nil {
		t.Errorf("after the restart at %s: %v", again.Addr(), err)
	}
}

func TestClientDenied(t *testing.T) {
	s := serve(t, newWorld(t))
	foreign := filepath.Join(t.TempDir(), "foreign")
	broken := filepath.Join(t.TempDir(), "broken")
	if err := errors.Join(os.WriteFile(foreign, []byte("__cookie__:00"), 0o600), os.WriteFile(broken, []byte("crumbs"), 0o600)); err != nil {
		t.Fatal(err)
	}
	for want, auth := range map[string]Auth{
		"there is no cookie at":   Cookie(filepath.Join(t.TempDir(), "none")),
		"is another node's":       Cookie(foreign),
		"it has no colon":         Cookie(broken),
		"no such user and passwo": Password("someone", "else"),
	} {
		err := Dial(s.Addr(), auth).Call(context.Background(), "uptime", nil)
		if !errors.Is(err, ErrDenied) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// What answers may be something else than a node.
func TestClientMeetsStranger(t *testing.T) {
	answer := func(kind, body string) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			io.WriteString(w, body)
		}))
		t.Cleanup(server.Close)
		err := Dial(server.Listener.Addr().String(), Password("a", "b")).Call(context.Background(), "uptime", nil)
		if err == nil {
			t.Fatalf("%q was taken for an answer", body)
		}
		return err.Error()
	}
	if got := answer("text/html", "<h1>hello\x1b[2J"); !strings.Contains(got, `200 OK: <h1>hello\x1b[2J`) {
		t.Errorf("a web page: %s", got)
	}
	if got := answer("application/json", "{"); !strings.Contains(got, "answer to uptime") {
		t.Errorf("half an answer: %s", got)
	}
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	go func() {
		if c, err := silent.Accept(); err == nil {
			c.Close()
		}
	}()
	err = Dial(silent.Addr().String(), Password("a", "b")).Call(context.Background(), "uptime", nil)
	if err == nil || errors.Is(err, ErrNoNode) || !strings.Contains(err.Error(), "ask the node at") {
		t.Errorf("hung up on: %v", err)
	}
}

func TestClientLearnsNetwork(t *testing.T) {
	w := newWorld(t)
	s := serve(t, w)
	p, err := Dial(s.Addr(), Cookie(s.cfg.Cookie)).Network(context.Background())
	if err != nil || p.Name != "easy" || p.GenesisID() != w.p.GenesisID() || p.Maturity != w.p.Maturity {
		t.Errorf("%+v, %v", p, err)
	}
	liar := *w.p
	liar.Name = "main"
	b := w.backend()
	b.Params = &liar
	s.backend = b
	if _, err = Dial(s.Addr(), Cookie(s.cfg.Cookie)).Network(context.Background()); err == nil || !strings.Contains(err.Error(), "do not trust it") {
		t.Errorf("a false main network: %v", err)
	}
}

func TestArguments(t *testing.T) {
	for _, c := range []struct {
		method string
		words  []string
		want   string
	}{
		{"getblockcount", nil, `[]`},
		{"getblockhash", []string{"12"}, `[12]`},
		{"getblock", []string{"00ff", "2"}, `["00ff",2]`},
		{"getblock", []string{"123", "true"}, `["123",true]`},
		{"getblock", []string{"verbosity=0", "blockhash=12"}, `{"blockhash":"12","verbosity":0}`},
		{"testmempoolaccept", []string{`["00"]`}, `[["00"]]`},
		{"sendrawtransaction", []string{"00", "0.1"}, `["00",0.1]`},
		{"getblockhash", []string{"twelve"}, `["twelve"]`},
		{"help", []string{"help", "me"}, `["help","me"]`},
	} {
		got, err := Arguments(c.method, c.words)
		if err != nil || string(got) != c.want {
			t.Errorf("%s %q: %s, %v, want %s", c.method, c.words, got, err, c.want)
		}
	}
	if _, err := Arguments("getblok", nil); err == nil || !strings.Contains(err.Error(), "cairn rpc help") {
		t.Errorf("unknown method: %v", err)
	}
	if _, err := Arguments("getblock", []string{"blockhash=1", "2"}); err == nil || !strings.Contains(err.Error(), "name=value") {
		t.Errorf("mixed words: %v", err)
	}
}

func TestAmounts(t *testing.T) {
	for text, want := range map[string]chain.Amount{
		"0": 0, "1": chain.CRN, "0.00000001": 1, `"0.5"`: chain.CRN / 2, "1e-8": 1, "2.5E+1": 25 * chain.CRN, "12e-1": 120_000_000,
		"92233720368.54775807": chain.MaxAmount,
	} {
		var a Amount
		if err := json.Unmarshal([]byte(text), &a); err != nil || chain.Amount(a) != want {
			t.Errorf("%s reads as %v, %v", text, a, err)
		}
	}
	for _, text := range []string{"-1", "-1e-8", "1e-9", "0.000000001", "92233720368.54775808", "1e31", "1e999999999", `"e5"`, `"1e"`, `""`, `"1/2e0"`, `"0x1e0"`, "true"} {
		var a Amount
		if err := json.Unmarshal([]byte(text), &a); err == nil {
			t.Errorf("%s reads as %v", text, a)
		}
	}
}

func TestClean(t *testing.T) {
	for dirty, want := range map[string]string{
		"cairn/1.0 (ä, 世界)":  "cairn/1.0 (ä, 世界)",
		`back\slash "quote"`: `back\slash "quote"`,
		"a\x1b[2Jb":          `a\x1b[2Jb`,
		"a\nb\tc":            `a\nb\tc`,
		"right\u202eleft":    `right\u202eleft`,
		"\x9b31m":            `\x9b31m`,
		"\u009b31m":          `\u009b31m`,
		"null\x00":           `null\x00`,
	} {
		if got := Clean(dirty); got != want {
			t.Errorf("%q is shown as %s, want %s", dirty, got, want)
		}
	}
}
