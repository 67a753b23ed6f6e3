//go:build unix

package ordeal_test

import (
	"context"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"cairn/cmd/cairn/cairntest"
	"cairn/rpc"
)

// patience bounds how long a test waits for what must come.
const patience = 120 * time.Second

var (
	programFlag = flag.String("program", "", "the `FILE` of a cairn to try; default: built from this tree")
	outFlag     = flag.String("out", "", "the `FOLDER` that reports are written to; default: none are kept")
)

// program is the one to try.
func program(t *testing.T) string {
	t.Helper()
	if *programFlag == "" {
		return cairntest.Program(t)
	}
	path, err := filepath.Abs(*programFlag)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestMain(m *testing.M) {
	if launched() {
		return
	}
	code := m.Run()
	cairntest.Clean()
	os.Exit(code)
}

// peer is one node: its folder and ports outlive its processes.
type peer struct {
	t    *testing.T
	name string
	dir  string
	p2p  string // port
	args []string
	*rpc.Client

	cmd   *exec.Cmd
	ended chan struct{} // closed when the process has
	err   error         // set when ended is closed
}

// newPeer lays out a node; nothing runs yet.
func newPeer(t *testing.T, dir, network string, more ...string) *peer {
	t.Helper()
	p := &peer{t: t, name: filepath.Base(dir), dir: dir, p2p: cairntest.FreePort(t)}
	addr := "127.0.0.1:" + cairntest.FreePort(t)
	p.args = append([]string{
		"node", "--network", network, "--data-dir", dir, "--rpc", addr, "--listen", "/ip4/127.0.0.1/tcp/" + p.p2p,
	}, more...)
	p.Client = rpc.Dial(addr, rpc.Cookie(filepath.Join(dir, ".cookie")))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *peer) addr() string { return "/ip4/127.0.0.1/tcp/" + p.p2p }

// logFile is beside the folder: what the node finds in it is its own.
func (p *peer) logFile() string { return p.dir + ".log" }

func (p *peer) log() string {
	raw, _ := os.ReadFile(p.logFile())
	return string(raw)
}

// start starts the process.
func (p *peer) start(more ...string) {
	p.t.Helper()
	log, err := os.OpenFile(p.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		p.t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(program(p.t), append(p.args, more...)...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(os.Environ(), "HOME="+filepath.Dir(p.dir))
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	ended := make(chan struct{})
	p.cmd, p.ended = cmd, ended
	go func() {
		p.err = cmd.Wait()
		close(ended)
	}()
}

// up starts the process and waits until it answers.
func (p *peer) up(more ...string) {
	p.t.Helper()
	p.start(more...)
	p.t.Cleanup(p.kill)
	p.answers(p.ended)
}

// answers waits until the node does.
func (p *peer) answers(ended <-chan struct{}) {
	p.t.Helper()
	until(p.t, p.name+" answers", func() bool {
		select {
		case <-ended:
			p.t.Fatalf("%s ended: %v\n%s", p.name, p.err, tail(p.log()))
		default:
		}
		return p.try("uptime", nil) == nil
	})
}

// kill is kill -9.
func (p *peer) kill() { p.end(syscall.SIGKILL) }

func (p *peer) end(signal syscall.Signal) {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Signal(signal)
	select {
	case <-p.ended:
	case <-time.After(patience):
		_ = p.cmd.Process.Kill()
		<-p.ended
		p.t.Errorf("%s did not end on %v\n%s", p.name, signal, tail(p.log()))
	}
	p.cmd = nil
}

func (p *peer) try(method string, out any, params ...any) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return p.Call(ctx, method, out, params...)
}

// ask asks for what must be answered.
func ask[T any](p *peer, method string, params ...any) (v T) {
	p.t.Helper()
	if err := p.try(method, &v, params...); err != nil {
		p.t.Fatalf("%s: %s: %v\n%s", p.name, method, err, tail(p.log()))
	}
	return v
}

// refused tells whether the node answered, and not with what was wanted.
func refused(err error) bool {
	var e *rpc.Error
	return errors.As(err, &e)
}

// until looks again and again until the condition holds.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v in vain: %s", patience, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// tail is the end of a log.
func tail(log string) string {
	lines := strings.Split(strings.TrimSpace(log), "\n")
	return strings.Join(lines[max(0, len(lines)-25):], "\n")
}
