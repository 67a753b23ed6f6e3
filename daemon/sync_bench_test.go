package daemon_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/chain/schnorr"
	"cairn/daemon"
	"cairn/node"
	"cairn/p2p"
	"cairn/store"
)

// CAIRN_BENCH_BLOCKS makes the chains of these benchmarks shorter: the number of
// full blocks, 500 unless told otherwise. There are 200 empty ones for each.
func benchBlocks(b *testing.B) int {
	s := os.Getenv("CAIRN_BENCH_BLOCKS")
	if s == "" {
		return 500
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		b.Fatalf("CAIRN_BENCH_BLOCKS=%q is no number of blocks", s)
	}
	return n
}

// CAIRN_BENCH_CACHE bounds what a new node may have due to be written, in bytes.
func benchCache(b *testing.B) (n int64) {
	if s := os.Getenv("CAIRN_BENCH_CACHE"); s != "" {
		var err error
		if n, err = strconv.ParseInt(s, 10, 64); err != nil {
			b.Fatal(err)
		}
	}
	return n
}

const (
	paymentsABlock = 400 // of one input and two outputs
	benchPurses    = 2000
)

// A long is a chain on disk that others are to catch up with.
type long struct {
	p      *chain.Params
	dir    string
	store  *store.Badger
	blocks int
}

// longChain opens the chain of so many blocks, which is made once for all runs.
func longChain(b *testing.B, blocks, payments int) *long {
	b.Helper()
	p := chain.Regtest()
	dir := filepath.Join(os.TempDir(), "cairn-bench", fmt.Sprintf("sync-%d-%d", blocks, payments))
	if _, err := os.Stat(dir); err != nil {
		begun := dir + ".begun"
		if err := os.RemoveAll(begun); err != nil {
			b.Fatal(err)
		}
		makeChain(b, begun, p, blocks, payments)
		if err := os.Rename(begun, dir); err != nil {
			b.Fatal(err)
		}
	}
	s, err := store.Open(store.Config{Dir: dir, Params: p})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	if e, err := s.Tip(); err != nil || e.State.Height != uint64(blocks) {
		b.Fatalf("the chain in %s ends at %d: %v", dir, e.State.Height, err)
	}
	return &long{p, dir, s, blocks}
}

func makeChain(b *testing.B, dir string, p *chain.Params, blocks, payments int) {
	b.Logf("making a chain of %d blocks with %d payments each in %s", blocks, payments, dir)
	s, err := store.Open(store.Config{Dir: dir, Params: p})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	l, t, pay := chaintest.Open(p), newTill(p), chaintest.Address(9)
	atOnce := 20_000 / max(payments, 10)
	var steps []node.Step
	for i := range blocks {
		block := chaintest.Check(p, chaintest.Block(p, l.State, chaintest.Plan{Gap: -1, Pay: pay, Txs: t.payments(payments)}))
		diff := l.Connect(block)
		if payments == 0 {
			clear(l.Coins) // nobody will spend them, and there may be millions
		}
		e := node.Entry{Header: block.Header(), State: l.State, Status: node.Complete}
		steps = append(steps, node.Step{Entries: []node.Entry{e}, Bodies: []chain.CheckedBlock{block}, Tip: l.State.ID, Diff: diff})
		if len(steps) == atOnce || i == blocks-1 {
			if err := s.Commit(steps...); err != nil {
				b.Fatal(err)
			}
			steps = nil
		}
	}
}

// A till splits coins in two, the oldest first, and hands them to one of many keys.
type till struct {
	p     *chain.Params
	keys  []schnorr.PrivateKey
	coins []purse // oldest first
	next  int
}

type purse struct {
	coin chain.Coin
	key  schnorr.PrivateKey
}

func newTill(p *chain.Params) *till {
	t := &till{p: p}
	for i, c := range p.GenesisCoins().Created {
		t.coins = append(t.coins, purse{c, chaintest.Key(i)})
	}
	for i := range benchPurses {
		key, err := schnorr.NewPrivateKey(sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(i))))
		if err != nil {
			panic(err)
		}
		t.keys = append(t.keys, key)
	}
	return t
}

