package daemon_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/daemon"
	"cairn/node"
)

// surprise finds a block of payments that nobody heard of, and announces it.
func (v *virtual) surprise(at *player, txs []*chain.Tx) chain.Hash {
	v.Helper()
	b := chaintest.Block(v.p, at.tip(), chaintest.Plan{Gap: -1, Pay: chaintest.Address(0), Txs: txs})
	if err := at.Backend.Work.Submit(v.Context(), b); err != nil {
		v.Fatal(err)
	}
	return b.ID()
}

// Nodes that lack all of a block gather it from each other: nobody asks for the whole
// block, and the miner does not send it to each of its peers.
func TestBlockIsGathered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVirtual(t, chain.Regtest())
		var all []*liar
		for range 9 {
			l := &liar{}
			all = append(all, l)
			v.join(l.amid)
		}
		v.meet()
		_, cold := v.payments(800)
		given := make([]atomic.Int64, len(all))
		for i, l := range all {
			l.bend(func(_ context.Context, _ node.Request, a node.Answer) (node.Answer, error) {
				given[i].Add(int64(len(a.Txs)))
				return a, nil
			})
		}
		id := v.surprise(v.nodes[0], cold)
		took := v.within(patience, "everybody has the block", func() bool { return sameTip(v.nodes...)() && v.nodes[0].tip().ID == id })
		others := int64(0)
		for i, l := range all {
			if n := l.count(node.WantBodies); n > 0 {
				t.Errorf("node %d was asked for the whole block %d times", i, n)
			}
			if i > 0 {
				others += given[i].Load()
			}
		}
		t.Logf("%d nodes have the block in %v; its miner gave %d transactions, others %d", len(all), took, given[0].Load(), others)
		if others < given[0].Load() {
			t.Errorf("the miner gave %d transactions and others %d", given[0].Load(), others)
		}
	})
}

// Who gathers a block gets it although some of those who announced it say nothing,
// have nothing, or give something else.
func TestGatheringAmongLiars(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVirtual(t, chain.Regtest())
		a := v.join(nil)
		_, cold := v.payments(600)
		lies := []func(ctx context.Context, a node.Answer) (node.Answer, error){
			func(ctx context.Context, _ node.Answer) (node.Answer, error) {
				<-ctx.Done()
				return node.Answer{}, ctx.Err()
			},
			func(context.Context, node.Answer) (node.Answer, error) { return node.Answer{}, nil },
			func(_ context.Context, a node.Answer) (node.Answer, error) {
				a.Txs = []*chain.Tx{pay(v.p, 5, 999, 6)}
				return a, nil
			},
		}
		var crooks []*liar
		for range lies {
			crook := &liar{}
			crooks = append(crooks, crook)
			v.join(crook.amid)
		}
		victim := v.join(func(cfg daemon.Config) daemon.Config {
			cfg.Network.Peers = nil
			for _, n := range v.nodes {
				cfg.Network.Peers = append(cfg.Network.Peers, n.addr())
			}
			return cfg
		})
		v.meet()
		v.within(patience, "the victim knows them all", func() bool { return len(victim.peers()) == 1+len(crooks) })
		for i, crook := range crooks {
			crook.bend(func(ctx context.Context, q node.Request, a node.Answer) (node.Answer, error) {
				if q.Want != node.WantTxs {
					return a, nil
				}
				return lies[i](ctx, a)
			})
		}
		id := v.surprise(a, cold)
		v.within(patience, "the victim has the block", func() bool { return victim.tip().ID == id })
		until(t, "who gave something else is blamed", func() bool { return victim.faults.Load() > 0 })
		for i, crook := range crooks {
			if n := crook.count(node.WantBodies); n > 0 {
				t.Errorf("liar %d was asked for the whole block", i)
			}
		}
	})
}
