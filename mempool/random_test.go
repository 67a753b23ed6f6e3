package mempool_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"cairn/chain"
	"cairn/mempool"
)

// small is a pool whose every limit is soon met.
var small = mempool.Config{
	MaxBytes: 2400, MaxTxSize: 600, MinFeeRate: 1000, MaxAncestors: 4, MaxDescendants: 5, MaxFamily: 1100, Halving: 40,
	Expiry: 60, Republish: 10, RepublishMax: 40, Journal: 40, Memory: 1 << 20,
}

// world is a chain, a pool, its twin and a reader of its journal.
type world struct {
	p      *mempool.Pool
	twin   *twin
	now    chain.Time
	blocks []chain.CheckedBlock
	made   []chain.CheckedTx // everything ever made, to be tried again
	n      int               // blocks ever made

	seq  uint64
	seen map[chain.Hash]bool // what waits, by the journal
}

func newWorld() *world {
	return &world{p: mempool.New(small), twin: newTwin(small), seen: map[chain.Hash]bool{}}
}

// coins lists what the chain has not spent.
func (w *world) coins() (free []chain.OutPoint) {
	for i := range uint32(6) {
		free = append(free, coin(i))
	}
	for _, b := range w.blocks {
		free = append(free, chain.OutPoint{Tx: b.CoinbaseID()})
		for _, tx := range b.Txs() {
			for i := range tx.Tx().Outputs {
				free = append(free, out(tx, uint32(i)))
			}
		}
	}
	for _, b := range w.blocks {
		for _, tx := range b.Txs() {
			free = slices.DeleteFunc(free, func(o chain.OutPoint) bool { return spends(tx, o) })
		}
	}
	return free
}

func spends(tx chain.CheckedTx, o chain.OutPoint) bool {
	return slices.ContainsFunc(tx.Tx().Inputs, func(in chain.Input) bool { return in.Prev == o })
}

var errNoCoin = chain.MissingCoin.Err()

// admit stands for chain.Admit with the coins of chain and pool.
func (w *world) admit(tx chain.CheckedTx) error {
	free := w.coins()
	for _, in := range tx.Tx().Inputs {
		if _, ok := w.p.Coin(in.Prev); !ok && !slices.Contains(free, in.Prev) {
			return errNoCoin
		}
	}
	return nil
}

// draw makes a transaction that spends some of these coins.
func (w *world) draw(t *rapid.T, from []chain.OutPoint) chain.CheckedTx {
	coins := rapid.SliceOfNDistinct(rapid.SampledFrom(from), 1, min(3, len(from)), rapid.ID).Draw(t, "coins")
	outs, memo := rapid.IntRange(1, 3).Draw(t, "outputs"), rapid.SampledFrom([]int{0, 0, 80}).Draw(t, "memo")
	size := chain.TxSize(len(coins), outs, memo)
	halves := rapid.IntRange(1, 12).Draw(t, "half rates")
	fee := chain.Amount((size*halves+1)/2 + rapid.IntRange(0, 1).Draw(t, "a grain"))
	tx := padded(memo, fee, outs, coins...)
	w.made = append(w.made, tx)
	return tx
}

func (w *world) add(t *rapid.T) {
	from := w.coins()
	for _, g := range w.twin.list {
		for i := range g.tx.Tx().Outputs {
			from = append(from, out(g.tx, uint32(i)))
		}
	}
	var tx chain.CheckedTx
	if len(w.made) > 0 && rapid.IntRange(0, 4).Draw(t, "again") == 0 {
		tx = rapid.SampledFrom(w.made).Draw(t, "old")
	} else {
		tx = w.draw(t, from)
	}
	if w.admit(tx) != nil {
		return
	}
	own := rapid.IntRange(0, 3).Draw(t, "own") == 0
	replaced, err := w.p.Add(w.now, tx, own)
	want, kind := w.twin.add(w.now, tx, own)
	if (err == nil) != (kind == "") || chain.KindOf(err) != kind {
		t.Fatalf("Add says %v, the twin %q", err, kind)
	}
	sameTxs(t, "replaced", replaced, want)
}

func (w *world) remove(t *rapid.T) {
	if len(w.twin.list) == 0 {
		return
	}
	g := rapid.SampledFrom(w.twin.list).Draw(t, "removed")
	got := w.p.Remove(g.id(), mempool.Dropped)
	sameTxs(t, "removed", got, w.twin.leave(w.twin.withDescendants(g), mempool.Fate{Reason: mempool.Dropped}))
}

