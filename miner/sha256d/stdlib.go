package sha256d

import (
	"crypto/sha256"
	"encoding"
	"encoding/binary"
	"hash"
)

// stdlib hashes with crypto/sha256, which uses the processor's instructions
// for SHA-256 where there are any.
var stdlib = Kernel{Name: "stdlib", Available: everywhere, Search: searchStdlib}

func searchStdlib(j *Job, first uint32, n uint64, hits []uint32) []uint32 {
	h := newStdlibHash(j)
	nonce := first
	for ; n > 0; n-- {
		if h.lastWord(nonce) <= j.top {
			hits = append(hits, nonce)
		}
		nonce++
	}
	return hits
}

// stateAt and stateEnd bound the eight state words in a saved digest of
// crypto/sha256, behind a magic number of four bytes. Should that layout ever
// change, the self-test turns the kernel away.
const stateAt, stateEnd = 4, 36

type savedHash interface {
	hash.Hash
	encoding.BinaryAppender
	encoding.BinaryUnmarshaler
}

// stdlibHash feeds whole blocks, padded by us, and reads the state that
// crypto/sha256 saves: that spares Sum's copying and padding for every nonce.
type stdlibHash struct {
	digest savedHash
	mid    []byte   // saved after the header's first 64 bytes
	tail   [64]byte // the header's second block
	outer  [64]byte // the block that the first hash makes
	saved  []byte   // room for one saved state
}

func newStdlibHash(j *Job) *stdlibHash {
	h := new(stdlibHash)
	h.digest = sha256.New().(savedHash) // sha256.New promises as much
	h.digest.Write(j.header[:64])
	h.mid = h.save(nil)
	h.saved = make([]byte, 0, len(h.mid))
	for i, word := range j.block {
		binary.BigEndian.PutUint32(h.tail[4*i:], word)
	}
	h.outer[32] = 0x80
	binary.BigEndian.PutUint64(h.outer[56:], 8*sha256.Size)
	return h
}

// lastWord returns the last word of the job's double hash under the nonce.
func (h *stdlibHash) lastWord(nonce uint32) uint32 {
	binary.LittleEndian.PutUint32(h.tail[nonceAt-64:], nonce)
	if err := h.digest.UnmarshalBinary(h.mid); err != nil {
		panic(err) // it is what this digest wrote
	}
	h.digest.Write(h.tail[:])
	copy(h.outer[:], h.save(h.saved)[stateAt:stateEnd])
	h.digest.Reset()
	h.digest.Write(h.outer[:])
	return binary.LittleEndian.Uint32(h.save(h.saved)[stateEnd-4:])
}

func (h *stdlibHash) save(room []byte) []byte {
	state, err := h.digest.AppendBinary(room)
	if err != nil {
		panic(err) // it never fails for SHA-256
	}
	return state
}
