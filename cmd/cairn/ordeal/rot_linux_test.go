//go:build linux && amd64

package ordeal_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/node"
)

// rot is what a bad disk does to one file.
type rot struct {
	name string
	do   func(path string) error
}

var rots = []rot{
	{"missing", os.Remove},
	{"empty", func(path string) error { return os.Truncate(path, 0) }},
	{"cut in half", cutAt(func(n int64) int64 { return n / 2 })},
	{"end torn off", cutAt(func(n int64) int64 { return max(0, n-7) })},
	{"first page zero", bend(0, page, func(b []byte) { clear(b) })},
	{"page in the middle zero", bend(0.5, page, func(b []byte) { clear(b) })},
	{"last page zero", bend(1, page, func(b []byte) { clear(b) })},
	{"bit flipped at 1 %", bend(0.01, 1, flip)},
	{"bit flipped at 30 %", bend(0.3, 1, flip)},
	{"bit flipped at 60 %", bend(0.6, 1, flip)},
	{"bit flipped at 99 %", bend(0.99, 1, flip)},
}

func flip(b []byte) { b[0] ^= 0x10 }

// used is how many bytes of a file are written: Badger's logs are longer than that.
func used(path string) (n int64, err error) {
	raw, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer raw.Close()
	buf := make([]byte, page)
	err = extents(raw, func(from, to int64) error {
		for at := from; at < to; at += page {
			k, _ := raw.ReadAt(buf, at)
			if i := lastByte(buf[:k]); i >= 0 {
				n = at + int64(i) + 1
			}
		}
		return nil
	})
	return n, err
}

// lastByte is where the last byte is that is not zero.
func lastByte(b []byte) int {
	i := len(b) - 1
	for i >= 0 && b[i] == 0 {
		i--
	}
	return i
}

func cutAt(to func(int64) int64) func(string) error {
	return func(path string) error {
		n, err := used(path)
		if err != nil {
			return err
		}
		return os.Truncate(path, to(n))
	}
}

// bend changes n bytes at a part of what is written.
func bend(part float64, n int, change func([]byte)) func(string) error {
	return func(path string) error {
		size, err := used(path)
		if err != nil {
			return err
		}
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		b := make([]byte, min(int64(n), size))
		at := int64(part * float64(size-int64(len(b))))
		_, err = f.ReadAt(b, at)
		if len(b) > 0 && err == nil {
			change(b)
			_, err = f.WriteAt(b, at)
		}
		return errors.Join(err, f.Close())
	}
}

// TestBadDisk damages every file of a store that was killed, in every way, and asks
// cairn db verify. Either all is there, or the end of the chain is missing and the
// rest is true, or it is refused in words: never is anything wrong and silent.
func TestBadDisk(t *testing.T) {
	base, tip := keptStore(t)
	outcomes := map[string]int{}
	for i, file := range filesOf(base) {
		for j, r := range rots {
			if *faultsFlag > 0 && (i*len(rots)+j)%9 != 0 {
				continue
			}
			dir := filepath.Join(t.TempDir(), "bad")
			if err := errors.Join(copyFolder(dir, base), r.do(filepath.Join(dir, file))); err != nil {
				t.Fatal(err)
			}
			outcomes[fmt.Sprintf("%s\t%s\t%s", file, r.name, verify(t, dir, tip))]++
		}
	}
	w := tabwriter.NewWriter(io.MultiWriter(os.Stdout, report(t, "rot.txt")), 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "file\tdamage\tcairn db verify")
	for _, line := range slices.Sorted(maps.Keys(outcomes)) {
		fmt.Fprintln(w, line)
	}
	_ = w.Flush()
}

// keptStore is a store with tables, and logs that hold bodies, as kill -9 leaves it.
func keptStore(t *testing.T) (dir string, tip chain.State) {
	t.Helper()
	p := chain.Regtest()
	live, dir := filepath.Join(t.TempDir(), "live"), filepath.Join(t.TempDir(), "killed")
	l, coin := chaintest.Open(p), chaintest.Funds(p, 9)
	outs := slices.Repeat([]chain.Output{{Value: 1000, To: chaintest.Address(3)}}, 2000)
	for range 3 {
		s := openStore(t, p, live)
		for range 3 {
			tx := chaintest.Pay(p, coin, chaintest.Key(9), fee, outs...)
			b := chaintest.Check(p, chaintest.Block(p, l.State, chaintest.Plan{Pay: chaintest.Address(3), Txs: []*chain.Tx{tx}}))
			step := node.Step{Entries: []node.Entry{{Header: b.Header(), Status: node.Complete}}, Bodies: []chain.CheckedBlock{b}, Tip: b.ID()}
			step.Diff = l.Connect(b)
			step.Entries[0].State = l.State
			if err := s.Commit(step); err != nil {
				t.Fatal(err)
			}
			coin = chaintest.Outs(tx, l.State.Height)[len(outs)]
		}
		if l.State.Height == 9 {
			if err := copyFolder(dir, live); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for _, lock := range []string{".lock", "chain/LOCK"} {
		_ = os.Remove(filepath.Join(dir, lock))
	}
	return dir, l.State
}

// verify is what cairn db verify says of a folder.
func verify(t *testing.T, dir string, tip chain.State) string {
	t.Helper()
	c := exec.CommandContext(t.Context(), program(t), "db", "verify", "--json", "--network", "regtest", "--data-dir", dir)
	var errs strings.Builder
	c.Stderr = &errs
	out, err := c.Output()
	said := errs.String()
	switch {
	case strings.Contains(said, "goroutine "):
		t.Fatalf("%s: it broke down: %s", dir, said)
	case err != nil:
		return "refused: " + lastWord(said)
	}
	var answer struct{ Height uint64 }
	if err := json.Unmarshal(out, &answer); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	left := audit(t, chain.Regtest(), dir)
	switch {
	case left.State == tip:
		return "all is there"
	case left.State.Height < tip.Height:
		return fmt.Sprintf("a true chain of %d blocks, the last %d are missing", left.State.Height, tip.Height-left.State.Height)
	}
	t.Fatalf("%s: the tip is %+v, was %+v", dir, left.State, tip)
	return ""
}
