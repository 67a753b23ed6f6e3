//go:build linux

package ordeal_test

import (
	"cmp"
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"cairn/chain"
	"cairn/rpc"
)

var (
	soakFlag   = flag.Duration("soak", 0, "how long nodes are used while their needs are measured; 0 leaves it out")
	sampleFlag = flag.Duration("sample", 10*time.Second, "how often they are measured")
)

const (
	soakNodes = 5
	restarted = 3       // of those, so many are restarted; the others show what one life needs
	soakRate  = "40000" // hashes a second of each: the rest of the machine is for the others
	downTime  = 5       // seconds that a restarted node is away
	sleepTime = 20      // seconds that a node is stopped as by a machine that sleeps
	splitTime = 15      // seconds that a node is cut off
	mebi      = 1 << 20 // bytes
	lapse     = 10      // seconds between two faults
	lanesEach = 20      // pieces of each prefunded coin
	soakSeed  = 0x50_41_4b
)

// soak is some nodes in use.
type soak struct {
	t      *testing.T
	peers  []*peer
	lives  []int
	payer  *payer
	rnd    *rand.Rand
	began  time.Time
	rows   []sample
	table  *csv.Writer
	faults map[string]int
	later  []errand
	asleep *peer // nil if all are awake
}

// errand is what is to be done at a time.
type errand struct {
	at time.Time
	do func()
}

// TestSoak uses five nodes for a while: payments, restarts and splits. What they
// need must not grow once they are warm, and what they acknowledged must be there
// on all of them at the end.
func TestSoak(t *testing.T) {
	if *soakFlag == 0 {
		t.Skip("takes as long as -soak says: make soak DURATION=1h")
	}
	s := newSoak(t)
	for end := s.began.Add(*soakFlag); time.Now().Before(end); time.Sleep(time.Second) {
		s.pay()
		s.disturb()
		s.measure()
	}
	s.heal()
	s.settle()
	s.judge()
}

func newSoak(t *testing.T) *soak {
	t.Helper()
	dir := t.TempDir()
	payer, cuts := newPayer(chain.Dev(), lanesEach)
	s := &soak{
		t: t, payer: payer, rnd: rand.New(rand.NewPCG(soakSeed, 1)),
		began: time.Now(), lives: make([]int, soakNodes), faults: map[string]int{},
	}
	for i := range soakNodes {
		s.peers = append(s.peers, newPeer(t, filepath.Join(dir, fmt.Sprintf("node%d", i+1)), "dev", "--mine", "--threads", "1", "--hashrate", soakRate))
	}
	for i, p := range s.peers {
		for j, other := range s.peers {
			if i != j {
				p.args = append(p.args, "--peer", other.addr())
			}
		}
		p.up()
	}
	until(t, "the genesis coins are mature", func() bool {
		return ask[uint64](s.peers[0], "getblockcount") >= chain.Dev().Maturity
	})
	for _, tx := range cuts {
		ask[any](s.peers[0], "sendrawtransaction", hexOf(tx))
		s.payer.acked[tx.ID()] = tx
	}
	s.table = csv.NewWriter(report(t, "soak.csv"))
	s.write(sampleHead)
	return s
}

