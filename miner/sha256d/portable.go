package sha256d

// portable is plain Go, alike on every processor.
var portable = Kernel{Name: "portable", Available: everywhere, Search: searchPortable}

func searchPortable(j *Job, first uint32, n uint64, hits []uint32) []uint32 {
	nonce := first
	for ; n > 0; n-- {
		if lastWord(j, nonce) <= j.top {
			hits = append(hits, nonce)
		}
		nonce++
	}
	return hits
}
