package sha256d

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
)

// Header is a block header in Bitcoin's layout; its last four bytes are the
// nonce, little-endian.
type Header = [80]byte

// Target is a 256-bit number, little-endian. A hash reaches it if the digest,
// read the same way, is not greater.
type Target = [32]byte

// nonces is the size of the nonce space.
const nonces = 1 << 32

// nonceAt is where the nonce begins in a header.
const nonceAt = 76

// The message words of the header's second block: nonceWord is the nonce's own,
// the next that depends on it is firstMoved, and from allMoved on every term does.
const (
	nonceWord  = 3
	firstMoved = 18
	allMoved   = 34
)

// Job is a header and a target, prepared for search: everything is computed
// that does not depend on the nonce. It never changes after NewJob, so many
// goroutines may search it at once.
type Job struct {
	header Header
	target Target
	top    uint32    // the target's most significant 32 bits
	mid    [8]uint32 // state after the header's first 64 bytes

	// Of the header's second block, which holds the nonce:
	block [16]uint32 // message words, the nonce's being zero
	state [8]uint32  // after the three rounds before the nonce enters
	a3    uint32     // a after the nonce's round, less the nonce
	e3    uint32     // e after the nonce's round, less the nonce
	// From message word 16 on, the sum of those terms that know no nonce.
	fixed [allMoved - 16]uint32

	feed feed // all of that as assembly reads it
}

// NewJob prepares a search for nonces that bring header to target. The nonce
// that header carries plays no part.
func NewJob(header *Header, target *Target) *Job {
	j := &Job{header: *header, target: *target, mid: iv}
	binary.LittleEndian.PutUint32(j.header[nonceAt:], 0)
	j.top = binary.LittleEndian.Uint32(target[28:])
	compress(&j.mid, j.header[:64])
	for i := range 4 {
		j.block[i] = binary.BigEndian.Uint32(j.header[64+4*i:])
	}
	j.block[4] = 1 << 31
	j.block[15] = 8 * uint32(len(j.header))
	j.prepareRounds()
	j.prepareWords()
	j.feed = newFeed(j)
	return j
}

func (j *Job) prepareRounds() {
	j.state = j.mid
	for i := range nonceWord {
		round(&j.state, k[i]+j.block[i])
	}
	after := j.state
	round(&after, k[nonceWord])
	j.a3, j.e3 = after[0], after[4]
}

func (j *Job) prepareWords() {
	word := func(t int) uint32 {
		switch {
		case t < 16:
			return j.block[t]
		case t < firstMoved:
			return j.fixed[t-16]
		}
		return 0 // it depends on the nonce, and all functions of a word map 0 to 0
	}
	for t := 16; t < allMoved; t++ {
		j.fixed[t-16] = nextWord(word(t-16), word(t-15), word(t-7), word(t-2))
	}
}

// Search appends to hits every nonce of the n that begin at first whose hash
// reaches the target, in the order of the search, and returns the longer slice.
// After the greatest nonce comes 0; n beyond 2³² adds nothing. It searches with
// the kernel of Best, and believes of it only what crypto/sha256 confirms.
//
// It returns only when all n are tried: who must stop early asks in portions.
// The easiest targets are hit by every other nonce, so n bounds memory too.
func (j *Job) Search(first uint32, n uint64, hits []uint32) []uint32 {
	return j.searchWith(Best(), first, n, hits)
}

func (j *Job) searchWith(k Kernel, first uint32, n uint64, hits []uint32) []uint32 {
	return j.confirm(len(hits), k.Search(j, first, min(n, nonces), hits))
}

// confirm drops from found[known:] what does not reach the target.
func (j *Job) confirm(known int, found []uint32) []uint32 {
	hits := found[:known]
	for _, nonce := range found[known:] {
		if j.reachedBy(nonce) {
			hits = append(hits, nonce)
		}
	}
	return hits
}

// reachedBy reports whether nonce brings the header to the target.
func (j *Job) reachedBy(nonce uint32) bool {
	header := j.header
	binary.LittleEndian.PutUint32(header[nonceAt:], nonce)
	digest := Hash(&header)
	return reaches(&digest, &j.target)
}

// Hash returns SHA-256 of SHA-256 of header, in the byte order of the
// algorithm: block explorers show it reversed.
func Hash(header *Header) [32]byte {
	once := sha256.Sum256(header[:])
	return sha256.Sum256(once[:])
}

// reaches reports whether digest is at most target.
func reaches(digest *[32]byte, target *Target) bool {
	for i := len(digest) - 1; i >= 0; i-- {
		if digest[i] != target[i] {
			return digest[i] < target[i]
		}
	}
	return true
}

// compress works one 64-byte block into state (FIPS 180-4, section 6.2.2).
func compress(state *[8]uint32, block []byte) {
	var w [64]uint32
	for i := range 16 {
		w[i] = binary.BigEndian.Uint32(block[4*i:])
	}
	for t := 16; t < len(w); t++ {
		w[t] = nextWord(w[t-16], w[t-15], w[t-7], w[t-2])
	}
	s := *state
	for t, word := range w {
		round(&s, k[t]+word)
	}
	for i := range s {
		state[i] += s[i]
	}
}

// round does one round; kw is the round's constant plus its message word.
func round(s *[8]uint32, kw uint32) {
	a, b, c, e, f, g := s[0], s[1], s[2], s[4], s[5], s[6]
	t1 := s[7] + (rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25)) + (e&f ^ ^e&g) + kw
	t2 := (rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22)) + (a&b ^ a&c ^ b&c)
	*s = [8]uint32{t1 + t2, a, b, c, s[3] + t1, e, f, g}
}

// nextWord is the message word that follows from those 16, 15, 7 and 2 before.
func nextWord(w16, w15, w7, w2 uint32) uint32 {
	s0 := rotr(w15, 7) ^ rotr(w15, 18) ^ w15>>3
	s1 := rotr(w2, 17) ^ rotr(w2, 19) ^ w2>>10
	return w16 + s0 + w7 + s1
}

func rotr(x uint32, n int) uint32 { return bits.RotateLeft32(x, -n) }
