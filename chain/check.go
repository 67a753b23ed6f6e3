package chain

import (
	"crypto/sha256"
	"slices"

	"cairn/chain/schnorr"
)

// CheckedTx passed every rule that needs no context. Only CheckTxs makes it, and
// Remembered for what our own store wrote after a check.
type CheckedTx struct {
	tx   *Tx
	id   Hash
	size int
	fee  Amount
}

// Tx is the transaction; it must not be changed.
func (c CheckedTx) Tx() *Tx { return c.tx }

// ID is the transaction's id.
func (c CheckedTx) ID() Hash { return c.id }

// Size is the encoding's length in bytes.
func (c CheckedTx) Size() int { return c.size }

// Fee is what the inputs claim above what the outputs pay, in grains. The claim
// is signed, and Connect holds it against the coins.
func (c CheckedTx) Fee() Amount { return c.fee }

// CheckTxs checks a batch of transactions against every rule that needs no
// context, signatures included: the more of them at once, the cheaper each. It
// may run on any goroutine; a driver cuts what it has to check into one piece a
// core. The error names the first transaction that breaks a rule.
func CheckTxs(p *Params, txs []*Tx) ([]CheckedTx, error) { return CheckNamed(p, Names(txs)) }

// CheckNamed is CheckTxs for transactions whose ids are known.
func CheckNamed(p *Params, txs []NamedTx) ([]CheckedTx, error) {
	out := make([]CheckedTx, 0, len(txs))
	var first error
	for _, t := range txs {
		c, err := describe(t)
		if err != nil {
			first = err
			break
		}
		out = append(out, c)
	}
	if err := checkSignatures(p, out); err != nil {
		first = err // of a transaction before the one that describe refused
	}
	if first != nil {
		return nil, first
	}
	return out, nil
}

// CheckTx checks one transaction.
func CheckTx(p *Params, t *Tx) (CheckedTx, error) {
	c, err := CheckTxs(p, []*Tx{t})
	if err != nil {
		return CheckedTx{}, err
	}
	return c[0], nil
}

// describe checks all but the signatures.
func describe(named NamedTx) (CheckedTx, error) {
	t, none := named.tx, CheckedTx{}
	if len(t.Inputs) == 0 {
		return none, broken(NoInputs, "a transaction spends at least one coin")
	}
	if len(t.Outputs) == 0 {
		return none, broken(NoOutputs, "a transaction makes at least one output")
	}
	if len(t.Memo) > MaxMemo {
		return none, broken(Malformed, "memo of %d bytes, allowed %d", len(t.Memo), MaxMemo)
	}
	in, err := sumInputs(t.Inputs)
	if err != nil {
		return none, err
	}
	out, err := sumOutputs(t.Outputs)
	if err != nil {
		return none, err
	}
	if in < out {
		return none, broken(BelowOut, "takes in %v, pays out %v", in, out)
	}
	return CheckedTx{tx: t, id: named.id, size: t.Size(), fee: in - out}, nil
}

func sumInputs(ins []Input) (sum Amount, err error) {
	seen := make(map[OutPoint]bool, len(ins))
	for i := range ins {
		in := &ins[i]
		if seen[in.Prev] {
			return 0, broken(RepeatedInput, "%v twice", in.Prev)
		}
		seen[in.Prev] = true
		var ok bool
		if sum, ok = sum.Plus(in.Value); !ok {
			return 0, broken(TooLarge, "inputs sum up to more than %v", MaxAmount)
		}
	}
	return sum, nil
}

func sumOutputs(outs []Output) (sum Amount, err error) {
	for i, o := range outs {
		if o.Value == 0 {
			return 0, broken(ZeroOutput, "output %d is 0", i)
		}
		var ok bool
		if sum, ok = sum.Plus(o.Value); !ok {
			return 0, broken(TooLarge, "outputs sum up to more than %v", MaxAmount)
		}
	}
	return sum, nil
}

func checkSignatures(p *Params, txs []CheckedTx) error {
	count := 0
	for _, t := range txs {
		count += len(t.tx.Inputs)
	}
	all := make([]schnorr.Signed, 0, count)
	var signed []byte
	for _, t := range txs {
		signed = t.tx.appendSigned(signed[:0], p.genesisID)
		digest := sha256.Sum256(signed)
		for i := range t.tx.Inputs {
			in := &t.tx.Inputs[i]
			all = append(all, schnorr.Signed{Key: in.Owner, Digest: digest, Sig: in.Sig})
		}
	}
	bad := schnorr.FirstFalse(all)
	for _, t := range txs {
		if n := len(t.tx.Inputs); bad >= n {
			bad -= n
		} else if bad >= 0 {
			return broken(BadSignature, "input %d of %v", bad, t.id)
		}
	}
	return nil
}

