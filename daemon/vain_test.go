package daemon_test

import (
	"context"
	"sync/atomic"
	"testing"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/node"
)

// A pool full of large payments with coins that nobody has costs its owner one hour
// of signing, and whoever looks at it the verifying each time. He stops after a
// little, blames nobody, and hears of the honest one that stands behind others.
func TestPoolOfNothingIsNotVerified(t *testing.T) {
	p := chain.Regtest()
	crook := &liar{}
	bent := begin(t, crook.between(config(t, p)))
	var void []*chain.Tx
	for i := range 40 {
		void = append(void, fromNothing(p, 200, byte(i)))
	}
	crook.bend(func(_ context.Context, q node.Request, a node.Answer) (node.Answer, error) {
		switch q.Want {
		case node.WantPool:
			a.IDs = nil
			for _, tx := range void {
				a.IDs = append(a.IDs, tx.ID())
			}
		case node.WantPoolTxs:
			a.Txs = void
		}
		return a, nil
	})
	var seen atomic.Int64
	cfg := config(t, p, bent)
	cfg.Player = func(n *node.Node) node.Player { return &tally{Node: n, signatures: &seen} }
	victim := begin(t, cfg)
	until(t, "it looked at the pool", func() bool { return crook.count(node.WantPoolTxs) > 0 && seen.Load() > 1000 })
	honest := start(t, p, victim)
	honest.submit(pay(p, 0, 1000, 1))
	until(t, "honest payments are heard", func() bool { return victim.Pool.Info().Count == 1 })
	if n := seen.Load(); n > 3500 {
		t.Errorf("%d signatures were verified in vain, of %d", n, 200*len(void))
	}
	if n := victim.faults.Load(); n != 0 {
		t.Errorf("blamed %d times", n)
	}
}

// tally counts the signatures of the payments that reach a player.
type tally struct {
	*node.Node
	signatures *atomic.Int64
}

func (c *tally) Tx(now chain.Time, from node.Peer, tx chain.CheckedTx) (node.Outcome, error) {
	c.signatures.Add(int64(len(tx.Tx().Inputs)))
	return c.Node.Tx(now, from, tx)
}

// fromNothing is a payment whose coins nobody has, and whose signatures are right.
func fromNothing(p *chain.Params, inputs int, mark byte) *chain.Tx {
	tx := &chain.Tx{Outputs: []chain.Output{{Value: 1, To: chaintest.Address(1)}}, Memo: []byte{mark}}
	for i := range inputs {
		tx.Inputs = append(tx.Inputs, chain.Input{Prev: chain.OutPoint{Tx: chain.Hash{mark, 1}, Index: uint32(i)}, Value: 1000, Owner: chaintest.Address(1)})
	}
	return chaintest.Sign(p, tx, chaintest.Key(1))
}
