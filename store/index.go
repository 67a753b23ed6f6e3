package store

import (
	"context"
	"crypto/sha256"

	"cairn/chain"
)

// TxBlocks lists the blocks whose stored bodies hold the transaction, on every
// branch, in order of their ids; none if it is unknown. Coinbases count.
func (r reads) TxBlocks(tx chain.Hash) ([]chain.Hash, error) {
	return r.ids(keysTx(tx))
}

// Spenders lists the transactions in stored bodies that spend the output, on
// every branch, in order of their ids. Two of them are in conflict.
func (r reads) Spenders(o chain.OutPoint) ([]chain.Hash, error) {
	return r.ids(keysSpend(o))
}

// ids lists the different ids that follow prefix.
func (r reads) ids(prefix []byte) (ids []chain.Hash, err error) {
	err = r.view(func(s snapshot) error {
		return s.each(span{prefix: prefix, keys: true}, func(key, _ []byte) error {
			id := chain.Hash(key[len(prefix) : len(prefix)+32])
			if n := len(ids); n == 0 || ids[n-1] != id {
				ids = append(ids, id)
			}
			return nil
		})
	})
	return ids, err
}

// Owned lists the address's unspent coins at the tip, in order of outpoints.
func (r reads) Owned(a chain.Address) (coins []chain.Coin, err error) {
	prefix := keysOwned(a)
	err = r.view(func(s snapshot) error {
		return s.each(span{prefix: prefix}, func(key, value []byte) error {
			c, err := decodeOwned(a, readOutPoint(key[len(prefix):]), value)
			coins = append(coins, c)
			return err
		})
	})
	return coins, err
}

// History lists what transactions on the best chain did to the address, newest
// first, at most most of them, all below a place: Newest for the first page, the
// last item's place for the next.
func (r reads) History(a chain.Address, below Place, most int) (items []HistoryItem, err error) {
	last, ok := below.before()
	if !ok || most <= 0 {
		return nil, nil
	}
	prefix := keysHistory(a)
	span := span{prefix: prefix, from: keyHistory(a, last), backward: true}
	err = r.view(func(s snapshot) error {
		return enough(s.each(span, func(key, value []byte) error {
			item, err := decodeItem(readPlace(key[len(prefix):]), value)
			if items = append(items, item); err == nil && len(items) == most {
				err = errEnough
			}
			return err
		}))
	})
	return items, err
}

func enough(err error) error {
	if err == errEnough { //nolint:errorlint // ours, and never wrapped
		return nil
	}
	return err
}

// CoinCount is the number of unspent coins at the tip. It reads every coin's key.
func (r reads) CoinCount() (n int, err error) {
	err = r.view(func(s snapshot) error {
		return s.each(span{prefix: []byte{kindCoin}, keys: true}, func(_, _ []byte) error {
			n++
			return nil
		})
	})
	return n, err
}

// SetInfo describes the set of unspent coins at one tip.
type SetInfo struct {
	Tip    chain.State
	Coins  int
	Txs    int          // transactions with an unspent output
	Total  chain.Amount // in grains
	Digest chain.Hash   // SHA-256d over every coin in order of outpoints: equal sets, equal digests
}

// SetInfo reads every unspent coin of one snapshot, while commits go on. It ends
// early, with the context's error, when ctx ends.
func (r reads) SetInfo(ctx context.Context) (info SetInfo, err error) {
	err = r.view(func(s snapshot) error {
		tip, err := tipOf(s)
		if err != nil {
			return err
		}
		info.Tip = tip.State
		return info.count(ctx, s)
	})
	return info, err
}

func (i *SetInfo) count(ctx context.Context, s snapshot) error {
	hash := sha256.New()
	var last chain.Hash
	err := s.each(span{prefix: []byte{kindCoin}}, func(key, value []byte) error {
		hash.Write(key[1:])
		hash.Write(value)
		c, err := decodeCoin(readOutPoint(key[1:]), value)
		if err != nil {
			return err
		}
		if i.Coins == 0 || c.Tx != last {
			i.Txs++
		}
		last = c.Tx
		i.Coins++
		i.Total += c.Value
		return ctx.Err()
	})
	i.Digest = sha256.Sum256(hash.Sum(nil))
	return err
}