// CheckHeader checks what a header must hold on its own: version, a target that
// the network allows, and the work. Whether the target is the right one,
// ConnectHeader tells.
func CheckHeader(p *Params, h Header) error {
	if h.Version&^RollingBits != HeaderVersion {
		return broken(BadVersion, "%08x, expected %08x but for the bits %08x", h.Version, HeaderVersion, RollingBits)
	}
	target, ok := h.Bits.Target()
	easiest, _ := p.Easiest.Target()
	if !ok || target.Cmp(easiest) > 0 {
		return broken(BadBits, "%v is no target or easier than %v", h.Bits, p.Easiest)
	}
	if !p.proven(h, target) {
		return broken(HighHash, "%v is above the target of %v", h.ID(), h.Bits)
	}
	return nil
}

func (p *Params) proven(h Header, t Target) bool {
	if p.Proof != nil {
		return p.Proof(h)
	}
	return t.Met(h.ID())
}

func checkCoinbase(cb *Coinbase) error {
	if len(cb.Extra) > MaxExtra || len(cb.Memo) > MaxMemo {
		return broken(Malformed, "extra of %d or memo of %d bytes is too long", len(cb.Extra), len(cb.Memo))
	}
	n := len(cb.Bytes())
	if n == nodeSize { // the right body may have two leaves where this one has a coinbase
		return broken(Mutated, "a coinbase of %d bytes may be a node of the merkle tree", n)
	}
	if n < MinCoinbase || n > MaxCoinbase {
		return broken(BadCoinbase, "%d bytes, allowed %d to %d", n, MinCoinbase, MaxCoinbase)
	}
	_, err := sumOutputs(cb.Outputs)
	return err
}

// CheckedBlock passed every rule that needs no context. Only CheckBlock, CheckBody
// and CheckFilled make it, and Remembered for what our own store wrote after a check.
type CheckedBlock struct {
	raw   RawBlock // nil if it was not made from one
	id    Hash
	cbID  Hash
	block *Block
	txs   []CheckedTx
	size  int
	flow  *flow // nil until somebody needs it
}

// ID is the block's id.
func (b CheckedBlock) ID() Hash { return b.id }

// Header is the block's header.
func (b CheckedBlock) Header() Header { return b.block.Header }

// Block is the block; it must not be changed.
func (b CheckedBlock) Block() *Block { return b.block }

// Raw is the block's encoding; it must not be changed.
func (b CheckedBlock) Raw() RawBlock {
	if b.raw != nil {
		return b.raw
	}
	return b.block.Append(make([]byte, 0, b.size))
}

// Txs are the transactions behind the coinbase.
func (b CheckedBlock) Txs() []CheckedTx { return b.txs }

// CoinbaseID is the id of the coinbase.
func (b CheckedBlock) CoinbaseID() Hash { return b.cbID }

// Size is the encoding's length in bytes.
func (b CheckedBlock) Size() int { return b.size }

// CheckBlock checks a block against every rule that needs no context. The
// transactions were checked before; no signature is verified again.
func CheckBlock(p *Params, h Header, cb *Coinbase, txs []CheckedTx) (CheckedBlock, error) {
	if err := CheckHeader(p, h); err != nil {
		return CheckedBlock{}, err
	}
	b := assemble(h, cb, txs)
	leaves := b.leaves()
	sorted, err := checkRoot(h, leaves)
	if err != nil {
		return CheckedBlock{}, err
	}
	if err := checkCoinbase(cb); err != nil {
		return CheckedBlock{}, err
	}
	return b.checkSize(p, leaves, sorted)
}

// CheckBody is CheckBlock for a body, whose root is right. txs are its
// transactions.
func CheckBody(p *Params, body Body, txs []CheckedTx) (CheckedBlock, error) {
	if err := CheckHeader(p, body.block.Header); err != nil {
		return CheckedBlock{}, err
	}
	if !slices.EqualFunc(body.txs, txs, func(n NamedTx, c CheckedTx) bool { return n.id == c.id }) {
		return CheckedBlock{}, broken(BadRoot, "these are the transactions of another block")
	}
	if err := checkCoinbase(body.block.Coinbase); err != nil {
		return CheckedBlock{}, err
	}
	return body.holding(txs).checkSize(p, body.leaves, body.sorted)
}

// CheckFilled is CheckBlock for an announcement whose transactions, in its order,
// are txs: its header, root and coinbase were checked.
func CheckFilled(p *Params, a CheckedAnnouncement, txs []CheckedTx) (CheckedBlock, error) {
	if !slices.EqualFunc(a.a.IDs, txs, func(id Hash, c CheckedTx) bool { return id == c.id }) {
		return CheckedBlock{}, broken(BadRoot, "these are the transactions of another block")
	}
	b := assemble(a.a.Header, a.a.Coinbase, txs)
	leaves := b.leaves()
	return b.checkSize(p, leaves, orderOf(leaves))
}

