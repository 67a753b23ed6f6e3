package rpc

import (
	"slices"

	"cairn/chain"
	"cairn/mempool"
)

func coinMethods() []method {
	return []method{
		define("gettxout", "An unspent output, or null if it is spent or unknown.", getTxOut,
			param{name: "txid", kind: id, doc: "the transaction's id"},
			param{name: "n", kind: number, doc: "the output's index"},
			param{name: "include_mempool", kind: boolean, optional: true, doc: "whether the pool counts; default true"}),
		define("getaddresscoins", "The unspent outputs of an address, oldest first; those that the pool spends say by what.", getAddressCoins,
			param{name: "address", kind: address, doc: "of this network"},
			param{name: "minconf", kind: number, optional: true, doc: "confirmations that they have at least; 0 lists those of the pool too; default 1"}),
		define("getaddresshistory", "What transactions did to an address, newest first: those of the pool, then those of the best chain.", getAddressHistory,
			param{name: "address", kind: address, doc: "of this network"},
			param{name: "count", kind: number, optional: true, doc: "at most so many of the best chain; default 100, at most 1000"},
			param{name: "height", kind: number, optional: true, doc: "go on below the last one of the page before: its height"},
			param{name: "position", kind: number, optional: true, doc: "and its position; default 0"}),
		slowly(define("gettxoutsetinfo", "The set of all unspent outputs, and a hash of it.", getTxOutSetInfo,
			param{name: "hash_type", kind: text, optional: true, doc: "hash_serialized_3 or none; default hash_serialized_3"},
			param{name: "hash_or_height", kind: blockName, optional: true, doc: "only the tip's set is kept"},
			param{name: "use_index", kind: boolean, optional: true, doc: "there is none"})),
	}
}

// TxOut is the result of gettxout.
type TxOut struct {
	Best          chain.Hash `json:"bestblock"`
	Confirmations int64      `json:"confirmations"` // 0 in the pool
	Value         Amount     `json:"value"`
	Script        Script     `json:"scriptPubKey"`
	Coinbase      bool       `json:"coinbase"`
}

func getTxOut(c *call) (*TxOut, error) {
	index := arg[int64](c, 1)
	if index < 0 || index >= 1<<32 {
		return nil, Errorf(InvalidParameter, "n: an output's index lies between 0 and %d", uint32(1<<32-1))
	}
	at := chain.OutPoint{Tx: arg[chain.Hash](c, 0), Index: uint32(index)}
	// The pool comes first: what a block takes out of it in between is then found
	// in the chain.
	var loose pooled
	if argOr(c, 2, true) {
		loose = c.pooled(at)
	}
	v, err := c.view()
	if err != nil {
		return nil, err
	}
	tip, err := v.Tip()
	if err != nil {
		return nil, err
	}
	found, err := v.Coins([]chain.OutPoint{at})
	if err != nil || loose.spent {
		return nil, err
	}
	out := &TxOut{Best: tip.State.ID}
	coin, confirmed := found[at]
	switch {
	case confirmed:
		out.Confirmations = int64(tip.State.Height-coin.Height) + 1
	case loose.coin != nil:
		coin = *loose.coin
	default:
		return nil, nil
	}
	out.Value, out.Script, out.Coinbase = Amount(coin.Value), script(c.Params, coin.Owner), coin.Coinbase
	return out, nil
}

// pooled is what the pool says of a coin.
type pooled struct {
	spent bool        // a transaction of the pool spends it
	coin  *chain.Coin // a transaction of the pool makes it
}

func (c *call) pooled(at chain.OutPoint) (p pooled) {
	_, p.spent = c.Pool.Spender(at)
	if w, ok := c.Pool.Get(at.Tx); ok && uint64(at.Index) < uint64(len(w.Tx.Tx().Outputs)) {
		coin := w.Tx.Tx().Out(at.Tx, int(at.Index), 0)
		p.coin = &coin
	}
	return p
}

