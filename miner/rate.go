package miner

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"cairn/miner/sha256d"
)

// rateSlice is how many nonces are searched between two looks at the clock.
const rateSlice = 1 << 14

// Rate is how many hashes a second a kernel searches on so many threads,
// measured by the wall clock for about d. It is zero if ctx ends before anything
// was searched.
func Rate(ctx context.Context, k sha256d.Kernel, threads int, d time.Duration) float64 {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	var hashes atomic.Uint64
	var all sync.WaitGroup
	began := time.Now()
	for i := range threads {
		all.Go(func() {
			header := sha256d.Header{byte(i), byte(i >> 8)} // no two threads share a header
			job := sha256d.NewJob(&header, new(sha256d.Target))
			for first := uint32(0); ctx.Err() == nil; first += rateSlice {
				k.Search(job, first, rateSlice, nil)
				hashes.Add(rateSlice)
			}
		})
	}
	all.Wait()
	return float64(hashes.Load()) / time.Since(began).Seconds()
}
