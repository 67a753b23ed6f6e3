//go:build !purego

package sha256d

import "github.com/klauspost/cpuid/v2"

func init() {
	known = append(known, avx512)
}

// avx512 hashes 16 nonces at once.
var avx512 = Kernel{Name: "avx512", Available: has(cpuid.AVX512F, cpuid.AVX512BW), Search: searchAVX512}

func has(features ...cpuid.FeatureID) func() bool {
	return func() bool { return cpuid.CPU.Supports(features...) }
}

//go:noescape
func scanAVX512(feed *feed, first uint32, masks *uint16, n int)

func searchAVX512(j *Job, first uint32, n uint64, hits []uint32) []uint32 {
	var s sweep
	for s.begin(first, n); s.next(); hits = s.collect(hits) {
		scanAVX512(&j.feed, s.first, &s.masks[0], s.batches())
	}
	return hits
}
