package daemon_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/mempool"
	"cairn/node"
	"cairn/rpc"
)

func TestSubmitTwiceAndTwoSpends(t *testing.T) {
	p := chain.Regtest()
	a := start(t, p)
	first, rival := pay(p, 0, 2000, 1), pay(p, 0, 1000, 2)
	for range 2 {
		a.submit(first)
	}
	if err := a.Pool.Submit(t.Context(), rival); chain.KindOf(err) != mempool.Conflict {
		t.Errorf("a second spend for less: %v", err)
	}
	errs := a.Pool.Try(t.Context(), []*chain.Tx{first, rival, pay(p, 1, 1000, 2)})
	if !errors.Is(errs[0], node.ErrKnown) || chain.KindOf(errs[1]) != mempool.Conflict || errs[2] != nil {
		t.Errorf("tried: %v", errs)
	}
	forged := pay(p, 3, 1000, 1)
	forged.Inputs[0].Sig[0] ^= 1
	if err := a.Pool.Submit(t.Context(), forged); chain.KindOf(err) != chain.BadSignature {
		t.Errorf("a forged payment: %v", err)
	}
	if by, ok := a.Pool.Spender(chaintest.Funds(p, 0).OutPoint); !ok || by != first.ID() {
		t.Errorf("the coin is spent by %v", by)
	}
	if list := a.Pool.List(); len(list) != 1 || list[0].Tx.ID() != first.ID() {
		t.Errorf("the pool holds %d transactions", len(list))
	}
	gone, leave := context.WithCancel(t.Context())
	leave()
	if err := a.Pool.Submit(gone, pay(p, 4, 1000, 1)); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("a caller who left hears %v", err)
	}
}

// A peer that comes back is a new connection, with a new number.
func TestPeersKeepTheirNumbers(t *testing.T) {
	p := chain.Regtest()
	a := start(t, p)
	b := start(t, p, a)
	c := start(t, p, a)
	linked(t, 2, a)
	numbers := func() map[string]int {
		m := map[string]int{}
		for _, peer := range a.peers() {
			m[peer.ID] = peer.Number
		}
		return m
	}
	was := numbers()
	left, stays := b.Backend.Network.Local().ID, c.Backend.Network.Local().ID
	b.online(false)
	linked(t, 1, a)
	b.online(true)
	linked(t, 2, a)
	until(t, "b has a new number, c its old one", func() bool {
		now := numbers()
		return len(now) == 2 && now[left] > was[left] && now[left] > was[stays] && now[stays] == was[stays]
	})
}

func TestNetworkSwitch(t *testing.T) {
	p := chain.Regtest()
	a := start(t, p)
	b := start(t, p, a)
	linked(t, 1, a, b)
	a.online(false)
	linked(t, 0, a, b)
	if a.Backend.Network.Local().Active || len(a.Control.Warnings()) != 1 || !strings.Contains(a.Control.Warnings()[0], "setnetworkactive") {
		t.Errorf("switched off it says %q", a.Control.Warnings())
	}
	a.generate(2) // mining never waits for peers
	b.generate(1)
	a.online(true)
	linked(t, 1, a, b)
	until(t, "b follows a", sameTip(a, b))
	if !a.Backend.Network.Local().Active || len(a.Control.Warnings()) != 0 {
		t.Errorf("switched on it says %q", a.Control.Warnings())
	}
}

func TestConnectOnceAndForGood(t *testing.T) {
	p := chain.Regtest()
	a, b := start(t, p), start(t, p)
	n := a.Backend.Network
	if err := n.Connect(t.Context(), "nowhere"); err == nil {
		t.Error("connected to nowhere")
	}
	if err := n.Connect(t.Context(), a.addr()); err == nil {
		t.Error("connected to itself")
	}
	if err := n.Connect(t.Context(), b.addr()); err != nil {
		t.Fatal(err)
	}
	linked(t, 1, a, b)
	if a.peers()[0].Named {
		t.Error("tried once, and wanted for good")
	}
	if err := a.Book.Add(b.addr()); err != nil {
		t.Fatal(err)
	}
	if err := n.Connect(t.Context(), b.addr()); err != nil {
		t.Fatal(err)
	}
	if !a.peers()[0].Named {
		t.Error("wanted, then tried once more, and wanted no longer")
	}
	if err := n.Disconnect(a.peers()[0].ID); err != nil {
		t.Fatal(err)
	}
	linked(t, 0, a, b)
}

