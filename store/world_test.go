package store

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/node"
)

// asked is what can be asked of a store, and of one moment of it.
type asked interface {
	Tip() (node.Entry, error)
	Entry(chain.Hash) (node.Entry, error)
	At(height uint64) (chain.Hash, error)
	Recent(n int) ([]node.Entry, error)
	Body(chain.Hash) (chain.CheckedBlock, error)
	Diff(chain.CheckedBlock) (chain.Diff, error)
	Coins([]chain.OutPoint) (chain.Coins, error)
	TxBlocks(chain.Hash) ([]chain.Hash, error)
	Spenders(chain.OutPoint) ([]chain.Hash, error)
	Owned(chain.Address) ([]chain.Coin, error)
	History(a chain.Address, below Place, most int) ([]HistoryItem, error)
	BodyBytes(chain.Hash) ([]byte, error)
	CoinCount() (int, error)
	SetInfo(context.Context) (SetInfo, error)
	Get(name string) ([]byte, bool, error)
}

// rememberer is what both stores are.
type rememberer interface {
	asked
	Commit(...node.Step) error
	Put(name string, value []byte) error
	Reader() (*Reader, error)
	Close() error
}

var (
	_ rememberer = (*Badger)(nil)
	_ rememberer = (*Memory)(nil)
	_ asked      = (*Reader)(nil)
)

// stone is a block of a world, and what the rules say about the chain below it.
type stone struct {
	entry  node.Entry
	body   chain.CheckedBlock
	diff   chain.Diff
	coins  chain.Coins // after it
	parent *stone      // nil for the genesis
}

func (s *stone) id() chain.Hash { return s.entry.State.ID }

// world is a naive twin of a store: every block in one map, everything asked for
// recomputed from bodies. Its steps lead a store through the same changes.
type world struct {
	p      *chain.Params
	rnd    *rand.Rand
	stones map[chain.Hash]*stone
	order  []*stone // as stored
	tip    *stone
	txs    []*chain.Tx // ever made, to be put on several branches
}

func newWorld(p *chain.Params, seed uint64) *world {
	body, err := chain.Remembered(p.GenesisID(), p.Genesis.Bytes())
	if err != nil {
		panic(err)
	}
	g := &stone{
		entry: node.Entry{Header: body.Header(), State: p.GenesisState(), Status: node.Complete},
		body:  body, diff: p.GenesisCoins(), coins: chain.Coins{},
	}
	g.coins.Apply(g.diff)
	w := &world{p: p, rnd: rand.New(rand.NewPCG(seed, 1)), stones: map[chain.Hash]*stone{}, tip: g}
	w.keep(g)
	return w
}

func (w *world) keep(s *stone) {
	w.stones[s.id()] = s
	w.order = append(w.order, s)
}

// connect makes a stone of a body on parent, as the rules do.
func (w *world) connect(parent *stone, body chain.CheckedBlock) (*stone, error) {
	state, diff, err := chain.Connect(w.p, parent.entry.State, body, parent.coins)
	if err != nil {
		return nil, err
	}
	s := &stone{
		entry: node.Entry{Header: body.Header(), State: state, Status: node.Complete},
		body:  body, diff: diff, coins: maps.Clone(parent.coins), parent: parent,
	}
	s.coins.Apply(diff)
	return s, nil
}

// grow makes a block on parent with transactions old and new.
func (w *world) grow(parent *stone) *stone {
	scratch := maps.Clone(parent.coins)
	height := parent.entry.State.Height + 1
	var txs []*chain.Tx
	for _, t := range w.txs[max(0, len(w.txs)-4):] { // what other branches hold
		if w.spend(scratch, t, height) {
			txs = append(txs, t)
		}
	}
	for range w.rnd.IntN(4) {
		if t := w.payment(scratch, height); t != nil && w.spend(scratch, t, height) {
			w.txs, txs = append(w.txs, t), append(txs, t)
		}
	}
	plan := chaintest.Plan{Pay: w.anyone(), Name: string(rune('a' + w.rnd.IntN(26))), Txs: txs}
	body := chaintest.Check(w.p, chaintest.Block(w.p, parent.entry.State, plan))
	if known := w.stones[body.ID()]; known != nil {
		return known
	}
	s, err := w.connect(parent, body)
	if err != nil {
		panic(err)
	}
	return s
}

func (w *world) anyone() chain.Address { return chaintest.Address(w.rnd.IntN(10)) }

