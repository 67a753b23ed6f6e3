package store

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/node"
)

// The test binary runs itself as another process that holds a store.
const childDir, childTask = "CAIRN_STORE_TEST_DIR", "CAIRN_STORE_TEST_TASK"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if err := child(os.Getenv(childTask), dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func child(task, dir string) error {
	p := chaintest.Easy()
	round, _ := strconv.Atoi(task)                                       // none is 0
	s, err := Open(Config{Dir: dir, Params: p, Cache: int64(round % 2)}) // in every other round it flushes without a pause
	if err != nil {
		return err
	}
	if task == "hold" {
		fmt.Println("open")
		_, err := io.Copy(io.Discard, os.Stdin) // until somebody kills us
		return err
	}
	return live(s, p, task)
}

// spawn starts a child; its output comes line by line, up to its end.
func spawn(t *testing.T, task, dir string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), childDir+"="+dir, childTask+"="+task)
	c.Stderr = os.Stderr
	if _, err := c.StdinPipe(); err != nil { // open until the child ends
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	return c, bufio.NewScanner(out)
}

func kill(t *testing.T, c *exec.Cmd) {
	t.Helper()
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
}

func TestOneProcessHoldsAFolder(t *testing.T) {
	p, dir := chaintest.Easy(), t.TempDir()
	c, lines := spawn(t, "hold", dir)
	if !lines.Scan() {
		t.Fatal("the other process did not open the store")
	}
	_, err := Open(Config{Dir: dir, Params: p})
	var locked *LockedError
	if !errors.As(err, &locked) || locked.PID != c.Process.Pid || locked.Dir != dir {
		t.Errorf("second opener: %v, want that process %d holds %s", err, c.Process.Pid, dir)
	} else if text := err.Error(); !strings.Contains(text, fmt.Sprint(c.Process.Pid)) {
		t.Errorf("%q does not name the process", text)
	}
	kill(t, c)
	_ = c.Wait() // says that it was killed
	if holder(filepath.Join(dir, lockFile)) != c.Process.Pid {
		t.Error("the killed process left no lock file: nothing was tried")
	}
	openBadger(t, p, dir)
}

func TestOneStoreHoldsAFolder(t *testing.T) {
	p, dir := chaintest.Easy(), t.TempDir()
	first := openBadger(t, p, dir)
	_, err := Open(Config{Dir: dir, Params: p})
	var locked *LockedError
	if !errors.As(err, &locked) || locked.PID != os.Getpid() {
		t.Errorf("second opener: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	openBadger(t, p, dir)
}

func TestForeignFolderIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "thesis.tex"), []byte("dear"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Open(Config{Dir: dir, Params: chaintest.Easy()})
	var foreign *ForeignError
	if !errors.As(err, &foreign) || foreign.File != "thesis.tex" {
		t.Errorf("got %v, want a *ForeignError that names the file", err)
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Errorf("the folder was touched: %v", files)
	}
	s, err := Open(Config{Dir: dir, Params: chaintest.Easy(), Beside: []string{"*.tex"}})
	if err != nil {
		t.Fatalf("a file that the program knows: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestAnotherNetworkIsRefused(t *testing.T) {
	p, other, dir := chaintest.Easy(), chain.Dev(), t.TempDir()
	if err := openBadger(t, p, dir).Close(); err != nil {
		t.Fatal(err)
	}
	_, err := Open(Config{Dir: dir, Params: other})
	var wrong *GenesisError
	if !errors.As(err, &wrong) || wrong.Have != p.GenesisID() || wrong.Want != other.GenesisID() || wrong.Dir != dir {
		t.Errorf("by its mark: %v", err)
	}
	if text := err.Error(); !strings.Contains(text, p.GenesisID().String()) || !strings.Contains(text, other.GenesisID().String()) {
		t.Errorf("%q does not name both", text)
	}
	rewrite(t, dir, marker{Format: format, Network: other.Name, Genesis: other.GenesisID()})
	_, err = Open(Config{Dir: dir, Params: other})
	if !errors.As(err, &wrong) || wrong.Have != p.GenesisID() || wrong.Dir != dir {
		t.Errorf("by its database: %v", err)
	}
	rewrite(t, dir, marker{Format: format, Network: p.Name, Genesis: p.GenesisID()})
	newWorld(p, 1).compare(t, openBadger(t, p, dir))
}

func rewrite(t *testing.T, dir string, m marker) {
	t.Helper()
	text := fmt.Sprintf(`{"format":%d,"network":%q,"genesis":%q}`, m.Format, m.Network, m.Genesis)
	if err := os.WriteFile(filepath.Join(dir, markFile), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestNewerFormatIsRefused(t *testing.T) {
	p, dir := chaintest.Easy(), t.TempDir()
	if err := openBadger(t, p, dir).Close(); err != nil {
		t.Fatal(err)
	}
	rewrite(t, dir, marker{Format: format + 1, Network: p.Name, Genesis: p.GenesisID()})
	_, err := Open(Config{Dir: dir, Params: p})
	var newer *FormatError
	if !errors.As(err, &newer) || newer.Have != format+1 || newer.Know != format {
		t.Errorf("got %v, want a *FormatError", err)
	}
}

// A crash may fall between any two steps of the first open.
func TestFirstOpenBeginsAgain(t *testing.T) {
	p := chaintest.Easy()
	for name, leave := range map[string]func(dir string) error{
		"lock alone":     func(dir string) error { return os.WriteFile(filepath.Join(dir, lockFile), []byte("1\n"), 0o600) },
		"half a mark":    func(dir string) error { return os.WriteFile(filepath.Join(dir, markFile+".new"), []byte("{"), 0o600) },
		"mark, no chain": func(dir string) error { _, err := mark(Config{Dir: dir, Params: p}); return err },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := leave(dir); err != nil {
				t.Fatal(err)
			}
			newWorld(p, 1).compare(t, openBadger(t, p, dir))
		})
	}
}

func TestFolderMustBeNamed(t *testing.T) {
	for _, c := range []Config{{}, {Dir: t.TempDir()}, {Params: chaintest.Easy()}} {
		if s, err := Open(c); err == nil {
			t.Errorf("opened %v", s)
		}
	}
}

func TestLogIsHandedOut(t *testing.T) {
	var mu sync.Mutex
	var heard []string
	s, err := Open(Config{Dir: t.TempDir(), Params: chaintest.Easy(), Log: func(_ slog.Level, text string) {
		mu.Lock()
		defer mu.Unlock()
		heard = append(heard, text)
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(heard) == 0 || strings.HasSuffix(heard[0], "\n") {
		t.Errorf("heard %q", heard)
	}
}

// What cannot be read is our fault: it must not look like a broken rule, for
// which a peer would be blamed.
func TestDamageIsNobodysRule(t *testing.T) {
	m := NewMemory(chaintest.Easy())
	id, bent := m.params.GenesisID(), newBatch()
	genesis, err := m.Body(id)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range [][]byte{keyBody(id), keyEntry(id), keyDiff(id)} {
		bent.put(key, []byte{1, 2})
	}
	tamper(t, m.book, bent)
	_, body := m.Body(id)
	_, entry := m.Entry(id)
	_, diff := m.Diff(genesis)
	for what, err := range map[string]error{"body": body, "entry": entry, "diff": diff} {
		if err == nil || chain.KindOf(err) != "" || errors.Is(err, node.ErrUnknown) || !strings.Contains(err.Error(), id.String()) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
