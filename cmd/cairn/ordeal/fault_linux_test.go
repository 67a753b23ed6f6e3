//go:build linux && amd64

package ordeal_test

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"text/tabwriter"

	"cairn/chain"
	"cairn/store"
)

var faultsFlag = flag.Int("faults", 8, "how many failing calls are tried; 0 is every call of the story, in both meanings")

// failing is a call of the story that fails.
type failing struct {
	nth  int // of all traced calls
	op   op
	fate fate
}

// TestFailingCalls lets every call on the disk fail once, in pairs: not done, and
// done although it says that it failed. The node goes on or stops; then the power
// goes. After the next start nothing that it acknowledged is missing.
func TestFailingCalls(t *testing.T) {
	base := faultBase(t)
	all := everyCall(t, base)
	t.Logf("%d calls in the story", len(all)/2)
	outcomes := map[string]int{}
	for _, f := range some(all, *faultsFlag) {
		outcome := failOnce(t, base, f)
		meaning := "not done"
		if f.fate.done {
			meaning = "but done"
		}
		outcomes[fmt.Sprintf("%s\t%s\t%v, %s\t%s", f.op.name, kindOf(f.op.path), f.fate.fail, meaning, outcome)]++
		if t.Failed() {
			t.Fatalf("%s %s (call %d), %v, %s: %s", f.op.name, f.op.path, f.nth, f.fate.fail, meaning, outcome)
		}
	}
	out := io.MultiWriter(os.Stdout, report(t, "faults.txt"))
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "call\tfile\tfails\tthe node then\ttimes")
	for _, line := range slices.Sorted(maps.Keys(outcomes)) {
		fmt.Fprintf(w, "%s\t%d\n", line, outcomes[line])
	}
	_ = w.Flush()
	fmt.Fprintln(out, "after each: power lost, store audited, node started again, nothing acknowledged was missing")
}

// some are at most n of them, spread evenly; all if n is 0.
func some(all []failing, n int) (list []failing) {
	if n == 0 || n >= len(all) {
		return all
	}
	for i := range n {
		list = append(list, all[i*len(all)/n])
	}
	return list
}

// faultBase is the folder of a node that was killed: its next start has tables to
// write and logs to read.
func faultBase(t *testing.T) string {
	t.Helper()
	v := newVictim(t, filepath.Join(t.TempDir(), "base"), "regtest")
	v.start(nil)
	v.waitUp()
	ask[any](v.peer, "generate", 3)
	v.slay()
	return v.dir
}

// telling is what a node acknowledged.
type telling struct {
	blocks []chain.Hash
	payer  *payer
	cuts   []*chain.Tx
}

// live is the story: blocks, payments, and an end in good order. It ends early
// when the node does.
func (l *telling) live(v *victim) {
	for i := range 4 {
		var ids []chain.Hash
		if v.try("generate", &ids, 1) != nil {
			return
		}
		l.blocks = append(l.blocks, ids...)
		if v.try("sendrawtransaction", nil, hexOf(l.cuts[i])) == nil {
			l.payer.acked[l.cuts[i].ID()] = l.cuts[i]
		}
	}
	_ = syscall.Kill(v.tr.pid, syscall.SIGTERM)
	<-v.tr.ended
}

func newTelling() *telling {
	y, cuts := newPayer(chain.Regtest(), 3)
	return &telling{payer: y, cuts: cuts}
}

// everyCall runs the story once without a fault, and lists its calls.
func everyCall(t *testing.T, base string) (all []failing) {
	t.Helper()
	v := victimOf(t, base)
	n := 0
	v.start(&trap{nth: 1 << 30, on: func(o op) bool {
		n++
		for _, done := range []bool{false, true} {
			all = append(all, failing{n, o, fate{fail: errnoOf(o), done: done}})
		}
		return false
	}})
	v.waitUp()
	newTelling().live(v)
	v.bury()
	return all
}

// errnoOf is what a disk says to such a call when it can no more.
func errnoOf(o op) syscall.Errno {
	if slices.Contains([]string{"create", "write", "pwrite", "ftruncate"}, o.name) {
		return syscall.ENOSPC
	}
	return syscall.EIO
}

func victimOf(t *testing.T, base string) *victim {
	t.Helper()
	v := newVictim(t, filepath.Join(t.TempDir(), "victim"), "regtest")
	if err := copyFolder(v.dir, base); err != nil {
		t.Fatal(err)
	}
	if err := v.image.adopt(); err != nil {
		t.Fatal(err)
	}
	return v
}

// failOnce tells what a node does when the call fails, and holds what is left
// against what it acknowledged.
func failOnce(t *testing.T, base string, f failing) (outcome string) {
	t.Helper()
	v, l := victimOf(t, base), newTelling()
	v.start(&trap{on: onAny, nth: f.nth, fate: f.fate})
	if v.waitUp() {
		l.live(v)
	}
	state := v.bury()
	outcome = "goes on"
	if code := state.ExitStatus(); code != 0 {
		outcome = fmt.Sprintf("ends with %d: %s", code, lastWord(v.log()))
	}
	t.Logf("call %d, %s %s: %v (done: %v): %s", f.nth, f.op.name, f.op.path, f.fate.fail, f.fate.done, outcome)
	if err := v.image.losePower(rand.New(rand.NewPCG(uint64(f.nth), 3))); err != nil {
		t.Fatal(err)
	}
	if refusedAsDamaged(t, v.dir) {
		outcome += "; the next start is refused, and cairn db reindex helps"
		if out, err := exec.Command(program(t), "db", "reindex", "--network", "regtest", "--data-dir", v.dir).CombinedOutput(); err != nil {
			t.Fatalf("cairn db reindex: %v\n%s", err, out)
		}
	}
	left := audit(t, chain.Regtest(), v.dir)
	for _, id := range l.blocks {
		if _, ok := left.entries[id]; !ok {
			t.Errorf("block %v was acknowledged and is lost", id)
		}
	}
	l.comeBack(t, v)
	return outcome
}

// refusedAsDamaged tells whether the store says that it is damaged. It looks at a
// copy: a look may repair.
func refusedAsDamaged(t *testing.T, dir string) bool {
	t.Helper()
	scratch := t.TempDir()
	if err := copyFolder(scratch, dir); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(store.Config{Dir: scratch, Params: chain.Regtest(), Beside: []string{"*"}})
	if err == nil {
		err = s.Close()
	}
	damaged := (*store.DamageError)(nil)
	return errors.As(err, &damaged)
}

// comeBack starts the node again.
func (l *telling) comeBack(t *testing.T, v *victim) {
	t.Helper()
	if v.start(nil); !v.waitUp() {
		t.Fatalf("it does not start again: %s", tail(v.log()))
	}
	waits := ask[[]chain.Hash](v.peer, "getrawmempool")
	now := replay(t, v.peer)
	for id := range l.payer.acked {
		if !now.txs[id] && !slices.Contains(waits, id) {
			t.Errorf("the payment %v was acknowledged and is lost", id)
		}
	}
	ask[any](v.peer, "generate", 1)
	v.slay()
}

var numbers = regexp.MustCompile(`[0-9a-f]{16,}|/tmp/[^ :,)"]*|[0-9]+`)

// lastWord is the end of what a node said, without what differs each time.
func lastWord(log string) string {
	lines := strings.Split(strings.TrimSpace(log), "\n")
	said := numbers.ReplaceAllString(lines[len(lines)-1], "#")
	return said[:min(len(said), 160)]
}

var digits = regexp.MustCompile(`[0-9]+`)

// kindOf names a file by what it is.
func kindOf(path string) string { return digits.ReplaceAllString(path, "#") }
