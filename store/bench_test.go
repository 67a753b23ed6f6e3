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
// them with all that follows from them, which ours leave due.
func benchmarkCommit(b *testing.B, bytes int) {
	p := chain.Regtest()
	s, raw := openBadger(b, p, b.TempDir()), openBadger(b, p, b.TempDir())
	var ours, alone time.Duration
	parent := p.GenesisState()
	for b.Loop() {
		b.StopTimer()
		step, next := nextStep(b, p, parent, bytes)
		parent = next
		planned, err := s.plan([]node.Step{step}, nil)
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

// BenchmarkFlush writes what is due of so many blocks of 400 payments, and tells what
// a payment costs of all cores' time: of the commits before, and of the flush; and how
// long a commit keeps waiting whoever makes it.
func BenchmarkFlush(b *testing.B) {
	const blocks, payments = 200, 400
	p := chain.Regtest()
	var commits, wait, flush time.Duration
	for b.Loop() {
		b.StopTimer()
		steps := stepsOf(b, p, blocks, payments)
		s := openBadger(b, p, b.TempDir())
		s.flusher.stop()
		s.flusher = nil
		before, begin := work(), time.Now()
		for len(steps) > 0 {
			commit(b, s, steps[:16]...)
			steps = steps[16:]
		}
		commits, wait = commits+work()-before, wait+time.Since(begin)
		before = work()
		b.StartTimer()
		if err := s.Settle(); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		flush += work() - before
		b.StartTimer()
	}
	all := float64(b.N * blocks * payments)
	b.ReportMetric(float64(commits.Nanoseconds())/all, "ns-commit/payment")
	b.ReportMetric(float64(wait.Nanoseconds())/all, "ns-wait/payment")
	b.ReportMetric(float64(flush.Nanoseconds())/all, "ns-flush/payment")
}

// stepsOf is a chain of payments in which each splits a coin in two, the oldest first.
func stepsOf(b *testing.B, p *chain.Params, blocks, payments int) (steps []node.Step) {
	b.Helper()
	state, queue := p.GenesisState(), sortedCoins(coinsOf(p.GenesisCoins()))
	coins, owner := coinsOf(p.GenesisCoins()), 0
	for range blocks / 16 * 16 {
		var txs []*chain.Tx
		for len(txs) < payments && len(queue) > 0 {
			c := queue[0]
			queue = queue[1:]
			t := &chain.Tx{Inputs: []chain.Input{{Prev: c.OutPoint, Value: c.Value, Owner: c.Owner}}}
			for range 2 {
				owner++
				t.Outputs = append(t.Outputs, chain.Output{Value: c.Value / 2, To: number('w', owner%2000)})
			}
			txs = append(txs, t)
			queue = append(queue, chaintest.Outs(t, state.Height+1)...)
		}
		block := chaintest.Block(p, state, chaintest.Plan{Gap: -1, Pay: chaintest.Address(0), Txs: txs})
		body, err := chain.Remembered(block.ID(), block.Bytes())
		if err != nil {
			b.Fatal(err)
		}
		next, diff, err := chain.Connect(p, state, body, coins)
		if err != nil {
			b.Fatal(err)
		}
		coins.Apply(diff)
		state = next
		s := &stone{entry: node.Entry{Header: body.Header(), State: state, Status: node.Complete}, body: body}
		step := node.Step{Tip: s.id(), Diff: diff}
		step.Entries, step.Bodies = arrival(s)
		steps = append(steps, step)
	}
	return steps
}

func coinsOf(d chain.Diff) chain.Coins {
	coins := chain.Coins{}
	coins.Apply(d)
	return coins
}

// BenchmarkQuestions asks while so many blocks of 400 payments are due: what stands
// in one of them, what stands in each of them, and the whole set of coins.
func BenchmarkQuestions(b *testing.B) {
	const blocks, payments = 192, 400
	p := chain.Regtest()
	s := openBadger(b, p, b.TempDir())
	s.flusher.stop()
	s.flusher = nil
	steps := stepsOf(b, p, blocks, payments)
	commit(b, s, steps...)
	tx := steps[blocks/2].Bodies[0].Txs()[payments/2]
	for name, ask := range map[string]func() error{
		"blocks of a payment": func() error { _, err := s.TxBlocks(tx.ID()); return err },
		"spenders":            func() error { _, err := s.Spenders(tx.Tx().Inputs[0].Prev); return err },
		"coins of one":        func() error { _, err := s.Owned(tx.Tx().Outputs[0].To); return err },
		"coins of a miner":    func() error { _, err := s.Owned(chaintest.Address(0)); return err },
		"history of a miner":  func() error { _, err := s.History(chaintest.Address(0), Newest, 10); return err },
		"set of coins":        func() error { _, err := s.SetInfo(b.Context()); return err },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := ask(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
