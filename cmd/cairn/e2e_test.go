//go:build unix

package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"cairn/cmd/cairn/cairntest"
)

// patience bounds how long a test waits for what must come.
const patience = 90 * time.Second

// user is a person with a home directory of their own.
type user struct {
	testing.TB
	program, home string
}

func newUser(t testing.TB) *user {
	t.Helper()
	return &user{TB: t, program: cairntest.Program(t), home: t.TempDir()}
}

func (u *user) command(ctx context.Context, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, u.program, args...)
	c.Env = append(os.Environ(), "HOME="+u.home, "USERPROFILE="+u.home)
	return c
}

// result is what a command printed, and how it ended.
type result struct {
	out, err string
	code     int
}

func (u *user) try(args ...string) result {
	u.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var out, errs bytes.Buffer
	c := u.command(ctx, args...)
	c.Stdout, c.Stderr = &out, &errs
	err := c.Run()
	exit := (*exec.ExitError)(nil)
	if err != nil && !errors.As(err, &exit) {
		u.Fatalf("cairn %s: %v", strings.Join(args, " "), err)
	}
	return result{out.String(), errs.String(), c.ProcessState.ExitCode()}
}

// run is try for what must succeed.
func (u *user) run(args ...string) string {
	u.Helper()
	r := u.try(args...)
	if r.code != 0 {
		u.Fatalf("cairn %s: exit %d\n%s%s", strings.Join(args, " "), r.code, r.out, r.err)
	}
	return r.out
}

// ask runs a command with --json and reads what it prints.
func ask[T any](u *user, args ...string) (v T) {
	u.Helper()
	out := u.run(append(args, "--json")...)
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		u.Fatalf("cairn %s: %v in %s", strings.Join(args, " "), err, out)
	}
	return v
}

// background starts a command, and at the test's end interrupts it and waits.
func (u *user) background(args ...string) *process {
	u.Helper()
	p := &process{Cmd: u.command(context.Background(), args...), ended: make(chan struct{})}
	p.Stdout, p.Stderr = &p.log, &p.log
	if err := p.Start(); err != nil {
		u.Fatal(err)
	}
	go func() {
		p.err = p.Wait()
		close(p.ended)
	}()
	u.Cleanup(func() {
		_ = p.Process.Signal(syscall.SIGTERM)
		select {
		case <-p.ended:
		case <-time.After(30 * time.Second):
			_ = p.Process.Kill()
			<-p.ended
			u.Errorf("cairn %s did not stop", strings.Join(args, " "))
		}
		if u.Failed() {
			u.Logf("cairn %s said:\n%s", strings.Join(args, " "), p.log.String())
		}
	})
	return p
}

type process struct {
	*exec.Cmd
	log   safeBuffer
	ended chan struct{}
	err   error // set when ended is closed
}

