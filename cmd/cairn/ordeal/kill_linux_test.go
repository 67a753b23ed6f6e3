//go:build linux && amd64

package ordeal_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"

	"cairn/chain"
	"cairn/chain/chaintest"
)

var (
	roundsFlag = flag.Int("rounds", 10, "how often a node is killed")
	seedFlag   = flag.Uint64("seed", 1, "of what is done and where it is killed")
)

// killing is a node that is killed again and again, and another that is not.
type killing struct {
	t     *testing.T
	p     *chain.Params
	v     *victim
	rival *peer
	payer *payer
	rnd   *rand.Rand
	acked map[chain.Hash]bool // blocks that a call or an event told of
	last  *replayed           // the victim's chain as of the last look
	ruled *chain.Hash         // a block that the victim may rule out
	side  chain.State         // where the branch ends that the next block makes win
	tally map[string]*tally
}

// place is where a node is killed: while it does something, at one of the calls
// by which that reaches the disk.
type place struct {
	name string
	do   func(*killing) error
	on   func(op) bool
	most int // calls of those that it makes
	kind kind
}

type kind int

const (
	inCommit kind = iota
	inReorganisation
	inFlush // of what was left due
	elsewhere
)

// tally counts what came of one place.
type tally struct {
	kind                             kind
	killed, missed, power, old, next int
}

// log and table of the database
func onSync(o op) bool {
	return o.syncs() && (strings.HasSuffix(o.path, ".mem") || strings.HasSuffix(o.path, ".vlog"))
}

func onAny(op) bool { return true }

var places = []place{
	{"mining", (*killing).mine, onSync, 5, inCommit},
	{"a branch that wins", (*killing).branch, onSync, 2, inReorganisation},
	{"a payment", (*killing).pay, onSync, 2, inCommit},
	{"a block ruled out", (*killing).ruleOut, onSync, 4, inReorganisation},
	{"fetching from a peer", (*killing).fetch, onSync, 3, inCommit},
	{"writing behind the tip", (*killing).behind, onSync, 3, inFlush},
	{"stopping", (*killing).stop, onAny, 30, elsewhere},
	{"a peer's branch that wins", (*killing).fetchBranch, onSync, 5, inReorganisation},
	{"anything", (*killing).anything, onAny, 60, elsewhere},
}

// starting is the place that needs no deed: every other round begins with it.
var starting = place{"starting", nil, onAny, 60, elsewhere}

// TestKill kills a node at chosen calls, and half of the times takes the power
// away as well: what was not synced may then be lost or torn. After each start the
// chain is valid, nothing that was acknowledged is missing, and life goes on.
func TestKill(t *testing.T) {
	k := newKilling(t)
	for round := range *roundsFlag {
		k.round(places[round%len(places)], round)
		if t.Failed() {
			t.Fatalf("round %d; seed %d", round, *seedFlag)
		}
	}
	k.check()
	k.table(io.MultiWriter(os.Stdout, report(t, "kill.txt")))
}

func newKilling(t *testing.T) *killing {
	t.Helper()
	dir := t.TempDir()
	p := chain.Regtest()
	payer, cuts := newPayer(p, 5)
	k := &killing{
		t: t, p: p, payer: payer, rnd: rand.New(rand.NewPCG(*seedFlag, 7)),
		acked: map[chain.Hash]bool{}, tally: map[string]*tally{},
	}
	k.rival = newPeer(t, filepath.Join(dir, "rival"), "regtest")
	k.rival.up()
	k.v = newVictim(t, filepath.Join(dir, "victim"), "regtest", "--peer", k.rival.addr())
	k.begin(nil)
	for _, id := range ask[[]chain.Hash](k.v.peer, "generate", 4) {
		k.acked[id] = true
	}
	for _, tx := range cuts {
		ask[any](k.v.peer, "sendrawtransaction", hexOf(tx))
		payer.acked[tx.ID()] = tx
	}
	k.check()
	return k
}

// begin starts the victim, whatever it takes: a trap may kill it on the way.
func (k *killing) begin(tp *trap) {
	k.t.Helper()
	for k.v.start(tp); !k.v.waitUp(); k.v.start(nil) {
		if tp == nil || tp.sprung == nil {
			k.t.Fatalf("the node did not start: %v\n%s", k.v.tr.state, tail(k.v.log()))
		}
		k.note(starting, tp, k.after())
		tp = nil
	}
	k.v.arm(nil)
	k.v.listen()
}

// round kills the victim once at a place, and perhaps once while it starts again.
func (k *killing) round(at place, n int) {
	k.t.Helper()
	before := k.state()
	tp := &trap{on: at.on, nth: 1 + k.rnd.IntN(at.most), fate: fate{kill: true}}
	k.prepare(at)
	k.v.arm(tp)
	if err := at.do(k); err != nil && tp.sprung == nil {
		k.t.Fatalf("%s: %v\n%s", at.name, err, tail(k.v.log()))
	}
	k.v.slay() // where the trap was too far
	o := k.after()
	o.before = before
	k.note(at, tp, o)
	var again *trap
	if n%2 == 1 {
		again = &trap{on: starting.on, nth: 1 + k.rnd.IntN(starting.most), fate: fate{kill: true}}
	}
	k.begin(again)
	if k.ruled != nil { // a node that was told so goes on ruling it out
		ask[any](k.v.peer, "reconsiderblock", *k.ruled)
		k.ruled = nil
	}
	k.check()
}

