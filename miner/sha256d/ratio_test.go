package sha256d

import (
	"bytes"
	"fmt"
	"math/big"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/btcsuite/btcd/wire"
)

// A rival is one way to search, one after the other of the nonces from first on.
type rival struct {
	name   string
	hashes int // for each nonce
	search func(first uint32, n int)
}

// BenchmarkRatios compares the fastest search on one core with every kernel, with
// crypto/sha256 twice for each nonce, and with the loop of btcd's miner; and all
// cores with one. All take turns of a tenth of a second, so that a busy machine
// slows every one; each ratio is the median of the rounds.
func BenchmarkRatios(b *testing.B) {
	const rounds, turn = 9, 100 * time.Millisecond
	best := fastest(b)
	rivals := append([]rival{best, twice(b), btcd(b)}, kernelsAlone(b)...)
	for b.Loop() {
		ratios, rates := map[string][]float64{}, map[string][]float64{}
		for range rounds {
			mine := best.rate(1, turn)
			rates[best.name] = append(rates[best.name], mine)
			for _, r := range rivals[1:] {
				theirs := r.rate(1, turn)
				rates[r.name] = append(rates[r.name], theirs)
				ratios[r.name] = append(ratios[r.name], mine/theirs)
			}
			const all = "all cores to one"
			ratios[all] = append(ratios[all], best.rate(runtime.NumCPU(), turn)/mine)
		}
		tell(b, ratios, rates)
	}
	b.ReportMetric(0, "ns/op")
}

// tell writes the medians.
func tell(b *testing.B, ratios, rates map[string][]float64) {
	var table strings.Builder
	for _, name := range sortedKeys(rates) {
		fmt.Fprintf(&table, "\n%-16s %8.2f MH/s", name, middle(rates[name])/1e6)
		if r := ratios[name]; r != nil {
			fmt.Fprintf(&table, "  the fastest is %.2f times as fast", middle(r))
		}
	}
	b.Logf("on one core:%s", &table)
	b.ReportMetric(middle(ratios["btcd"]), "times-btcd")
	b.ReportMetric(middle(ratios["stdlib twice"]), "times-stdlib-twice")
	b.ReportMetric(middle(ratios["all cores to one"]), "times-one-core")
}

func sortedKeys(rates map[string][]float64) (names []string) {
	for name := range rates {
		names = append(names, name)
	}
	slices.SortFunc(names, func(x, y string) int {
		if middle(rates[x]) < middle(rates[y]) {
			return -1
		}
		return 1
	})
	return names
}

func middle(list []float64) float64 { return slices.Sorted(slices.Values(list))[len(list)/2] }

// rate is hashes a second by the wall clock, on so many threads.
func (r rival) rate(threads int, d time.Duration) float64 {
	var all sync.WaitGroup
	var mu sync.Mutex
	hashes, began := 0, time.Now()
	for i := range threads {
		all.Go(func() {
			const n = 1 << 9
			done := 0
			for at := uint32(i) << 28; time.Since(began) < d; at += n {
				r.search(at, n)
				done += n * r.hashes
			}
			mu.Lock()
			defer mu.Unlock()
			hashes += done
		})
	}
	all.Wait()
	return float64(hashes) / time.Since(began).Seconds()
}

// fastest is what a node does here.
func fastest(b *testing.B) rival {
	headers := slices.Repeat([]Header{*header(b, second)}, Width())
	for i := range headers {
		headers[i][1] = byte(i)
	}
	f := mustFamily(b, headers, new(Target))
	name := tried().fastest(len(headers)).Name
	if len(headers) > 1 {
		name += " family"
	}
	return rival{name, len(headers), func(first uint32, n int) { f.Search(first, uint64(n), nil) }}
}

func kernelsAlone(b *testing.B) (list []rival) {
	job := NewJob(header(b, second), new(Target))
	for _, k := range Kernels() {
		list = append(list, rival{k.Name, 1, func(first uint32, n int) { job.searchWith(k, first, uint64(n), nil) }})
	}
	return list
}

// twice is the loop that a node's built-in miner usually has: set the nonce, hash
// all 80 bytes twice with crypto/sha256, compare.
func twice(b *testing.B) rival {
	target := Target{}
	return rival{"stdlib twice", 1, func(first uint32, n int) {
		h := *header(b, second)
		for i := range n {
			nonce := first + uint32(i)
			h[76], h[77], h[78], h[79] = byte(nonce), byte(nonce>>8), byte(nonce>>16), byte(nonce>>24)
			if digest := Hash(&h); reaches(&digest, &target) {
				b.Error("a hash of zero")
			}
		}
	}}
}

// btcd is the loop of btcd's own miner (mining/cpuminer, solveBlock).
func btcd(b *testing.B) rival {
	var parsed wire.BlockHeader
	if err := parsed.Deserialize(bytes.NewReader(header(b, second)[:])); err != nil {
		b.Fatal(err)
	}
	target := new(big.Int)
	return rival{"btcd", 1, func(first uint32, n int) {
		h := parsed
		for i := range n {
			h.Nonce = first + uint32(i)
			if number(h.BlockHash()).Cmp(target) <= 0 {
				b.Error("a hash of zero")
			}
		}
	}}
}
