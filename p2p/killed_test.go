package p2p

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"

	"cairn/node"
)

// childKey names the key file of a process that this test binary plays, and
// childListen where it listens.
const (
	childKey    = "CAIRN_P2P_TEST_KEY"
	childListen = "CAIRN_P2P_TEST_LISTEN"
)

// TestChild is no test but the other process of the one below: it listens until
// its input ends or it is killed.
func TestChild(t *testing.T) {
	if os.Getenv(childKey) == "" {
		t.Skip("only a child process runs this")
	}
	key, err := LoadKey(os.Getenv(childKey))
	if err != nil {
		t.Fatal(err)
	}
	cfg := dev()
	cfg.Key, cfg.Listen = key, []string{os.Getenv(childListen)}
	fmt.Println("at", begin(t, cfg).Addrs()[0])
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// spawn starts the child and returns its address and what kills it.
func spawn(t *testing.T, keyFile, listen string) (addr string, kill func()) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestChild$", "-test.v")
	cmd.Env = append(os.Environ(), childKey+"="+keyFile, childListen+"="+listen)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill = func() {
		_ = cmd.Process.Kill()
		_ = in.Close()
		_ = cmd.Wait()
	}
	t.Cleanup(kill)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if at, ok := strings.CutPrefix(lines.Text(), "at "); ok {
			return at, kill
		}
	}
	t.Fatal("the child ended")
	return "", nil
}

// A killed process says no good-bye. Its successor is found all the same.
func TestRedialAfterTheOtherSideIsKilled(t *testing.T) {
	for name, listen := range map[string]string{"tcp": loopback, "quic": "/ip4/127.0.0.1/udp/0/quic-v1"} {
		t.Run(name, func(t *testing.T) {
			keyFile := filepath.Join(t.TempDir(), "host.key")
			addr, kill := spawn(t, keyFile, listen)
			cfg := eager()
			cfg.Peers = []string{addr}
			a := begin(t, cfg)
			info, err := peer.AddrInfoFromString(addr)
			if err != nil {
				t.Fatal(err)
			}
			expect(t, a.joined, node.Peer(info.ID))
			kill()
			where, _, _ := strings.Cut(addr, "/p2p/")
			spawn(t, keyFile, where)
			expect(t, a.left, node.Peer(info.ID))
			expect(t, a.joined, node.Peer(info.ID))
		})
	}
}
