package chain

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

// Sizes and limits of transactions, in bytes.
const (
	MaxMemo     = 80
	MaxExtra    = 100
	MinCoinbase = 65 // more than 64: no transaction passes for a merkle node (CVE-2017-12842)
	MaxCoinbase = 10_000

	txVersion       = 1
	coinbaseVersion = 2
	inputSize       = 32 + 4 + 8 + 32 + 64
	outputSize      = 8 + 32
)

// OutPoint names one output of one transaction.
type OutPoint struct {
	Tx    Hash
	Index uint32
}

// String is "txid:index".
func (o OutPoint) String() string {
	return o.Tx.String() + ":" + strconv.FormatUint(uint64(o.Index), 10)
}

// ParseOutPoint reads "txid:index".
func ParseOutPoint(s string) (OutPoint, error) {
	id, index, ok := strings.Cut(s, ":")
	n, err := strconv.ParseUint(index, 10, 32)
	if !ok || err != nil {
		return OutPoint{}, fmt.Errorf("%q is no output: write TXID:INDEX", s)
	}
	h, err := ParseHash(id)
	return OutPoint{Tx: h, Index: uint32(n)}, err
}

// Input spends the coin at Prev. It repeats the coin's value and owner, so that
// a signature can be checked, and a fee known, without a ledger; Connect
// compares both with the coin.
type Input struct {
	Prev  OutPoint
	Value Amount
	Owner Address
	Sig   [64]byte // BIP340, over SigHash
}

// Output pays Value to the owner of To.
type Output struct {
	Value Amount
	To    Address
}

// Tx moves coins: it spends its inputs whole and makes its outputs; what is
// left over is the miner's fee.
type Tx struct {
	Inputs  []Input
	Outputs []Output
	Memo    []byte // at most MaxMemo bytes, never executed
}

// Append appends the canonical encoding.
func (t *Tx) Append(b []byte) []byte { return t.append(b, true) }

func (t *Tx) append(b []byte, signed bool) []byte {
	b = append(b, txVersion)
	b = AppendVarint(b, uint64(len(t.Inputs)))
	for i := range t.Inputs {
		b = t.Inputs[i].append(b, signed)
	}
	b = appendOutputs(b, t.Outputs)
	return AppendBytes(b, t.Memo)
}

func (in *Input) append(b []byte, signed bool) []byte {
	b = append(b, in.Prev.Tx[:]...)
	b = binary.LittleEndian.AppendUint32(b, in.Prev.Index)
	b = binary.LittleEndian.AppendUint64(b, uint64(in.Value))
	b = append(b, in.Owner[:]...)
	if signed {
		b = append(b, in.Sig[:]...)
	}
	return b
}

func appendOutputs(b []byte, outs []Output) []byte {
	b = AppendVarint(b, uint64(len(outs)))
	for _, o := range outs {
		b = binary.LittleEndian.AppendUint64(b, uint64(o.Value))
		b = append(b, o.To[:]...)
	}
	return b
}

// Bytes is the canonical encoding.
func (t *Tx) Bytes() []byte { return t.Append(make([]byte, 0, t.Size())) }

// Size is the length of Bytes; it depends on the counts and the memo alone.
func (t *Tx) Size() int {
	return TxSize(len(t.Inputs), len(t.Outputs), len(t.Memo))
}

// TxSize is the size in bytes of a transaction with so many inputs, outputs and
// bytes of memo.
func TxSize(inputs, outputs, memo int) int {
	return 1 + VarintSize(uint64(inputs)) + inputs*inputSize +
		VarintSize(uint64(outputs)) + outputs*outputSize + VarintSize(uint64(memo)) + memo
}

// ID is the SHA-256d of the encoding, signatures included. Nobody but a signer
// can change it.
func (t *Tx) ID() Hash { return SumHash(t.Bytes()) }

// SigHash is what every input signs: BIP340's tagged hash "cairn/tx" of the
// network's genesis id and the encoding without signatures. The genesis id
// stops replay on another network.
func (t *Tx) SigHash(genesis Hash) [32]byte {
	return sha256.Sum256(t.appendSigned(make([]byte, 0, 96+t.Size()), genesis))
}