// spend applies t to coins if it may be spent there.
func (w *world) spend(coins chain.Coins, t *chain.Tx, height uint64) bool {
	for i := range t.Inputs {
		c, ok := coins[t.Inputs[i].Prev]
		if !ok || !w.p.Mature(c, height) {
			return false
		}
	}
	for i := range t.Inputs {
		delete(coins, t.Inputs[i].Prev)
	}
	for _, c := range chaintest.Outs(t, height) {
		coins[c.OutPoint] = c
	}
	return true
}

func (w *world) payment(coins chain.Coins, height uint64) *chain.Tx {
	list := slices.DeleteFunc(sortedCoins(coins), func(c chain.Coin) bool { return !w.p.Mature(c, height) || c.Value < 100 })
	if len(list) == 0 {
		return nil
	}
	c := list[w.rnd.IntN(len(list))]
	owner := slices.Index(chain.Prefunded(), c.Owner)
	outs := []chain.Output{{Value: c.Value / 3, To: w.anyone()}, {Value: c.Value / 4, To: w.anyone()}}
	return chaintest.Pay(w.p, c, chaintest.Key(owner), 10, outs...)
}

func sortedCoins(coins chain.Coins) []chain.Coin {
	return slices.SortedFunc(maps.Values(coins), func(a, b chain.Coin) int { return a.OutPoint.Compare(b.OutPoint) })
}

func arrival(s *stone) ([]node.Entry, []chain.CheckedBlock) {
	return []node.Entry{s.entry}, []chain.CheckedBlock{s.body}
}

// extend puts s, which the store has not seen, on the tip.
func (w *world) extend(s *stone) node.Step {
	step := node.Step{Tip: s.id(), Diff: s.diff}
	step.Entries, step.Bodies = arrival(s)
	w.keep(s)
	w.tip = s
	return step
}

// aside stores s, which the store has not seen, on a side branch.
func (w *world) aside(s *stone) node.Step {
	step := node.Step{Tip: w.tip.id()}
	step.Entries, step.Bodies = arrival(s)
	w.keep(s)
	return step
}

// reorganise leads from the tip to a stored stone, one step a block.
func (w *world) reorganise(to *stone) (steps []node.Step) {
	for !w.below(w.tip, to) {
		steps = append(steps, node.Step{Tip: w.tip.parent.id(), Undo: true, Diff: w.tip.diff.Inverse()})
		w.tip = w.tip.parent
	}
	var path []*stone
	for s := to; s != w.tip; s = s.parent {
		path = append(path, s)
	}
	for _, s := range slices.Backward(path) {
		steps = append(steps, node.Step{Tip: s.id(), Diff: s.diff})
	}
	w.tip = to
	return steps
}

// below tells whether a is s or an ancestor of s.
func (w *world) below(a, s *stone) bool {
	for s != nil && s.entry.State.Height > a.entry.State.Height {
		s = s.parent
	}
	return s == a
}

// condemn marks a stored stone off the best chain.
func (w *world) condemn(s *stone) node.Step {
	s.entry.Status = node.Condemned
	return node.Step{Tip: w.tip.id(), Condemned: []chain.Hash{s.id()}}
}

// some is a random complete stone among the last few, off the best chain or any.
func (w *world) some(off bool) *stone {
	list := slices.DeleteFunc(slices.Clone(w.order[max(0, len(w.order)-12):]), func(s *stone) bool {
		return s.entry.Status == node.Condemned || s.parent == nil || off && w.below(s, w.tip)
	})
	if len(list) == 0 {
		return nil
	}
	return list[w.rnd.IntN(len(list))]
}

// act does one random thing and gives the steps of it.
func (w *world) act() []node.Step {
	switch n := w.rnd.IntN(10); {
	case n < 3: // a branch
		if s := w.some(false); s != nil {
			if child := w.grow(s); w.stones[child.id()] == nil {
				return []node.Step{w.aside(child)}
			}
		}
	case n < 6:
		if s := w.some(true); s != nil {
			return w.reorganise(s)
		}
	case n < 7:
		if s := w.some(true); s != nil && !w.parent(s) {
			return []node.Step{w.condemn(s)}
		}
	}
	s := w.grow(w.tip)
	switch {
	case w.stones[s.id()] == nil:
		return []node.Step{w.extend(s)}
	case s.entry.Status == node.Complete:
		return w.reorganise(s)
	}
	return nil
}

// parent tells whether anything builds on s.
func (w *world) parent(s *stone) bool {
	return slices.ContainsFunc(w.order, func(o *stone) bool { return o.parent == s })
}

func (w *world) best() (chain []*stone) {
	for s := w.tip; s != nil; s = s.parent {
		chain = append(chain, s)
	}
	slices.Reverse(chain)
	return chain
}