// outcome is what a killed node left.
type outcome struct {
	power         bool
	before, after chain.State
}

// after takes the power away in half of the cases, and audits what is left.
func (k *killing) after() (o outcome) {
	k.t.Helper()
	k.v.slay()
	if o.power = k.rnd.IntN(2) == 0; o.power {
		if err := k.v.image.losePower(k.rnd); err != nil {
			k.t.Fatal(err)
		}
	} else if err := k.v.image.adopt(); err != nil {
		k.t.Fatal(err)
	}
	left := audit(k.t, k.p, k.v.dir)
	o.after = left.State
	for id := range k.told() {
		if _, ok := left.entries[id]; !ok {
			k.t.Errorf("block %v was acknowledged and is lost", id)
		}
	}
	return o
}

// told are the blocks that calls or events told of.
func (k *killing) told() map[chain.Hash]bool {
	k.v.heard.mu.Lock()
	defer k.v.heard.mu.Unlock()
	maps.Copy(k.acked, k.v.heard.blocks)
	return k.acked
}

// check looks at a node that has started: its chain is valid, its coins are those
// of its blocks, whatever was acknowledged is there, and it goes on.
func (k *killing) check() {
	k.t.Helper()
	k.last = replay(k.t, k.v.peer)
	info := ask[struct {
		Hash *chain.Hash `json:"hash_serialized_3"`
		Best chain.Hash  `json:"bestblock"`
	}](k.v.peer, "gettxoutsetinfo")
	if info.Best == k.last.State.ID && *info.Hash != k.last.digest() {
		k.t.Errorf("the node's coins are not those of its blocks: %v, replay %v", info.Hash, k.last.digest())
	}
	for id := range k.told() {
		ask[string](k.v.peer, "getblock", id, 0)
	}
	k.checkPool()
	k.acked[ask[[]chain.Hash](k.v.peer, "generate", 1)[0]] = true
	k.agree()
	k.last = replay(k.t, k.v.peer)
}

// agree waits until both nodes follow one chain.
func (k *killing) agree() {
	k.t.Helper()
	defer func() {
		if k.t.Failed() {
			for _, p := range []*peer{k.v.peer, k.rival} {
				k.t.Logf("%s: %s\npeers %s\n%s", p.name, ask[json.RawMessage](p, "getstatus"), ask[json.RawMessage](p, "getpeerinfo"), tail(p.log()))
			}
		}
	}()
	looks := 0
	until(k.t, "the nodes follow one chain", func() bool {
		if looks++; looks%100 == 0 { // two branches of one weight: a block decides
			ask[any](k.v.peer, "generate", 1)
		}
		return sameTip([]*peer{k.v.peer, k.rival})
	})
}

// checkPool wants each acknowledged payment to wait or to be confirmed. Blocks may
// come between the two looks: it looks again a few times.
func (k *killing) checkPool() {
	k.t.Helper()
	var lost []chain.Hash
	for range 3 {
		waits := ask[[]chain.Hash](k.v.peer, "getrawmempool")
		now := replay(k.t, k.v.peer)
		lost = nil
		for id := range k.payer.acked {
			if !now.txs[id] && !slices.Contains(waits, id) {
				lost = append(lost, id)
			}
		}
		if len(lost) == 0 {
			return
		}
	}
	k.t.Errorf("payments were acknowledged and are lost: %v", lost)
}

func (k *killing) state() chain.State { return k.last.State }

// prepare does beforehand what the place's deed is not about.
func (k *killing) prepare(at place) {
	k.t.Helper()
	for range 2 {
		k.offer()
	}
	switch at.name {
	case "fetching from a peer":
		ask[any](k.v.peer, "setnetworkactive", false)
		ask[any](k.rival, "generate", 1+k.rnd.IntN(6))
	case "a peer's branch that wins":
		ask[any](k.v.peer, "setnetworkactive", false)
		for _, id := range ask[[]chain.Hash](k.v.peer, "generate", 2) {
			k.acked[id] = true
		}
		ask[any](k.rival, "generate", 3+k.rnd.IntN(2))
	case "a branch that wins":
		k.grow()
	case "writing behind the tip":
		k.acked[ask[[]chain.Hash](k.v.peer, "generate", 1)[0]] = true
	}
}

// offer pays from some lane; the parent may not be known any more.
func (k *killing) offer() {
	k.t.Helper()
	if err := k.payer.offer(k.rnd.IntN(len(k.payer.lanes)), k.v.peer); err != nil && !refused(err) {
		k.t.Fatal(err)
	}
}