// sigTag stands twice before what is signed (BIP340, "Tagged hashes").
var sigTag = sha256.Sum256([]byte("cairn/tx"))

// appendSigned appends what SigHash hashes.
func (t *Tx) appendSigned(b []byte, genesis Hash) []byte {
	b = append(append(b, sigTag[:]...), sigTag[:]...)
	return t.append(append(b, genesis[:]...), false)
}

// Out returns the coin-to-be at index i of a transaction with this id.
func (t *Tx) Out(id Hash, i int, height uint64) Coin {
	o := t.Outputs[i]
	return Coin{OutPoint: OutPoint{Tx: id, Index: uint32(i)}, Value: o.Value, Owner: o.To, Height: height}
}

// DecodeTx reads a transaction's whole encoding, strictly.
func DecodeTx(b []byte) (*Tx, error) { return decode(b, ReadTx) }

// ReadTx reads one transaction.
func ReadTx(r *Reader) *Tx {
	switch v := r.Byte(); v {
	case txVersion:
	case coinbaseVersion:
		r.fail(LooseCoinbase, "a coinbase stands only first in a block")
	default:
		r.Fail("transaction version %d, known is %d", v, txVersion)
	}
	t := &Tx{Inputs: make([]Input, r.Count(inputSize))}
	for i := range t.Inputs {
		t.Inputs[i] = readInput(r)
	}
	t.Outputs = readOutputs(r)
	t.Memo = r.Bytes(MaxMemo)
	return t
}

func readInput(r *Reader) (in Input) {
	in.Prev = OutPoint{Tx: r.Array32(), Index: r.Uint32()}
	in.Value = Amount(r.Uint64())
	in.Owner = r.Array32()
	copy(in.Sig[:], r.Take(64))
	return in
}

func readOutputs(r *Reader) []Output {
	outs := make([]Output, r.Count(outputSize))
	for i := range outs {
		outs[i] = Output{Value: Amount(r.Uint64()), To: r.Array32()}
	}
	return outs
}

// Coinbase is the first transaction of a block: it spends nothing and pays the
// miner subsidy and fees.
type Coinbase struct {
	Height  uint64 // the block's
	Extra   []byte // extra nonce and tag, at most MaxExtra bytes
	Outputs []Output
	Memo    []byte // at most MaxMemo bytes
}

// Append appends the canonical encoding.
func (c *Coinbase) Append(b []byte) []byte {
	b = append(b, coinbaseVersion)
	b = AppendVarint(b, c.Height)
	b = AppendBytes(b, c.Extra)
	b = appendOutputs(b, c.Outputs)
	return AppendBytes(b, c.Memo)
}

// Bytes is the canonical encoding.
func (c *Coinbase) Bytes() []byte { return c.Append(nil) }

// ID is the SHA-256d of the encoding.
func (c *Coinbase) ID() Hash { return SumHash(c.Bytes()) }

// Out returns the coin at index i of a coinbase with this id.
func (c *Coinbase) Out(id Hash, i int) Coin {
	o := c.Outputs[i]
	return Coin{
		OutPoint: OutPoint{Tx: id, Index: uint32(i)}, Value: o.Value, Owner: o.To,
		Height: c.Height, Coinbase: true,
	}
}

// DecodeCoinbase reads a coinbase's whole encoding, strictly.
func DecodeCoinbase(b []byte) (*Coinbase, error) { return decode(b, ReadCoinbase) }

// ReadCoinbase reads one coinbase.
func ReadCoinbase(r *Reader) *Coinbase {
	if v := r.Byte(); r.err == nil && v != coinbaseVersion {
		r.Fail("coinbase version %d, known is %d", v, coinbaseVersion)
	}
	return &Coinbase{
		Height:  r.Varint(),
		Extra:   r.Bytes(MaxExtra),
		Outputs: readOutputs(r),
		Memo:    r.Bytes(MaxMemo),
	}
}

// Compare orders outpoints by transaction, then by index.
func (o OutPoint) Compare(b OutPoint) int {
	if c := o.Tx.Compare(b.Tx); c != 0 {
		return c
	}
	return cmp.Compare(o.Index, b.Index)
}
