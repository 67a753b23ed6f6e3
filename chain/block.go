package chain

import (
	"encoding/hex"
	"fmt"
)

// minTx is the size of the smallest transaction: one input, one output, no memo.
const minTx = 1 + 1 + inputSize + 1 + outputSize + 1

// Block is a header and the transactions under its merkle root.
type Block struct {
	Header   Header
	Coinbase *Coinbase
	Txs      []*Tx
}

// Append appends the canonical encoding: header, count, coinbase, transactions.
func (b *Block) Append(out []byte) []byte {
	out = b.Header.Append(out)
	out = AppendVarint(out, uint64(1+len(b.Txs)))
	out = b.Coinbase.Append(out)
	for _, t := range b.Txs {
		out = t.Append(out)
	}
	return out
}

// Bytes is the canonical encoding.
func (b *Block) Bytes() []byte { return b.Append(nil) }

// ID is the header's.
func (b *Block) ID() Hash { return b.Header.ID() }

// Leaves are the ids under the merkle root, the coinbase's first.
func (b *Block) Leaves() []Hash {
	ids := []Hash{b.Coinbase.ID()}
	for _, t := range b.Txs {
		ids = append(ids, t.ID())
	}
	return ids
}

// DecodeBlock reads a block's whole encoding, strictly.
func DecodeBlock(b []byte) (*Block, error) { return decode(b, ReadBlock) }

// ReadBlock reads one block.
func ReadBlock(r *Reader) *Block { return readBlock(r, func([]byte) {}) }

// readBlock calls each with the encoding of every transaction, the coinbase first.
func readBlock(r *Reader, each func(tx []byte)) *Block {
	b := &Block{Header: ReadHeader(r)}
	n := r.Varint()
	if r.err == nil && n == 0 {
		r.Fail("a block without a coinbase")
	}
	from := r.b
	b.Coinbase = ReadCoinbase(r)
	if r.err != nil {
		return b
	}
	each(r.since(from))
	if n-1 > uint64(r.Left()/minTx) {
		r.Fail("%d transactions announced, %d bytes left", n-1, r.Left())
		return b
	}
	b.Txs = make([]*Tx, n-1)
	for i := range b.Txs {
		from = r.b
		b.Txs[i] = ReadTx(r)
		each(r.since(from))
	}
	return b
}

// MarshalText is the encoding in hex.
func (b *Block) MarshalText() ([]byte, error) {
	return []byte(hex.EncodeToString(b.Bytes())), nil
}

// UnmarshalText reads the encoding in hex.
func (b *Block) UnmarshalText(text []byte) error {
	raw, err := hex.DecodeString(string(text))
	if err != nil {
		return fmt.Errorf("block: %w", err)
	}
	d, err := DecodeBlock(raw)
	if err == nil {
		*b = *d
	}
	return err
}

// Announcement says that a block exists: header, coinbase and the ids of all
// other transactions, so that work and merkle root can be checked before it is
// passed on, and a receiver fills it in from its pool.
type Announcement struct {
	Header   Header
	Coinbase *Coinbase
	IDs      []Hash // of the transactions behind the coinbase
}

// Announce makes the announcement of a block.
func (b *Block) Announce() *Announcement {
	return &Announcement{Header: b.Header, Coinbase: b.Coinbase, IDs: b.Leaves()[1:]}
}

// Append appends the canonical encoding: header, coinbase, count, ids.
func (a *Announcement) Append(b []byte) []byte {
	b = a.Header.Append(b)
	b = a.Coinbase.Append(b)
	return AppendHashes(b, a.IDs)
}

// Bytes is the canonical encoding.
func (a *Announcement) Bytes() []byte { return a.Append(nil) }

// DecodeAnnouncement reads an announcement's whole encoding, strictly.
func DecodeAnnouncement(b []byte) (*Announcement, error) { return decode(b, ReadAnnouncement) }

// ReadAnnouncement reads one announcement.
func ReadAnnouncement(r *Reader) *Announcement {
	return &Announcement{Header: ReadHeader(r), Coinbase: ReadCoinbase(r), IDs: ReadHashes(r)}
}

// AppendHashes appends a count and that many hashes.
func AppendHashes(b []byte, hs []Hash) []byte {
	b = AppendVarint(b, uint64(len(hs)))
	for i := range hs {
		b = append(b, hs[i][:]...)
	}
	return b
}

// ReadHashes reads a count and that many hashes; none gives nil.
func ReadHashes(r *Reader) []Hash {
	n := r.Count(32)
	if n == 0 {
		return nil
	}
	hs := make([]Hash, n)
	for i := range hs {
		hs[i] = r.Array32()
	}
	return hs
}
