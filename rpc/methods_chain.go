package rpc

import (
	"errors"
	"slices"

	"cairn/chain"
	"cairn/node"
)

func chainMethods() []method {
	return []method{
		define("getblockchaininfo", "The state of the best chain, and of the network that it is.", getBlockchainInfo),
		define("getnetworkparams", "The rules and the genesis of the network, as --network-file reads them.", getNetworkParams),
		define("getblockcount", "The height of the best chain.", getBlockCount),
		define("getbestblockhash", "The id of the last block of the best chain.", getBestBlockHash),
		define("getdifficulty", "How much harder the tip's target is than Bitcoin's easiest.", getDifficulty),
		define("getblockhash", "The id of the block at a height of the best chain.", getBlockHash,
			param{name: "height", kind: number, doc: "0 is the genesis"}),
		define("getblock", "A block: hex for verbosity 0, with the ids of its transactions for 1, with the transactions for 2.", getBlock,
			param{name: "blockhash", kind: id, doc: "the block's id"},
			param{name: "verbosity", kind: verbosity, optional: true, doc: "0, 1 or 2; default 1"}),
		define("getblockheader", "A block's header and its place in the chain.", getBlockHeader,
			param{name: "blockhash", kind: id, doc: "the block's id"},
			param{name: "verbose", kind: verbosity, optional: true, doc: "false gives the 80 bytes in hex; default true"}),
		define("getblockstats", "Sums and averages of a block's transactions, amounts in grains; the coinbase counts in txs and outs alone.", getBlockStats,
			param{name: "hash_or_height", kind: blockName, doc: "the block's id, or its height on the best chain"},
			param{name: "stats", kind: words, optional: true, doc: "names of those that are wanted; default: all"}),
		define("getchaintips", "The end of every known branch.", getChainTips),
	}
}

// ChainInfo is the result of getblockchaininfo.
type ChainInfo struct {
	Chain      string     `json:"chain"` // the network's name
	Blocks     uint64     `json:"blocks"`
	Headers    uint64     `json:"headers"` // highest header known
	Best       chain.Hash `json:"bestblockhash"`
	Bits       chain.Bits `json:"bits"`
	Target     string     `json:"target"`
	Difficulty float64    `json:"difficulty"` // Bitcoin's easiest target is 1
	Time       uint32     `json:"time"`
	MedianTime uint32     `json:"mediantime"`
	Progress   float64    `json:"verificationprogress"`
	Syncing    bool       `json:"initialblockdownload"`
	Sync       *Sync      `json:"sync,omitempty"` // how far that is
	Work       chain.Work `json:"chainwork"`
	Pruned     bool       `json:"pruned"`
	Genesis    chain.Hash `json:"genesis"`
	Prefix     string     `json:"prefix"`   // of addresses
	Maturity   uint64     `json:"maturity"` // blocks before a coinbase may be spent
	Spacing    int64      `json:"spacing"`  // seconds between blocks that the difficulty aims at
	Warnings   string     `json:"warnings"`
}

func getBlockchainInfo(c *call) (*ChainInfo, error) {
	v, err := c.view()
	if err != nil {
		return nil, err
	}
	tip, err := v.Tip()
	if err != nil {
		return nil, err
	}
	best, err := heaviest(v, tip)
	if err != nil {
		return nil, err
	}
	median, err := medianTime(v, tip)
	if err != nil {
		return nil, err
	}
	s := tip.State
	return &ChainInfo{
		Chain: c.Params.Name, Blocks: s.Height, Headers: best.Height, Best: s.ID,
		Bits: s.Bits, Target: target(s.Bits), Difficulty: difficulty(s.Bits), Time: s.Time, MedianTime: median,
		Progress: progress(s.Height, best.Height), Syncing: best.ID != s.ID, Sync: c.Branches.Sync(), Work: s.Work,
		Genesis: c.Params.GenesisID(), Prefix: c.Params.Prefix, Maturity: c.Params.Maturity, Spacing: c.Params.Spacing,
		Warnings: warning(c.Control),
	}, nil
}

// heaviest is the end of the branch with the most work whose headers we know: the
// tip, but while bodies are still missing.
func heaviest(v Snapshot, tip node.Entry) (chain.State, error) {
	best := tip.State
	tips, err := v.Tips()
	for _, e := range tips {
		if e.Status != node.Condemned && e.State.Work.Cmp(best.Work) > 0 {
			best = e.State
		}
	}
	return best, err
}

func progress(blocks, headers uint64) float64 {
	if headers <= blocks {
		return 1
	}
	return float64(blocks) / float64(headers)
}

func target(b chain.Bits) string {
	t, _ := b.Target()
	return t.String()
}

