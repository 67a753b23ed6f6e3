//go:build unix

package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cairn/cmd/cairn/cairntest"
)

// refused runs a command that real nodes are in the way of, and reads what is said.
func (u *user) refused(code int, typed string, says ...string) {
	u.Helper()
	r := u.try(strings.Fields(typed)...)
	u.Logf("$ cairn %s\n%s%s[exit %d]", typed, r.out, r.err, r.code)
	if r.code != code {
		u.Errorf("cairn %s: exit %d, want %d", typed, r.code, code)
	}
	for _, words := range says {
		if !strings.Contains(r.out+r.err, words) {
			u.Errorf("cairn %s: nothing says %q", typed, words)
		}
	}
}

func TestRefusalsOfRealNodes(t *testing.T) {
	u := newUser(t)
	t.Chdir(u.home)
	port, closed := cairntest.FreePort(t), "/ip4/127.0.0.1/tcp/"+cairntest.FreePort(t)
	p := u.node("one", port)
	rpcAddr := strings.TrimSpace(readFile(t, "one/rpc.addr"))
	const second = "node --network regtest --data-dir two --listen "
	const any = "/ip4/127.0.0.1/tcp/0 --rpc 127.0.0.1:0"

	u.refused(1, "node --network regtest --data-dir one --rpc 127.0.0.1:0", fmt.Sprintf("process %d holds the data folder", p.Process.Pid), "choose another")
	u.refused(1, "node --network dev --data-dir one --rpc 127.0.0.1:0", fmt.Sprint(p.Process.Pid))
	u.refused(1, second+"/ip4/127.0.0.1/tcp/"+port+" --rpc 127.0.0.1:0", port, "another program has that port, perhaps a node: end it, or choose another with --listen")
	u.refused(1, second+"/ip4/127.0.0.1/tcp/0 --rpc "+rpcAddr, rpcAddr, "choose another with --rpc")
	u.refused(1, second+any+" --stratum "+rpcAddr, rpcAddr, "choose another with --stratum")
	u.refused(1, second+any+" --stratum miners", `--stratum "miners": write HOST:PORT`)
	u.refused(1, second+"/ip4/192.0.2.1/tcp/29421 --rpc 127.0.0.1:0", "this machine has no such address: name one of its own with --listen")
	u.refused(1, second+"/ip4/192.0.2.1 --rpc 127.0.0.1:0", `listen address "/ip4/192.0.2.1": write it like /ip4/127.0.0.1/tcp/29421`)
	u.refused(1, second+"/ip4/127.0.0.1/tcp/0 --rpc 192.0.2.1:29422", "name one of its own with --rpc")
	u.refused(1, second+any+" --peer nonsense", `peer address "nonsense": write it like`)
	u.refused(1, second+any+" --mine-to nonsense", `"nonsense" is no address`)

	for _, bad := range []string{"nonsense", "/ip4/127.0.0.1", "/ip4/127.0.0.1/tcp/seven"} {
		u.refused(1, "peers add "+bad+" --data-dir one", fmt.Sprintf("peer address %q: ", bad))
	}
	u.refused(0, "peers add "+closed+" --data-dir one", "added "+closed, "dials it until it answers", "cairn peers") // nobody answers yet
	u.refused(1, "peers add "+closed+" --data-dir one", "already added")
	u.run("peers", "forget", closed, "--data-dir", "one")
	u.refused(1, "peers forget "+closed+" --data-dir one", "has not been added")
	u.refused(1, "peers drop 12D3KooWnobody --data-dir one", `no peer is called "12D3KooWnobody": `+"`cairn peers` lists")
	none := strings.Repeat("0", 63) + "7"
	u.refused(2, "tx "+none+" --data-dir one", "the node has never seen "+none)
	u.refused(2, "block "+none+" --data-dir one", "the node knows no block "+none)
	u.refused(2, "block 99999 --data-dir one", "no block at height 99999")
	u.refused(2, "wait "+none+" --timeout 100ms --data-dir one", "timed out after", "the node has never seen "+none)
	u.refused(1, "rpc generatetoaddress 1 nonsense --data-dir one", `"nonsense" is no address`)
	u.refused(1, "mine start --threads 5000 --data-dir one", "give 1 to 1024")
	if err := os.Remove(filepath.Join("one", ".cookie")); err != nil {
		t.Fatal(err)
	}
	u.refused(1, "status --data-dir one", "the node wants to know who asks: there is no cookie", "--data-dir")
}

