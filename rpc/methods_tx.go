package rpc

import (
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"cairn/chain"
	"cairn/mempool"
	"cairn/node"
)

func txMethods() []method {
	return []method{
		define("getrawtransaction", "A transaction of the pool or of any branch.", getRawTransaction,
			param{name: "txid", kind: id, doc: "the transaction's id"},
			param{name: "verbosity", kind: verbosity, optional: true, doc: "0 gives hex, 1 and 2 an object; default 0"},
			param{name: "blockhash", kind: id, optional: true, doc: "look into this block alone"}),
		define("decoderawtransaction", "What a transaction says.", decodeRawTransaction,
			param{name: "hexstring", kind: rawTx, doc: "its encoding"}),
		define("sendrawtransaction", "Takes a transaction into the pool and tells the peers.", sendRawTransaction,
			param{name: "hexstring", kind: rawTx, doc: "its encoding, signed"},
			param{name: "maxfeerate", kind: coins, optional: true, doc: "CRN per 1000 bytes; a higher fee is refused; 0 is no limit; default 0.1"}),
		define("testmempoolaccept", "What sendrawtransaction would say, in the order given; nothing is sent.", testMempoolAccept,
			param{name: "rawtxs", kind: rawTxs, doc: "1 to 25 encodings"},
			param{name: "maxfeerate", kind: coins, optional: true, doc: "as for sendrawtransaction"}),
		define("validateaddress", "Whether a text is an address of this network.", validateAddress,
			param{name: "address", kind: text, doc: "the text"}),
	}
}

// Tx is a transaction as getrawtransaction, decoderawtransaction and getblock
// show it. What depends on a place in the chain is left out where there is none.
type Tx struct {
	ID            chain.Hash   `json:"txid"`
	Hash          chain.Hash   `json:"hash"` // the same: signatures are part of the id
	Version       int          `json:"version"`
	Size          int          `json:"size"`   // bytes
	VSize         int          `json:"vsize"`  // the same
	Weight        int          `json:"weight"` // four times that, as Bitcoin counts what is no witness
	Fee           *Amount      `json:"fee,omitempty"`
	Inputs        []Input      `json:"vin"`
	Outputs       []Output     `json:"vout"`
	Memo          Hex          `json:"memo,omitempty"`
	MemoText      string       `json:"memo_text,omitempty"` // the memo, if it can be read
	Hex           Hex          `json:"hex"`
	Active        *bool        `json:"in_active_chain,omitempty"`
	Block         *chain.Hash  `json:"blockhash,omitempty"`
	Height        *uint64      `json:"blockheight,omitempty"`
	Confirmations *int64       `json:"confirmations,omitempty"` // 0 not in the best chain, −1 ruled out there
	Time          uint32       `json:"time,omitempty"`
	BlockTime     uint32       `json:"blocktime,omitempty"`
	Blocks        []chain.Hash `json:"blocks,omitempty"` // all that hold it, on every branch
}

// Input is an input of a Tx; a coinbase has one that holds its extra bytes alone.
type Input struct {
	Coinbase  *Hex        `json:"coinbase,omitempty"`
	Height    uint64      `json:"height,omitempty"` // that the coinbase names
	Tx        *chain.Hash `json:"txid,omitempty"`
	Index     *uint32     `json:"vout,omitempty"`
	Value     *Amount     `json:"value,omitempty"`
	Address   string      `json:"address,omitempty"`
	Signature Hex         `json:"signature,omitempty"`
}

// Output is an output of a Tx.
type Output struct {
	Value  Amount `json:"value"`
	Index  int    `json:"n"`
	Script Script `json:"scriptPubKey"`
}

// Script says who may spend an output: the owner of one key. It stands where
// Bitcoin has a script.
type Script struct {
	Hex     Hex    `json:"hex"` // the x-only key
	Type    string `json:"type"`
	Address string `json:"address"`
}

// perByte is the weight of a byte (BIP141).
const perByte = 4

func script(p *chain.Params, a chain.Address) Script {
	return Script{Hex: a[:], Type: "pubkey", Address: p.FormatAddress(a)}
}