// Coin is one element of the result of getaddresscoins.
type Coin struct {
	Tx            chain.Hash  `json:"txid"`
	Index         uint32      `json:"vout"`
	Amount        Amount      `json:"amount"`
	Height        uint64      `json:"height"` // 0 in the pool
	Coinbase      bool        `json:"coinbase"`
	Confirmations int64       `json:"confirmations"`     // 0 in the pool
	Mature        bool        `json:"mature"`            // the next block may spend it
	SpentBy       *chain.Hash `json:"spentby,omitempty"` // a transaction of the pool that spends it
}

func getAddressCoins(c *call) ([]Coin, error) {
	v, err := c.view()
	if err != nil {
		return nil, err
	}
	tip, err := v.Tip()
	if err != nil {
		return nil, err
	}
	owner, least := arg[chain.Address](c, 0), argOr(c, 1, int64(1))
	found, err := v.Owned(owner)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(found, byAge)
	coins := []Coin{}
	for _, coin := range found {
		shown := Coin{
			Tx: coin.Tx, Index: coin.Index, Amount: Amount(coin.Value), Height: coin.Height, Coinbase: coin.Coinbase,
			Confirmations: int64(tip.State.Height-coin.Height) + 1,
			Mature:        c.Params.Mature(coin, tip.State.Height+1),
		}
		if shown.Confirmations >= least {
			coins = append(coins, c.markSpent(shown))
		}
	}
	if least <= 0 {
		coins = append(coins, c.looseCoins(owner, found)...)
	}
	return coins, nil
}

// markSpent names the transaction of the pool that spends a coin.
func (c *call) markSpent(coin Coin) Coin {
	if by, spent := c.Pool.Spender(chain.OutPoint{Tx: coin.Tx, Index: coin.Index}); spent {
		coin.SpentBy = &by
	}
	return coin
}

// looseCoins are the outputs of the pool's transactions that an address owns,
// parents before children. What a block took meanwhile is among the confirmed.
func (c *call) looseCoins(owner chain.Address, confirmed []chain.Coin) (coins []Coin) {
	for _, w := range c.Pool.List() {
		for i, o := range w.Tx.Tx().Outputs {
			at := chain.OutPoint{Tx: w.Tx.ID(), Index: uint32(i)}
			if o.To != owner || slices.ContainsFunc(confirmed, func(c chain.Coin) bool { return c.OutPoint == at }) {
				continue
			}
			coins = append(coins, c.markSpent(Coin{Tx: at.Tx, Index: at.Index, Amount: Amount(o.Value), Mature: true}))
		}
	}
	return coins
}

func byAge(a, b chain.Coin) int {
	if a.Height != b.Height {
		if a.Height < b.Height {
			return -1
		}
		return 1
	}
	return a.OutPoint.Compare(b.OutPoint)
}

// Account is one element of the result of getaddresshistory.
type Account struct {
	Tx            chain.Hash  `json:"txid"`
	Received      Amount      `json:"received"` // by its outputs to the address
	Spent         Amount      `json:"spent"`    // by its inputs from the address
	Confirmations int64       `json:"confirmations"`
	Time          int64       `json:"time"` // its block's, or when it came into the pool; seconds since 1970
	Block         *chain.Hash `json:"blockhash,omitempty"`
	Height        *uint64     `json:"height,omitempty"`
	Position      *uint32     `json:"position,omitempty"` // in its block; 0 is the coinbase
}

const (
	usualHistory = 100
	maxHistory   = 1000 // elements of one answer that are of the best chain
)

func getAddressHistory(c *call) ([]Account, error) {
	owner, most := arg[chain.Address](c, 0), argOr(c, 1, int64(usualHistory))
	if most < 1 || most > maxHistory {
		return nil, Errorf(InvalidParameter, "count: give a number from 1 to %d", maxHistory)
	}
	below, err := c.below()
	if err != nil {
		return nil, err
	}
	accounts := []Account{}
	if below == Newest { // the pool comes first: what a block takes out of it is then found there
		accounts = append(accounts, c.looseHistory(owner)...)
	}
	v, err := c.view()
	if err != nil {
		return nil, err
	}
	deeds, err := v.History(owner, below, int(most))
	if err != nil {
		return nil, err
	}
	return c.settle(v, accounts, deeds)
}

