package miner

import (
	"runtime"
	"testing"
	"time"

	"cairn/miner/sha256d"
)

// What the miner adds to the bare kernel: the two rates should be alike.
func BenchmarkKernel(b *testing.B) {
	job := sha256d.NewJob(new(sha256d.Header), new(sha256d.Target))
	const n = 1 << 20
	for b.Loop() {
		job.Search(0, n, nil)
	}
	b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds()/1e6, "MH/s")
}

func BenchmarkMiner(b *testing.B) {
	for _, threads := range []int{1, runtime.GOMAXPROCS(0)} {
		b.Run(map[bool]string{true: "one", false: "all"}[threads == 1], func(b *testing.B) {
			m := newWorld(never).miner(b, threads, 0)
			m.Start()
			defer m.Stop()
			for b.Loop() {
				time.Sleep(100 * time.Millisecond)
			}
			b.ReportMetric(float64(m.Status().Hashes)/b.Elapsed().Seconds()/1e6, "MH/s")
		})
	}
}

// A new template: what each thread does before its first hash.
func BenchmarkTurn(b *testing.B) {
	m := newWorld(never).miner(b, 1, 0)
	task, d := mustTask(b, template(stone("a"), never, "")), newDigger(m)
	for b.Loop() {
		d.turn(task)
	}
}