// describe shows a loose transaction.
func describe(p *chain.Params, tx *chain.Tx) *Tx {
	id, size := tx.ID(), tx.Size()
	t := &Tx{
		ID: id, Hash: id, Version: 1, Size: size, VSize: size, Weight: perByte * size,
		Inputs: make([]Input, len(tx.Inputs)), Outputs: outputs(p, tx.Outputs),
		Memo: tx.Memo, MemoText: readable(tx.Memo), Hex: tx.Bytes(),
	}
	if fee, ok := feeOf(tx); ok {
		t.Fee = &fee
	}
	for i := range tx.Inputs {
		in := &tx.Inputs[i]
		value := Amount(in.Value)
		t.Inputs[i] = Input{
			Tx: &in.Prev.Tx, Index: &in.Prev.Index, Value: &value,
			Address: p.FormatAddress(in.Owner), Signature: in.Sig[:],
		}
	}
	return t
}

// feeOf is what the inputs claim above what the outputs pay, if that is an amount.
func feeOf(tx *chain.Tx) (fee Amount, ok bool) {
	var in, out chain.Amount
	ok = true
	for i := range tx.Inputs {
		in, ok = plus(in, tx.Inputs[i].Value, ok)
	}
	for _, o := range tx.Outputs {
		out, ok = plus(out, o.Value, ok)
	}
	return Amount(in - out), ok && in >= out
}

func plus(a, b chain.Amount, before bool) (chain.Amount, bool) {
	sum, ok := a.Plus(b)
	return sum, ok && before
}

func outputs(p *chain.Params, outs []chain.Output) []Output {
	list := make([]Output, len(outs))
	for i, o := range outs {
		list[i] = Output{Value: Amount(o.Value), Index: i, Script: script(p, o.To)}
	}
	return list
}

func describeCoinbase(p *chain.Params, cb *chain.Coinbase) *Tx {
	raw := cb.Bytes()
	id, extra := cb.ID(), Hex(cb.Extra)
	return &Tx{
		ID: id, Hash: id, Version: 2, Size: len(raw), VSize: len(raw), Weight: perByte * len(raw),
		Inputs:  []Input{{Coinbase: &extra, Height: cb.Height}},
		Outputs: outputs(p, cb.Outputs),
		Memo:    cb.Memo, MemoText: readable(cb.Memo), Hex: raw,
	}
}

// describeAll shows a block's transactions, the coinbase first.
func describeAll(p *chain.Params, b chain.CheckedBlock) []*Tx {
	list := []*Tx{describeCoinbase(p, b.Block().Coinbase)}
	for _, t := range b.Txs() {
		list = append(list, describe(p, t.Tx()))
	}
	return list
}

// readable is what a person may read of bytes that a stranger chose: nothing if
// they are no text; zeros at the ends are padding.
func readable(b []byte) string {
	s := strings.Trim(string(b), "\x00")
	if !utf8.ValidString(s) {
		return ""
	}
	return Clean(s)
}

// find shows the transaction with an id in a block's body.
func find(p *chain.Params, b chain.CheckedBlock, id chain.Hash) (*Tx, bool) {
	if b.CoinbaseID() == id {
		return describeCoinbase(p, b.Block().Coinbase), true
	}
	for _, t := range b.Txs() {
		if t.ID() == id {
			return describe(p, t.Tx()), true
		}
	}
	return nil, false
}

func getRawTransaction(c *call) (any, error) {
	t, err := c.transaction(arg[chain.Hash](c, 0))
	if err != nil {
		return nil, err
	}
	if argOr(c, 1, int64(0)) <= 0 {
		return t.Hex, nil
	}
	return t, nil
}

func (c *call) transaction(id chain.Hash) (*Tx, error) {
	if c.args[2] != nil {
		return c.inBlock(id)
	}
	// The pool comes first: what a block takes out of it in between is then found
	// in the block.
	w, waits := c.Pool.Get(id)
	v, err := c.view()
	if err != nil {
		return nil, err
	}
	blocks, err := v.TxBlocks(id)
	if err != nil {
		return nil, err
	}
	t, err := c.inChain(v, blocks, id)
	switch {
	case err != nil:
		return nil, err
	case waits && (t == nil || !*t.Active):
		t = describe(c.Params, w.Tx.Tx())
		t.Confirmations, t.Blocks = new(int64), blocks
	case t == nil:
		return nil, Errorf(NotFound, "No such mempool or blockchain transaction")
	}
	return t, nil
}

