package conformance

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"cairn/chain"
	"cairn/chain/chaintest"
)

const (
	user, password = "someone", "hunter2"
	patience       = 60 * time.Second
)

// A node is a process of the program, on a chain of its own.
type node struct {
	*testing.T
	addr string // of its RPC
	dir  string
	quit func()
}

// built makes a program of a package once.
var built = sync.OnceValues(func() (dir string, err error) {
	if dir, err = os.MkdirTemp("", "cairn-conformance-"); err != nil {
		return "", err
	}
	for _, build := range [][]string{
		{"-C", "..", "build", "-o", filepath.Join(dir, "cairn"), "./cmd/cairn"},
		{"build", "-o", filepath.Join(dir, "btcctl"), "github.com/btcsuite/btcd/cmd/btcctl"},
	} {
		if out, err := exec.Command("go", build...).CombinedOutput(); err != nil {
			return "", fmt.Errorf("go %s: %w: %s", strings.Join(build, " "), err, out)
		}
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := built(); err == nil {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

func program(t *testing.T, name string) string {
	t.Helper()
	dir, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, name)
}

// freePort is a loopback port that was free a moment ago.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// start runs a node and waits until it answers.
func start(t *testing.T) *node {
	t.Helper()
	n := &node{T: t, addr: freePort(t), dir: t.TempDir()}
	ctx, cancel := context.WithCancel(context.Background())
	c := exec.CommandContext(ctx, program(t, "cairn"), "node", "--network", "regtest", "--data-dir", n.dir,
		"--rpc", n.addr, "--rpc-user", user, "--listen", "/ip4/127.0.0.1/tcp/0", "--mine-to", address(9))
	c.Env = append(os.Environ(), "HOME="+n.dir, "CAIRN_RPC_PASSWORD="+password)
	var said bytes.Buffer
	c.Stdout, c.Stderr = &said, &said
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	n.quit = func() {
		select {
		case err := <-ended: // it was told to stop
			ended <- err
		case <-time.After(patience):
			cancel()
		}
	}
	t.Cleanup(func() { cancel(); <-ended })
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if resp, err := http.Get("http://" + n.addr + "/healthz"); err == nil {
			resp.Body.Close()
			return n
		}
		if time.Now().After(deadline) {
			t.Fatalf("the node does not answer:\n%s", &said)
		}
	}
}

// ask calls a method by hand.
func ask[T any](n *node, method string, params ...any) (result T) {
	n.Helper()
	if params == nil {
		params = []any{}
	}
	body, _ := json.Marshal(map[string]any{"id": 1, "method": method, "params": params})
	req, err := http.NewRequest(http.MethodPost, "http://"+n.addr, bytes.NewReader(body))
	if err != nil {
		n.Fatal(err)
	}
	req.SetBasicAuth(user, password)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		n.Fatal(err)
	}
	defer resp.Body.Close()
	answer := struct {
		Result *T
		Error  *struct{ Message string }
	}{Result: &result}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer.Error != nil {
		n.Fatalf("%s: %v %+v", method, err, answer.Error)
	}
	return result
}

// A scene is what there is to ask about.
type scene struct {
	*node
	other          *node // a second one, linked
	blocks         []string
	paid           *chain.Tx // confirmed in the second block
	parent, child  *chain.Tx // in the pool
	fresh, orphan  *chain.Tx // nobody has seen them
	otherMultiaddr string
}

var params = chain.Regtest()

func address(i int) string { return params.FormatAddress(chaintest.Address(i)) }

func raw(tx *chain.Tx) string { return hex.EncodeToString(tx.Bytes()) }

func pay(from int, fee chain.Amount, to int) *chain.Tx {
	return chaintest.Pay(params, chaintest.Funds(params, from), chaintest.Key(from), fee, chain.Output{Value: chain.CRN, To: chaintest.Address(to)})
}

func set(t *testing.T) *scene {
	t.Helper()
	s := &scene{node: start(t), other: start(t)}
	s.paid, s.parent, s.fresh = pay(0, 1000, 1), pay(2, 1000, 3), pay(4, 1000, 5)
	s.child = chaintest.Pay(params, chaintest.Outs(s.parent, 0)[0], chaintest.Key(3), 5000)
	s.orphan = chaintest.Pay(params, chaintest.Outs(s.fresh, 0)[0], chaintest.Key(5), 5000)
	s.blocks = append(s.blocks, ask[[]string](s.node, "generatetoaddress", 1, address(9))...)
	ask[string](s.node, "sendrawtransaction", raw(s.paid))
	s.blocks = append(s.blocks, ask[[]string](s.node, "generatetoaddress", 3, address(9))...)
	for _, tx := range []*chain.Tx{s.parent, s.child} {
		ask[string](s.node, "sendrawtransaction", raw(tx))
	}
	s.otherMultiaddr = ask[struct{ Listen []string }](s.other, "getnetworkinfo").Listen[0]
	s.link()
	return s
}

// link waits until the second node is there.
func (s *scene) link() {
	s.Helper()
	ask[any](s.node, "addnode", s.otherMultiaddr, "onetry")
	for deadline := time.Now().Add(patience); ask[int](s.node, "getconnectioncount") == 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.Fatal("the nodes do not meet")
		}
	}
}

// show prints a question and its answer, cut to what a person reads.
func show(t *testing.T, what string, answer any) {
	t.Helper()
	text, ok := answer.(string)
	if !ok {
		b, err := json.Marshal(answer)
		if err != nil {
			t.Fatal(err)
		}
		text = string(b)
	}
	text = strings.Join(strings.Fields(text), " ")
	const most = 400
	if len(text) > most {
		text = fmt.Sprintf("%s… (%d bytes)", text[:most], len(text))
	}
	fmt.Printf("%s\n    %s\n", what, text)
}
