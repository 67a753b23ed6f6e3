package miner

import (
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"cairn/chain"
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

// From the word that the tip has moved until a block on the new tip is handed over,
// while all cores search at full speed: the fetching of a template, the rest of
// a portion, and a target that nearly every hash meets.
func BenchmarkNewTip(b *testing.B) {
	w := newWorld(never)
	m := w.miner(b, runtime.GOMAXPROCS(0), 0)
	found := make(chan time.Time, 1)
	w.onFound = func(*chain.Block) { found <- time.Now() }
	m.Start()
	var took []time.Duration
	for b.Loop() {
		w.set(func() { w.bits = never })
		m.Renew()
		time.Sleep(5 * time.Millisecond) // at full speed again
		w.set(func() { w.tip, w.bits = stone(strconv.Itoa(len(took))), easy })
		began := time.Now()
		m.Renew()
		took = append(took, (<-found).Sub(began))
	}
	slices.Sort(took)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(took[len(took)/2].Seconds()*1e3, "p50-ms")
	b.ReportMetric(took[len(took)*9/10].Seconds()*1e3, "p90-ms")
	b.ReportMetric(took[len(took)*99/100].Seconds()*1e3, "p99-ms")
}

// A new template: what each thread does before its first hash.
func BenchmarkTurn(b *testing.B) {
	m := newWorld(never).miner(b, 1, 0)
	task, d := mustTask(b, template(stone("a"), never, "")), newDigger(m, m.width)
	for b.Loop() {
		d.turn(task)
	}
}