// Whoever is not of our network is told apart once, however often he is met.
func TestRefusalsOfAnotherGenesis(t *testing.T) {
	u := newUser(t)
	port, dir := cairntest.FreePort(t), filepath.Join(u.home, "one")
	u.node(dir, port)
	dev, stranger := filepath.Join(u.home, "dev"), "/ip4/127.0.0.1/tcp/"+port
	p := u.background("node", "--network", "dev", "--data-dir", dev, "--rpc", "127.0.0.1:0", "--listen", "/ip4/127.0.0.1/tcp/0", "--peer", stranger)
	said := func() int { return strings.Count(p.log.String(), "another network") }
	u.until("the stranger is told apart", func() bool { return said() > 0 })
	for range 3 {
		u.try("peers", "add", stranger, "--data-dir", dev)
	}
	u.until("the stranger is gone", func() bool {
		return ask[int](u, "rpc", "getconnectioncount", "--data-dir", dev) == 0
	})
	if n := said(); n != 1 {
		t.Errorf("said %d times", n)
	}
	if out := u.run("status", "--data-dir", dev); !strings.Contains(out, "belongs to another network") || !strings.Contains(out, "--network") {
		t.Errorf("the status does not warn: %s", out)
	}
	if out := u.run("peers", "--data-dir", dev); !strings.Contains(out, "asked for, but it belongs to another network") {
		t.Errorf("the peers do not tell: %s", out)
	}
}

// Whoever watches or waits is told that the node went away, and goes on when it is
// back, although it answers at another port.
func TestRefusalsOfANodeThatGoesAway(t *testing.T) {
	u := newUser(t)
	dir := filepath.Join(u.home, "one")
	node := u.node(dir, cairntest.FreePort(t))
	mine := func() string {
		return strings.TrimSpace(u.run("mine", "generate", "1", "--data-dir", dir, "--network", "regtest"))
	}
	first := mine()
	watch := u.background("watch", "--lines", "--data-dir", dir)
	wait := u.background("wait", first, "--confirmations", "3", "--data-dir", dir)
	says := func(p *process, words string) {
		t.Helper()
		u.until(words, func() bool { return strings.Contains(p.log.String(), words) })
	}
	says(watch, "height 1 ")
	says(wait, "depth 3 on 0 of 1 node")
	stop(u, node)
	says(watch, "does not answer")
	says(wait, "does not answer, trying again")
	u.node(dir, cairntest.FreePort(t))
	mine()
	says(watch, "height 2 ")
	mine()
	<-wait.ended
	if wait.err != nil {
		t.Errorf("the wait ended with %v", wait.err)
	}
	t.Logf("$ cairn watch --lines\n%s\n$ cairn wait %s --confirmations 3\n%s", watch.log.String(), first, wait.log.String())
}

// Ctrl-C ends a wait, and the wait says so.
func TestRefusalsOfPatience(t *testing.T) {
	u := newUser(t)
	dir := filepath.Join(u.home, "one")
	u.node(dir, cairntest.FreePort(t))
	none := strings.Repeat("0", 63) + "7"
	p := u.background("wait", none, "--data-dir", dir)
	u.until("it waits", func() bool { return strings.Contains(p.log.String(), "has not seen it yet") })
	if err := p.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	<-p.ended
	t.Logf("$ cairn wait %s\n%s", none, p.log.String())
	if code := p.ProcessState.ExitCode(); code != 2 || !strings.Contains(p.log.String(), "interrupted after") {
		t.Errorf("exit %d: %s", code, p.log.String())
	}
}
