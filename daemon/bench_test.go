package daemon

import (
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"golang.org/x/sync/errgroup"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/node"
	"cairn/store"
)

// purses are so many coins of their own on a chain, which every block spends and
// makes anew.
type purses struct {
	*chaintest.Ledger
	coins []chain.Coin
}

// spread grows a chain on which n coins, at most 2500, may be spent. Its blocks
// come with it.
func spread(p *chain.Params, n int) (*purses, []*chain.Block) {
	s := &purses{Ledger: chaintest.Open(p)}
	blocks := grown(s.Grow(int(p.Maturity), "wait", chaintest.Address(0)))
	var txs []*chain.Tx
	for i := 0; len(s.coins) < n; i++ {
		outs := make([]chain.Output, min(250, n-len(s.coins)))
		for j := range outs {
			outs[j] = chain.Output{Value: chain.CRN, To: chaintest.Address(0)}
		}
		tx := chaintest.Pay(p, chaintest.Funds(p, i), chaintest.Key(i), 0, outs...)
		txs = append(txs, tx)
		s.coins = append(s.coins, chaintest.Outs(tx, p.Maturity+1)[:len(outs)]...)
	}
	return s, append(blocks, s.Add(chaintest.Plan{Name: "spread", Pay: chaintest.Address(0), Txs: txs}).Block())
}

func grown(list []chain.CheckedBlock) (blocks []*chain.Block) {
	for _, b := range list {
		blocks = append(blocks, b.Block())
	}
	return blocks
}

// payments spends every coin once, signed on all cores.
func (s *purses) payments() []*chain.Tx {
	txs := make([]*chain.Tx, len(s.coins))
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, c := range s.coins {
		g.Go(func() error {
			txs[i] = chaintest.Pay(s.Params, c, chaintest.Key(0), 0)
			return nil
		})
	}
	_ = g.Wait() // Pay panics
	return txs
}

// full adds n blocks, each with one payment from every purse.
func (s *purses) full(b *testing.B, n int, name string) []*chain.Block {
	b.Helper()
	blocks := make([]*chain.Block, n)
	for i := range blocks {
		txs := s.payments()
		block := chaintest.Block(s.Params, s.State, chaintest.Plan{Name: name, Pay: chaintest.Address(1), Txs: txs})
		checked := checkWhole(b, s.Params, block)
		s.Connect(checked)
		for j, tx := range txs {
			s.coins[j] = chaintest.Outs(tx, s.State.Height)[0]
		}
		blocks[i] = block
	}
	return blocks
}

// checker is as much of a node as checks transactions.
func checker(b *testing.B, p *chain.Params) *Daemon {
	b.Helper()
	return &Daemon{p: p, life: b.Context(), cores: make(chan struct{}, runtime.GOMAXPROCS(0)), meter: newMeter()}
}

// checkWhole checks a block, its signatures on all cores.
func checkWhole(b *testing.B, p *chain.Params, block *chain.Block) chain.CheckedBlock {
	b.Helper()
	txs, err := checker(b, p).checkTxs(block.Txs)
	if err != nil {
		b.Fatal(err)
	}
	checked, err := chain.CheckBlock(p, block.Header, block.Coinbase, txs)
	if err != nil {
		b.Fatal(err)
	}
	return checked
}

// branch is a second chain on the same past.
func (s *purses) branch() *purses {
	l := *s.Ledger
	l.Coins = chain.Coins{}
	for o, c := range s.Coins {
		l.Coins[o] = c
	}
	return &purses{&l, append([]chain.Coin(nil), s.coins...)}
}

// BenchmarkCheckTxs checks the payments of a block on all cores, and tells how that
// compares with btcec alone verifying the same signatures on as many.
func BenchmarkCheckTxs(b *testing.B) {
	p := chain.Regtest()
	s, _ := spread(p, 1000)
	txs, d := s.payments(), checker(b, p)
	verify := rawVerifier(b, p, txs)
	verify()
	var ours, raw time.Duration
	for b.Loop() {
		begin := time.Now()
		if _, err := d.checkTxs(txs); err != nil {
			b.Fatal(err)
		}
		middle := time.Now()
		verify()
		ours += middle.Sub(begin)
		raw += time.Since(middle)
	}
	b.ReportMetric(float64(raw)/float64(ours), "of-raw-btcec")
	b.ReportMetric(float64(b.N*len(txs))/ours.Seconds(), "txs/s")
}

// rawVerifier verifies prepared digests, as one who only knows btcec would.
func rawVerifier(b *testing.B, p *chain.Params, txs []*chain.Tx) func() {
	b.Helper()
	type signed struct {
		digest [32]byte
		sig    *schnorr.Signature
		key    [32]byte
	}
	list := make([]signed, len(txs))
	for i, tx := range txs {
		sig, err := schnorr.ParseSignature(tx.Inputs[0].Sig[:])
		if err != nil {
			b.Fatal(err)
		}
		list[i] = signed{tx.SigHash(p.GenesisID()), sig, tx.Inputs[0].Owner}
	}
	cores := runtime.GOMAXPROCS(0)
	return func() {
		var g errgroup.Group
		for part := range cores {
			g.Go(func() error {
				for i := part; i < len(list); i += cores {
					key, err := schnorr.ParsePubKey(list[i].key[:])
					if err != nil || !list[i].sig.Verify(list[i].digest[:], key) {
						b.Error("a sound signature is refused")
					}
				}
				return nil
			})
		}
		_ = g.Wait()
	}
}