// payments signs on all cores what does not depend on each other.
func (t *till) payments(n int) (txs []*chain.Tx) {
	for len(txs) < n {
		spent := t.coins[:min(n-len(txs), len(t.coins))]
		t.coins = t.coins[len(spent):]
		round := make([]*chain.Tx, len(spent))
		first := t.next
		t.next += 2 * len(spent)
		var g errgroup.Group
		g.SetLimit(runtime.GOMAXPROCS(0))
		for i, s := range spent {
			g.Go(func() error {
				round[i] = t.pay(s, first+2*i)
				return nil
			})
		}
		_ = g.Wait()
		for i, tx := range round {
			for j, c := range chaintest.Outs(tx, 1) {
				t.coins = append(t.coins, purse{c, t.key(first + 2*i + j)})
			}
		}
		txs = append(txs, round...)
	}
	return txs
}

func (t *till) key(i int) schnorr.PrivateKey { return t.keys[i%len(t.keys)] }

func (t *till) pay(from purse, to int) *chain.Tx {
	c := from.coin
	left := c.Value - 1000
	return chaintest.Sign(t.p, &chain.Tx{
		Inputs: []chain.Input{{Prev: c.OutPoint, Value: c.Value, Owner: c.Owner}},
		Outputs: []chain.Output{
			{Value: left / 2, To: t.key(to).Public()},
			{Value: left - left/2, To: t.key(to + 1).Public()},
		},
	}, from.key)
}

// txs are all transactions of the chain.
func (l *long) txs(b *testing.B) (all []*chain.Tx) {
	b.Helper()
	tip, err := l.store.Tip()
	if err != nil {
		b.Fatal(err)
	}
	for h := uint64(1); h <= tip.State.Height; h++ {
		all = append(all, l.body(b, h).Block().Txs...)
	}
	return all
}

// verify checks transactions on all cores, as many at once as pay.
func verify(b *testing.B, p *chain.Params, txs []*chain.Tx) time.Duration {
	b.Helper()
	start := time.Now()
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for len(txs) > 0 {
		some := txs[:min(len(txs), 2000)]
		txs = txs[len(some):]
		g.Go(func() error {
			_, err := chain.CheckTxs(p, some)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		b.Fatal(err)
	}
	return time.Since(start)
}

func (l *long) daemon(b *testing.B, s daemon.Store, peers ...string) *daemon.Daemon {
	b.Helper()
	d, err := daemon.New(l.config(b, s, peers...))
	if err != nil {
		b.Fatal(err)
	}
	return d
}

func (l *long) config(b *testing.B, s daemon.Store, peers ...string) daemon.Config {
	b.Helper()
	key, err := p2p.NewKey()
	if err != nil {
		b.Fatal(err)
	}
	return daemon.Config{
		Params: l.p, Store: s,
		Network: p2p.Config{Key: key, Listen: []string{"/ip4/127.0.0.1/tcp/0"}, Peers: peers},
	}
}

// effort is what it takes to catch up.
type effort struct {
	time, work time.Duration // until the end of the chain is reached: on the clock, and of all cores
	settled    effortOf      // until all that follows from the blocks is on disk too
	peak       int           // of anonymous memory, in bytes
}

type effortOf struct{ time, work time.Duration }

// catchUp lets a new node on an empty disk reach the end of the chain.
func (l *long) catchUp(b *testing.B, peers []string) (e effort) {
	b.Helper()
	dir, err := os.MkdirTemp("", "cairn-bench-")
	if err != nil {
		b.Fatal(err)
	}
	defer os.RemoveAll(dir)
	s, err := store.Open(store.Config{Dir: dir, Params: l.p, Cache: benchCache(b)})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	end, err := l.store.Tip()
	if err != nil {
		b.Fatal(err)
	}
	defer debug.SetGCPercent(debug.SetGCPercent(daemon.GCPercent)) // as cairn node does
	debug.FreeOSMemory()
	stop := watchMemory(&e.peak)
	start, before := time.Now(), work()
	d := l.daemon(b, s, peers...)
	for {
		moved := d.Moved()
		tip, err := s.Tip()
		if err != nil {
			b.Fatal(err)
		}
		if tip.State.ID == end.State.ID {
			break
		}
		select {
		case <-moved:
		case <-d.Done():
			b.Fatal(d.Err())
		}
	}
	e.time, e.work = time.Since(start), work()-before
	if err := s.Settle(); err != nil {
		b.Fatal(err)
	}
	e.settled = effortOf{time.Since(start), work() - before}
	stop()
	d.Close()
	return e
}

// watchMemory keeps the peak of what is added to the process's anonymous memory.
func watchMemory(peak *int) (stop func()) {
	before := anonymous()
	done := make(chan struct{})
	var w sync.WaitGroup
	w.Go(func() {
		t := time.NewTicker(20 * time.Millisecond)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				*peak = max(*peak, anonymous()-before)
			case <-done:
				return
			}
		}
	})
	return func() {
		close(done)
		w.Wait()
	}
}

