package rpc

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

const testUser, testPassword = "someone", "hunter2"

// serve starts a server on a free port and ends it with the test.
func serve(t testing.TB, w *world, change ...func(*Config)) *Server {
	t.Helper()
	cfg := Config{
		Listen: "127.0.0.1:0", Cookie: filepath.Join(t.TempDir(), ".cookie"),
		User: testUser, Password: testPassword, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
	for _, f := range change {
		f(&cfg)
	}
	s, err := Start(cfg, w.backend())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Errorf("close: %v", err)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.opened != 0 {
			t.Errorf("%d snapshots were left open", w.opened)
		}
	})
	return s
}

// said is an answer of any version.
type said struct {
	Version string          `json:"jsonrpc"`
	Result  json.RawMessage `json:"result"`
	Error   *Error          `json:"error"`
	ID      json.RawMessage `json:"id"`
}

// ask calls a method as a client of JSON-RPC 1.0 does, without HTTP around it.
func ask(t testing.TB, s *Server, method string, params ...any) (said, int) {
	t.Helper()
	body, err := json.Marshal(map[string]any{"id": 1, "method": method, "params": list(params)})
	if err != nil {
		t.Fatal(err)
	}
	status, answer := s.answer(context.Background(), body)
	var a said
	if err := json.Unmarshal(answer, &a); err != nil {
		t.Fatalf("%s answers %q: %v", method, answer, err)
	}
	return a, status
}

// get decodes the result of a call that must succeed.
func get[T any](t testing.TB, s *Server, method string, params ...any) (v T) {
	t.Helper()
	a, status := ask(t, s, method, params...)
	if a.Error != nil || status != http.StatusOK {
		t.Fatalf("%s%v: status %d, %v", method, params, status, a.Error)
	}
	if err := json.Unmarshal(a.Result, &v); err != nil {
		t.Fatalf("%s answers %s: %v", method, a.Result, err)
	}
	return v
}

// post sends a body over the wire.
func post(t testing.TB, s *Server, body string, change ...func(*http.Request)) (int, string, http.Header) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, "http://"+s.Addr()+"/", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(testUser, testPassword)
	for _, f := range change {
		f(req)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(answer), resp.Header
}

func equal[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}
