package miner

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"cairn/miner/sha256d"
)

// rateSlice is how many hashes are done between two looks at the clock.
const rateSlice = 1 << 14

// Rate is how many hashes a second a kernel searches on so many threads, on so
// many headers together, measured by the wall clock for about d. It is zero if ctx
// ends before anything was searched.
func Rate(ctx context.Context, k sha256d.Kernel, wide, threads int, d time.Duration) float64 {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	var hashes atomic.Uint64
	var all sync.WaitGroup
	began := time.Now()
	for i := range threads {
		all.Go(func() {
			search := probe(k, wide, sha256d.Header{byte(i), byte(i >> 8)}) // no two threads share a header
			n := uint32(rateSlice / wide)
			for first := uint32(0); ctx.Err() == nil; first += n {
				search(first, uint64(n))
				hashes.Add(uint64(n) * uint64(wide))
			}
		})
	}
	all.Wait()
	return float64(hashes.Load()) / time.Since(began).Seconds()
}

// probe searches for what is not to be found, on the header or on so many that
// end as it does.
func probe(k sha256d.Kernel, wide int, header sha256d.Header) func(first uint32, n uint64) {
	if wide == 1 {
		job := sha256d.NewJob(&header, new(sha256d.Target))
		return func(first uint32, n uint64) { k.Search(job, first, n, nil) }
	}
	headers := slices.Repeat([]sha256d.Header{header}, wide)
	for i := range headers {
		headers[i][2] = byte(i)
	}
	family, err := sha256d.NewFamily(headers, new(sha256d.Target))
	if err != nil {
		panic(err) // they differ where a family may
	}
	return func(first uint32, n uint64) { k.SearchFamily(family, first, n, nil) }
}
