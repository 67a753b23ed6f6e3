package daemon_test

import (
	"context"
	"errors"
	"testing"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/node"
)

// A block that another's miner made of our template is our tip and our peers'.
func TestWorkOfOthersReachesEveryNode(t *testing.T) {
	p := chain.Regtest()
	a := start(t, p)
	b := start(t, p, a)
	linked(t, 1, a, b)
	tx := pay(p, 0, 1000, 1)
	a.submit(tx)
	moved := a.Backend.Work.Moved()
	block, err := a.Backend.Work.Template(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if len(block.Txs) != 1 || block.Coinbase.Outputs[0].To != chaintest.Address(9) {
		t.Errorf("the template holds %d transactions and pays %v", len(block.Txs), block.Coinbase.Outputs)
	}
	for limit, _ := block.Header.Bits.Target(); limit.Met(block.ID()); { // every second one does on this network
		block.Header.Nonce++
	}
	if err := a.Backend.Work.Submit(context.Background(), block); chain.KindOf(err) != chain.HighHash {
		t.Errorf("a block without work: %v", err)
	}
	chaintest.Mine(p, block)
	if err := a.Backend.Work.Submit(context.Background(), block); err != nil {
		t.Fatal(err)
	}
	<-moved
	if a.tip().ID != block.ID() {
		t.Error("the block is not the tip")
	}
	if err := a.Backend.Work.Submit(context.Background(), block); !errors.Is(err, node.ErrKnown) {
		t.Errorf("the same again: %v", err)
	}
	until(t, "the peer has it", func() bool { return b.tip().ID == block.ID() })
}

// A node that would pay nobody offers no work over RPC; over Stratum a miner
// brings its own address.
func TestWorkWithoutAnAddress(t *testing.T) {
	cfg := config(t, chain.Regtest())
	cfg.HasPay = false
	a := begin(t, cfg)
	if a.Backend.Work != nil {
		t.Error("RPC offers work")
	}
	if b, err := a.Daemon.Work().Template(context.Background()); err != nil || b.Coinbase.Height != 1 {
		t.Errorf("Stratum has %v, %v", b, err)
	}
}
