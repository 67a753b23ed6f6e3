package daemon

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/node"
	"cairn/store"
)

// reserved is a store whose commits wait until a test lets them go on, and that refuses
// to look for coins once it is told to.
type reserved struct {
	Store
	begun, let chan struct{}
	shut       atomic.Bool
}

func (r *reserved) Commit(steps ...node.Step) error {
	r.begun <- struct{}{}
	<-r.let
	return r.Store.Commit(steps...)
}

func (r *reserved) Coins(of []chain.OutPoint) (chain.Coins, error) {
	if r.shut.Load() {
		return nil, errors.New("a coin is looked for")
	}
	return r.Store.Coins(of)
}

// paying is a chain of blocks that pay once each.
func paying(p *chain.Params, n int) (blocks []chain.CheckedBlock, headers []chain.Header) {
	at := p.GenesisState()
	for i := range n {
		tx := chaintest.Pay(p, chaintest.Funds(p, i), chaintest.Key(i), 1000)
		b := chaintest.Check(p, chaintest.Block(p, at, chaintest.Plan{Gap: -1, Pay: chaintest.Address(9), Txs: []*chain.Tx{tx}}))
		at = chaintest.After(p, at, b.Block())
		blocks, headers = append(blocks, b), append(headers, b.Header())
	}
	return blocks, headers
}

// While a block is being stored the loop connects those that wait for their turn: no
// coin is looked for when it comes.
func TestTheLoopLooksAheadDuringACommit(t *testing.T) {
	p := chain.Regtest()
	blocks, headers := paying(p, 3)
	s := &reserved{Store: store.NewMemory(p), begun: make(chan struct{}), let: make(chan struct{}, 2)}
	l := newLoop(time.Now)
	n, err := node.New(chain.Time(time.Now().UnixMilli()), node.Config{Params: p, Store: &attentive{Store: s, loop: l}})
	if err != nil {
		t.Fatal(err)
	}
	l.node, l.player = n, n
	ctx, end := context.WithCancel(context.Background())
	go l.run(ctx)
	defer func() {
		end()
		<-l.ended
	}()
	do := func(f func(chain.Time) (node.Outcome, error)) {
		if err := l.do(ctx, func(now chain.Time) {
			if out, err := f(now); err != nil || out.Verdict != node.Accept {
				t.Error(out.Why, err)
			}
		}); err != nil {
			t.Error(err)
		}
	}
	take := func(bs ...chain.CheckedBlock) {
		do(func(now chain.Time) (node.Outcome, error) { return n.Block(now, "peer", bs...) })
	}
	do(func(now chain.Time) (node.Outcome, error) { return n.Headers(now, "peer", headers) })

	first := make(chan struct{})
	go func() {
		defer close(first)
		take(blocks[0])
	}()
	<-s.begun
	come := l.coming.expect(blocks[1:])
	for busy := true; busy; {
		if err := l.look(ctx, func(chain.Time) { busy = len(l.coming.news) > 0 }); err != nil {
			t.Fatal(err)
		}
	}
	s.shut.Store(true)
	s.let <- struct{}{}
	<-first
	s.let <- struct{}{}
	go func() { <-s.begun }()
	take(blocks[1:]...)
	come()
	if n.Best().ID != blocks[2].ID() {
		t.Errorf("the tip is at height %d", n.Best().Height)
	}
	if len(l.coming.lists) > 0 {
		t.Error("blocks are expected whose turn was")
	}
}