// grow hands in a branch that is as heavy as the best one.
func (k *killing) grow() {
	k.t.Helper()
	back := 1 + k.rnd.IntN(min(3, len(k.last.blocks)))
	at := k.last.states[len(k.last.blocks)-back]
	for range back {
		at = k.submit(at)
	}
	k.side = at
}

// sprout is a new block on another.
func (k *killing) sprout(at chain.State) *chain.Block {
	name := fmt.Sprint(k.rnd.Uint64())
	return chaintest.Block(k.p, at, chaintest.Plan{Name: name, Gap: -1, Pay: chaintest.Address(9)})
}

// submit hands in a new block on another, beside the best chain.
func (k *killing) submit(at chain.State) chain.State {
	k.t.Helper()
	b := k.sprout(at)
	if why := ask[*string](k.v.peer, "submitblock", hexOf(b)); why != nil && *why != "inconclusive" {
		k.t.Fatalf("a block was refused: %s", *why)
	}
	k.acked[b.ID()] = true
	return chaintest.After(k.p, at, b)
}

// mine mines three blocks, one after the other.
func (k *killing) mine() error {
	var ids []chain.Hash
	for range 3 {
		if err := k.v.try("generate", &ids, 1); err != nil {
			return err
		}
		k.acked[ids[0]] = true
	}
	return nil
}

// branch hands in the block that makes another branch win.
func (k *killing) branch() error {
	b := k.sprout(k.side)
	err := k.v.try("submitblock", nil, hexOf(b))
	if err == nil {
		k.acked[b.ID()] = true
	}
	return err
}

func (k *killing) pay() error {
	err := k.payer.offer(k.rnd.IntN(len(k.payer.lanes)), k.v.peer)
	if refused(err) {
		err = nil
	}
	return err
}

// ruleOut rules a block out that lies some way below the tip, and takes that back.
func (k *killing) ruleOut() error {
	id := k.last.blocks[len(k.last.blocks)-1-k.rnd.IntN(min(3, len(k.last.blocks)))].ID()
	k.ruled = &id
	if err := k.v.try("invalidateblock", nil, id); err != nil {
		return err
	}
	return k.v.try("reconsiderblock", nil, id)
}

// fetch links the nodes again: the victim learns what the rival has found.
func (k *killing) fetch() error {
	if err := k.v.try("setnetworkactive", nil, true); err != nil {
		return err
	}
	until(k.t, "the nodes agree, or one is dead", func() bool {
		var a, b string
		return !k.v.alive() || k.v.try("getbestblockhash", &a) == nil && k.rival.try("getbestblockhash", &b) == nil && a == b
	})
	return nil
}

func (k *killing) fetchBranch() error { return k.fetch() }

// behind waits for the write that follows once blocks have paused.
func (k *killing) behind() error {
	k.v.pause()
	return nil
}

// pause is so long that a node writes what is due, if it lives.
func (v *victim) pause() {
	for end := time.Now().Add(5 * time.Second); v.alive() && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond) // until the trap springs, or was set too late
	}
}

// stop asks the node to end, as a service's owner does.
func (k *killing) stop() error {
	if err := syscall.Kill(k.v.tr.pid, syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-k.v.tr.ended:
	case <-k.t.Context().Done():
	}
	return nil
}

// anything is some of each.
func (k *killing) anything() error {
	for _, do := range []func(*killing) error{(*killing).mine, (*killing).pay, (*killing).ruleOut, (*killing).pay, (*killing).mine, (*killing).stop} {
		if err := do(k); err != nil {
			return err
		}
	}
	return nil
}

// note counts a kill.
func (k *killing) note(at place, tp *trap, o outcome) {
	y := k.tally[at.name]
	if y == nil {
		y = &tally{kind: at.kind}
		k.tally[at.name] = y
	}
	if tp.sprung == nil {
		y.missed++
	} else {
		y.killed++
	}
	k.t.Logf("killed while %s at %v, power lost: %v, height %d, then %d", at.name, tp.sprung, o.power, o.before.Height, o.after.Height)
	if o.power {
		y.power++
	}
	switch {
	case o.after == o.before:
		y.old++
	default:
		y.next++
	}
}

// table tells where the kills hit.
func (k *killing) table(out io.Writer) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "killed while\tat a call on the disk\tafter the last of them\tpower lost too\ttip as before\ttip moved")
	sum := map[kind]int{}
	for _, name := range slices.Sorted(maps.Keys(k.tally)) {
		y := k.tally[name]
		sum[y.kind] += y.killed
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\n", name, y.killed, y.missed, y.power, y.old, y.next)
	}
	_ = w.Flush()
	fmt.Fprintf(out, "inside a commit: %d, of these inside a reorganisation: %d; inside a flush: %d; in other places: %d; seed %d\n",
		sum[inCommit]+sum[inReorganisation], sum[inReorganisation], sum[inFlush], sum[elsewhere], *seedFlag)
	fmt.Fprintf(out, "%d blocks and %d payments were acknowledged; none is lost; height %d\n", len(k.acked), len(k.payer.acked), k.last.State.Height)
}
