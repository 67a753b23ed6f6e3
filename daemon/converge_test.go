package daemon_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/node"
	"cairn/rpc"
)

// opinion is what n knows of one peer's view of a transaction.
func opinion(t *testing.T, n *player, tx chain.Hash, peer string) (rpc.Agreement, rpc.Opinion) {
	t.Helper()
	a, err := n.Convergence.Tx(tx)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range a.Peers {
		if o.Peer == peer {
			return a, o
		}
	}
	return a, rpc.Opinion{}
}

func is(depth *int64, want int64) bool { return depth != nil && *depth == want }

// A peer follows a tip that nobody here has heard of, and shows no headers.
func TestUnknownTipIsNoDepth(t *testing.T) {
	p := chain.Regtest()
	l := chaintest.Open(p)
	secret := l.Grow(3, "secret", chaintest.Address(1))[2]
	crook := &liar{}
	cfg := crook.between(config(t, p))
	b := begin(t, cfg)
	crook.bend(func(_ context.Context, q node.Request, a node.Answer) (node.Answer, error) {
		if q.Want == node.WantHello {
			a.Hello.Tip.Header, a.Hello.Tip.Height, a.Hello.Tip.Work = secret.Header(), 3, l.State.Work
			a.Hello.Tip.Counter += 1 << 40 // what it says later by gossip is old news
		}
		return a, nil
	})
	a := start(t, p, b)
	linked(t, 1, a, b)
	tx := pay(p, 0, 1000, 1)
	a.submit(tx)
	a.generate(2)
	until(t, "a hears b's claim", func() bool {
		_, o := opinion(t, a, tx.ID(), b.Backend.Network.Local().ID)
		return o.Tip != nil && *o.Tip == secret.ID()
	})
	all, o := opinion(t, a, tx.ID(), b.Backend.Network.Local().ID)
	if !is(all.Self.Depth, 2) || o.Depth != nil || !o.Counted || all.All != nil || all.Quorum != nil || all.Counted != 2 {
		t.Errorf("a sees %+v", all)
	}
}

// Of three nodes that were asked for, one never was and one goes: both count as
// not yet, until nobody asks for them.
func TestNamedPeersCountUpOrDown(t *testing.T) {
	p := chain.Regtest()
	const nobody = "/ip4/127.0.0.1/tcp/1"
	b, c := start(t, p), start(t, p)
	cfg := config(t, p, b, c)
	cfg.Network.Peers = append(cfg.Network.Peers, nobody)
	a := begin(t, cfg)
	linked(t, 2, a)
	tx := pay(p, 0, 1000, 1)
	a.submit(tx)
	a.generate(1)
	until(t, "three of four have the payment", func() bool {
		got, err := a.Convergence.Tx(tx.ID())
		return err == nil && got.Counted == 4 && got.All == nil && is(got.Quorum, 1)
	})
	if _, o := opinion(t, a, tx.ID(), nobody); !o.Counted || o.Connected || o.Depth != nil {
		t.Errorf("nobody is seen as %+v", o)
	}
	for _, peer := range a.peers() {
		if !peer.Named {
			t.Errorf("peer %+v was asked for", peer)
		}
	}
	if p := b.peers()[0]; p.Named {
		t.Errorf("b did not ask for %+v", p)
	}

	name := c.Backend.Network.Local().ID
	c.Close()
	until(t, "c is gone", func() bool { return len(a.peers()) == 1 })
	if got, o := opinion(t, a, tx.ID(), name); got.Counted != 4 || !o.Counted || o.Connected {
		t.Errorf("a named peer that is down: %+v in %+v", o, got)
	}
	for _, addr := range []string{nobody, cfg.Network.Peers[1]} {
		if err := a.Book.Forget(addr); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "two are left, and agree", func() bool {
		got, err := a.Convergence.Tx(tx.ID())
		return err == nil && got.Counted == 2 && is(got.All, 1)
	})
}

func TestDepthsOfBlocksAndStrangers(t *testing.T) {
	p := chain.Regtest()
	a := start(t, p)
	ids := a.generate(4)
	for i, id := range ids {
		if got, err := a.Convergence.Block(id); err != nil || !is(got.All, int64(4-i)) || got.Reason == "" {
			t.Errorf("block %d: %+v, %v", i+1, got, err)
		}
	}
	for name, ask := range map[string]func(chain.Hash) (rpc.Agreement, error){"a transaction": a.Convergence.Tx, "a block": a.Convergence.Block} {
		if _, err := ask(chain.Hash{1}); !errors.Is(err, node.ErrUnknown) {
			t.Errorf("%s from nowhere: %v", name, err)
		}
	}
	coinbase := chaintest.Open(p) // the genesis' own transaction is held by every branch
	if got, err := a.Convergence.Tx(coinbase.Params.Genesis.Coinbase.ID()); err != nil || !is(got.All, 5) {
		t.Errorf("the genesis' coinbase: %+v, %v", got, err)
	}
}

// A payment whose ancestors go back to the genesis, through more blocks than one
// search may read, waits, and a peer that claims to be at the genesis still is no
// reason to read them. Nothing rules the payment out.
func TestLongAncestryCostsNothingWithoutABranch(t *testing.T) {
	p := chain.Regtest()
	var once sync.Once
	var first node.TipClaim
	sleeper := &liar{}
	b := begin(t, sleeper.between(config(t, p)))
	sleeper.bend(func(_ context.Context, q node.Request, a node.Answer) (node.Answer, error) {
		if q.Want == node.WantHello { // it says what it said at first, and what gossip tells later is old news
			once.Do(func() { first = a.Hello.Tip; first.Counter += 1 << 40 })
			a.Hello.Tip = first
		}
		return a, nil
	})
	a := start(t, p, b)
	until(t, "a knows b's claim", func() bool { return len(a.peers()) == 1 && a.peers()[0].Tip != nil })
	coin := chaintest.Funds(p, 0)
	for range 100 {
		tx := payAll(p, coin, 0, 1000, 0)
		a.submit(tx)
		a.generate(1)
		coin = chaintest.Outs(tx, a.tip().Height)[0]
	}
	last := payAll(p, coin, 0, 1000, 0)
	a.submit(last)
	got, err := a.Convergence.Tx(last.ID())
	if err != nil || !is(got.Self.Depth, 0) || !is(got.All, 0) || got.Peers[0].Height != 0 {
		t.Errorf("it waits, and is seen as %+v (%v)", got, err)
	}
	// A replacement that pays more pushes it out; its fate is told.
	better := payAll(p, coin, 0, 9000, 0)
	a.submit(better)
	got, err = a.Convergence.Tx(last.ID())
	if err != nil || !is(got.Self.Depth, 0) || got.Reason == "" {
		t.Errorf("it was replaced, and is seen as %+v (%v)", got, err)
	}
	a.generate(1)
	got, err = a.Convergence.Tx(last.ID())
	if err != nil || !is(got.Self.Depth, -1) || got.Conflict == nil || *got.Conflict != better.ID() {
		t.Errorf("it was ruled out, and is seen as %+v (%v)", got, err)
	}
}
