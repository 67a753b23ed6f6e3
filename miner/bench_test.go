package miner

import (
	"runtime"
	"sync"
	"testing"
	"time"

	"cairn/miner/sha256d"
)

// What the miner adds to the bare kernel: on as many threads the two rates
// should be alike.
func BenchmarkSearch(b *testing.B) {
	for name, threads := range map[string]int{"one": 1, "all": runtime.GOMAXPROCS(0)} {
		b.Run("kernel/"+name, func(b *testing.B) { benchKernel(b, threads) })
		b.Run("miner/"+name, func(b *testing.B) { benchMiner(b, threads) })
	}
}

func benchKernel(b *testing.B, threads int) {
	job := sha256d.NewJob(new(sha256d.Header), new(sha256d.Target))
	const n = 1 << 19
	for b.Loop() {
		var g sync.WaitGroup
		for range threads {
			g.Go(func() { job.Search(0, n, nil) })
		}
		g.Wait()
	}
	b.ReportMetric(float64(b.N*threads)*n/b.Elapsed().Seconds()/1e6, "MH/s")
}

func benchMiner(b *testing.B, threads int) {
	m := newWorld(never).miner(b, threads, 0)
	m.Start()
	defer m.Stop()
	for b.Loop() {
		time.Sleep(100 * time.Millisecond)
	}
	b.ReportMetric(float64(m.Status().Hashes)/b.Elapsed().Seconds()/1e6, "MH/s")
}

// A new template: what each thread does before its first hash.
func BenchmarkTurn(b *testing.B) {
	m := newWorld(never).miner(b, 1, 0)
	task, d := mustTask(b, template(stone("a"), never, "")), newDigger(m, 1)
	for b.Loop() {
		d.turn(task)
	}
}