// inBlock looks into the block that the caller names.
func (c *call) inBlock(id chain.Hash) (*Tx, error) {
	v, e, err := c.entry(2)
	if err != nil {
		return nil, err
	}
	body, err := v.Body(e.State.ID)
	if errors.Is(err, node.ErrUnknown) {
		return nil, Errorf(Misc, "Block not available")
	}
	if err != nil {
		return nil, err
	}
	t, ok := find(c.Params, body, id)
	if !ok {
		return nil, Errorf(NotFound, "No such transaction found in the provided block")
	}
	return t, c.locate(v, t, e)
}

// inChain shows a transaction in one of the blocks that hold it, that on the best
// chain before others; nil if there is no block.
func (c *call) inChain(v Snapshot, blocks []chain.Hash, id chain.Hash) (*Tx, error) {
	if len(blocks) == 0 {
		return nil, nil
	}
	e, err := preferred(v, blocks)
	if err != nil {
		return nil, err
	}
	body, err := v.Body(e.State.ID)
	if err != nil {
		return nil, err
	}
	t, ok := find(c.Params, body, id)
	if !ok {
		return nil, Errorf(Misc, "the index names block %v for transaction %v, which it does not hold: run `cairn db reindex`", e.State.ID, id)
	}
	t.Blocks = blocks
	return t, c.locate(v, t, e)
}

// preferred is the block on the best chain, else the first.
func preferred(v Snapshot, blocks []chain.Hash) (first node.Entry, err error) {
	for i := range slices.Backward(blocks) {
		e, err := v.Entry(blocks[i])
		if err != nil {
			return first, err
		}
		depth, err := depthOf(v, e.State)
		if err != nil || depth > 0 {
			return e, err
		}
		first = e
	}
	return first, nil
}

// locate adds a transaction's place in the chain. Its confirmations are its depth
// under our tip.
func (c *call) locate(v Snapshot, t *Tx, e node.Entry) error {
	depth, err := depthOf(v, e.State)
	if err != nil {
		return err
	}
	active := depth > 0
	t.Block, t.Height, t.Active = &e.State.ID, &e.State.Height, &active
	t.Time, t.BlockTime = e.State.Time, e.State.Time
	t.Confirmations = &depth
	if active {
		return nil
	}
	// Off the best chain: it may stand there in another block, wait, or be ruled
	// out by a conflict.
	a, err := c.Convergence.Tx(t.ID)
	if errors.Is(err, node.ErrUnknown) {
		a, err = Agreement{}, nil
	}
	t.Confirmations = a.Self.Depth
	return err
}

func decodeRawTransaction(c *call) (*Tx, error) {
	return describe(c.Params, arg[*chain.Tx](c, 0)), nil
}

// defaultMaxFeeRate is Bitcoin Core's, in grains per 1000 bytes.
const defaultMaxFeeRate = chain.CRN / 10

func sendRawTransaction(c *call) (chain.Hash, error) {
	tx := arg[*chain.Tx](c, 0)
	if absurd(tx, argOr(c, 1, defaultMaxFeeRate)) {
		return chain.Hash{}, Errorf(TxError, "Fee exceeds maximum configured by user (maxfeerate): give a higher one, or 0 for no limit")
	}
	id := tx.ID()
	err := c.Pool.Submit(c.ctx, tx)
	if err == nil || known(err) {
		return id, nil
	}
	if in, err := c.confirmed(id); err != nil {
		return chain.Hash{}, err
	} else if in {
		return chain.Hash{}, Errorf(TxInChain, "Transaction already in block chain")
	}
	return chain.Hash{}, refusal(err)
}

// absurd tells whether a transaction pays more than so many grains per 1000 bytes;
// 0 is no limit.
func absurd(tx *chain.Tx, rate chain.Amount) bool {
	fee, ok := feeOf(tx)
	return ok && rate > 0 && chain.Amount(fee) > mempool.FeeRate(rate).Fee(tx.Size())
}

