//go:build !purego

package sha256d

import "github.com/klauspost/cpuid/v2"

func init() {
	known = append(known, avx2, shani, hybrid, avx512)
}

// avx512 hashes 16 nonces at once.
var avx512 = Kernel{
	Name:         "avx512",
	Available:    has(cpuid.AVX512F, cpuid.AVX512BW),
	Search:       searchAVX512,
	SearchFamily: searchFamily,
}

// avx2 hashes 8 nonces at once.
var avx2 = Kernel{Name: "avx2", Available: has(cpuid.AVX2), Search: searchAVX2}

// hybrid does rounds with the SHA extensions and makes 16 nonces' message words at once.
var hybrid = Kernel{Name: "hybrid", Available: has(cpuid.SHA, cpuid.AVX512F, cpuid.AVX512BW), Search: searchHybrid}

// shani hashes two nonces side by side with the SHA extensions.
var shani = Kernel{Name: "shani", Available: has(cpuid.SHA, cpuid.AVX), Search: searchSHANI}

func has(features ...cpuid.FeatureID) func() bool {
	return func() bool { return cpuid.CPU.Supports(features...) }
}

//go:noescape
func scanAVX512(feed *feed, first uint32, masks *uint16, n int)

func searchAVX512(j *Job, first uint32, n uint64, hits []uint32) []uint32 {
	var s sweep
	for s.begin(1, first, n); s.next(); hits = s.collect(hits) {
		scanAVX512(&j.feed, s.first, &s.masks[0], s.batches())
	}
	return hits
}

//go:noescape
func scanFamily(feed *feed, first uint32, masks *uint16, n, wide int)

func searchFamily(f *Family, first uint32, n uint64, hits []Hit) []Hit {
	var s sweep
	for s.begin(len(f.feeds), first, n); s.next(); {
		scanFamily(&f.feeds[0], s.first, &s.masks[0], s.batches(), s.wide)
		for header, nonce := range s.named() {
			hits = append(hits, Hit{header, nonce})
		}
	}
	return hits
}

//go:noescape
func scanSHANI(feed *feed, first uint32, masks *uint16, n int)

func searchSHANI(j *Job, first uint32, n uint64, hits []uint32) []uint32 {
	var s sweep
	for s.begin(1, first, n); s.next(); hits = s.collect(hits) {
		scanSHANI(&j.feed, s.first, &s.masks[0], s.batches())
	}
	return hits
}

//go:noescape
func scanAVX2(feed *feed, first uint32, masks *uint16, n int)

func searchAVX2(j *Job, first uint32, n uint64, hits []uint32) []uint32 {
	var s sweep
	for s.begin(1, first, n); s.next(); hits = s.collect(hits) {
		scanAVX2(&j.feed, s.first, &s.masks[0], s.batches())
	}
	return hits
}

//go:noescape
func scanHybrid(feed *feed, first uint32, masks *uint16, n int)

func searchHybrid(j *Job, first uint32, n uint64, hits []uint32) []uint32 {
	var s sweep
	for s.begin(1, first, n); s.next(); hits = s.collect(hits) {
		scanHybrid(&j.feed, s.first, &s.masks[0], s.batches())
	}
	return hits
}
