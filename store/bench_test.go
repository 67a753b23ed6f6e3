package store

import (
	"testing"
	"time"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/node"
)

func BenchmarkCommit1kB(b *testing.B)   { benchmarkCommit(b, 1_000) }
func BenchmarkCommit250kB(b *testing.B) { benchmarkCommit(b, 250_000) }

// benchmarkCommit puts blocks of so many bytes on a chain, each in one durable
// transaction, and tells how that compares with Badger alone writing
// the same keys and values.
func benchmarkCommit(b *testing.B, bytes int) {
	p := chain.Regtest()
	s, raw := openBadger(b, p, b.TempDir()), openBadger(b, p, b.TempDir())
	var ours, alone time.Duration
	parent := p.GenesisState()
	for b.Loop() {
		b.StopTimer()
		step, next := nextStep(b, p, parent, bytes)
		parent = next
		planned, err := s.plan([]node.Step{step}, false)
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		begin := time.Now()
		commit(b, s, step)
		ours += time.Since(begin)
		b.StopTimer()
		begin = time.Now()
		if err := raw.disk.write(planned.batches[0]); err != nil {
			b.Fatal(err)
		}
		alone += time.Since(begin)
		b.StartTimer()
	}
	b.ReportMetric(float64(alone)/float64(ours), "of-raw-badger")
	b.ReportMetric(float64(b.N)/ours.Seconds(), "commits/s")
}

// nextStep extends the chain by a block of payments between strangers.
func nextStep(b *testing.B, p *chain.Params, parent chain.State, bytes int) (node.Step, chain.State) {
	b.Helper()
	txs, coins := manyTxs(bytes - 250)
	for _, t := range txs { // the same coins again, named anew at each height
		c := coins[t.Inputs[0].Prev]
		c.Index += uint32(parent.Height) << 16
		t.Inputs = spending(coins, c)
	}
	block := chaintest.Block(p, parent, chaintest.Plan{Pay: chaintest.Address(0), Txs: txs})
	body, err := chain.Remembered(block.ID(), block.Bytes())
	if err != nil {
		b.Fatal(err)
	}
	state, diff, err := chain.Connect(p, parent, body, coins)
	if err != nil {
		b.Fatal(err)
	}
	e := node.Entry{Header: body.Header(), State: state, Status: node.Complete}
	return node.Step{Entries: []node.Entry{e}, Bodies: []chain.CheckedBlock{body}, Tip: state.ID, Diff: diff}, state
}

func BenchmarkMemoryCommit(b *testing.B) {
	p := chain.Regtest()
	s, parent := NewMemory(p), p.GenesisState()
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		step, next := nextStep(b, p, parent, 1_000)
		parent = next
		b.StartTimer()
		commit(b, s, step)
	}
}