// report opens a file in the folder of -out, or one that nobody keeps.
func report(t *testing.T, name string) io.Writer {
	t.Helper()
	if *outFlag == "" {
		return io.Discard
	}
	err := os.MkdirAll(*outFlag, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(*outFlag, name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// running are the nodes that are neither down for a restart nor asleep.
func (s *soak) running() (list []*peer) {
	for _, p := range s.peers {
		if s.awake(p) {
			list = append(list, p)
		}
	}
	return list
}

func (s *soak) awake(p *peer) bool { return p.cmd != nil && p != s.asleep }

// pay offers a payment to some node, which may refuse it: its parent may not have
// reached that node yet.
func (s *soak) pay() {
	list := s.running()
	to, i := list[s.rnd.IntN(len(list))], s.rnd.IntN(len(s.payer.lanes))
	if err := s.payer.offer(i, to); err != nil && !refused(err) {
		s.t.Fatalf("%s: %v\n%s", to.name, err, tail(to.log()))
	}
}

// disturb does the errands whose time has come, and now and then makes a fault.
func (s *soak) disturb() {
	now := time.Now()
	for i := 0; i < len(s.later); i++ {
		if e := s.later[i]; !now.Before(e.at) {
			s.later = slices.Delete(s.later, i, i+1)
			e.do()
			i--
		}
	}
	if len(s.later) > 1 || s.rnd.IntN(lapse) != 0 {
		return
	}
	switch s.rnd.IntN(4) {
	case 0:
		s.restart("stopped", s.rnd.IntN(restarted), syscall.SIGTERM)
	case 1:
		s.restart("killed", s.rnd.IntN(restarted), syscall.SIGKILL)
	case 2:
		s.split(s.peers[s.rnd.IntN(len(s.peers))])
	case 3:
		s.sleep(s.peers[s.rnd.IntN(len(s.peers))])
	}
}

// sleep stops a node where it is, as a laptop does that is shut.
func (s *soak) sleep(p *peer) {
	if s.asleep != nil || !s.awake(p) {
		return
	}
	s.faults["asleep"]++
	s.asleep = p
	_ = p.cmd.Process.Signal(syscall.SIGSTOP)
	s.later = append(s.later, errand{time.Now().Add(sleepTime * time.Second), func() {
		_ = p.cmd.Process.Signal(syscall.SIGCONT)
		s.asleep = nil
	}})
}

func (s *soak) restart(how string, i int, signal syscall.Signal) {
	p := s.peers[i]
	if !s.awake(p) {
		return
	}
	s.faults[how]++
	if p.end(signal); signal == syscall.SIGTERM && p.err != nil {
		s.t.Errorf("%s: SIGTERM ended it with %v", p.name, p.err)
	}
	s.lives[i]++
	s.later = append(s.later, errand{time.Now().Add(downTime * time.Second), func() {
		p.start()
		p.answers(p.ended)
	}})
}

func (s *soak) split(p *peer) {
	if !s.awake(p) {
		return
	}
	s.faults["split"]++
	ask[any](p, "setnetworkactive", false)
	s.later = append(s.later, errand{time.Now().Add(splitTime * time.Second), func() {
		s.link(p)
	}})
}

// link links a node again. One that was restarted meanwhile is linked already; one
// that sleeps is linked when it wakes.
func (s *soak) link(p *peer) {
	switch {
	case p == s.asleep:
		s.later = append(s.later, errand{time.Now().Add(time.Second), func() { s.link(p) }})
	case p.cmd != nil:
		ask[any](p, "setnetworkactive", true)
	}
}

// heal ends every fault.
func (s *soak) heal() {
	for len(s.later) > 0 {
		e := s.later[0]
		s.later = s.later[1:]
		e.do()
	}
}

// settle waits until nothing waits any more, and then wants one chain on all
// nodes with everything on it that any of them acknowledged.
func (s *soak) settle() {
	s.t.Helper()
	until(s.t, "no payment waits", func() bool {
		return !slices.ContainsFunc(s.peers, func(p *peer) bool { return ask[rpc.Status](p, "getstatus").Pool.Count > 0 })
	})
	for _, p := range s.peers {
		ask[any](p, "setgenerate", false)
	}
	looks := 0
	until(s.t, "all follow one chain", func() bool {
		if looks++; looks%100 == 0 { // two branches of one weight: a block decides
			ask[any](s.peers[0], "generate", 1)
		}
		return sameTip(s.peers)
	})
	var sums []string
	for _, p := range s.peers {
		sums = append(sums, ask[struct {
			Hash string `json:"hash_serialized_3"`
		}](p, "gettxoutsetinfo").Hash)
		l := replay(s.t, p)
		for id := range s.payer.acked {
			if !l.txs[id] {
				s.t.Errorf("%s: the payment %v was acknowledged and is on no block", p.name, id)
			}
		}
	}
	if n := len(slices.Compact(sums)); n != 1 {
		s.t.Errorf("the sets of coins differ: %v", sums)
	}
}

func sameTip(peers []*peer) bool {
	tip := ask[string](peers[0], "getbestblockhash")
	return !slices.ContainsFunc(peers, func(p *peer) bool { return ask[string](p, "getbestblockhash") != tip })
}

// sample is what one node needs at one moment.
type sample struct {
	second, node, life int
	memory, disk, heap float64 // bytes; memory without mapped files
	goroutines, files  float64
	longest, locks     float64 // seconds: of one step, and waited for locks since the start
	height, pool       float64
}

var sampleHead = strings.Split("second,node,life,memory,disk,heap,goroutines,files,longest,locks,height,pool", ",")

func (s sample) row() []string {
	row := []string{strconv.Itoa(s.second), strconv.Itoa(s.node), strconv.Itoa(s.life)}
	for _, v := range []float64{s.memory, s.disk, s.heap, s.goroutines, s.files, s.longest, s.locks, s.height, s.pool} {
		row = append(row, strconv.FormatFloat(v, 'f', -1, 64))
	}
	return row
}

// measure takes a sample of every node when it is time.
func (s *soak) measure() {
	second := int(time.Since(s.began) / time.Second)
	if n := len(s.rows); n > 0 && second-s.rows[n-1].second < int(*sampleFlag/time.Second) {
		return
	}
	for i, p := range s.peers {
		if !s.awake(p) {
			continue
		}
		load, status := ask[rpc.Load](p, "getload"), ask[rpc.Status](p, "getstatus")
		v := sample{
			second: second, node: i + 1, life: s.lives[i],
			memory: anonymous(s.t, p), disk: allocated(p.dir), files: openFiles(p), heap: float64(load.Heap),
			goroutines: float64(load.Goroutines), longest: load.Longest, locks: load.LockWait,
			height: float64(status.Height), pool: float64(status.Pool.Count),
		}
		s.rows = append(s.rows, v)
		s.write(v.row())
	}
}

func (s *soak) write(row []string) {
	err := s.table.Write(row)
	s.table.Flush()
	if err = cmp.Or(err, s.table.Error()); err != nil {
		s.t.Fatal(err)
	}
}

// anonymous is the memory that no file stands for, in bytes.
func anonymous(t *testing.T, p *peer) float64 {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(raw), "RssAnon:")
	kilo, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
	if err != nil {
		t.Fatal(err)
	}
	return kilo * 1024
}

func openFiles(p *peer) float64 {
	files, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	return float64(len(files))
}

// allocated is what a folder takes of the disk, in bytes: its logs are mapped
// larger than they are.
func allocated(dir string) (sum float64) {
	_ = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil {
			return nil // it went while we looked
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok && err == nil {
			sum += float64(st.Blocks) * 512
		}
		return err
	})
	return sum
}
