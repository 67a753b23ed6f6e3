package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"cairn/chain"
	"cairn/cmd/cairn/cairntest"
	"cairn/rpc"
)

// TestMain lets scripts call this test binary by the name of the program.
func TestMain(m *testing.M) {
	testscript.Main(tidy{m}, map[string]func(){"cairn": main})
}

// tidy removes what tests built.
type tidy struct{ *testing.M }

func (m tidy) Run() int {
	defer cairntest.Clean()
	return m.M.Run()
}

// Scripts are the program as people type it.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", filepath.Join(e.WorkDir, "home"))
			e.Setenv("USERPROFILE", filepath.Join(e.WorkDir, "home"))
			return os.Mkdir(filepath.Join(e.WorkDir, "home"), 0o700)
		},
	})
}

// said is what one run of the program printed, and its exit code.
type said struct {
	code     int
	out, err string
}

// cairn runs the program in this process.
func cairn(t *testing.T, args ...string) said {
	t.Helper()
	var out, err bytes.Buffer
	root := rootCommand()
	root.SetArgs(args)
	root.SetIn(strings.NewReader(""))
	root.SetOut(&out)
	root.SetErr(&err)
	code := report(&err, root.ExecuteContext(t.Context()))
	return said{code, out.String(), err.String()}
}

// wants fails the test unless the run ended so and printed all of these words.
func (s said) wants(t *testing.T, code int, words ...string) {
	t.Helper()
	if s.code != code {
		t.Errorf("exit code %d, want %d", s.code, code)
	}
	for _, w := range words {
		if !strings.Contains(s.out+s.err, w) {
			t.Errorf("nothing says %q", w)
		}
	}
	if t.Failed() {
		t.Fatalf("stdout:\n%s\nstderr:\n%s", s.out, s.err)
	}
}

// decode reads standard output as one JSON value.
func decode[T any](t *testing.T, s said) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(s.out), &v); err != nil {
		t.Fatalf("%v in %q, stderr %q", err, s.out, s.err)
	}
	return v
}

// A teller answers JSON-RPC calls with whatever a test puts under a method's name.
// An *rpc.Error is a refusal.
type teller struct {
	dir     string // its data directory
	answers map[string]func(params []json.RawMessage) any
	asked   map[string]int
}

// tell starts a teller that a command finds by --data-dir.
func tell(t *testing.T) *teller {
	f := &teller{dir: t.TempDir(), answers: map[string]func([]json.RawMessage) any{}, asked: map[string]int{}}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	put(t, filepath.Join(f.dir, rpcAddrFile), strings.TrimPrefix(server.URL, "http://")+"\n")
	put(t, filepath.Join(f.dir, cookieFile), "__cookie__:secret")
	t.Setenv("HOME", t.TempDir())
	return f
}

// always gives a method one answer.
func (f *teller) always(method string, result any) {
	f.answers[method] = func([]json.RawMessage) any { return result }
}

// run runs the program against the teller.
func (f *teller) run(t *testing.T, args ...string) said {
	t.Helper()
	return cairn(t, append([]string{"--data-dir", f.dir}, args...)...)
}

func (f *teller) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if user, password, _ := r.BasicAuth(); user != "__cookie__" || password != "secret" {
		http.Error(w, "who?", http.StatusUnauthorized)
		return
	}
	var call struct {
		Method string
		Params []json.RawMessage
		ID     json.RawMessage
	}
	if err := json.NewDecoder(r.Body).Decode(&call); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	f.asked[call.Method]++
	reply := map[string]any{"jsonrpc": "2.0", "id": call.ID}
	answer, known := f.answers[call.Method]
	if !known {
		reply["error"] = rpc.Errorf(rpc.UnknownMethod, "the test has no answer to %s", call.Method)
	} else if result := answer(call.Params); result == hangUp {
		panic(http.ErrAbortHandler)
	} else if refusal, no := result.(*rpc.Error); no {
		reply["error"] = refusal
	} else {
		reply["result"] = result
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(reply)
}

// hangUp is the answer of a node that dies in the middle of a call.
const hangUp = "hang up"

func put(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// id is anything's id: the hash of its name.
func id(name string) chain.Hash { return chain.SumHash([]byte(name)) }

func ref[T any](v T) *T { return &v }