// BenchmarkReorg100 takes 100 blocks of 1000 payments each off the best chain and
// puts 101 others on, on disk, and tells how that compares with the first
// validation of 100 such blocks. Making the blocks takes a minute or two.
func BenchmarkReorg100(b *testing.B) {
	const depth, payments = 100, 1000
	p := chaintest.Easy()
	s, past := spread(p, payments)
	t := s.branch()
	ours, theirs := s.full(b, depth, "ours"), t.full(b, depth+1, "theirs")
	var first, reorg time.Duration
	for b.Loop() {
		n := onDisk(b, p)
		n.feed(past...)
		first += n.feed(ours...)
		n.feed(theirs[:depth]...)
		last := checkWhole(b, p, theirs[depth])
		begin := time.Now()
		n.put(last)
		reorg += time.Since(begin)
		if n.Best().ID != last.ID() {
			b.Fatal("the heavier branch did not win")
		}
	}
	b.ReportMetric(float64(reorg)/float64(first), "of-first-validation")
	b.ReportMetric(reorg.Seconds()/float64(b.N), "s/reorg")
	b.ReportMetric(first.Seconds()/float64(b.N), "s/first")
}

// onDiskNode is a node on disk, driven as a daemon drives it.
type onDiskNode struct {
	*node.Node
	b *testing.B
	p *chain.Params
}

func onDisk(b *testing.B, p *chain.Params) *onDiskNode {
	b.Helper()
	s, err := store.Open(store.Config{Dir: b.TempDir(), Params: p})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	n, err := node.New(late, node.Config{Params: p, Store: s})
	if err != nil {
		b.Fatal(err)
	}
	return &onDiskNode{n, b, p}
}

const late = chain.Time(4_000_000_000_000) // after every block here

// feed checks blocks and hands them to the node, and tells how long that took.
func (n *onDiskNode) feed(blocks ...*chain.Block) time.Duration {
	n.b.Helper()
	begin := time.Now()
	for _, block := range blocks {
		n.put(checkWhole(n.b, n.p, block))
	}
	return time.Since(begin)
}

func (n *onDiskNode) put(c chain.CheckedBlock) {
	n.b.Helper()
	out, err := n.Block(late, node.Self, c)
	if err != nil || out.Verdict != node.Accept {
		n.b.Fatalf("block %v: %v, %v", c.ID(), out.Why, err)
	}
}

// BenchmarkOpen opens a chain of 100,000 blocks, or as many as CAIRN_BENCH_BLOCKS
// says, and tells how long that takes until the node answers, and in how much
// memory.
func BenchmarkOpen(b *testing.B) {
	p, dir, blocks := chaintest.Easy(), b.TempDir(), 100_000
	if n, err := strconv.Atoi(os.Getenv("CAIRN_BENCH_BLOCKS")); err == nil {
		blocks = n
	}
	c := store.Config{Dir: dir, Params: p}
	longChain(b, c, blocks)
	b.ResetTimer()
	for b.Loop() {
		s, err := store.Open(c)
		if err != nil {
			b.Fatal(err)
		}
		n, err := node.New(late, node.Config{Params: p, Store: s})
		if err != nil || n.Best().Height != uint64(blocks) {
			b.Fatalf("height %d: %v", n.Best().Height, err)
		}
		b.StopTimer()
		debug.FreeOSMemory()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		b.ReportMetric(float64(m.HeapAlloc)/1e6, "MB-heap")
		b.ReportMetric(anonymous()/1e6, "MB-anonymous")
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(blocks), "blocks")
}

func longChain(b *testing.B, c store.Config, blocks int) {
	b.Helper()
	s, err := store.Open(c)
	if err != nil {
		b.Fatal(err)
	}
	builder, err := NewBuilder(late, c.Params, s)
	if err != nil {
		b.Fatal(err)
	}
	state := c.Params.GenesisState()
	for range blocks {
		block := chaintest.Check(c.Params, chaintest.Next(c.Params, state, chaintest.Address(0)))
		if err := builder.Add(block); err != nil {
			b.Fatal(err)
		}
		state = chaintest.After(c.Params, state, block.Block())
	}
	if err := builder.Flush(); err != nil {
		b.Fatal(err)
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}

// anonymous is the process's memory that no file backs, in bytes; 0 where the
// system does not tell.
func anonymous() float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			kilobytes, _ := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 64)
			return kilobytes * 1024
		}
	}
	return 0
}
