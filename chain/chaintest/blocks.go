package chaintest

import "cairn/chain"

// Plan says what a block holds beyond what its parent demands.
type Plan struct {
	Name string        // tells siblings apart, at most 68 bytes; it stands in the coinbase
	Gap  int64         // seconds after the parent: 0 is the network's spacing, −1 the same second
	Pay  chain.Address // gets subsidy and fees
	Txs  []*chain.Tx
}

// Next is a valid child of parent that pays a miner. Equal arguments give equal
// blocks: for a sibling vary pay or txs, or use Block with another name.
func Next(p *chain.Params, parent chain.State, pay chain.Address, txs ...*chain.Tx) *chain.Block {
	return Block(p, parent, Plan{Pay: pay, Txs: txs})
}

// Block is the valid child of parent that plan describes.
func Block(p *chain.Params, parent chain.State, plan Plan) *chain.Block {
	gap := plan.Gap
	if gap == 0 {
		gap = p.Spacing
	}
	b := &chain.Block{
		Header: chain.Header{
			Version: 1, Prev: parent.ID, Bits: chain.NextBits(p, parent),
			Time: parent.Time + uint32(max(gap, 0)),
		},
		Coinbase: coinbase(p, parent.Height+1, plan),
		Txs:      plan.Txs,
	}
	return Seal(p, b)
}

func coinbase(p *chain.Params, height uint64, plan Plan) *chain.Coinbase {
	reward := p.Subsidy(height)
	for _, t := range plan.Txs {
		reward += Fee(t)
	}
	cb := &chain.Coinbase{
		Height:  height,
		Extra:   append(make([]byte, 32), plan.Name...), // 32 for an extra nonce, and to be long enough
		Outputs: []chain.Output{{Value: reward, To: plan.Pay}},
	}
	if reward == 0 {
		cb.Outputs, cb.Memo = nil, make([]byte, chain.MinCoinbase-32)
	}
	return cb
}

// Fee is what the inputs claim above what the outputs pay.
func Fee(t *chain.Tx) (fee chain.Amount) {
	for i := range t.Inputs {
		fee += t.Inputs[i].Value
	}
	for _, o := range t.Outputs {
		fee -= o.Value
	}
	return fee
}

// Seal gives b the merkle root of its transactions, mines it and returns it: for
// blocks that a test has bent.
func Seal(p *chain.Params, b *chain.Block) *chain.Block {
	b.Header.Root, _ = chain.MerkleRoot(b.Leaves())
	Mine(p, b)
	return b
}

// Mine finds a nonce. It is meant for easy targets.
func Mine(p *chain.Params, b *chain.Block) {
	target, ok := b.Header.Bits.Target()
	if !ok {
		panic("no target to mine at")
	}
	for b.Header.Nonce = 0; !proven(p, b.Header, target); b.Header.Nonce++ {
		if b.Header.Nonce == 1<<32-1 {
			panic("no nonce carries the work: choose an easier network")
		}
	}
}

func proven(p *chain.Params, h chain.Header, target chain.Target) bool {
	if p.Proof != nil {
		return p.Proof(h)
	}
	return target.Met(h.ID())
}

// CheckTx is tx, checked.
func CheckTx(p *chain.Params, tx *chain.Tx) chain.CheckedTx {
	c, err := chain.CheckTx(p, tx)
	if err != nil {
		panic(err)
	}
	return c
}

// Check is b, checked.
func Check(p *chain.Params, b *chain.Block) chain.CheckedBlock {
	txs, err := chain.CheckTxs(p, b.Txs)
	if err != nil {
		panic(err)
	}
	c, err := chain.CheckBlock(p, b.Header, b.Coinbase, txs)
	if err != nil {
		panic(err)
	}
	return c
}

// After is the state after b's header as a child of parent.
func After(p *chain.Params, parent chain.State, b *chain.Block) chain.State {
	s, err := chain.ConnectHeader(p, parent, b.Header)
	if err != nil {
		panic(err)
	}
	return s
}

// Ledger is a chain and its unspent coins.
type Ledger struct {
	Params *chain.Params
	State  chain.State
	Coins  chain.Coins
}

// Open is the ledger after the genesis.
func Open(p *chain.Params) *Ledger {
	l := &Ledger{Params: p, State: p.GenesisState(), Coins: chain.Coins{}}
	l.Coins.Apply(p.GenesisCoins())
	return l
}

// Connect puts b on top and returns what it did to the coins.
func (l *Ledger) Connect(b chain.CheckedBlock) chain.Diff {
	next, diff, err := chain.Connect(l.Params, l.State, b, l.Coins)
	if err != nil {
		panic(err)
	}
	l.State = next
	l.Coins.Apply(diff)
	return diff
}

// Add makes, checks and connects the block that plan describes.
func (l *Ledger) Add(plan Plan) chain.CheckedBlock {
	b := Check(l.Params, Block(l.Params, l.State, plan))
	l.Connect(b)
	return b
}

// Grow adds n blocks without transactions, named alike.
func (l *Ledger) Grow(n int, name string, pay chain.Address) []chain.CheckedBlock {
	blocks := make([]chain.CheckedBlock, n)
	for i := range blocks {
		blocks[i] = l.Add(Plan{Name: name, Pay: pay})
	}
	return blocks
}
