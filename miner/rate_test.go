package miner

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"cairn/miner/sha256d"
)

func TestRateCountsWhatWasSearched(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	var calls atomic.Int64
	headers := make(chan *sha256d.Job, 100)
	k := sha256d.Kernel{Name: "counting", Search: func(j *sha256d.Job, _ uint32, n uint64, hits []uint32) []uint32 {
		if n != rateSlice {
			t.Errorf("a slice of %d nonces", n)
		}
		if calls.Add(1) <= 100 {
			headers <- j
		} else {
			cancel()
		}
		return hits
	}}
	if rate := Rate(ctx, k, 1, 3, time.Hour); rate <= 0 {
		t.Errorf("%d slices are %v hashes a second", calls.Load(), rate)
	}
	close(headers)
	jobs := map[*sha256d.Job]bool{}
	for j := range headers {
		jobs[j] = true
	}
	if len(jobs) == 0 || len(jobs) > 3 {
		t.Errorf("three threads had %d jobs", len(jobs))
	}
	if rate := Rate(ctx, k, 1, 1, time.Hour); rate != 0 {
		t.Errorf("after the end, %v hashes a second", rate)
	}
}

func TestRateCountsEveryHeader(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	k := sha256d.Kernel{Name: "counting", SearchFamily: func(_ *sha256d.Family, _ uint32, n uint64, hits []sha256d.Hit) []sha256d.Hit {
		if n != rateSlice/16 {
			t.Errorf("a slice of %d nonces on 16 headers", n)
		}
		cancel()
		return hits
	}}
	began := time.Now()
	rate := Rate(ctx, k, 16, 1, time.Hour)
	if least := rateSlice / time.Since(began).Seconds(); rate < least {
		t.Errorf("%v hashes a second, at least %v were done", rate, least)
	}
}