// below is the place that the arguments name.
func (c *call) below() (Place, error) {
	if c.args[2] == nil {
		return Newest, nil
	}
	height, position := arg[int64](c, 2), argOr(c, 3, int64(0))
	if height < 0 || position < 0 || position >= 1<<32 {
		return Place{}, Errorf(InvalidParameter, "height and position: give those of the last element of the page before")
	}
	return Place{Height: uint64(height), Position: uint32(position)}, nil
}

// settle puts the deeds of the best chain behind those of the pool.
func (c *call) settle(v Snapshot, accounts []Account, deeds []Deed) ([]Account, error) {
	tip, err := v.Tip()
	if err != nil {
		return nil, err
	}
	for i := range deeds {
		d := &deeds[i]
		id, err := v.At(d.Height)
		if err != nil {
			return nil, err
		}
		e, err := v.Entry(id)
		if err != nil {
			return nil, err
		}
		accounts = slices.DeleteFunc(accounts, func(a Account) bool { return a.Tx == d.Tx && a.Block == nil })
		accounts = append(accounts, Account{
			Tx: d.Tx, Received: Amount(d.Received), Spent: Amount(d.Spent),
			Confirmations: int64(tip.State.Height-d.Height) + 1, Time: int64(e.State.Time),
			Block: &e.State.ID, Height: &d.Height, Position: &d.Position,
		})
	}
	return accounts, nil
}

// looseHistory is what the pool's transactions would do to an address, the newest
// first.
func (c *call) looseHistory(owner chain.Address) (accounts []Account) {
	for _, w := range c.Pool.List() {
		if a, ok := account(w, owner); ok {
			accounts = append(accounts, a)
		}
	}
	slices.SortStableFunc(accounts, func(a, b Account) int { return int(b.Time - a.Time) })
	return accounts
}

func account(w mempool.Entry, owner chain.Address) (a Account, touched bool) {
	a = Account{Tx: w.Tx.ID(), Time: w.Time.Seconds()}
	for _, in := range w.Tx.Tx().Inputs {
		if in.Owner == owner {
			a.Spent, touched = a.Spent+Amount(in.Value), true
		}
	}
	for _, o := range w.Tx.Tx().Outputs {
		if o.To == owner {
			a.Received, touched = a.Received+Amount(o.Value), true
		}
	}
	return a, touched
}

// TxOutSet is the result of gettxoutsetinfo.
type TxOutSet struct {
	Height  uint64      `json:"height"`
	Best    chain.Hash  `json:"bestblock"`
	Outputs int         `json:"txouts"`
	Bogo    int         `json:"bogosize"`                    // grows with the set and means nothing else
	Hash    *chain.Hash `json:"hash_serialized_3,omitempty"` // SHA-256d of all coins in order: nodes with equal sets have equal ones
	Older   *chain.Hash `json:"hash_serialized_2,omitempty"` // the same: older clients look here
	Txs     int         `json:"transactions"`                // with an unspent output
	Total   Amount      `json:"total_amount"`
}

// bogo is what Bitcoin Core's bogosize counts for an output: 50 bytes and its
// script, here a key.
const bogo = 50 + 32

func getTxOutSetInfo(c *call) (*TxOutSet, error) {
	kind := argOr(c, 0, "hash_serialized_3")
	switch {
	case kind != "hash_serialized_3" && kind != "none":
		return nil, Errorf(InvalidParameter, "'%s' is not a valid hash_type", Clean(kind))
	case c.args[1] != nil:
		return nil, Errorf(InvalidParameter, "Querying specific block heights requires coinstatsindex, which this node does not keep")
	}
	v, err := c.view()
	if err != nil {
		return nil, err
	}
	set, err := v.SetInfo(c.ctx)
	if err != nil {
		return nil, err
	}
	info := &TxOutSet{
		Height: set.Tip.Height, Best: set.Tip.ID, Outputs: set.Coins, Bogo: bogo * set.Coins, Txs: set.Txs, Total: Amount(set.Total),
	}
	if kind != "none" {
		info.Hash, info.Older = &set.Digest, &set.Digest
	}
	return info, nil
}
