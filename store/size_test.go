package store

import (
	"errors"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/node"
)

const (
	leastTx    = 184 // bytes of one input, one output, no memo
	leastEmpty = 143 // bytes of a transaction without outputs
	perOutput  = 40
)

// unsigned makes a block of the first height of p that holds txs, connected to
// coins that fit them. Nobody signed: a signature is 64 bytes whatever it says.
func unsigned(t testing.TB, p *chain.Params, txs []*chain.Tx, coins chain.Coins) *stone {
	t.Helper()
	block := chaintest.Block(p, p.GenesisState(), chaintest.Plan{Pay: chaintest.Address(0), Txs: txs})
	body, err := chain.Remembered(block.ID(), block.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	state, diff, err := chain.Connect(p, p.GenesisState(), body, coins)
	if err != nil {
		t.Fatal(err)
	}
	return &stone{entry: node.Entry{Header: body.Header(), State: state, Status: node.Complete}, body: body, diff: diff}
}

// number makes different hashes and keys.
func number(kind byte, n int) (h [32]byte) {
	return chain.SumHash([]byte{kind, byte(n), byte(n >> 8), byte(n >> 16)})
}

// coinOf is a coin that nobody else owns.
func coinOf(n int, value chain.Amount) chain.Coin {
	return chain.Coin{OutPoint: chain.OutPoint{Tx: number('c', n), Index: uint32(n)}, Value: value, Owner: number('o', n), Height: 1 << 30}
}

func spending(coins chain.Coins, c chain.Coin) []chain.Input {
	coins[c.OutPoint] = c
	return []chain.Input{{Prev: c.OutPoint, Value: c.Value, Owner: c.Owner}}
}

// manyTxs is as many transactions of one input and one output as room holds,
// between people who are all different.
func manyTxs(room int) (txs []*chain.Tx, coins chain.Coins) {
	coins = chain.Coins{}
	for n := range room / leastTx {
		c := coinOf(n, chain.MaxAmount/chain.Amount(room))
		txs = append(txs, &chain.Tx{
			Inputs:  spending(coins, c),
			Outputs: []chain.Output{{Value: c.Value, To: number('r', n)}},
		})
	}
	return txs, coins
}

// manyOutputs is one transaction with as many outputs as room holds, to people
// who are all different.
func manyOutputs(room int) ([]*chain.Tx, chain.Coins) {
	coins := chain.Coins{}
	outs := make([]chain.Output, (room-leastEmpty-8)/perOutput)
	for n := range outs {
		outs[n] = chain.Output{Value: chain.MaxAmount / chain.Amount(len(outs)), To: number('r', n)}
	}
	c := coinOf(0, chain.MaxAmount)
	return []*chain.Tx{{Inputs: spending(coins, c), Outputs: outs}}, coins
}

// manyInputs is one transaction that spends as many coins as room holds.
func manyInputs(room int) ([]*chain.Tx, chain.Coins) {
	coins := chain.Coins{}
	t := &chain.Tx{Outputs: []chain.Output{{Value: 1, To: number('r', 0)}}}
	for n := range (room - 100) / 140 {
		t.Inputs = append(t.Inputs, spending(coins, coinOf(n, 1))...)
	}
	return []*chain.Tx{t}, coins
}

// largest is a block as large as p allows, filled in one way.
func largest(t *testing.T, p *chain.Params, fill func(int) ([]*chain.Tx, chain.Coins)) *stone {
	t.Helper()
	txs, coins := fill(p.MaxBlock - chain.HeaderSize - 5 - 150) // a count, a coinbase
	s := unsigned(t, p, txs, coins)
	if s.body.Size() > p.MaxBlock || s.body.Size() < p.MaxBlock-1000 {
		t.Fatalf("%d bytes is not the largest of %d", s.body.Size(), p.MaxBlock)
	}
	return s
}

// The largest legal blocks fit one transaction of the database as we open it,
// with all that is derived from them: put on as they arrive, taken off, put on
// again, and condemned.
func TestLargestBlockFitsOneTransaction(t *testing.T) {
	p := chain.Regtest()
	b := openBadger(t, p, t.TempDir())
	for name, fill := range map[string]func(int) ([]*chain.Tx, chain.Coins){
		"many transactions": manyTxs, "many outputs": manyOutputs, "many inputs": manyInputs,
	} {
		t.Run(name, func(t *testing.T) {
			s := largest(t, p, fill)
			on := node.Step{Tip: s.id(), Diff: s.diff}
			arrive := on
			arrive.Entries, arrive.Bodies = arrival(s)
			off := node.Step{Tip: p.GenesisID(), Undo: true, Diff: s.diff.Inverse()}
			gone := node.Step{Tip: p.GenesisID(), Condemned: []chain.Hash{s.id()}}
			for _, step := range []node.Step{arrive, off, on, off, gone} {
				fits(t, b, step)
			}
		})
	}
}

// A network file may allow larger blocks than any network of ours.
func TestLargestBlockOfAnyNetworkFits(t *testing.T) {
	p := chain.Regtest()
	p.MaxBlock = 1 << 22
	if _, err := chain.NewParams(p); err != nil {
		t.Fatal(err)
	}
	s := largest(t, p, manyOutputs)
	step := node.Step{Tip: s.id(), Diff: s.diff}
	step.Entries, step.Bodies = arrival(s)
	fits(t, openBadger(t, p, t.TempDir()), step)
}

// fits commits a step that must be one transaction.
func fits(t *testing.T, b *Badger, step node.Step) {
	t.Helper()
	planned, err := b.plan([]node.Step{step}, nil)
	if err != nil {
		t.Fatal(err)
	}
	batches := planned.batches
	w, room := batches[0].weight, b.disk.room()
	t.Logf("%d of %d entries, %d of %d bytes", w.entries, room.entries, w.bytes, room.bytes)
	if len(batches) != 1 || !w.fits(room) {
		t.Errorf("a step of %v does not fit", w)
	}
	commit(t, b, step)
}

// weigh counts as Badger does: what we call full, Badger still takes, and not
// much more. Otherwise steps would be fused into what cannot be written.
func TestWeightIsBadgers(t *testing.T) {
	b := openBadger(t, chaintest.Easy(), t.TempDir())
	room := b.disk.room()
	for name, length := range map[string]int{"many keys": 0, "many bytes": 3000, "almost in the value log": valueThreshold - 1} {
		t.Run(name, func(t *testing.T) {
			full := newBatch()
			for n := 0; full.weight.plus(size{1, weigh(string(make([]byte, 32)), make([]byte, length))}).fits(room); n++ {
				key := number('k', n)
				full.add(key[:], make([]byte, length))
			}
			if err := b.disk.write(full); err != nil {
				t.Errorf("%v is full and does not fit: %v", full.weight, err)
			}
			for n := range 2000 {
				key := number('m', n)
				full.add(key[:], make([]byte, length))
			}
			if err := b.disk.write(full); !errors.Is(err, badger.ErrTxnTooBig) {
				t.Errorf("%v is too much and fits: %v", full.weight, err)
			}
		})
	}
}

// Bodies lie in the value log: many of them are fused, although their bytes
// would never fit a transaction.
func TestBodiesWeighLittle(t *testing.T) {
	b := openBadger(t, chaintest.Easy(), t.TempDir())
	room := b.disk.room()
	many := newBatch()
	for n := range room.bytes/valueThreshold + 1 {
		key := number('k', int(n))
		many.add(key[:], make([]byte, valueThreshold))
	}
	if !many.weight.fits(room) {
		t.Errorf("%v does not fit %v", many.weight, room)
	}
	if err := b.disk.write(many); err != nil {
		t.Error(err)
	}
}

// No test without a power cut can see these go wrong.
func TestWritesAreSynced(t *testing.T) {
	b := openBadger(t, chaintest.Easy(), t.TempDir())
	o := b.disk.(*badgerDisk).db.Opts()
	if !o.SyncWrites || o.InMemory || o.NumVersionsToKeep != 1 || o.ValueThreshold != valueThreshold {
		t.Errorf("opened with %+v", o)
	}
}

// What is written and deleted again in one batch leaves no trace; what was there
// before is deleted.
func TestNetEffect(t *testing.T) {
	key, other := []byte("k"), []byte("o")
	a := newBatch()
	a.add(key, []byte("v"))
	a.remove(other)
	later := newBatch()
	later.remove(key)
	later.add(other, []byte("w"))
	a.then(later)
	if _, there := a.changes["k"]; there {
		t.Error("a key that came and went is written")
	}
	if c := a.changes["o"]; string(c.value) != "w" {
		t.Errorf("got %q", c.value)
	}
	a.remove(other)
	if c, there := a.changes["o"]; !there || c.value != nil {
		t.Error("a key that was there from the beginning is not deleted")
	}
	if want := (size{1, weigh("o", nil)}); a.weight != want {
		t.Errorf("weighs %v, want %v", a.weight, want)
	}
}