// medianTime is the median time of a block and the ten before it. No rule of ours
// looks at it.
func medianTime(v Snapshot, e node.Entry) (uint32, error) {
	times := []uint32{e.State.Time}
	for len(times) < 11 && e.State.Height > 0 {
		var err error
		if e, err = v.Entry(e.Header.Prev); err != nil {
			return 0, err
		}
		times = append(times, e.State.Time)
	}
	slices.Sort(times)
	return times[len(times)/2], nil
}

func getNetworkParams(c *call) (*chain.Params, error) { return c.Params, nil }

func getBlockCount(c *call) (uint64, error) {
	tip, err := c.tip()
	return tip.Height, err
}

func getBestBlockHash(c *call) (chain.Hash, error) {
	tip, err := c.tip()
	return tip.ID, err
}

func getDifficulty(c *call) (float64, error) {
	tip, err := c.tip()
	return difficulty(tip.Bits), err
}

func (c *call) tip() (chain.State, error) {
	v, err := c.view()
	if err != nil {
		return chain.State{}, err
	}
	tip, err := v.Tip()
	return tip.State, err
}

func getBlockHash(c *call) (chain.Hash, error) {
	v, err := c.view()
	if err != nil {
		return chain.Hash{}, err
	}
	height := arg[int64](c, 0)
	if height < 0 {
		return chain.Hash{}, Errorf(InvalidParameter, "Block height out of range")
	}
	h, err := v.At(uint64(height))
	if errors.Is(err, node.ErrUnknown) {
		err = Errorf(InvalidParameter, "Block height out of range")
	}
	return h, err
}

// Header is the result of getblockheader.
type Header struct {
	Hash          chain.Hash  `json:"hash"`
	Confirmations int64       `json:"confirmations"` // −1 off the best chain
	Height        uint64      `json:"height"`
	Version       uint32      `json:"version"`
	VersionHex    chain.Bits  `json:"versionHex"`
	Root          chain.Hash  `json:"merkleroot"`
	Time          uint32      `json:"time"`
	MedianTime    uint32      `json:"mediantime"`
	Nonce         uint32      `json:"nonce"`
	Bits          chain.Bits  `json:"bits"`
	Target        string      `json:"target"`
	Difficulty    float64     `json:"difficulty"`
	Work          chain.Work  `json:"chainwork"`
	Txs           int         `json:"nTx"` // 0 if the body is not here
	Previous      *chain.Hash `json:"previousblockhash,omitempty"`
	Next          *chain.Hash `json:"nextblockhash,omitempty"`
}

func getBlockHeader(c *call) (any, error) {
	v, e, err := c.entry(0)
	if err != nil {
		return nil, err
	}
	if argOr(c, 1, int64(1)) == 0 {
		raw := e.Header.Bytes()
		return Hex(raw[:]), nil
	}
	h, err := header(v, e)
	if err != nil {
		return nil, err
	}
	if e.Status == node.Headed {
		return h, nil
	}
	body, err := v.Body(e.State.ID)
	if err == nil {
		h.Txs = 1 + len(body.Txs())
	} else if errors.Is(err, node.ErrUnknown) {
		err = nil // a condemned block's body need not be kept
	}
	return h, err
}

// entry finds the block that an argument names.
func (c *call) entry(i int) (Snapshot, node.Entry, error) {
	v, err := c.view()
	if err != nil {
		return nil, node.Entry{}, err
	}
	e, err := v.Entry(arg[chain.Hash](c, i))
	if errors.Is(err, node.ErrUnknown) {
		err = Errorf(NotFound, "Block not found")
	}
	return v, e, err
}

// header tells all of a header but how many transactions stand under it.
func header(v Snapshot, e node.Entry) (*Header, error) {
	depth, err := depthOf(v, e.State)
	if err != nil {
		return nil, err
	}
	median, err := medianTime(v, e)
	if err != nil {
		return nil, err
	}
	h := &Header{
		Hash: e.State.ID, Confirmations: depth, Height: e.State.Height,
		Version: e.Header.Version, VersionHex: chain.Bits(e.Header.Version), Root: e.Header.Root,
		Time: e.Header.Time, MedianTime: median, Nonce: e.Header.Nonce,
		Bits: e.Header.Bits, Target: target(e.Header.Bits), Difficulty: difficulty(e.Header.Bits), Work: e.State.Work,
	}
	if e.State.Height > 0 {
		h.Previous = &e.Header.Prev
	}
	if depth > 1 {
		next, err := v.At(e.State.Height + 1)
		if err != nil {
			return nil, err
		}
		h.Next = &next
	}
	return h, nil
}

