//go:build unix

package ordeal_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"testing"

	"cairn/chain"
	"cairn/chain/chaintest"
)

func hexOf(v interface{ Bytes() []byte }) string { return hex.EncodeToString(v.Bytes()) }

// replayed is a chain connected from the genesis on, block by block, by nothing
// but the rules: the twin of what a node's disk claims.
type replayed struct {
	*chaintest.Ledger
	blocks []chain.CheckedBlock // from height 1 on
	states []chain.State        // from the genesis on
	bodies map[chain.Hash]chain.CheckedBlock
	txs    map[chain.Hash]bool
}

// replay asks a node for its best chain and connects it.
func replay(t *testing.T, p *peer) *replayed {
	t.Helper()
	params, err := p.Network(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r := openReplay(params)
	var bodies [][]byte // newest first: the chain may go on meanwhile
	for id := ask[chain.Hash](p, "getbestblockhash"); id != r.State.ID; {
		raw, err := hex.DecodeString(ask[string](p, "getblock", id, 0))
		if err != nil {
			t.Fatal(err)
		}
		h, err := chain.DecodeHeader(raw[:chain.HeaderSize])
		if err != nil || h.ID() != id {
			t.Fatalf("%s: block %v is %v, %v", p.name, id, h.ID(), err)
		}
		bodies, id = append(bodies, raw), h.Prev
	}
	for _, raw := range slices.Backward(bodies) {
		r.connect(t, raw)
	}
	return r
}

func openReplay(p *chain.Params) *replayed {
	r := &replayed{Ledger: chaintest.Open(p), txs: map[chain.Hash]bool{}, bodies: map[chain.Hash]chain.CheckedBlock{}}
	r.states = []chain.State{r.State}
	return r
}

// connect checks everything again: proof, signatures, coins.
func (r *replayed) connect(t *testing.T, raw []byte) {
	t.Helper()
	b, err := decided.check(r.Params, raw)
	if err != nil {
		t.Fatalf("height %d: %v", r.State.Height+1, err)
	}
	next, diff, err := chain.Connect(r.Params, r.State, b, r.Coins)
	if err != nil {
		t.Fatalf("block %v at height %d: %v", b.ID(), r.State.Height+1, err)
	}
	r.State = next
	r.Coins.Apply(diff)
	r.blocks, r.states, r.bodies[b.ID()] = append(r.blocks, b), append(r.states, next), b
	for _, tx := range b.Txs() {
		r.txs[tx.ID()] = true
	}
}

// decided keeps what was checked before: one chain is replayed again and again.
// A body that differs in one byte is another key.
var decided = verdicts{}

type verdicts map[[32]byte]chain.CheckedBlock

func (v verdicts) check(p *chain.Params, raw []byte) (b chain.CheckedBlock, err error) {
	key := sha256.Sum256(raw)
	if b, known := v[key]; known {
		return b, nil
	}
	whole, err := chain.DecodeBlock(raw)
	if err != nil {
		return b, err
	}
	if err = chain.CheckHeader(p, whole.Header); err != nil {
		return b, err
	}
	txs, err := chain.CheckTxs(p, whole.Txs)
	if err != nil {
		return b, err
	}
	if b, err = chain.CheckBlock(p, whole.Header, whole.Coinbase, txs); err == nil {
		v[key] = b
	}
	return b, err
}

// digest is what gettxoutsetinfo must say: the double SHA-256 over all coins in
// order of their outpoints.
func (r *replayed) digest() chain.Hash {
	var all []chain.Coin
	for _, c := range r.Coins {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b chain.Coin) int { return bytes.Compare(placeOf(a), placeOf(b)) })
	sum := sha256.New()
	for _, c := range all {
		born := c.Height << 1
		if c.Coinbase {
			born |= 1
		}
		sum.Write(placeOf(c))
		sum.Write(chain.AppendVarint(chain.AppendVarint(nil, born), uint64(c.Value)))
		sum.Write(c.Owner[:])
	}
	return sha256.Sum256(sum.Sum(nil))
}

func placeOf(c chain.Coin) []byte {
	return binary.BigEndian.AppendUint32(bytes.Clone(c.Tx[:]), c.Index)
}