// anonymous is RssAnon of this process in bytes; 0 where it cannot be known.
func anonymous() (n int) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	if _, line, ok := bytes.Cut(status, []byte("RssAnon:")); ok {
		_, _ = fmt.Sscan(string(line), &n)
	}
	return n << 10
}

// work is the time that all cores spent on this process; 0 where it cannot be known.
func work() time.Duration {
	stat, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return 0
	}
	const ticks = 100 // a second: fixed in what Linux tells programs
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	user, _ := strconv.Atoi(string(fields[11]))
	system, _ := strconv.Atoi(string(fields[12]))
	return time.Duration(user+system) * time.Second / ticks
}

// BenchmarkFirstSync lets a new node catch up with 200,000 payments in 500 blocks,
// over loopback, and measures beside it how long all cores take to verify the
// same signatures in batches and do nothing else. The peers share the cores. On a
// machine that is busy with other things only the ratios of the work count.
func BenchmarkFirstSync(b *testing.B) {
	l := longChain(b, benchBlocks(b), paymentsABlock)
	for _, n := range []int{1, 4} {
		b.Run(fmt.Sprintf("%d-peers", n), func(b *testing.B) {
			var peers []string
			for range n {
				d := l.daemon(b, l.store)
				defer d.Close()
				peers = append(peers, d.Network().Addrs()[0])
			}
			var raw, rawWork time.Duration
			var sum effort
			var count int
			for range b.N {
				b.StopTimer()
				txs := l.txs(b)
				count += len(txs)
				before := work()
				raw += verify(b, l.p, txs)
				rawWork += work() - before
				txs = nil
				b.StartTimer()
				e := l.catchUp(b, peers)
				sum.time, sum.work = sum.time+e.time, sum.work+e.work
				sum.settled.time, sum.settled.work = sum.settled.time+e.settled.time, sum.settled.work+e.settled.work
				sum.peak = max(sum.peak, e.peak)
			}
			b.ReportMetric(float64(count)/sum.time.Seconds(), "tx/s")
			b.ReportMetric(float64(raw)/float64(sum.time), "of-raw-verification")
			b.ReportMetric(float64(raw)/float64(sum.settled.time), "of-it-with-indexes")
			b.ReportMetric(float64(rawWork)/float64(sum.work), "of-it-in-work")
			b.ReportMetric(float64(rawWork)/float64(sum.settled.work), "of-it-in-work-with-indexes")
			b.ReportMetric(float64(sum.peak)/1e6, "MB-peak")
		})
	}
}

// BenchmarkFirstSyncEmpty does the same with 100,000 blocks that pay nobody but
// their miner.
func BenchmarkFirstSyncEmpty(b *testing.B) {
	blocks := 200 * benchBlocks(b)
	l := longChain(b, blocks, 0)
	d := l.daemon(b, l.store)
	defer d.Close()
	var sync time.Duration
	var most int
	for range b.N {
		e := l.catchUp(b, d.Network().Addrs())
		sync += e.time
		most = max(most, e.peak)
	}
	b.ReportMetric(float64(b.N*blocks)/sync.Seconds(), "blocks/s")
	b.ReportMetric(float64(most)/1e6, "MB-peak")
}

