//go:build unix

package ordeal_test

import (
	"errors"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/rpc"
)

// fee is more than any node asks for a payment of one coin, in grains.
const fee = 20_000

// A payer spends the prefunded coins, each in a lane of its own: a lane's next
// payment spends the one before, so no two of them ever conflict. A payment is
// offered until it is acknowledged; from then on it may not get lost.
type payer struct {
	p     *chain.Params
	lanes []lane
	acked map[chain.Hash]*chain.Tx
}

type lane struct {
	owner int        // whose coin it is: a number of chaintest.Key
	coin  chain.Coin // what the next payment spends
	open  *chain.Tx  // offered, and not yet acknowledged
}

// newPayer cuts each prefunded coin in so many; whoever uses it offers the cuts
// first.
func newPayer(p *chain.Params, pieces int) (y *payer, cuts []*chain.Tx) {
	y = &payer{p: p, acked: map[chain.Hash]*chain.Tx{}}
	for i := range 10 {
		coin := chaintest.Funds(p, i)
		var outs []chain.Output
		for range pieces - 1 {
			outs = append(outs, chain.Output{Value: (coin.Value - fee) / chain.Amount(pieces), To: coin.Owner})
		}
		tx := chaintest.Pay(p, coin, chaintest.Key(i), fee, outs...)
		for _, c := range chaintest.Outs(tx, 0) {
			y.lanes = append(y.lanes, lane{owner: i, coin: c})
		}
		cuts = append(cuts, tx)
	}
	return y, cuts
}

// next is the lane's payment: the open one, or a new one.
func (y *payer) next(i int) *chain.Tx {
	l := &y.lanes[i]
	if l.open == nil {
		l.open = chaintest.Pay(y.p, l.coin, chaintest.Key(l.owner), fee)
	}
	return l.open
}

// offer hands the lane's payment to a node. What a node has on a block already it
// does not take: then the lane goes on, and nothing was acknowledged.
func (y *payer) offer(i int, to *peer) error {
	tx := y.next(i)
	err := to.try("sendrawtransaction", nil, hexOf(tx))
	var e *rpc.Error
	known := errors.As(err, &e) && e.Code == rpc.TxInChain
	if err != nil && !known {
		return err
	}
	if !known {
		y.acked[tx.ID()] = tx
	}
	l, outs := &y.lanes[i], chaintest.Outs(tx, 0)
	l.coin, l.open = outs[len(outs)-1], nil
	return nil
}
