package node

import (
	"encoding/binary"
	"fmt"

	"cairn/chain"
)

const (
	// ExtraNonce is how many bytes at the start of a template's coinbase extra a
	// miner may change freely.
	ExtraNonce = 8
	// reserve is the room in a template that transactions leave to header, count
	// and coinbase, in bytes.
	reserve = chain.HeaderSize + 9 + 256
)

// tag ends the extra of our coinbases.
const tag = "cairn"

// Template makes a block on top of the best chain that pays the subsidy and the
// fees to pay; only its proof of work is missing. ErrFuture and ErrClock tell
// why there is none now.
func (n *Node) Template(now chain.Time, pay chain.Address) (*chain.Block, error) {
	if n.Late() {
		return nil, fmt.Errorf("%w: it is %d s behind, set it", ErrClock, n.Behind().Seconds())
	}
	parent := n.tip.State
	time := max(now.Seconds(), int64(parent.Time))
	if time > now.Seconds()+n.p.Ahead {
		return nil, fmt.Errorf("%w: the best chain's by %d s", ErrFuture, time-now.Seconds())
	}
	txs := n.pool.Select(n.p.MaxBlock - reserve)
	b := &chain.Block{Coinbase: n.coinbase(parent.Height+1, txs, pay)}
	for _, t := range txs {
		b.Txs = append(b.Txs, t.Tx())
	}
	root, _ := chain.MerkleRoot(leaves(b.Coinbase, txs))
	b.Header = chain.Header{
		Version: chain.HeaderVersion, Prev: parent.ID, Root: root,
		Time: uint32(time), Bits: chain.NextBits(n.p, parent),
	}
	return b, nil
}

func (n *Node) coinbase(height uint64, txs []chain.CheckedTx, pay chain.Address) *chain.Coinbase {
	reward := n.p.Subsidy(height)
	for _, t := range txs {
		if sum, ok := reward.Plus(t.Fee()); ok {
			reward = sum
		}
	}
	extra := make([]byte, ExtraNonce, chain.MaxExtra)
	extra = binary.LittleEndian.AppendUint64(extra, n.cfg.Salt)
	extra = append(extra, tag...)
	cb := &chain.Coinbase{Height: height, Extra: extra}
	if reward > 0 {
		cb.Outputs = []chain.Output{{Value: reward, To: pay}}
	}
	if short := chain.MinCoinbase - len(cb.Bytes()); short > 0 {
		cb.Extra = append(cb.Extra, make([]byte, short)...)
	}
	return cb
}

func leaves(cb *chain.Coinbase, txs []chain.CheckedTx) []chain.Hash {
	ids := []chain.Hash{cb.ID()}
	for _, t := range txs {
		ids = append(ids, t.ID())
	}
	return ids
}