// BenchmarkHeaders lets a new node learn the headers of 100,000 blocks from a peer
// that keeps the bodies to itself, as far as headers may run ahead of bodies.
func BenchmarkHeaders(b *testing.B) {
	l := longChain(b, 200*benchBlocks(b), 0)
	mute := &liar{}
	mute.bend(func(_ context.Context, q node.Request, a node.Answer) (node.Answer, error) {
		if q.Want == node.WantBodies {
			return a, errors.New("no bodies today")
		}
		return a, nil
	})
	server, err := daemon.New(mute.between(l.config(b, l.store)))
	if err != nil {
		b.Fatal(err)
	}
	defer server.Close()
	var took time.Duration
	var count uint64
	for range b.N {
		s, err := store.Open(store.Config{Dir: b.TempDir(), Params: l.p})
		if err != nil {
			b.Fatal(err)
		}
		start := time.Now()
		d := l.daemon(b, s, server.Network().Addrs()...)
		count += headersOf(b, d, uint64(min(l.blocks, 1<<15)))
		took += time.Since(start)
		d.Close()
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(count)/took.Seconds(), "headers/s")
}

// headersOf waits until a node knows at least so many headers.
func headersOf(b *testing.B, d *daemon.Daemon, least uint64) (known uint64) {
	b.Helper()
	t := time.NewTicker(time.Millisecond)
	defer t.Stop()
	for known < least {
		select {
		case <-t.C:
		case <-d.Done():
			b.Fatal(d.Err())
		}
		if at := d.Sync(); at != nil {
			known = at.Target
		}
	}
	return known
}

// BenchmarkStart starts a node on a long history of empty blocks, and tells what
// that costs: old headers stay on disk, so that only the time of the newest 2,016
// and the disk should grow with it. CAIRN_BENCH_BLOCKS=5000 makes a million, 50000 ten
// million, which take minutes and 10 GB: remove them from the temporary folder.
func BenchmarkStart(b *testing.B) {
	blocks := 200 * benchBlocks(b)
	l := longChain(b, blocks, 0)
	var took time.Duration
	var most int
	for range b.N {
		debug.FreeOSMemory()
		before := anonymous()
		start := time.Now()
		d := l.daemon(b, l.store)
		took += time.Since(start)
		runtime.GC()
		debug.FreeOSMemory()
		most = max(most, anonymous()-before)
		d.Close()
	}
	b.ReportMetric(took.Seconds()/float64(b.N), "s/start")
	b.ReportMetric(float64(most)/float64(blocks), "B-memory/block")
	b.ReportMetric(float64(diskOf(b, l.dir))/float64(blocks), "B-disk/block")
}

// diskOf is what files take on disk, in bytes: Badger makes some larger than they are.
func diskOf(b *testing.B, dir string) (n int64) {
	b.Helper()
	out, err := exec.Command("du", "-sk", dir).Output()
	if err != nil {
		b.Logf("no du here: %v", err)
		return 0
	}
	if _, err := fmt.Sscan(string(out), &n); err != nil {
		b.Fatal(err)
	}
	return n << 10
}

