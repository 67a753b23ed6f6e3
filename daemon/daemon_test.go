package daemon_test

import (
	"context"
	"slices"
	"testing"

	"cairn/chain"
	"cairn/chain/chaintest"
)

func TestOneBlockReachesEveryNode(t *testing.T) {
	p := chain.Regtest()
	a := start(t, p)
	b := start(t, p, a)
	c := start(t, p, b)
	until(t, "the nodes are linked", func() bool { return len(b.peers()) == 2 })
	tx := pay(p, 0, 1000, 1)
	a.submit(tx)
	until(t, "the payment is in every pool", func() bool {
		return !slices.ContainsFunc([]*player{a, b, c}, func(p *player) bool { _, ok := p.Pool.Get(tx.ID()); return !ok })
	})
	ids := c.generate(1)
	until(t, "the block is everybody's tip", func() bool { return a.tip().ID == ids[0] && b.tip().ID == ids[0] })
	until(t, "a knows that the payment is one deep on all it is linked to", func() bool {
		agreed, err := a.Convergence.Tx(tx.ID())
		return err == nil && agreed.All != nil && *agreed.All == 1 && agreed.Counted == 2
	})
	if n := a.Pool.Info().Count; n != 0 {
		t.Errorf("a's pool still holds %d transactions", n)
	}
}

func TestLateNodeCatchesUp(t *testing.T) {
	p := chain.Regtest()
	a := start(t, p)
	a.generate(2100) // more than one answer of headers holds
	b := start(t, p, a)
	until(t, "b has a's chain", sameTip(a, b))
}

// The peers of a late node go away one after the other while it catches up.
func TestLateNodeCatchesUpFromAnyPeer(t *testing.T) {
	p := chain.Regtest()
	a := start(t, p)
	b, c := start(t, p, a), start(t, p, a)
	linked(t, 2, a)
	a.generate(600)
	until(t, "all have the chain", sameTip(a, b, c))
	end := c.tip()
	late := start(t, p, a, b, c)
	for i, leaver := range []*player{a, b} {
		until(t, "the late node has come so far", func() bool { return late.tip().Height >= uint64(1+100*i) })
		leaver.Close()
	}
	until(t, "it has the whole chain", func() bool { return late.tip() == end })
	if n := late.faults.Load(); n != 0 {
		t.Errorf("it blamed %d times: to leave breaks no rule", n)
	}
}

func TestHealedSplitAgreesAndNamesTheLoser(t *testing.T) {
	p := chain.Regtest()
	a := start(t, p)
	b := start(t, p, a)
	until(t, "the nodes are linked", func() bool {
		return len(a.peers()) == 1 && len(b.peers()) == 1
	})
	a.generate(2)
	until(t, "b follows", sameTip(a, b))

	b.online(false)
	until(t, "the link is cut", func() bool { return len(a.peers()) == 0 })
	left, right, bystander := pay(p, 0, 1000, 1), pay(p, 0, 2000, 2), pay(p, 3, 1000, 4)
	child := payAll(p, chaintest.Outs(left, 0)[0], 1, 500, 5)
	a.submit(left)
	a.submit(child)
	b.submit(right)
	a.submit(bystander)
	a.generate(2)
	won := b.generate(3)
	b.online(true)

	until(t, "both follow the heavier branch", func() bool { return a.tip().ID == won[2] && sameTip(a, b)() })
	until(t, "both tell that the payment on the lighter branch is ruled out with what builds on it, and by which", func() bool {
		return !slices.ContainsFunc([]*player{a, b}, func(p *player) bool {
			return !ruledOut(p, left.ID(), right.ID()) || !ruledOut(p, child.ID(), right.ID())
		})
	})
	if r := a.Control.Reorgs(); r.Count != 1 || r.Deepest != 2 {
		t.Errorf("a counts %+v", r)
	}
	until(t, "the bystander is back in both pools", func() bool {
		_, here := a.Pool.Get(bystander.ID())
		_, there := b.Pool.Get(bystander.ID())
		return here && there
	})
	b.generate(1)
	until(t, "it is confirmed on both", func() bool {
		agreed, err := a.Convergence.Tx(bystander.ID())
		return err == nil && agreed.All != nil && *agreed.All == 1 && agreed.Counted == 2
	})
}

// ruledOut tells whether p names the winner for whom a transaction is ruled out
// on every node.
func ruledOut(p *player, loser, winner chain.Hash) bool {
	a, err := p.Convergence.Tx(loser)
	return err == nil && a.Self.Depth != nil && *a.Self.Depth == -1 && a.Conflict != nil && *a.Conflict == winner &&
		a.All != nil && *a.All == -1
}

func TestMinersOnTwoNodesAgree(t *testing.T) {
	p := quick(t)
	a := start(t, p)
	b := start(t, p, a)
	for _, m := range []*player{a, b} {
		if err := m.Mining.Start(context.Background(), 1); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "ten blocks are found", func() bool { return a.tip().Height >= 10 && b.tip().Height >= 10 })
	for _, m := range []*player{a, b} {
		if err := m.Mining.Stop(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	// A tie may stay until somebody breaks it: that is the rule, not a fault.
	until(t, "the nodes agree once one of them mines on", func() bool {
		if sameTip(a, b)() {
			return true
		}
		a.generate(1)
		return false
	})
}