// holding is the body with its transactions in their checked form.
func (b Body) holding(txs []CheckedTx) CheckedBlock {
	return CheckedBlock{raw: b.raw, id: b.id, cbID: b.leaves[0], block: b.block, txs: txs, size: len(b.raw)}
}

// checkSize is the last check, after which the block's flow is worth finding.
func (b CheckedBlock) checkSize(p *Params, leaves []Hash, sorted []int32) (CheckedBlock, error) {
	if b.size > p.MaxBlock {
		return CheckedBlock{}, broken(BadLength, "%d bytes, allowed %d", b.size, p.MaxBlock)
	}
	b.flow = flowOf(leaves, sorted, b.txs)
	return b, nil
}

func assemble(h Header, cb *Coinbase, txs []CheckedTx) CheckedBlock {
	b := CheckedBlock{
		id: h.ID(), cbID: cb.ID(), txs: txs,
		block: &Block{Header: h, Coinbase: cb, Txs: make([]*Tx, len(txs))},
		size:  HeaderSize + VarintSize(uint64(1+len(txs))) + len(cb.Bytes()),
	}
	for i, t := range txs {
		b.block.Txs[i] = t.tx
		b.size += t.size
	}
	return b
}

func (b CheckedBlock) leaves() []Hash {
	ids := make([]Hash, 0, 1+len(b.txs))
	ids = append(ids, b.cbID)
	for _, t := range b.txs {
		ids = append(ids, t.id)
	}
	return ids
}

// CheckRoot checks that the leaves, the coinbase's id first, are the ones under
// the header's merkle root. A failure blames whoever sent the leaves and never
// condemns the block id.
func CheckRoot(h Header, leaves []Hash) error {
	_, err := checkRoot(h, leaves)
	return err
}

// checkRoot sorts the leaves to find one that stands twice.
func checkRoot(h Header, leaves []Hash) (sorted []int32, err error) {
	sorted = orderOf(leaves)
	for i := 1; i < len(sorted); i++ {
		if id := leaves[sorted[i]]; id == leaves[sorted[i-1]] {
			return nil, broken(Mutated, "%v twice", id)
		}
	}
	root, ok := MerkleRoot(leaves)
	if !ok {
		return nil, broken(Mutated, "the merkle tree has a twin")
	}
	if root != h.Root {
		return nil, broken(BadRoot, "transactions hash to %v, header says %v", root, h.Root)
	}
	return sorted, nil
}

// CheckedAnnouncement has its work and its merkle root. Only CheckAnnouncement
// makes it.
type CheckedAnnouncement struct {
	id Hash
	a  *Announcement
}

// ID is the announced block's id.
func (c CheckedAnnouncement) ID() Hash { return c.id }

// Announcement is the announcement; it must not be changed.
func (c CheckedAnnouncement) Announcement() *Announcement { return c.a }

// CheckAnnouncement checks work, coinbase and merkle root, so that an
// announcement costs its maker what a block costs.
func CheckAnnouncement(p *Params, a *Announcement) (CheckedAnnouncement, error) {
	if err := CheckHeader(p, a.Header); err != nil {
		return CheckedAnnouncement{}, err
	}
	leaves := append([]Hash{a.Coinbase.ID()}, a.IDs...)
	if err := CheckRoot(a.Header, leaves); err != nil {
		return CheckedAnnouncement{}, err
	}
	if err := checkCoinbase(a.Coinbase); err != nil {
		return CheckedAnnouncement{}, err
	}
	return CheckedAnnouncement{id: a.Header.ID(), a: a}, nil
}

// Announce makes the announcement of a checked block.
func (b CheckedBlock) Announce() CheckedAnnouncement {
	a := &Announcement{Header: b.block.Header, Coinbase: b.block.Coinbase, IDs: b.leaves()[1:]}
	return CheckedAnnouncement{id: b.id, a: a}
}

// Remembered reads a block that our own store wrote under its id after it was
// checked, without verifying a signature again. Header and merkle root are held
// against the id, so whatever a disk changed is found. Only the store may call it.
func Remembered(id Hash, raw []byte) (CheckedBlock, error) {
	b, err := ReadBody(raw)
	if err != nil {
		return CheckedBlock{}, err
	}
	if b.id != id {
		return CheckedBlock{}, broken(BadRoot, "the header hashes to %v", b.id)
	}
	txs := make([]CheckedTx, len(b.txs))
	for i, t := range b.txs {
		if txs[i], err = describe(t); err != nil {
			return CheckedBlock{}, err
		}
	}
	return b.holding(txs), nil
}