// BenchmarkFilledFromPool announces blocks whose transactions wait in the pool, and
// measures beside it how long all cores take to verify their signatures.
func BenchmarkFilledFromPool(b *testing.B) {
	blocks := min(benchBlocks(b), 50)
	l := longChain(b, benchBlocks(b), paymentsABlock)
	var filled, raw, filledWork, rawWork time.Duration
	for range b.N {
		b.StopTimer()
		s, err := store.Open(store.Config{Dir: b.TempDir(), Params: l.p})
		if err != nil {
			b.Fatal(err)
		}
		at := l.copyTo(b, s, 5) // until coins suffice for a block of strangers
		d := l.daemon(b, s)
		for h := at + 1; h <= uint64(blocks); h++ {
			block := l.body(b, h)
			for _, tx := range block.Block().Txs {
				if v := d.GossipTx(b.Context(), "somebody", tx); v != node.Accept {
					b.Fatalf("a payment of block %d is not taken: %d", h, v)
				}
			}
			if err := s.Settle(); err != nil { // what the block before left due, as there is time for between blocks
				b.Fatal(err)
			}
			before := work()
			raw += verify(b, l.p, block.Block().Txs)
			rawWork += work() - before
			brief := block.Announce().Announcement().Brief(len(block.Txs()))
			before = work()
			b.StartTimer()
			start := time.Now()
			d.GossipBlock(b.Context(), "somebody", brief)
			filled += time.Since(start)
			b.StopTimer()
			filledWork += work() - before
			if tip, err := s.Tip(); err != nil || tip.State.Height != h {
				b.Fatalf("block %d was not filled: the tip is at %d, %v", h, tip.State.Height, err)
			}
		}
		d.Close()
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(filled.Microseconds())/float64(b.N*(blocks-5)), "µs/block")
	b.ReportMetric(float64(raw)/float64(filled), "times-verification")
	b.ReportMetric(float64(rawWork)/float64(filledWork), "times-it-in-work")
}

// BenchmarkSyncFromPool catches up with the second half of the chain, whose
// transactions wait in the pool, from a peer over loopback, and measures beside it how
// long all cores take to verify their signatures: from the hello on, and from the dial
// on. The pool may be larger than usual:
// CAIRN_BENCH_BLOCKS=400 is as much as it holds by default, 1000 are 200,000 payments.
func BenchmarkSyncFromPool(b *testing.B) {
	known := uint64(benchBlocks(b) / 2) // its coins suffice for as many blocks again
	l := longChain(b, benchBlocks(b), paymentsABlock)
	var meet, sync, raw, syncWork, rawWork time.Duration
	for range b.N {
		b.StopTimer()
		server, met, ended := l.first(b, 2*known)
		s, err := store.Open(store.Config{Dir: b.TempDir(), Params: l.p})
		if err != nil {
			b.Fatal(err)
		}
		l.copyTo(b, s, known)
		d := l.shy(b, s)
		var txs []*chain.Tx
		for h := known + 1; h <= 2*known; h++ {
			txs = append(txs, l.body(b, h).Block().Txs...)
		}
		percent := debug.SetGCPercent(daemon.GCPercent) // as cairn node does
		rest(b)
		before := work()
		raw += verify(b, l.p, txs)
		rawWork += work() - before
		gossip(b, d, txs)
		txs = nil
		rest(b)
		before = work()
		b.StartTimer()
		start := time.Now()
		if err := d.Network().Connect(b.Context(), server.Network().Addrs()[0]); err != nil {
			b.Fatal(err)
		}
		arrive(b, d, s, l.at(b, 2*known))
		end := time.Now()
		b.StopTimer()
		hello := <-met
		meet += hello.Sub(start)
		sync += end.Sub(hello)
		syncWork += work() - before
		debug.SetGCPercent(percent)
		if n := d.Verified(); n != 0 {
			b.Fatalf("%d signatures were verified again", n)
		}
		d.Close()
		ended()
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(sync.Microseconds())/float64(uint64(b.N)*known*paymentsABlock), "µs/tx")
	b.ReportMetric(float64(raw.Microseconds())/float64(uint64(b.N)*known*paymentsABlock), "µs-raw/tx")
	b.ReportMetric(float64(raw)/float64(sync), "times-verification")
	b.ReportMetric(float64(rawWork)/float64(syncWork), "times-it-in-work")
	b.ReportMetric(float64(raw)/float64(meet+sync), "times-it-from-the-dial")
	b.ReportMetric(float64(meet.Microseconds())/1000/float64(b.N), "ms-dial-to-hello")
}