func (w *world) expire(t *rapid.T) {
	w.now += chain.Time(rapid.IntRange(1, 30).Draw(t, "later"))
	got := w.p.Expire(w.now)
	w.twin.fall(w.now)
	var old []guest
	for _, g := range w.twin.list {
		if g.added+small.Expiry < w.now && !w.twin.held(g) {
			old = append(old, g)
		}
	}
	if want := w.twin.leave(w.twin.withDescendants(old...), mempool.Fate{Reason: mempool.Expired}); len(got) != len(want) {
		t.Fatalf("%d expired, the twin says %d", len(got), len(want))
	}
}

// mine puts a block on the chain with some of the candidates, parents first,
// and perhaps something that nobody had heard of.
func (w *world) mine(t *rapid.T, candidates []chain.CheckedTx) {
	free := w.coins()
	var chosen []chain.CheckedTx
	take := func(tx chain.CheckedTx) {
		for _, in := range tx.Tx().Inputs {
			if !slices.Contains(free, in.Prev) {
				return
			}
		}
		free = slices.DeleteFunc(free, func(o chain.OutPoint) bool { return spends(tx, o) })
		for i := range tx.Tx().Outputs {
			free = append(free, out(tx, uint32(i)))
		}
		chosen = append(chosen, tx)
	}
	if len(free) > 0 && rapid.Bool().Draw(t, "a surprise") {
		take(w.draw(t, free))
	}
	for _, tx := range candidates {
		if rapid.Bool().Draw(t, "mined") {
			take(tx)
		}
	}
	w.n++
	b := block(fmt.Sprint("block ", w.n), chosen...)
	w.blocks = append(w.blocks, b)
	w.p.Confirm(b)
	w.twin.confirm(b)
}

func (w *world) grow(t *rapid.T) { w.mine(t, w.p.Select(1_000_000)) }

func (w *world) reorganise(t *rapid.T) {
	n := rapid.IntRange(1, 3).Draw(t, "undone")
	if n > len(w.blocks) {
		return
	}
	undone := slices.Clone(w.blocks[len(w.blocks)-n:])
	w.blocks = w.blocks[:len(w.blocks)-n]
	var old []chain.CheckedTx
	for _, b := range undone {
		old = append(old, b.Txs()...)
	}
	slices.Reverse(undone)
	for _, b := range undone {
		w.p.Undo(b)
	}
	w.twin.undo(undone)
	for range rapid.IntRange(0, 2).Draw(t, "applied") {
		w.mine(t, slices.Concat(old, w.p.Select(1_000_000)))
	}
	got := w.p.Settle(w.now, w.admit)
	sameTxs(t, "back", got, w.twin.settle(w.now, func(tx chain.CheckedTx) error { return w.twinAdmits(tx) }))
}

func (w *world) twinAdmits(tx chain.CheckedTx) error {
	free := w.coins()
	for _, in := range tx.Tx().Inputs {
		if _, ok := w.twin.find(in.Prev.Tx); !ok && !slices.Contains(free, in.Prev) {
			return errNoCoin
		}
	}
	return nil
}

func TestPoolAgreesWithANaiveTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld()
		ops := []func(*rapid.T){w.add, w.add, w.add, w.add, w.add, w.add, w.grow, w.reorganise, w.remove, w.expire}
		for range rapid.IntRange(30, 60).Draw(t, "steps") {
			ops[rapid.IntRange(0, len(ops)-1).Draw(t, "step")](t)
			w.compare(t)
			w.invariants(t)
			w.read(t)
		}
	})
}

// compare holds everything that can be asked against the twin.
func (w *world) compare(t *rapid.T) {
	sum := total(w.twin.list)
	if floor := max(w.twin.floor, uint64(small.MinFeeRate)); uint64(w.p.MinRate()) != floor {
		t.Fatalf("newcomers pay %d, the twin says %d", w.p.MinRate(), floor)
	}
	if w.p.Len() != sum.Count || w.p.Bytes() != sum.Bytes || w.p.Fees() != sum.Fee {
		t.Fatalf("%d wait, %d bytes, %v; the twin says %v", w.p.Len(), w.p.Bytes(), w.p.Fees(), sum)
	}
	for _, g := range w.twin.list {
		e, ok := w.p.Get(g.id())
		if !ok || e.Time != g.added || e.Own != g.own {
			t.Fatalf("%v: %+v, the twin says %+v", g.id(), e, g)
		}
		if up, down := total(w.twin.withAncestors(g)), total(w.twin.withDescendants(g)); e.Ancestors != up || e.Descendants != down {
			t.Fatalf("%v: up %v, down %v; the twin says %v, %v", g.id(), e.Ancestors, e.Descendants, up, down)
		}
		if _, ended := w.p.Fate(g.id()); ended {
			t.Fatalf("%v waits and has a fate", g.id())
		}
	}
	for id, want := range w.twin.fates {
		got, ok := w.p.Fate(id)
		same := got.Reason == want.Reason && got.By == want.By && got.Block == want.Block && got.Own == want.Own
		if !ok || !same || got.Time != want.Time || (want.Why != nil && !errors.Is(got.Why, want.Why)) {
			t.Fatalf("%v: fate %+v, the twin says %+v", id, got, want)
		}
	}
	room := rapid.IntRange(0, small.MaxBytes).Draw(t, "room")
	sameTxs(t, "selected", w.p.Select(room), w.twin.choose(room))
}

