package daemon_test

import (
	"context"
	"testing"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/node"
)

// b has heard the payments and misses the blocks: when it fetches them, it checks
// no signature again. c has heard nothing.
func TestNoSignatureIsCheckedTwice(t *testing.T) {
	p := chain.Regtest()
	a := start(t, p)
	b := start(t, p, a)
	linked(t, 1, a, b)
	const n = 6
	for i := range n {
		a.submit(pay(p, i, 1000, i+1))
	}
	until(t, "b has heard all", func() bool { return b.Pool.Info().Count == n })
	b.online(false)
	linked(t, 0, a, b)
	a.generate(3)
	if v := a.Verified(); v != 0 {
		t.Errorf("a checked the signatures of %d transactions again that were in its pool", v)
	}
	b.online(true)
	until(t, "b catches up", sameTip(a, b))
	if v := b.Verified(); v != 0 {
		t.Errorf("b checked the signatures of %d transactions again that were in its pool", v)
	}
	c := start(t, p, a)
	until(t, "c catches up", sameTip(a, c))
	if v := c.Verified(); v != n {
		t.Errorf("c checked the signatures of %d transactions, the chain has %d", v, n)
	}
}

// Of five blocks in one answer, the fourth holds a payment with a bad signature,
// and the fifth builds on it. The miner's proof of work is right, so whoever serves
// them says nothing but what their headers vouch for.
func TestOneForgeryInAnAnswerOfManyBlocks(t *testing.T) {
	p := chain.Regtest()
	crook := &liar{}
	a := begin(t, crook.between(config(t, p)))
	a.generate(1)
	good := chaintest.Open(p)
	var blocks []*chain.Block
	for i := range 5 {
		tx := pay(p, i, 1000, i+1)
		if i == 3 {
			tx.Inputs[0].Sig[40] ^= 1
		}
		b := chaintest.Block(p, good.State, chaintest.Plan{Name: "crook", Pay: chaintest.Address(1), Txs: []*chain.Tx{tx}})
		good.State = chaintest.After(p, good.State, b)
		blocks = append(blocks, b)
	}
	crook.bend(serving(p, good.State, blocks))
	b := start(t, p, a)
	until(t, "b condemns the fourth block, and so the fifth", func() bool { return status(b, blocks[4].ID()) == node.Condemned })
	until(t, "b follows the three before it", func() bool { return b.tip().ID == blocks[2].ID() })
	if n := b.faults.Load(); n != 0 {
		t.Errorf("b blamed %d times", n)
	}
}

// serving makes a peer claim and serve a chain that is not its own.
func serving(p *chain.Params, end chain.State, blocks []*chain.Block) func(context.Context, node.Request, node.Answer) (node.Answer, error) {
	return func(_ context.Context, q node.Request, a node.Answer) (node.Answer, error) {
		switch q.Want {
		case node.WantHello:
			a.Hello.Tip.Header, a.Hello.Tip.Height, a.Hello.Tip.Work = blocks[len(blocks)-1].Header, end.Height, end.Work
		case node.WantHeaders:
			a.Headers = nil
			for _, b := range blocks {
				a.Headers = append(a.Headers, b.Header)
			}
		case node.WantBodies:
			a.Blocks = nil
			for _, id := range q.IDs {
				for _, b := range blocks {
					if b.ID() == id {
						a.Blocks = append(a.Blocks, b.Bytes())
					}
				}
			}
		}
		return a, nil
	}
}