// gossip lets a node hear loose payments, as many at a time as there are cores.
func gossip(b *testing.B, d *daemon.Daemon, txs []*chain.Tx) {
	b.Helper()
	var g errgroup.Group
	for some := range slices.Chunk(txs, (len(txs)+runtime.GOMAXPROCS(0)-1)/runtime.GOMAXPROCS(0)) {
		g.Go(func() error {
			for _, tx := range some {
				if v := d.GossipTx(b.Context(), "somebody", tx); v != node.Accept {
					return fmt.Errorf("payment %v is not taken: %d", tx.ID(), v)
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		b.Fatal(err)
	}
}

// shy is a daemon that tells nobody of its pool: a peer that never heard of the
// payments would fetch and verify them meanwhile.
func (l *long) shy(b *testing.B, s daemon.Store) *daemon.Daemon {
	b.Helper()
	me := &liar{}
	me.bend(func(_ context.Context, q node.Request, a node.Answer) (node.Answer, error) {
		if q.Want == node.WantPool {
			a.IDs = nil
		}
		return a, nil
	})
	cfg := l.config(b, s)
	cfg.Pool.MaxBytes = max(20_000_000, l.blocks*paymentsABlock*chain.TxSize(1, 2, 0))
	d, err := daemon.New(me.between(cfg))
	if err != nil {
		b.Fatal(err)
	}
	return d
}

// first serves the first blocks of the chain. met tells when somebody said hello first.
func (l *long) first(b *testing.B, blocks uint64) (d *daemon.Daemon, met <-chan time.Time, end func()) {
	b.Helper()
	s, err := store.Open(store.Config{Dir: b.TempDir(), Params: l.p})
	if err != nil {
		b.Fatal(err)
	}
	l.copyTo(b, s, blocks)
	me, hello := &liar{}, make(chan time.Time, 1)
	me.bend(func(_ context.Context, q node.Request, a node.Answer) (node.Answer, error) {
		if q.Want == node.WantHello {
			select {
			case hello <- time.Now():
			default:
			}
		}
		return a, nil
	})
	if d, err = daemon.New(me.between(l.config(b, s))); err != nil {
		b.Fatal(err)
	}
	return d, hello, func() {
		d.Close()
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// arrive waits until the best chain of a node ends at a block.
func arrive(b *testing.B, d *daemon.Daemon, s daemon.Store, end chain.Hash) {
	b.Helper()
	for {
		moved := d.Moved()
		tip, err := s.Tip()
		if err != nil {
			b.Fatal(err)
		}
		if tip.State.ID == end {
			return
		}
		select {
		case <-moved:
		case <-d.Done():
			b.Fatal(d.Err())
		}
	}
}

func (l *long) at(b *testing.B, height uint64) chain.Hash {
	b.Helper()
	id, err := l.store.At(height)
	if err != nil {
		b.Fatal(err)
	}
	return id
}

func (l *long) body(b *testing.B, height uint64) chain.CheckedBlock {
	b.Helper()
	block, err := l.store.Body(l.at(b, height))
	if err != nil {
		b.Fatal(err)
	}
	return block
}

// copyTo puts the first blocks into another store, and leaves nothing due there.
func (l *long) copyTo(b *testing.B, s *store.Badger, blocks uint64) uint64 {
	b.Helper()
	ledger := chaintest.Open(l.p)
	for h := uint64(1); h <= blocks; h++ {
		block := l.body(b, h)
		diff := ledger.Connect(block)
		e := node.Entry{Header: block.Header(), State: ledger.State, Status: node.Complete}
		if err := s.Commit(node.Step{Entries: []node.Entry{e}, Bodies: []chain.CheckedBlock{block}, Tip: ledger.State.ID, Diff: diff}); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.Settle(); err != nil {
		b.Fatal(err)
	}
	return blocks
}

// rest waits until nothing goes on beside us, such as a compaction: it would slow down
// whatever is measured next.
func rest(b *testing.B) {
	b.Helper()
	runtime.GC()
	const look = 200 * time.Millisecond
	for range 300 {
		before := work()
		time.Sleep(look)
		if work()-before <= look/10 {
			return
		}
	}
	b.Fatal("something goes on without end: nothing can be measured beside it")
}

// BenchmarkReorg leaves a branch of 100 blocks, of 1,000 payments each, for one of
// 101 with the same payments, and measures beside it how long it took to check and
// connect the first branch: while what follows from that is due, and when all of it is
// written.
func BenchmarkReorg(b *testing.B) {
	b.Run("due", func(b *testing.B) { benchmarkReorg(b, func(*store.Badger) error { return nil }) })
	b.Run("written", func(b *testing.B) { benchmarkReorg(b, (*store.Badger).Settle) })
}

func benchmarkReorg(b *testing.B, before func(*store.Badger) error) {
	depth := max(2, benchBlocks(b)/5)
	p := chain.Regtest()
	var first, reorg time.Duration
	for range b.N {
		b.StopTimer()
		ours, theirs := rivals(p, depth, 1000)
		s, err := store.Open(store.Config{Dir: b.TempDir(), Params: p})
		if err != nil {
			b.Fatal(err)
		}
		now := chain.Time(time.Now().UnixMilli())
		n, err := node.New(now, node.Config{Params: p, Store: s})
		if err != nil {
			b.Fatal(err)
		}
		first += giveAll(b, p, n, now, ours)
		giveAll(b, p, n, now, theirs[:depth])
		if err := before(s); err != nil {
			b.Fatal(err)
		}
		last := theirs[depth:]
		b.StartTimer()
		reorg += giveAll(b, p, n, now, last)
		b.StopTimer()
		if n.Best().ID != last[0].ID() {
			b.Fatalf("the tip is %v", n.Best().ID)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(reorg)/float64(first), "of-first-validation")
	b.ReportMetric(reorg.Seconds()/float64(b.N), "s/reorg")
}

// giveAll checks blocks and hands them to a node, and tells how long that took.
func giveAll(b *testing.B, p *chain.Params, n *node.Node, now chain.Time, blocks []*chain.Block) time.Duration {
	b.Helper()
	start := time.Now()
	for _, block := range blocks {
		if out, err := n.Block(now, "somebody", checkOnAllCores(b, p, block)); err != nil || out.Verdict != node.Accept {
			b.Fatal(out.Why, err)
		}
	}
	return time.Since(start)
}

// rivals are two branches from the genesis with the same payments, the second one
// a block longer.
func rivals(p *chain.Params, depth, payments int) (ours, theirs []*chain.Block) {
	t, a, b := newTill(p), p.GenesisState(), p.GenesisState()
	for range depth {
		txs := t.payments(payments)
		ours = append(ours, chaintest.Block(p, a, chaintest.Plan{Gap: -1, Name: "ours", Pay: chaintest.Address(8), Txs: txs}))
		theirs = append(theirs, chaintest.Block(p, b, chaintest.Plan{Gap: -1, Name: "theirs", Pay: chaintest.Address(9), Txs: txs}))
		a, b = chaintest.After(p, a, ours[len(ours)-1]), chaintest.After(p, b, theirs[len(theirs)-1])
	}
	return ours, append(theirs, chaintest.Block(p, b, chaintest.Plan{Gap: -1, Name: "last", Pay: chaintest.Address(9)}))
}

func checkOnAllCores(b *testing.B, p *chain.Params, block *chain.Block) chain.CheckedBlock {
	b.Helper()
	checked := make([]chain.CheckedTx, len(block.Txs))
	var g errgroup.Group
	piece := max(1, (len(block.Txs)+1)/runtime.GOMAXPROCS(0))
	for i := 0; i < len(block.Txs); i += piece {
		end := min(i+piece, len(block.Txs))
		g.Go(func() error {
			part, err := chain.CheckTxs(p, block.Txs[i:end])
			copy(checked[i:], part)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		b.Fatal(err)
	}
	c, err := chain.CheckBlock(p, block.Header, block.Coinbase, checked)
	if err != nil {
		b.Fatal(err)
	}
	return c
}
