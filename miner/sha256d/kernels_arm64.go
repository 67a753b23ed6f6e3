//go:build !purego

package sha256d

import "golang.org/x/sys/cpu"

func init() {
	known = append(known, sha2)
}

// sha2 hashes two nonces side by side with ARMv8's SHA-256 instructions.
var sha2 = Kernel{Name: "sha2", Available: func() bool { return cpu.ARM64.HasSHA2 }, Search: searchSHA2}

//go:noescape
func scanSHA2(feed *feed, first uint32, masks *uint16, n int)

func searchSHA2(j *Job, first uint32, n uint64, hits []uint32) []uint32 {
	var s sweep
	for s.begin(1, first, n); s.next(); hits = s.collect(hits) {
		scanSHA2(&j.feed, s.first, &s.masks[0], s.batches())
	}
	return hits
}
