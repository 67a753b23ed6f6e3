package mempool

import (
	"math/rand/v2"
	"slices"
	"testing"

	"cairn/chain"
	"cairn/chain/chaintest"
)

// What is remembered of payments that come and are forgotten again, in any order, is
// what a plain list says.
func TestMemoryIsAListThatForgetsTheOldest(t *testing.T) {
	p := chaintest.Easy()
	var txs []chain.CheckedTx
	for i := range 24 {
		memo := make([]byte, i)
		txs = append(txs, chaintest.CheckTx(p, chaintest.Sign(p, &chain.Tx{
			Inputs:  []chain.Input{{Prev: chain.OutPoint{Index: uint32(i)}, Value: 2, Owner: chaintest.Address(1)}},
			Outputs: []chain.Output{{Value: 1, To: chaintest.Address(2)}}, Memo: memo,
		}, chaintest.Key(1))))
	}
	r := rand.New(rand.NewPCG(1, 2))
	m := newMemory(9 * txs[20].Size())
	var list []Fate
	holes, longest := 0, 0
	for step := range 20_000 {
		tx := txs[r.IntN(len(txs))]
		at := slices.IndexFunc(list, func(f Fate) bool { return f.Tx.ID() == tx.ID() })
		steady := step%2000 < 1000 && len(list) > 0 && tx.ID() == list[0].Tx.ID() // the oldest stays while others go
		switch {
		case steady:
		case at >= 0:
			m.forget(tx.ID())
			list = slices.Delete(list, at, at+1)
		case step%2000 >= 1000 || len(list) < 3:
			f := Fate{Tx: tx, Time: chain.Time(step)}
			m.put(f)
			list = append(list, f)
			for sizeOf(list) > m.most {
				list = list[1:]
			}
		default:
			m.forget(tx.ID())
		}
		holes = max(holes, int(m.next-m.first)-len(list))
		longest = max(longest, len(m.ring))
		same(t, &m, list, txs)
	}
	if holes < fewest/2 || longest <= fewest || longest > 2*len(txs) {
		t.Errorf("up to %d holes in a ring of up to %d", holes, longest)
	}
}

func sizeOf(list []Fate) (n int) {
	for _, f := range list {
		n += f.Tx.Size()
	}
	return n
}

func same(t *testing.T, m *memory, list []Fate, txs []chain.CheckedTx) {
	t.Helper()
	if m.bytes != sizeOf(list) || len(m.byID) != len(list) {
		t.Fatalf("%d bytes of %d, want %d of %d", m.bytes, len(m.byID), sizeOf(list), len(list))
	}
	for _, tx := range txs {
		at := slices.IndexFunc(list, func(f Fate) bool { return f.Tx.ID() == tx.ID() })
		f, ok := m.get(tx.ID())
		if ok != (at >= 0) || ok && f.Time != list[at].Time {
			t.Fatalf("remembered: %v, at %d", ok, f.Time)
		}
	}
}