// compare asks the store everything and holds each answer against the naive one.
func (w *world) compare(t *testing.T, s asked) {
	t.Helper()
	w.compareEntries(t, s)
	w.compareCoins(t, s)
	w.compareHistory(t, s)
	w.compareIndexes(t, s)
	if t.Failed() {
		t.FailNow()
	}
}

func (w *world) compareEntries(t *testing.T, s asked) {
	t.Helper()
	tip, err := s.Tip()
	equal(t, "tip", tip, w.tip.entry, err)
	for _, o := range w.order {
		e, err := s.Entry(o.id())
		equal(t, "entry", e, o.entry, err)
		raw, err := s.BodyBytes(o.id())
		body, err2 := s.Body(o.id())
		if o.entry.Status == node.Condemned {
			unknown(t, "condemned body", err)
			unknown(t, "condemned body", err2)
			continue
		}
		equal(t, "body bytes", string(raw), string(o.body.Block().Bytes()), err)
		equal(t, "body", body.ID(), o.id(), err2)
		_, err = s.Diff(o.body)
		if !w.below(o, w.tip) {
			unknown(t, "diff off the best chain", err)
		}
	}
	for i, o := range w.best() {
		id, err := s.At(uint64(i))
		equal(t, "id at height", id, o.id(), err)
		d, err := s.Diff(o.body)
		equalDiff(t, d, o.diff, err)
	}
	_, err = s.At(w.tip.entry.State.Height + 1)
	unknown(t, "above the tip", err)
	w.compareRecent(t, s)
}

func (w *world) compareRecent(t *testing.T, s asked) {
	t.Helper()
	var top uint64
	for _, o := range w.order {
		top = max(top, o.entry.State.Height)
	}
	for _, n := range []int{0, 1, 3, 1 << 30} {
		got, err := s.Recent(n)
		if err != nil {
			t.Errorf("recent %d: %v", n, err)
		}
		seen := map[chain.Hash]node.Entry{}
		for i, e := range got {
			seen[e.State.ID] = e
			if i > 0 && got[i-1].State.Height > e.State.Height {
				t.Errorf("recent %d is not in order of height", n)
			}
		}
		want := map[chain.Hash]node.Entry{}
		for _, o := range w.order {
			if o.entry.State.Height+uint64(n) > top {
				want[o.id()] = o.entry
			}
		}
		if !maps.Equal(seen, want) || len(got) != len(want) {
			t.Errorf("recent %d: got %d entries, want %d", n, len(got), len(want))
		}
	}
}

func (w *world) compareCoins(t *testing.T, s asked) {
	t.Helper()
	coins := chain.Coins{} // replayed, not taken from the stones
	var ever []chain.OutPoint
	var total chain.Amount
	for _, o := range w.best() {
		for _, c := range o.diff.Created {
			ever = append(ever, c.OutPoint)
		}
		coins.Apply(o.diff)
	}
	byOwner := map[chain.Address][]chain.Coin{}
	txs := map[chain.Hash]bool{}
	for _, c := range sortedCoins(coins) {
		txs[c.Tx] = true
		total += c.Value
		byOwner[c.Owner] = append(byOwner[c.Owner], c)
	}
	got, err := s.Coins(append(ever, chain.OutPoint{Index: 7}))
	if err != nil || !maps.Equal(got, coins) {
		t.Errorf("coins: got %d, want %d (%v)", len(got), len(coins), err)
	}
	for _, a := range chain.Prefunded() {
		list, err := s.Owned(a)
		if err != nil || !slices.Equal(list, byOwner[a]) {
			t.Errorf("coins of %v: got %v, want %v (%v)", a, list, byOwner[a], err)
		}
	}
	n, err := s.CoinCount()
	equal(t, "coin count", n, len(coins), err)
	info, err := s.SetInfo(context.Background())
	equal(t, "total", info.Total, total, err)
	equal(t, "count", info.Coins, len(coins), err)
	equal(t, "transactions", info.Txs, len(txs), err)
	equal(t, "tip", info.Tip, w.tip.entry.State, err)
}

func (w *world) compareHistory(t *testing.T, s asked) {
	t.Helper()
	for _, a := range chain.Prefunded() {
		want := w.history(a)
		var got []HistoryItem
		below := Newest
		for {
			page, err := s.History(a, below, 3)
			if err != nil {
				t.Error(err)
			}
			got = append(got, page...)
			if len(page) < 3 {
				break
			}
			below = page[2].Place
		}
		if !slices.Equal(got, want) {
			t.Errorf("history of %v:\n got %v\nwant %v", a, got, want)
		}
	}
}

