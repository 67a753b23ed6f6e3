package stratum

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"cairn/chain"
)

// The extra nonce: the first bytes of a coinbase's Extra.
const (
	sizeOfExtra1 = 4 // bytes that the server gives each session
	sizeOfExtra2 = 4 // bytes that the miner rolls
)

// work is a template made ready for miners. It never changes.
type work struct {
	number uint64 // later ones are greater
	block  *chain.Block
	branch []chain.Hash // beside the coinbase's path to the merkle root
	target chain.Target
	level  Level           // hardest whose shares include every block
	over   <-chan struct{} // closed when the best chain has moved on
}

func newWork(number uint64, b *chain.Block, over <-chan struct{}) (*work, error) {
	if b == nil || b.Coinbase == nil || len(b.Coinbase.Extra) < sizeOfExtra1+sizeOfExtra2 {
		return nil, errors.New("template without room for an extra nonce")
	}
	target, ok := b.Header.Bits.Target()
	if !ok {
		return nil, fmt.Errorf("template with bits %v, which are no target", b.Header.Bits)
	}
	return &work{
		number: number, block: b, branch: chain.MerkleBranch(b.Leaves(), 0),
		target: target, level: levelOf(target), over: over,
	}, nil
}

// stale tells whether the best chain has moved on, even if no miner was told yet.
func (w *work) stale() bool {
	select {
	case <-w.over:
		return true
	default:
		return false
	}
}

// form is what a miner is told of the work if it is to pay somebody.
func (w *work) form(pay chain.Address) form {
	cb := *w.block.Coinbase
	cb.Outputs = slices.Clone(cb.Outputs)
	if len(cb.Outputs) > 0 { // none when there is nothing left to earn
		cb.Outputs[0].To = pay
	}
	raw := cb.Bytes()
	cut := 1 + chain.VarintSize(cb.Height) + chain.VarintSize(uint64(len(cb.Extra)))
	h := w.block.Header
	return form{
		first: raw[:cut], last: raw[cut+sizeOfExtra1+sizeOfExtra2:], branch: w.branch,
		version: h.Version, prev: h.Prev, bits: h.Bits, time: h.Time,
	}
}

// form is a block as mining.notify tells it. The coinbase is bytes around an
// extra nonce, whatever they mean.
type form struct {
	first, last []byte // of the coinbase, before and behind the extra nonce
	branch      []chain.Hash
	version     uint32
	prev        chain.Hash
	bits        chain.Bits
	time        uint32
}

// share is a miner's answer.
type share struct {
	extra2  [sizeOfExtra2]byte
	time    uint32
	nonce   uint32
	version uint32 // the whole version, rolled bits included
}

// coinbase puts the extra nonce where it belongs.
func (f *form) coinbase(extra1 [sizeOfExtra1]byte, s share) []byte {
	return slices.Concat(f.first, extra1[:], s.extra2[:], f.last)
}

// header is the one that the share's hash is of.
func (f *form) header(extra1 [sizeOfExtra1]byte, s share) chain.Header {
	leaf := chain.SumHash(f.coinbase(extra1, s))
	return chain.Header{
		Version: s.version, Prev: f.prev, Root: chain.MerkleFromBranch(leaf, 0, f.branch),
		Time: s.time, Bits: f.bits, Nonce: s.nonce,
	}
}

// params are those of mining.notify.
func (f *form) params(job string, clean bool) []any {
	branch := make([]string, len(f.branch))
	for i := range f.branch {
		branch[i] = hex.EncodeToString(f.branch[i][:])
	}
	return []any{
		job, swapped(f.prev), hex.EncodeToString(f.first), hex.EncodeToString(f.last), branch,
		word(f.version), f.bits.String(), word(f.time), clean,
	}
}

// swapped is a hash in internal order with the bytes of each 4-byte group
// reversed.
func swapped(h chain.Hash) string {
	for i := 0; i < len(h); i += 4 {
		slices.Reverse(h[i : i+4])
	}
	return hex.EncodeToString(h[:])
}

// word is a number in eight hex digits, most significant first.
func word(n uint32) string { return fmt.Sprintf("%08x", n) }

// readWord reads eight hex digits.
func readWord(s string) (n uint32, ok bool) {
	var b [4]byte
	if len(s) != 8 {
		return 0, false
	}
	_, err := hex.Decode(b[:], []byte(s))
	return binary.BigEndian.Uint32(b[:]), err == nil
}

// job is work as one session was told of it.
type job struct {
	form
	id    string
	work  *work
	level Level
	limit [32]byte           // of the level
	seen  map[share]struct{} // accepted shares
}

func newJob(id string, w *work, pay chain.Address, level Level) *job {
	return &job{form: w.form(pay), id: id, work: w, level: level, limit: level.limit(), seen: map[share]struct{}{}}
}

// met tells whether a hash is low enough for a share.
func (j *job) met(id chain.Hash) bool {
	slices.Reverse(id[:])
	return bytes.Compare(id[:], j.limit[:]) <= 0
}

// block is the whole block that a share made.
func (j *job) block(extra1 [sizeOfExtra1]byte, s share) (*chain.Block, error) {
	cb, err := chain.DecodeCoinbase(j.coinbase(extra1, s))
	if err != nil {
		return nil, err
	}
	return &chain.Block{Header: j.header(extra1, s), Coinbase: cb, Txs: j.work.block.Txs}, nil
}
