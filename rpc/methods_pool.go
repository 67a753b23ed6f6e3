package rpc

import (
	"cmp"
	"math/bits"
	"slices"

	"cairn/chain"
	"cairn/mempool"
)

func poolMethods() []method {
	return []method{
		define("getrawmempool", "The ids of the pool's transactions, best fee rate first; or all of them as getmempoolentry shows them.", getRawMempool,
			param{name: "verbose", kind: boolean, optional: true, doc: "default false"}),
		define("getmempoolentry", "A transaction of the pool.", getMempoolEntry,
			param{name: "txid", kind: id, doc: "the transaction's id"}),
		define("getmempoolancestors", "The transactions of the pool that one of them builds on.", getMempoolAncestors,
			param{name: "txid", kind: id, doc: "the transaction's id"},
			param{name: "verbose", kind: boolean, optional: true, doc: "true shows them as getmempoolentry does; default false"}),
		define("getmempooldescendants", "The transactions of the pool that build on one of them.", getMempoolDescendants,
			param{name: "txid", kind: id, doc: "the transaction's id"},
			param{name: "verbose", kind: boolean, optional: true, doc: "true shows them as getmempoolentry does; default false"}),
		define("gettxspendingprevout", "The transactions of the pool that spend outputs.", getTxSpendingPrevout,
			param{name: "outputs", kind: places, doc: `list of {"txid": …, "vout": …}, one at least`}),
		define("getmempoolinfo", "The pool as a whole.", getMempoolInfo),
	}
}

// PoolEntry is the result of getmempoolentry. Sizes are in bytes; ancestors and
// descendants are those in the pool, itself included.
type PoolEntry struct {
	VSize           int          `json:"vsize"`
	Size            int          `json:"size"` // the same, and below the base fee again: older clients look here
	Weight          int          `json:"weight"`
	Fee             Amount       `json:"fee"`
	Time            int64        `json:"time"` // when it came, seconds since 1970
	DescendantCount int          `json:"descendantcount"`
	DescendantSize  int          `json:"descendantsize"`
	AncestorCount   int          `json:"ancestorcount"`
	AncestorSize    int          `json:"ancestorsize"`
	WTxID           chain.Hash   `json:"wtxid"` // the txid
	Fees            PoolFees     `json:"fees"`
	Depends         []chain.Hash `json:"depends"`
	SpentBy         []chain.Hash `json:"spentby"`
	Replaceable     bool         `json:"bip125-replaceable"` // by a higher fee: always
	Own             bool         `json:"own"`                // submitted here: published again until a block holds it
}

// PoolFees are the fees of a PoolEntry.
type PoolFees struct {
	Base       Amount `json:"base"`
	Modified   Amount `json:"modified"`
	Ancestor   Amount `json:"ancestor"`
	Descendant Amount `json:"descendant"`
}

func poolEntry(w mempool.Entry) *PoolEntry {
	fee := Amount(w.Tx.Fee())
	return &PoolEntry{
		VSize: w.Tx.Size(), Size: w.Tx.Size(), Weight: perByte * w.Tx.Size(), Fee: fee, Time: w.Time.Seconds(), WTxID: w.Tx.ID(),
		DescendantCount: w.Descendants.Count, DescendantSize: w.Descendants.Bytes,
		AncestorCount: w.Ancestors.Count, AncestorSize: w.Ancestors.Bytes,
		Fees:    PoolFees{Base: fee, Modified: fee, Ancestor: Amount(w.Ancestors.Fee), Descendant: Amount(w.Descendants.Fee)},
		Depends: list(w.Parents), SpentBy: list(w.Children),
		Replaceable: true, Own: w.Own,
	}
}

// list is s, but an empty list in JSON where s is nil.
func list[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

func getRawMempool(c *call) (any, error) {
	return poolEntries(c.Pool.List(), argOr(c, 0, false)), nil
}

// poolEntries shows transactions of the pool: ids, best fee rate first, or all of
// each.
func poolEntries(waiting []mempool.Entry, verbose bool) any {
	if verbose {
		all := make(map[string]*PoolEntry, len(waiting))
		for _, w := range waiting {
			all[w.Tx.ID().String()] = poolEntry(w)
		}
		return all
	}
	slices.SortFunc(waiting, byFeeRate)
	ids := make([]chain.Hash, len(waiting))
	for i, w := range waiting {
		ids[i] = w.Tx.ID()
	}
	return ids
}

func getMempoolAncestors(c *call) (any, error) {
	return c.kin(func(w mempool.Entry) []chain.Hash { return w.Parents })
}

func getMempoolDescendants(c *call) (any, error) {
	return c.kin(func(w mempool.Entry) []chain.Hash { return w.Children })
}

// kin shows all that next leads to from a transaction of the pool, itself left
// out. What leaves the pool meanwhile is left out too.
func (c *call) kin(next func(mempool.Entry) []chain.Hash) (any, error) {
	first, ok := c.Pool.Get(arg[chain.Hash](c, 0))
	if !ok {
		return nil, Errorf(NotFound, "Transaction not in mempool")
	}
	var found []mempool.Entry
	seen := map[chain.Hash]bool{first.Tx.ID(): true}
	for queue := next(first); len(queue) > 0; queue = queue[1:] {
		w, ok := c.Pool.Get(queue[0])
		if !ok || seen[queue[0]] {
			continue
		}
		seen[queue[0]] = true
		found = append(found, w)
		queue = append(queue, next(w)...)
	}
	return poolEntries(found, argOr(c, 1, false)), nil
}

// byFeeRate puts the best payers first. It compares products of 128 bits: grains
// per byte are too coarse.
func byFeeRate(a, b mempool.Entry) int {
	high, low := bits.Mul64(uint64(a.Tx.Fee()), uint64(b.Tx.Size()))
	otherHigh, otherLow := bits.Mul64(uint64(b.Tx.Fee()), uint64(a.Tx.Size()))
	return cmp.Or(
		cmp.Compare(otherHigh, high),
		cmp.Compare(otherLow, low),
		a.Tx.ID().Compare(b.Tx.ID()),
	)
}

func getMempoolEntry(c *call) (*PoolEntry, error) {
	w, ok := c.Pool.Get(arg[chain.Hash](c, 0))
	if !ok {
		return nil, Errorf(NotFound, "Transaction not in mempool")
	}
	return poolEntry(w), nil
}

func getMempoolInfo(c *call) (PoolInfo, error) { return c.Pool.Info(), nil }

// Spent is one element of the result of gettxspendingprevout.
type Spent struct {
	Tx    chain.Hash  `json:"txid"`
	Index uint32      `json:"vout"`
	By    *chain.Hash `json:"spendingtxid,omitempty"` // left out if nothing in the pool spends it
}

func getTxSpendingPrevout(c *call) ([]Spent, error) {
	asked := arg[[]chain.OutPoint](c, 0)
	list := make([]Spent, len(asked))
	for i, o := range asked {
		list[i] = Spent{Tx: o.Tx, Index: o.Index}
		if by, spent := c.Pool.Spender(o); spent {
			list[i].By = &by
		}
	}
	return list, nil
}