// invariants hold whatever happened.
func (w *world) invariants(t *rapid.T) {
	if w.p.Bytes() > small.MaxBytes {
		t.Fatalf("%d bytes", w.p.Bytes())
	}
	before, spender := map[chain.Hash]bool{}, map[chain.OutPoint]bool{}
	free := w.coins()
	for _, e := range w.p.All() {
		if e.Ancestors.Count > small.MaxAncestors || e.Descendants.Count > small.MaxDescendants || max(e.Ancestors.Bytes, e.Descendants.Bytes) > small.MaxFamily {
			t.Fatalf("a package of %v up, %v down", e.Ancestors, e.Descendants)
		}
		for _, in := range e.Tx.Tx().Inputs {
			if spender[in.Prev] {
				t.Fatalf("%v is spent twice", in.Prev)
			}
			spender[in.Prev] = true
			if by, ok := w.p.Spender(in.Prev); !ok || by != e.Tx.ID() {
				t.Fatalf("%v is spent by %v", in.Prev, by)
			}
			if !before[in.Prev.Tx] && !slices.Contains(free, in.Prev) {
				t.Fatalf("%v is neither on the chain nor of an earlier parent", in.Prev)
			}
		}
		before[e.Tx.ID()] = true
	}
	n := rapid.IntRange(0, 10).Draw(t, "ids")
	best := w.p.Select(1 << 30)
	if len(best) != w.p.Len() {
		t.Fatalf("room for all, and %d of %d selected", len(best), w.p.Len())
	}
	for i, id := range w.p.IDs(n) {
		if i >= n || best[i].ID() != id {
			t.Fatalf("id %d of at most %d is %v", i, n, id)
		}
	}
}

// read follows the journal, at times too slowly.
func (w *world) read(t *rapid.T) {
	for rapid.IntRange(0, 3).Draw(t, "read") > 0 {
		changes, next, gap := w.p.Since(w.seq, rapid.IntRange(0, 5).Draw(t, "most"))
		if late := w.p.Seq()-w.seq > uint64(small.Journal); gap != late {
			t.Fatalf("%d changes behind, gap %v", w.p.Seq()-w.seq, gap)
		}
		if gap {
			w.seen = map[chain.Hash]bool{}
			for _, e := range w.p.All() {
				w.seen[e.Tx.ID()] = true
			}
		}
		for _, c := range changes {
			w.seen[c.ID] = c.Reason == mempool.Added || c.Reason == mempool.Returned
		}
		if w.seq = next; w.seq < w.p.Seq() {
			continue
		}
		for id, waits := range w.seen {
			if waits != w.p.Has(id) {
				t.Fatalf("%v waits: %v, the journal says %v", id, w.p.Has(id), waits)
			}
		}
	}
}

func sameTxs(t *rapid.T, what string, got, want []chain.CheckedTx) {
	t.Helper()
	same := slices.EqualFunc(got, want, func(a, b chain.CheckedTx) bool { return a.ID() == b.ID() })
	if !same {
		t.Fatalf("%s: %d transactions, the twin says %d, or in another order", what, len(got), len(want))
	}
}

func TestPackagesEarnMoreThanSingleTransactions(t *testing.T) {
	var packages, simply chain.Amount
	worse := 0
	for seed := range 60 {
		w := rapid.Custom(func(t *rapid.T) *world {
			w := newWorld()
			for range 25 {
				w.add(t)
			}
			return w
		}).Example(seed)
		var fees chain.Amount
		for _, tx := range w.p.Select(small.MaxBytes / 2) {
			fees += tx.Fee()
		}
		simple := w.twin.chooseSimply(small.MaxBytes / 2)
		packages, simply = packages+fees, simply+simple
		if fees < simple {
			worse++ // a last gap filled worse: neither is the best filling of a knapsack
		}
	}
	t.Logf("packages earn %v, single transactions %v; worse in %d of 60", packages, simply, worse)
	if packages <= simply || worse > 15 {
		t.Errorf("packages earn %v, single transactions %v; worse in %d of 60", packages, simply, worse)
	}
}
