package sha256d

import (
	"errors"
	"fmt"
	"slices"
)

// tail is where the part of a header begins that a family shares: all that the
// second block of SHA-256 sees of it.
const tail = 64

// MaxFamily is how many headers a family may have.
const MaxFamily = portion

// Hit is a nonce that brings a header of a family, named by its place among
// them, to the target.
type Hit struct {
	Header int
	Nonce  uint32
}

// Family is several headers that differ only before their last 16 bytes, as
// those do that a miner makes of one by rolling the version (BIP320). To search
// them together takes less work: each nonce's message words, a sixth of all work,
// serve every header. The idea is known as AsicBoost.
//
// It never changes after NewFamily, so many goroutines may search it at once.
type Family struct {
	jobs  []*Job
	feeds []feed // of the jobs, one behind the other for assembly
}

// NewFamily prepares a search for nonces that bring any of the headers to
// target. The nonces that they carry play no part. It returns an error if there
// are none, more than MaxFamily, or if their ends differ.
func NewFamily(headers []Header, target *Target) (*Family, error) {
	if len(headers) == 0 || len(headers) > MaxFamily {
		return nil, fmt.Errorf("sha256d: a family of %d headers, want 1 to %d", len(headers), MaxFamily)
	}
	f := new(Family)
	for i := range headers {
		if !slices.Equal(headers[i][tail:nonceAt], headers[0][tail:nonceAt]) {
			return nil, errors.New("sha256d: the headers of a family end differently")
		}
		job := NewJob(&headers[i], target)
		f.jobs = append(f.jobs, job)
		f.feeds = append(f.feeds, job.feed)
	}
	return f, nil
}

// Search tries the n nonces that begin at first on every header, as
// [Job.Search] does on one, and appends to hits all that reach the target: by
// nonce or by header first, as suits the kernel that is fastest here for so many
// headers.
func (f *Family) Search(first uint32, n uint64, hits []Hit) []Hit {
	return f.searchWith(tried().fastest(len(f.jobs)), first, n, hits)
}

func (f *Family) searchWith(k Kernel, first uint32, n uint64, hits []Hit) []Hit {
	known := len(hits)
	hits = f.name(k, first, min(n, nonces), hits)
	confirmed := hits[:known]
	for _, hit := range hits[known:] {
		if f.jobs[hit.Header].reachedBy(hit.Nonce) {
			confirmed = append(confirmed, hit)
		}
	}
	return confirmed
}

// name appends what the kernel believes. One header alone gains nothing by being
// a family.
func (f *Family) name(k Kernel, first uint32, n uint64, hits []Hit) []Hit {
	if k.SearchFamily != nil && len(f.jobs) > 1 {
		return k.SearchFamily(f, first, n, hits)
	}
	var found []uint32
	for i, job := range f.jobs {
		found = k.Search(job, first, n, found[:0])
		for _, nonce := range found {
			hits = append(hits, Hit{i, nonce})
		}
	}
	return hits
}