// An address is dialled from the moment it is added, whether anybody answers there
// or not.
func TestAddressesAreAddedUpOrDown(t *testing.T) {
	p := chain.Regtest()
	a, b := start(t, p), start(t, p)
	const nobody = "/ip4/127.0.0.1/tcp/1"
	if err := errors.Join(a.Book.Add(nobody), a.Book.Add(b.addr())); err != nil {
		t.Fatal(err)
	}
	if err := a.Book.Add(b.addr()); !errors.Is(err, rpc.AlreadyAdded.Err()) {
		t.Errorf("added twice: %v", err)
	}
	for _, bad := range []string{"nowhere", a.addr()} {
		if err := a.Book.Add(bad); err == nil || errors.Is(err, rpc.AlreadyAdded.Err()) {
			t.Errorf("added %s: %v", bad, err)
		}
	}
	linked(t, 1, a, b)
	list := a.Book.Added()
	if len(list) != 2 || list[0].Address != nobody || list[0].Connected || !list[1].Connected {
		t.Fatalf("added: %+v", list)
	}
	if at := list[1].Addresses; len(at) != 1 || at[0] != (rpc.AddedAddress{Address: b.addr(), Direction: "outbound"}) {
		t.Errorf("connected by %+v", at)
	}
	until(t, "a remembers where it met b", func() bool {
		known := a.Book.Known()
		return len(known) == 1 && known[0].Multiaddr == b.addr() && known[0].Time > 0
	})
	if err := a.Book.Forget(nobody); err != nil {
		t.Error(err)
	}
	if err := a.Book.Forget(nobody); !errors.Is(err, rpc.NotAdded.Err()) {
		t.Errorf("forgotten twice: %v", err)
	}
	if len(b.Book.Added()) != 0 {
		t.Errorf("b was asked for nobody and has %v", b.Book.Added())
	}
}

// Snapshots are taken while a miner is at work. Whatever one says fits the rest
// of it.
func TestSnapshotsAgreeWithThemselves(t *testing.T) {
	p := chain.Regtest()
	a := start(t, p)
	a.generate(1)
	var work sync.WaitGroup
	work.Go(func() { a.generate(300) })
	for last := uint64(0); last < 301; {
		s, err := a.Open()
		if err != nil {
			t.Fatal(err)
		}
		tip, err := s.Tip()
		if err != nil {
			t.Fatal(err)
		}
		last = tip.State.Height
		if id, err := s.At(last); err != nil || id != tip.State.ID {
			t.Errorf("at the tip's height stands %v (%v)", id, err)
		}
		if _, err := s.At(last + 1); !errors.Is(err, node.ErrUnknown) {
			t.Errorf("above the tip: %v", err)
		}
		if coins, err := s.Owned(chaintest.Address(9)); err != nil || len(coins) != int(last)+1 {
			t.Errorf("at height %d the miner owns %d coins (%v)", last, len(coins), err)
		}
		tips, err := s.Tips()
		if err != nil || len(tips) == 0 || tips[0].Entry != tip {
			t.Errorf("tips %v at %v (%v)", tips, tip, err)
		}
		for _, e := range tips {
			if _, err := s.Body(e.State.ID); (err == nil) != (e.Status == node.Complete) {
				t.Errorf("a tip of status %d has a body: %v", e.Status, err)
			}
			if same, err := s.Entry(e.State.ID); err != nil || same != e.Entry {
				t.Errorf("entry %v, tip %v (%v)", same, e, err)
			}
		}
		s.Close()
		if t.Failed() {
			break
		}
	}
	work.Wait()
}

// Whoever asked for a peer of another network reads what to do about it.
func TestPeerOfAnotherNetworkIsWarnedOf(t *testing.T) {
	other := start(t, chain.Dev())
	a := start(t, chain.Regtest(), other)
	until(t, "it is told", func() bool { return len(a.Control.Warnings()) == 1 })
	if w := a.Control.Warnings()[0]; !strings.Contains(w, other.addr()) || !strings.Contains(w, "regtest") || !strings.Contains(w, "--network") {
		t.Errorf("it says %q", w)
	}
	if list := a.Book.Added(); len(list) != 1 || !strings.Contains(list[0].Reason, "another network") {
		t.Errorf("added: %+v", list)
	}
	if err := a.Book.Forget(other.addr()); err != nil {
		t.Fatal(err)
	}
	if w := a.Control.Warnings(); len(w) != 0 {
		t.Errorf("nobody wants it, and still %q", w)
	}
}
