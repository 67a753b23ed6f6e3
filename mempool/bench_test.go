package mempool_test

import (
	"runtime"
	"sync"
	"testing"

	"cairn/chain"
	"cairn/mempool"
)

const crowd = 50_000

// many are transactions of differing rates: three in ten spend from the one
// before, so that there are packages.
var many = sync.OnceValue(func() []chain.CheckedTx {
	list := make([]chain.CheckedTx, crowd)
	for i := range list {
		c := coin(uint32(i))
		if i%10 > 6 {
			c = out(list[i-1], 1)
		}
		list[i] = pay(chain.Amount(300+i*7919%5000), 2, c)
	}
	return list
})

func full(b *testing.B, n int) *mempool.Pool {
	b.Helper()
	p := mempool.New(mempool.Config{})
	for _, tx := range many()[:n] {
		if _, err := p.Add(0, tx, false); err != nil {
			b.Fatal(err)
		}
	}
	return p
}

// BenchmarkAdd adds to a pool that holds up to 50,000.
func BenchmarkAdd(b *testing.B) {
	list := many()
	var p *mempool.Pool
	for i := 0; b.Loop(); i++ {
		if i%crowd == 0 {
			p = mempool.New(mempool.Config{})
		}
		if _, err := p.Add(0, list[i%crowd], false); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAddToAFullPool evicts with every addition.
func BenchmarkAddToAFullPool(b *testing.B) {
	list := many()
	p := mempool.New(mempool.Config{MaxBytes: 5_000_000})
	for i := 0; b.Loop(); i++ {
		_, err := p.Add(0, list[i%crowd], false)
		switch chain.KindOf(err) {
		case "", mempool.Full, mempool.LowPoolFee, mempool.Known:
		default:
			b.Fatal(err)
		}
	}
}

// BenchmarkMemoryOfAFullPool tells what a pool costs that holds all the bytes it may.
func BenchmarkMemoryOfAFullPool(b *testing.B) {
	for b.Loop() {
		before := held()
		p := mempool.New(mempool.Config{})
		for i, full := uint32(0), false; !full; i++ {
			_, err := p.Add(0, pay(1000, 2, coin(i)), false)
			if full = err != nil; full && chain.KindOf(err) != mempool.Full {
				b.Fatal(err)
			}
		}
		after := held()
		b.ReportMetric(float64(after-before)/1e6, "MB-held")
		b.ReportMetric(float64(p.Bytes())/1e6, "MB-encoded")
		b.ReportMetric(float64(p.Len()), "transactions")
	}
}

// held is what the heap holds, in bytes, after all else was swept away.
func held() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkSelect fills a block of dev and one of main from 50,000.
func BenchmarkSelect(b *testing.B) {
	for name, room := range map[string]int{"250kB": 250_000, "1MB": 1_000_000} {
		b.Run(name, func(b *testing.B) {
			p := full(b, crowd)
			for b.Loop() {
				p.Select(room)
			}
		})
	}
}

// BenchmarkUndo takes a block of 220 kB out of 50,000, and puts them back.
func BenchmarkUndo(b *testing.B) {
	p := full(b, crowd)
	one := block("one", p.Select(220_000)...)
	b.ReportMetric(float64(len(one.Txs())), "txs")
	for b.Loop() {
		p.Confirm(one)
		p.Undo(one)
		p.Settle(0, func(chain.CheckedTx) error { return nil })
	}
}

// BenchmarkConfirm lets a pool of 50,000 drain into blocks of 400.
func BenchmarkConfirm(b *testing.B) {
	var blocks []chain.CheckedBlock
	for i := 0; i+400 <= crowd; i += 400 {
		blocks = append(blocks, block("drain", many()[i:i+400]...))
	}
	for b.Loop() {
		b.StopTimer()
		p := full(b, crowd)
		b.StartTimer()
		for _, c := range blocks {
			p.Confirm(c)
		}
		if p.Len() != 0 {
			b.Fatalf("%d still wait", p.Len())
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*crowd), "ns/tx")
}
