package miner

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"cairn/chain"
	"cairn/miner/sha256d"
)

// ExtraNonce is how many bytes at the start of a coinbase's Extra the miner
// overwrites, little-endian.
const ExtraNonce = 8

// task is a template made ready for search. It never changes, so that all
// threads share it.
type task struct {
	block  *chain.Block
	branch []chain.Hash   // beside the coinbase's path to the merkle root
	target sha256d.Target // little-endian
}

func newTask(p *chain.Params, b *chain.Block) (*task, error) {
	if b == nil || b.Coinbase == nil {
		return nil, errors.New("template without a coinbase")
	}
	if n := len(b.Coinbase.Extra); n < ExtraNonce {
		return nil, fmt.Errorf("template's coinbase has %d bytes of extra, the extra nonce takes %d", n, ExtraNonce)
	}
	// Work is what a template lacks; nothing else may be wrong with its header.
	if err := chain.CheckHeader(p, b.Header); err != nil && chain.KindOf(err) != chain.HighHash {
		return nil, fmt.Errorf("template: %w", err)
	}
	target, _ := b.Header.Bits.Target()
	t := &task{block: b, branch: chain.MerkleBranch(b.Leaves(), 0), target: target.Bytes()}
	slices.Reverse(t.target[:])
	return t, nil
}

// with returns the header and the coinbase that an extra nonce gives the task.
func (t *task) with(extra uint64) (chain.Header, *chain.Coinbase) {
	cb := *t.block.Coinbase
	cb.Extra = slices.Clone(cb.Extra)
	binary.LittleEndian.PutUint64(cb.Extra, extra)
	h := t.block.Header
	h.Root = chain.MerkleFromBranch(cb.ID(), 0, t.branch)
	return h, &cb
}
