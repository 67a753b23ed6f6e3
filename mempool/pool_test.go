package mempool_test

import (
	"testing"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/mempool"
)

var (
	easy  = chaintest.Easy()
	owner = chaintest.Address(0)
)

const worth = chain.CRN // of every input in these tests: more than any fee

// coin is an output of the chain that nobody else has.
func coin(n uint32) chain.OutPoint {
	return chain.OutPoint{Tx: chain.SumHash([]byte("a coin of the chain")), Index: n}
}

// pay spends the coins, makes n outputs and leaves the fee.
func pay(fee chain.Amount, n int, coins ...chain.OutPoint) chain.CheckedTx {
	return padded(0, fee, n, coins...)
}

// padded has a memo of so many bytes, too.
func padded(memo int, fee chain.Amount, n int, coins ...chain.OutPoint) chain.CheckedTx {
	t := &chain.Tx{Memo: make([]byte, memo)}
	for _, c := range coins {
		t.Inputs = append(t.Inputs, chain.Input{Prev: c, Value: worth, Owner: owner})
	}
	rest := worth*chain.Amount(len(coins)) - fee
	for i := range n {
		part := rest / chain.Amount(n-i)
		rest -= part
		t.Outputs = append(t.Outputs, chain.Output{Value: part, To: owner})
	}
	return chaintest.CheckTx(easy, chaintest.Sign(easy, t, chaintest.Key(0)))
}

// out names an output of a transaction.
func out(tx chain.CheckedTx, i uint32) chain.OutPoint {
	return chain.OutPoint{Tx: tx.ID(), Index: i}
}

// block holds the transactions; what came before it is of no matter here.
func block(name string, txs ...chain.CheckedTx) chain.CheckedBlock {
	plan := chaintest.Plan{Name: name, Pay: owner}
	for _, t := range txs {
		plan.Txs = append(plan.Txs, t.Tx())
	}
	return chaintest.Check(easy, chaintest.Block(easy, easy.GenesisState(), plan))
}

func add(t *testing.T, p *mempool.Pool, txs ...chain.CheckedTx) {
	t.Helper()
	for _, tx := range txs {
		if _, err := p.Add(0, tx, false); err != nil {
			t.Fatalf("%v: %v", tx.ID().Short(), err)
		}
	}
}

func refuse(t *testing.T, p *mempool.Pool, tx chain.CheckedTx, want chain.Kind) {
	t.Helper()
	had, bytes, seq := p.Len(), p.Bytes(), p.Seq()
	_, err := p.Add(0, tx, false)
	if chain.KindOf(err) != want {
		t.Errorf("got %v, want %v", err, want)
	}
	if p.Len() != had || p.Bytes() != bytes || p.Seq() != seq {
		t.Errorf("%v changed the pool", want)
	}
}

// waits checks that exactly these are in the pool.
func waits(t *testing.T, p *mempool.Pool, want ...chain.CheckedTx) {
	t.Helper()
	for i, tx := range want {
		if !p.Has(tx.ID()) {
			f, _ := p.Fate(tx.ID())
			t.Errorf("number %d is not in the pool: %+v", i, f)
		}
	}
	if p.Len() != len(want) {
		t.Errorf("%d wait, want %d", p.Len(), len(want))
	}
}

func fate(t *testing.T, p *mempool.Pool, tx chain.CheckedTx, want mempool.Reason) mempool.Fate {
	t.Helper()
	f, ok := p.Fate(tx.ID())
	if !ok || f.Reason != want || f.Tx.ID() != tx.ID() {
		t.Errorf("fate %+v, want %v", f, want)
	}
	return f
}

func TestABetterPaymentReplacesAndTakesDescendantsOut(t *testing.T) {
	p := mempool.New(mempool.Config{})
	a := pay(1000, 2, coin(1))
	child := pay(1000, 1, out(a, 0))
	add(t, p, a, child)

	refuse(t, p, a, mempool.Known)
	refuse(t, p, pay(1000, 1, coin(1), coin(2)), mempool.Conflict)
	refuse(t, p, pay(1100, 1, coin(1), coin(2)), mempool.LowReplacement)                    // more, at a lower rate
	refuse(t, p, pay(2000, 1, coin(1)), mempool.LowReplacement)                             // a higher rate, but nothing for its own bytes
	refuse(t, p, pay(2000+chain.Amount(a.Size())-1-40, 1, coin(1)), mempool.LowReplacement) // a grain short
	refuse(t, p, pay(worth, 1, coin(1), out(a, 1)), mempool.SpendsConflict)                 // needs what it replaces
	best := pay(2000+chain.Amount(a.Size())-40, 1, coin(1))                                 // one output less
	replaced, err := p.Add(5, best, false)
	if err != nil || len(replaced) != 2 || replaced[0].ID() != a.ID() || replaced[1].ID() != child.ID() {
		t.Fatalf("replaced %v, %v", replaced, err)
	}
	waits(t, p, best)
	for _, tx := range replaced {
		if f := fate(t, p, tx, mempool.Replaced); f.By != best.ID() || f.Time != 5 {
			t.Errorf("replaced by %v at %v", f.By, f.Time)
		}
	}
	if by, ok := p.Spender(coin(1)); !ok || by != best.ID() {
		t.Errorf("coin 1 is spent by %v", by)
	}
}