// depthOf is a block's depth under our tip: 1 for the tip itself, −1 off the best
// chain.
func depthOf(v Snapshot, s chain.State) (int64, error) {
	at, err := v.At(s.Height)
	if errors.Is(err, node.ErrUnknown) || err == nil && at != s.ID {
		return -1, nil
	}
	if err != nil {
		return 0, err
	}
	tip, err := v.Tip()
	return int64(tip.State.Height-s.Height) + 1, err
}

// Block is the result of getblock with verbosity 1.
type Block struct {
	Header
	Size     int          `json:"size"`         // bytes
	Stripped int          `json:"strippedsize"` // the same
	Weight   int          `json:"weight"`
	Coinbase Coinbase     `json:"coinbase"`
	IDs      []chain.Hash `json:"tx"` // the coinbase's first
}

// FullBlock is the result of getblock with verbosity 2.
type FullBlock struct {
	Header
	Size     int      `json:"size"`         // bytes
	Stripped int      `json:"strippedsize"` // the same
	Weight   int      `json:"weight"`
	Coinbase Coinbase `json:"coinbase"`
	Body     []*Tx    `json:"tx"` // the coinbase first
}

// Coinbase is what a block's first transaction says beside its outputs.
type Coinbase struct {
	Extra Hex    `json:"extra"`
	Text  string `json:"text,omitempty"` // what of it can be read
}

func getBlock(c *call) (any, error) {
	v, e, err := c.entry(0)
	if err != nil {
		return nil, err
	}
	body, err := v.Body(e.State.ID)
	if errors.Is(err, node.ErrUnknown) {
		return nil, Errorf(Misc, "Block not available (not fully downloaded)")
	}
	if err != nil {
		return nil, err
	}
	level := argOr(c, 1, int64(1))
	if level <= 0 {
		return Hex(body.Block().Bytes()), nil
	}
	h, err := header(v, e)
	if err != nil {
		return nil, err
	}
	h.Txs = 1 + len(body.Txs())
	if level == 1 {
		return &Block{Header: *h, Size: body.Size(), Stripped: body.Size(), Weight: perByte * body.Size(), Coinbase: tag(body.Block().Coinbase), IDs: leaves(body)}, nil
	}
	return &FullBlock{Header: *h, Size: body.Size(), Stripped: body.Size(), Weight: perByte * body.Size(), Coinbase: tag(body.Block().Coinbase), Body: describeAll(c.Params, body)}, nil
}

func tag(cb *chain.Coinbase) Coinbase {
	return Coinbase{Extra: cb.Extra, Text: readable(cb.Extra)}
}

func leaves(b chain.CheckedBlock) []chain.Hash {
	ids := []chain.Hash{b.CoinbaseID()}
	for _, t := range b.Txs() {
		ids = append(ids, t.ID())
	}
	return ids
}

// Tip is one element of the result of getchaintips.
type Tip struct {
	Height uint64     `json:"height"`
	Hash   chain.Hash `json:"hash"`
	Branch uint64     `json:"branchlen"` // blocks since it left the best chain
	Status string     `json:"status"`    // active, valid-fork, valid-headers, headers-only, invalid
	Work   chain.Work `json:"chainwork"`
	Time   uint32     `json:"time"`
}

func getChainTips(c *call) ([]Tip, error) {
	v, err := c.view()
	if err != nil {
		return nil, err
	}
	ends, err := v.Tips()
	if err != nil {
		return nil, err
	}
	slices.SortFunc(ends, func(a, b Branch) int {
		if by := b.State.Work.Cmp(a.State.Work); by != 0 {
			return by
		}
		return a.State.ID.Compare(b.State.ID)
	})
	tips := make([]Tip, len(ends))
	for i, e := range ends {
		if tips[i], err = branchEnd(v, e); err != nil {
			return nil, err
		}
	}
	return tips, nil
}

func branchEnd(v Snapshot, e Branch) (Tip, error) {
	t := Tip{Height: e.State.Height, Hash: e.State.ID, Work: e.State.Work, Time: e.State.Time}
	var err error
	t.Branch, err = branchLength(v, e.Entry)
	t.Status = status(e, t.Branch)
	return t, err
}

// branchLength counts the blocks from a branch's end down to the best chain.
func branchLength(v Snapshot, e node.Entry) (n uint64, err error) {
	for ; ; n++ {
		depth, err := depthOf(v, e.State)
		if err != nil || depth > 0 {
			return n, err
		}
		if e, err = v.Entry(e.Header.Prev); err != nil {
			return n, err
		}
	}
}

// status is the word of Bitcoin Core's getchaintips. Whether a side branch connects
// nobody knows until it is the heaviest, though its bodies may be here.
func status(b Branch, length uint64) string {
	switch {
	case length == 0:
		return "active"
	case b.Status == node.Condemned:
		return "invalid"
	case b.Status == node.Headed:
		return "headers-only"
	case b.Connected:
		return "valid-fork"
	}
	return "valid-headers"
}
