package main_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"cairn/cmd/cairn/cairntest"
)

// A real disk that runs full: the node says so and waits, goes on by itself, stops
// in good order when nothing at all is left, is not started then, and has
// everything when there is room again.
func TestDiskRunsFull(t *testing.T) {
	u := newUser(t)
	dir := smallDisk(t, "size=330m")
	data := filepath.Join(dir, "data")
	here := []string{"--network", "regtest", "--data-dir", data}
	run := func(args ...string) result { return u.try(append(args, here...)...) }
	n := u.node(data, cairntest.FreePort(t))
	run("mine", "generate", "5").wants(t, 0)

	ballast := filepath.Join(dir, "ballast")
	fill(t, ballast, 150<<20)
	u.until("the status warns", func() bool { return strings.Contains(run("status").out, "MB are free on the disk") })
	run("mine", "generate", "1").wants(t, 1, "MB are free on the disk of "+data, "make room")
	run("rpc", "getblockcount").wants(t, 0, "5")
	empty(t, ballast)
	u.until("the warning is gone", func() bool { return !strings.Contains(run("status").out, "MB are free") })
	run("mine", "generate", "2").wants(t, 0)

	fill(t, ballast, 1<<30)
	u.until("the status warns", func() bool { return strings.Contains(run("status").out, "only 0 MB are free") })
	run("mine", "generate", "1").wants(t, 1, "only 0 MB")
	run("rpc", "getblockcount").wants(t, 0, "7")
	n.interrupt(u)
	if log := n.log.String(); n.ProcessState.ExitCode() != 0 || strings.Contains(log, "fatal") || strings.Contains(log, "goroutine") {
		t.Errorf("it ended with %v:\n%s", n.ProcessState, log)
	}
	run("node", "--listen", "/ip4/127.0.0.1/tcp/0", "--rpc", "127.0.0.1:0").wants(t, 1, "only 0 MB are free", "200 MB are needed", "make room")

	empty(t, ballast)
	n = u.node(data, cairntest.FreePort(t))
	run("rpc", "getblockcount").wants(t, 0, "7")
	n.interrupt(u)
	u.db(data, "verify").wants(t, 0, "all is sound: 7 blocks")
}

func (p *process) interrupt(u *user) {
	u.Helper()
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		u.Fatal(err)
	}
	<-p.ended
}

// smallDisk is a file system in memory.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, size); err != nil {
		t.Skipf("no file system of our own: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fill writes a file of at most so many bytes, or as much as there is room for.
func fill(t *testing.T, name string, most int) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for part := make([]byte, 1<<20); most > 0; most -= len(part) {
		if _, err := f.Write(part); errors.Is(err, syscall.ENOSPC) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func empty(t *testing.T, name string) {
	t.Helper()
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
}
