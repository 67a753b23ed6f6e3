package chain

// RawBlock is the canonical encoding of one block: as it travels, and as it is stored.
type RawBlock []byte

// ID is the id of the block whose encoding this is.
func (r RawBlock) ID() Hash { return SumHash(r[:min(len(r), HeaderSize)]) }

// ReadRawBlock takes the encoding of one block, without copying it. It looks for
// the block's end and for nothing else: ReadBody tells whether it can be read.
func ReadRawBlock(r *Reader) RawBlock {
	from := r.b
	r.Take(HeaderSize)
	n := r.Varint()
	skipCoinbase(r)
	for i := uint64(1); i < n && r.err == nil; i++ {
		skipTx(r)
	}
	return r.since(from)
}

func skipTx(r *Reader) {
	r.Byte()
	r.skip(inputSize)
	r.skip(outputSize)
	r.skip(1) // memo
}

func skipCoinbase(r *Reader) {
	r.Byte()
	r.Varint()
	r.skip(1) // extra
	r.skip(outputSize)
	r.skip(1) // memo
}

// A NamedTx is a transaction with its id, which is hashed once.
type NamedTx struct {
	tx *Tx
	id Hash
}

// Name hashes a transaction's id.
func Name(t *Tx) NamedTx { return NamedTx{t, t.ID()} }

// Names hashes the ids of transactions.
func Names(txs []*Tx) []NamedTx {
	list := make([]NamedTx, len(txs))
	for i, t := range txs {
		list[i] = Name(t)
	}
	return list
}

// Tx is the transaction; it must not be changed.
func (n NamedTx) Tx() *Tx { return n.tx }

// ID is the transaction's id.
func (n NamedTx) ID() Hash { return n.id }

// A Body is a block with the transactions that its header names: whoever made the
// header made all of it. Only ReadBody makes it.
type Body struct {
	raw    RawBlock
	block  *Block
	id     Hash
	leaves []Hash
	sorted []int32 // the leaves in their order
	txs    []NamedTx
}

// ID is the block's id.
func (b Body) ID() Hash { return b.id }

// Txs are the transactions behind the coinbase.
func (b Body) Txs() []NamedTx { return b.txs }

// ReadBody reads a block's whole encoding, strictly, and holds its transactions
// against the merkle root. A failure blames whoever sent it and never condemns the
// block id. The bytes must not be changed any more.
func ReadBody(raw RawBlock) (Body, error) {
	b := Body{raw: raw, id: raw.ID()}
	b.leaves = make([]Hash, 0, 1+len(raw)/minTx)
	r := NewReader(raw)
	b.block = readBlock(r, func(tx []byte) { b.leaves = append(b.leaves, SumHash(tx)) })
	if err := r.Close(); err != nil {
		return Body{}, err
	}
	var err error
	if b.sorted, err = checkRoot(b.block.Header, b.leaves); err != nil {
		return Body{}, err
	}
	b.txs = make([]NamedTx, len(b.block.Txs))
	for i, t := range b.block.Txs {
		b.txs[i] = NamedTx{t, b.leaves[1+i]}
	}
	return b, nil
}