// history is what block after block says about one address, newest first.
func (w *world) history(a chain.Address) (items []HistoryItem) {
	for _, o := range w.best() {
		b := o.body.Block()
		for pos, id := range b.Leaves() {
			item := HistoryItem{Place: Place{o.entry.State.Height, uint32(pos)}, Tx: id}
			outs := b.Coinbase.Outputs
			if pos > 0 {
				outs = b.Txs[pos-1].Outputs
				for _, in := range b.Txs[pos-1].Inputs {
					if in.Owner == a {
						item.Spent += in.Value
					}
				}
			}
			for _, out := range outs {
				if out.To == a {
					item.Received += out.Value
				}
			}
			if item.Received+item.Spent > 0 {
				items = append(items, item)
			}
		}
	}
	slices.Reverse(items)
	return items
}

func (w *world) compareIndexes(t *testing.T, s asked) {
	t.Helper()
	blocks, spenders := map[chain.Hash][]chain.Hash{}, map[chain.OutPoint][]chain.Hash{}
	for _, o := range w.order {
		b := o.body.Block()
		for pos, id := range b.Leaves() {
			blocks[id] = append(blocks[id], nil...)
			if o.entry.Status == node.Condemned {
				continue
			}
			blocks[id] = append(blocks[id], o.id())
			if pos > 0 {
				for _, in := range b.Txs[pos-1].Inputs {
					spenders[in.Prev] = append(spenders[in.Prev], id)
				}
			}
		}
	}
	for id, want := range blocks {
		got, err := s.TxBlocks(id)
		sameIDs(t, "blocks of a transaction", got, want, err)
	}
	for o, want := range spenders {
		got, err := s.Spenders(o)
		sameIDs(t, "spenders", got, want, err)
	}
}

func sameIDs(t *testing.T, what string, got, want []chain.Hash, err error) {
	t.Helper()
	slices.SortFunc(want, chain.Hash.Compare)
	if want = slices.Compact(want); err != nil || !slices.Equal(got, want) {
		t.Errorf("%s: got %v, want %v (%v)", what, got, want, err)
	}
}

func equalDiff(t *testing.T, got, want chain.Diff, err error) {
	t.Helper()
	if err != nil || !slices.Equal(got.Spent, want.Spent) || !slices.Equal(got.Created, want.Created) {
		t.Errorf("diff: got %v, want %v (%v)", got, want, err)
	}
}

func equal[T comparable](t *testing.T, what string, got, want T, err error) {
	t.Helper()
	if err != nil || got != want {
		t.Errorf("%s: got %v, want %v (%v)", what, got, want, err)
	}
}

// dump is every key of a disk with its value.
func dump(t testing.TB, d disk) map[string]string {
	t.Helper()
	return dumpOf(t, d.view)
}

// whole is every key of a book's disk, once nothing is due.
func whole(t testing.TB, b *book) map[string]string {
	t.Helper()
	if err := b.Settle(); err != nil {
		t.Fatal(err)
	}
	return dump(t, b.disk)
}

// told is every key that a book tells of; what is due is its own matter.
func told(t testing.TB, b *book) map[string]string {
	t.Helper()
	return toldBy(t, b.look)
}

func toldBy(t testing.TB, view func(func(snapshot) error) error) map[string]string {
	t.Helper()
	all := dumpOf(t, view)
	maps.DeleteFunc(all, func(key, _ string) bool { return tellsOfDue(key) })
	return all
}

func tellsOfDue(key string) bool {
	return key[0] == kindWritten || key[0] == kindToward || key[0] == kindAside
}

// tamper changes a book's disk behind its back.
func tamper(t testing.TB, b *book, change *batch) {
	t.Helper()
	b.writing.Lock()
	defer b.writing.Unlock()
	if err := errors.Join(b.disk.write(change), b.see()); err != nil {
		t.Fatal(err)
	}
}

func dumpOf(t testing.TB, view func(func(snapshot) error) error) map[string]string {
	t.Helper()
	all := map[string]string{}
	if err := view(func(s snapshot) error {
		for kind := range 256 {
			err := s.each(span{prefix: []byte{byte(kind)}}, func(key, value []byte) error {
				all[string(key)] = string(value)
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

// sameDisks tells the first key in which two dumps differ.
func sameDisks(t *testing.T, got, want map[string]string) {
	t.Helper()
	keys := slices.SortedFunc(maps.Keys(got), cmp.Compare)
	for _, k := range append(keys, slices.Sorted(maps.Keys(want))...) {
		if g, there := got[k]; g != want[k] || there != has(want, k) {
			t.Fatalf("key %q: got %x (%v), want %x (%v)", k, g, there, want[k], has(want, k))
		}
	}
}

func has(m map[string]string, k string) bool {
	_, ok := m[k]
	return ok
}