// known tells whether a transaction is refused because it waits already.
func known(err error) bool {
	return errors.Is(err, node.ErrKnown) || chain.KindOf(err) == mempool.Known
}

// confirmed tells whether the best chain holds a transaction.
func (c *call) confirmed(id chain.Hash) (bool, error) {
	v, err := c.view()
	if err != nil {
		return false, err
	}
	blocks, err := v.TxBlocks(id)
	if err != nil || len(blocks) == 0 {
		return false, err
	}
	e, err := preferred(v, blocks)
	if err != nil {
		return false, err
	}
	depth, err := depthOf(v, e.State)
	return depth > 0, err
}

// missing tells whether a transaction is refused because what it spends is not
// here.
func missing(err error) bool {
	return errors.Is(err, node.ErrOrphan) || chain.KindOf(err) == chain.MissingCoin
}

// refusal gives a pool's refusal Bitcoin Core's code. Trouble of our own keeps
// the code Misc.
func refusal(err error) error {
	switch {
	case missing(err):
		return Errorf(TxError, "%s", Clean(err.Error()))
	case chain.KindOf(err) != "", errors.Is(err, node.ErrFull):
		return Errorf(TxRejected, "%s", Clean(err.Error()))
	}
	return err
}

// Tried is one element of the result of testmempoolaccept.
type Tried struct {
	ID      chain.Hash `json:"txid"`
	WTxID   chain.Hash `json:"wtxid"` // the same
	Allowed bool       `json:"allowed"`
	VSize   int        `json:"vsize,omitempty"`
	Fees    *TriedFees `json:"fees,omitempty"`
	Reason  string     `json:"reject-reason,omitempty"`
	Details string     `json:"reject-details,omitempty"`
}

// TriedFees is what a transaction would pay.
type TriedFees struct {
	Base Amount `json:"base"`
}

func testMempoolAccept(c *call) ([]Tried, error) {
	txs := arg[[]*chain.Tx](c, 0)
	rate := argOr(c, 1, defaultMaxFeeRate)
	refused := c.Pool.Try(c.ctx, txs)
	if len(refused) != len(txs) {
		return nil, Errorf(Internal, "the pool answered %d of %d transactions", len(refused), len(txs))
	}
	list := make([]Tried, len(txs))
	for i, tx := range txs {
		var err error
		if list[i], err = tried(tx, rate, refused[i]); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func tried(tx *chain.Tx, rate chain.Amount, refused error) (Tried, error) {
	id := tx.ID()
	t := Tried{ID: id, WTxID: id}
	switch {
	case refused == nil && absurd(tx, rate):
		t.Reason = "max-fee-exceeded"
	case refused == nil:
		fee, _ := feeOf(tx)
		t.Allowed, t.VSize, t.Fees = true, tx.Size(), &TriedFees{Base: fee}
	case missing(refused):
		t.Reason, t.Details = "missing-inputs", Clean(refused.Error())
	case known(refused):
		t.Reason, t.Details = string(mempool.Known), Clean(refused.Error())
	case errors.Is(refused, node.ErrFull):
		t.Reason, t.Details = string(mempool.Full), Clean(refused.Error())
	case chain.KindOf(refused) != "":
		t.Reason, t.Details = string(chain.KindOf(refused)), Clean(refused.Error())
	default:
		return t, refused
	}
	return t, nil
}

// AddressInfo is the result of validateaddress.
type AddressInfo struct {
	Valid   bool   `json:"isvalid"`
	Address string `json:"address,omitempty"`
	Script  *Hex   `json:"scriptPubKey,omitempty"` // the x-only key
	Error   string `json:"error,omitempty"`
}

func validateAddress(c *call) (*AddressInfo, error) {
	a, err := c.Params.ParseAddress(arg[string](c, 0))
	if err != nil {
		return &AddressInfo{Error: Clean(err.Error())}, nil
	}
	key := Hex(a[:])
	return &AddressInfo{Valid: true, Address: c.Params.FormatAddress(a), Script: &key}, nil
}
