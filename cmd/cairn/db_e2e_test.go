//go:build unix

package main_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cairn/cmd/cairn/cairntest"
)

// db runs a db command on a data directory of regtest.
func (u *user) db(dir, command string, more ...string) result {
	u.Helper()
	return u.try(append([]string{"db", command, "--network", "regtest", "--data-dir", dir}, more...)...)
}

func (r result) wants(t *testing.T, code int, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(r.out+r.err, w) {
			t.Errorf("exit %d without %q:\n%s%s", r.code, w, r.out, r.err)
		}
	}
	if r.code != code {
		t.Errorf("exit %d, want %d:\n%s%s", r.code, code, r.out, r.err)
	}
}

// stop kills a node as a loss of power would.
func (p *process) stop(u *user) {
	u.Helper()
	if err := p.Process.Kill(); err != nil {
		u.Fatal(err)
	}
	<-p.ended
}

// A chain is checked, saved, loaded elsewhere and built anew; what stands in the
// way is told with what to do.
func TestDatabaseCommands(t *testing.T) {
	u := newUser(t)
	dir, other := t.TempDir(), filepath.Join(t.TempDir(), "other")
	n := u.node(dir, cairntest.FreePort(t))
	u.run("mine", "generate", "30", "--network", "regtest", "--data-dir", dir)
	tip := strings.TrimSpace(u.run("rpc", "getbestblockhash", "--network", "regtest", "--data-dir", dir))
	file := filepath.Join(t.TempDir(), "chain.cairn")
	for _, command := range [][]string{{"verify"}, {"reindex"}, {"export", file}, {"import", file}} {
		if command[0] != "import" { // whose file is not there yet
			u.db(dir, command[0], command[1:]...).wants(t, 1, fmt.Sprintf("process %d holds", n.Process.Pid), "stop it")
		}
	}
	n.stop(u)

	u.db(dir, "verify").wants(t, 0, "all is sound: 30 blocks", tip)
	u.db(dir, "export", file).wants(t, 0, "30 blocks", file)
	u.db(dir, "export", file).wants(t, 1, "is there already", "--force")
	u.db(dir, "export", filepath.Join(dir, "nowhere", "x")).wants(t, 1, "there is no folder", "nowhere", "make it")
	u.db(dir, "export", file, "--force", "--side-branches").wants(t, 0, "30 blocks")
	u.db(other, "verify").wants(t, 1, "there is no chain in "+other, "--data-dir")
	u.db(other, "import", file).wants(t, 0, "30 blocks", "30 are new", tip)
	u.db(other, "import", file).wants(t, 0, "0 are new", tip)
	u.db(other, "verify", "--json").wants(t, 0, `"sound": true`, `"height": 30`, tip)
	u.db(other, "reindex").wants(t, 0, "30 blocks", tip, "chain.old-")
	u.db(other, "verify").wants(t, 0, "all is sound", tip)
	u.try("db", "import", file, "--network", "dev", "--data-dir", other).wants(t, 1, `network "regtest"`, "choose that network")
	refuseBadFiles(t, u, file)
}

// refuseBadFiles tries files that are cut or bent: the place is told, and nothing
// is begun.
func refuseBadFiles(t *testing.T, u *user, file string) {
	t.Helper()
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	bent := bytes.Clone(whole)
	bent[len(bent)/2] ^= 1
	for name, raw := range map[string][]byte{"cut": whole[:len(whole)-9], "bent": bent, "foreign": []byte(strings.Repeat("stones ", 99))} {
		bad, dir := filepath.Join(t.TempDir(), name), filepath.Join(t.TempDir(), "never")
		if err := os.WriteFile(bad, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		u.db(dir, "import", bad).wants(t, 1, bad, "at byte ", "nothing of it was taken")
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s: a directory was made", name)
		}
	}
}

// A bit that a disk lost is found, and mended from the rest and from a file.
func TestDamagedDatabaseIsMended(t *testing.T) {
	u := newUser(t)
	dir := t.TempDir()
	tip, file := u.damaged(dir)
	r := u.db(dir, "verify")
	r.wants(t, 1, "cairn db reindex")
	u.db(dir, "reindex").wants(t, 0, "chain.damaged-")
	u.db(dir, "verify").wants(t, 0, "all is sound")
	u.db(dir, "import", file).wants(t, 0, tip)
	u.db(dir, "verify").wants(t, 0, "all is sound", tip)
	n := u.node(dir, cairntest.FreePort(t))
	if got := strings.TrimSpace(u.run("rpc", "getbestblockhash", "--network", "regtest", "--data-dir", dir)); got != tip {
		t.Errorf("the node starts at %s, not %s", got, tip)
	}
	n.stop(u)
}

// damaged makes a chain, saves it in a file, and flips a bit in a table.
func (u *user) damaged(dir string) (tip, file string) {
	u.Helper()
	n := u.node(dir, cairntest.FreePort(u))
	u.run("mine", "generate", "40", "--network", "regtest", "--data-dir", dir)
	tip = strings.TrimSpace(u.run("rpc", "getbestblockhash", "--network", "regtest", "--data-dir", dir))
	n.stop(u)
	file = filepath.Join(u.TempDir(), "chain.cairn")
	if r := u.db(dir, "export", file); r.code != 0 { // which closes the database in good order
		u.Fatal(r.err)
	}
	tables, err := filepath.Glob(filepath.Join(dir, "chain", "*.sst"))
	if err != nil || len(tables) == 0 {
		u.Fatalf("no table: %v", err)
	}
	raw, err := os.ReadFile(tables[0])
	if err != nil {
		u.Fatal(err)
	}
	raw[len(raw)/3] ^= 1
	if err := os.WriteFile(tables[0], raw, 0o600); err != nil {
		u.Fatal(err)
	}
	return tip, file
}

// Whenever reindex or import is killed, the chain is as it was or unfinished, and
// the same command ends the work.
func TestKilledDatabaseCommandsGoOn(t *testing.T) {
	u := newUser(t)
	dir := t.TempDir()
	n := u.node(dir, cairntest.FreePort(t))
	u.run("mine", "generate", "400", "--network", "regtest", "--data-dir", dir)
	tip := strings.TrimSpace(u.run("rpc", "getbestblockhash", "--network", "regtest", "--data-dir", dir))
	n.stop(u)
	file := filepath.Join(t.TempDir(), "chain.cairn")
	u.db(dir, "export", file).wants(t, 0, "400 blocks")
	fresh := filepath.Join(t.TempDir(), "fresh")
	for i := range 6 { // each a little later than the one before
		after := time.Duration(40+60*i) * time.Millisecond
		u.killed(after, "db", "reindex", "--network", "regtest", "--data-dir", dir)
		u.db(dir, "verify").wants(t, 0, "all is sound: 400 blocks", tip)
		u.killed(after, "db", "import", file, "--network", "regtest", "--data-dir", fresh)
	}
	u.db(dir, "reindex").wants(t, 0, "400 blocks", tip)
	u.db(dir, "verify").wants(t, 0, "all is sound: 400 blocks", tip)
	u.db(fresh, "import", file).wants(t, 0, "400 blocks", tip)
	u.db(fresh, "verify").wants(t, 0, "all is sound: 400 blocks", tip)
}

// killed starts a command and kills it after a while, if it is not done before.
func (u *user) killed(after time.Duration, args ...string) {
	u.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), after)
	defer cancel()
	_ = u.command(ctx, args...).Run() // says that it was killed, or that it was done
}
