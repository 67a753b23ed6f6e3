package node_test

import (
	"math/rand/v2"
	"testing"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/mempool"
	"cairn/node"
)

func TestTryChildrenBehindTheirParents(t *testing.T) {
	s := tell(t, chaintest.Easy())
	s.Fork("0", "r1", "r2", "r3")
	s.give("r1", "r2", "r3")
	parent := s.pay(0, 1, 700) // enough to replace the rival
	child := chaintest.Pay(s.p, chaintest.Outs(parent, mempool.Height)[0], chaintest.Key(1), 600)
	rival := s.pay(0, 2, 400)
	a, b, c := chaintest.CheckTx(s.p, parent), chaintest.CheckTx(s.p, child), chaintest.CheckTx(s.p, rival)
	for _, try := range []struct {
		name string
		txs  []chain.CheckedTx
		want []error
	}{
		{"in order", []chain.CheckedTx{a, b}, []error{nil, nil}},
		{"the child first", []chain.CheckedTx{b, a}, []error{chain.MissingCoin.Err(), nil}},
		{"the child alone", []chain.CheckedTx{b}, []error{chain.MissingCoin.Err()}},
		{"one coin twice", []chain.CheckedTx{a, c, b}, []error{nil, mempool.Conflict.Err(), nil}},
		{"replaced, and its child", []chain.CheckedTx{c, a, b}, []error{nil, nil, nil}},
		{"twice", []chain.CheckedTx{a, a}, []error{nil, node.ErrKnown}},
	} {
		for i, err := range s.n.TryInOrder(s.now, try.txs) {
			if !is(err, try.want[i]) {
				t.Errorf("%s: number %d: %v, want %v", try.name, i, err, try.want[i])
			}
		}
		if s.n.Mempool().Len() != 0 {
			t.Fatalf("%s: the pool changed", try.name)
		}
	}
}

func is(err, want error) bool {
	return err == want || chain.KindOf(err) != "" && chain.KindOf(err) == chain.KindOf(want)
}

// What trying says, sending does: over random families in small pools, some of
// which are full.
func TestTryAndSendAgree(t *testing.T) {
	for seed := range uint64(150) {
		r := rand.New(rand.NewPCG(seed, 11))
		s := tell(t, chaintest.Easy())
		s.cfg.Pool = mempool.Config{MaxBytes: 600 + r.IntN(3000), MaxTxSize: 500, MaxAncestors: 4, MaxDescendants: 5}
		s.start()
		s.Fork("0", "r1", "r2", "r3")
		s.give("r1", "r2", "r3")
		coins := make([]chain.Coin, 4)
		for i := range coins {
			coins[i] = chaintest.Funds(s.p, i)
		}
		owners := map[chain.OutPoint]int{coins[0].OutPoint: 0, coins[1].OutPoint: 1, coins[2].OutPoint: 2, coins[3].OutPoint: 3}
		draw := func() chain.CheckedTx {
			c, to := coins[r.IntN(len(coins))], r.IntN(9)
			tx := chaintest.Pay(s.p, c, chaintest.Key(owners[c.OutPoint]), chain.Amount(r.IntN(2000)), chain.Output{Value: chain.Amount(1 + r.IntN(1000)), To: chaintest.Address(to)})
			for _, o := range chaintest.Outs(tx, mempool.Height) {
				if o.Value < 10_000 {
					continue
				}
				coins, owners[o.OutPoint] = append(coins, o), owners[c.OutPoint]
			}
			return chaintest.CheckTx(s.p, tx)
		}
		for range 10 {
			s.tx("peer", draw())
		}
		var list []chain.CheckedTx
		for range 8 {
			list = append(list, draw())
		}
		tried := s.n.TryInOrder(s.now, list)
		for i, tx := range list {
			out, err := s.n.Tx(s.now, "other", tx)
			if err != nil {
				t.Fatal(err)
			}
			if !is(tried[i], out.Why) {
				t.Fatalf("seed %d: number %d: tried %v, sent %v", seed, i, tried[i], out.Why)
			}
		}
	}
}