// safeBuffer may be read while a process writes.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// until looks again and again until the condition holds.
func (u *user) until(what string, holds func() bool) {
	u.Helper()
	deadline := time.Now().Add(patience)
	for !holds() {
		if time.Now().After(deadline) {
			u.Fatalf("waited %v in vain: %s", patience, what)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

type labNode struct {
	Name, RPC, Tip, Wallet, Address string
	PID, Peers                      int
	Height                          uint64
	Dir                             string `json:"data_dir"`
	Error                           string
}

type labStatus struct{ Nodes []labNode }

// lab starts one and waits until its nodes have mined the genesis coins mature.
func (u *user) lab(nodes int) (dir string, up *process) {
	u.Helper()
	dir = filepath.Join(u.TempDir(), "lab")
	up = u.background("lab", "up", "--nodes", fmt.Sprint(nodes), "--dir", dir, "--no-watch")
	u.until("the lab is up and its genesis coins are mature", func() bool {
		select {
		case <-up.ended:
			u.Fatalf("the lab ended: %v\n%s", up.err, up.log.String())
		default:
		}
		if u.try("lab", "status", "--dir", dir).code != 0 {
			return false
		}
		for _, n := range u.nodes(dir) {
			if n.Error != "" || n.Height < 3 || n.Peers == 0 && nodes > 1 {
				return false
			}
		}
		return true
	})
	return dir, up
}

func (u *user) nodes(dir string) []labNode {
	u.Helper()
	return ask[labStatus](u, "lab", "status", "--dir", dir).Nodes
}

// sent is what `send --json` says.
type sent struct{ TxID string }

func TestOnePaymentOnThreeNodes(t *testing.T) {
	u := newUser(t)
	dir, up := u.lab(3)
	paid := ask[sent](u, "lab", "send", "2.5", "--from", "node1", "--to", "node3", "--memo", "for the stones", "--dir", dir)
	nodes := u.nodes(dir)
	var places []string
	for _, n := range nodes {
		u.run("wait", paid.TxID, "--confirmations", "3", "--nodes", "all", "--timeout", "60s", "--data-dir", n.Dir)
		tx := ask[struct{ BlockHash string }](u, "rpc", "getrawtransaction", paid.TxID, "1", "--data-dir", n.Dir)
		head := ask[struct{ Height uint64 }](u, "rpc", "getblockheader", tx.BlockHash, "--data-dir", n.Dir)
		at := ask[string](u, "rpc", "getblockhash", fmt.Sprint(head.Height), "--data-dir", n.Dir)
		places = append(places, fmt.Sprintf("%s at %d is %s", tx.BlockHash, head.Height, at))
		if at != tx.BlockHash {
			t.Errorf("%s: %s", n.Name, places[len(places)-1])
		}
	}
	for i := range places {
		if places[i] != places[0] {
			t.Errorf("%s has the payment elsewhere: %s, node1: %s", nodes[i].Name, places[i], places[0])
		}
	}
	if err := up.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	<-up.ended
	if up.err != nil {
		t.Errorf("the interrupted lab ended with %v", up.err)
	}
	for _, n := range nodes {
		if err := syscall.Kill(n.PID, 0); err == nil {
			t.Errorf("%s, process %d, is left behind", n.Name, n.PID)
		}
	}
}

func TestSplitLabHealsAndNamesTheLoser(t *testing.T) {
	u := newUser(t)
	dir, _ := u.lab(3)
	nodes := u.nodes(dir)
	one, three := nodes[0], nodes[2]

	u.run("rpc", "setnetworkactive", "false", "--data-dir", three.Dir)
	u.until("node3 is alone", func() bool { n := u.nodes(dir); return n[2].Peers == 0 && n[0].Peers == 1 })
	// node1's wallet has one coin: both payments spend it.
	pay := func(via, to string) string {
		return ask[sent](u, "lab", "send", "7", "--from", "node1", "--to", to, "--via", via, "--dir", dir).TxID
	}
	left, right := pay("node1", "node2"), pay("node3", "node3")
	u.run("wait", left, "--confirmations", "2", "--nodes", "2", "--data-dir", one.Dir)
	u.run("wait", right, "--confirmations", "2", "--nodes", "1", "--data-dir", three.Dir)
	if r := u.try("wait", right, "--confirmations", "1", "--timeout", "1s", "--data-dir", three.Dir); r.code != 2 {
		t.Errorf("all nodes cannot agree across the split, and wait ends with %d: %s", r.code, r.out)
	}
	u.run("rpc", "setnetworkactive", "true", "--data-dir", three.Dir)

	u.until("all three are linked again", func() bool { n := u.nodes(dir); return n[2].Peers == 2 })
	winner, loser := "", ""
	defer func() {
		if winner == "" {
			for _, n := range nodes {
				t.Logf("%s: depth of left %d, of right %d; %s%s", n.Name, depth(u, n, left), depth(u, n, right),
					u.try("tips", "--data-dir", n.Dir).out, u.try("rpc", "getconvergence", right, "--data-dir", n.Dir).err)
			}
		}
	}()
	u.until("every node has ruled one of the payments out", func() bool {
		for _, w := range [][2]string{{left, right}, {right, left}} {
			ruledOut := 0
			for _, n := range nodes {
				if depth(u, n, w[0]) > 0 && depth(u, n, w[1]) == -1 {
					ruledOut++
				}
			}
			if ruledOut == len(nodes) {
				winner, loser = w[0], w[1]
			}
		}
		return winner != ""
	})
	for _, n := range nodes {
		r := u.try("wait", loser, "--confirmations", "1", "--timeout", "20s", "--data-dir", n.Dir)
		if r.code != 1 || !strings.Contains(r.out, winner) {
			t.Errorf("%s: waiting for the loser: exit %d, %s%s", n.Name, r.code, r.out, r.err)
		}
	}
	u.run("wait", winner, "--confirmations", "4", "--nodes", "all", "--data-dir", one.Dir)
}

// depth is a transaction's depth on a node by its own word; −2 if it does not
// know it.
func depth(u *user, n labNode, id string) int64 {
	u.Helper()
	r := u.try("rpc", "getconvergence", id, "--json", "--data-dir", n.Dir)
	var a struct{ Self struct{ Depth *int64 } }
	if r.code != 0 || json.Unmarshal([]byte(r.out), &a) != nil || a.Self.Depth == nil {
		return -2
	}
	return *a.Self.Depth
}

// node starts a regtest node and waits until it answers.
func (u *user) node(dir, port string, more ...string) *process {
	u.Helper()
	args := append([]string{
		"node", "--network", "regtest", "--data-dir", dir, "--rpc", "127.0.0.1:0",
		"--listen", "/ip4/127.0.0.1/tcp/" + port,
	}, more...)
	p := u.background(args...)
	u.until("the node answers", func() bool {
		select {
		case <-p.ended:
			u.Fatalf("the node ended: %v\n%s", p.err, p.log.String())
		default:
		}
		return u.try("status", "--data-dir", dir, "--network", "regtest").code == 0
	})
	return p
}

func TestKilledNodeKeepsWhatItAcknowledged(t *testing.T) {
	u := newUser(t)
	dir := filepath.Join(u.home, "one")
	at := func(args ...string) []string { return append(args, "--data-dir", dir, "--network", "regtest") }
	for round := 1; round <= 3; round++ {
		p := u.node(dir, cairntest.FreePort(t))
		u.run(at("mine", "generate", "5")...)
		tip := ask[string](u, at("rpc", "getbestblockhash")...)
		if err := p.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		<-p.ended
		p = u.node(dir, cairntest.FreePort(t))
		if again := ask[string](u, at("rpc", "getbestblockhash")...); again != tip {
			t.Errorf("round %d: the tip was %s, after kill -9 it is %s", round, tip, again)
		}
		if n := ask[int](u, at("rpc", "getblockcount")...); n != 5*round {
			t.Errorf("round %d: height %d", round, n)
		}
		if err := p.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		<-p.ended
		if p.err != nil {
			t.Errorf("round %d: SIGTERM ended the node with %v", round, p.err)
		}
	}
}

func TestTwoBranchesMeet(t *testing.T) {
	u := newUser(t)
	a, b := filepath.Join(u.home, "a"), filepath.Join(u.home, "b")
	portA := cairntest.FreePort(t)
	u.node(a, portA)
	u.node(b, cairntest.FreePort(t))
	on := func(dir string, args ...string) []string {
		return append(args, "--data-dir", dir, "--network", "regtest")
	}
	u.run(on(a, "mine", "generate", "12")...)
	u.run(on(b, "mine", "generate", "15")...)
	best := ask[string](u, on(b, "rpc", "getbestblockhash")...)
	u.run(on(b, "peers", "add", "/ip4/127.0.0.1/tcp/"+portA)...)
	u.until("both follow the heavier branch", func() bool {
		return ask[string](u, on(a, "rpc", "getbestblockhash")...) == best
	})
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
