package mempool_test

import (
	"errors"
	"slices"
	"testing"

	"cairn/chain"
	"cairn/mempool"
)

func TestNoKindBlamesAPeer(t *testing.T) {
	for _, k := range mempool.Kinds() {
		if k.Everywhere() {
			t.Errorf("%s is said to be false on every chain", k)
		}
	}
}

func TestLimitsOfOneTransaction(t *testing.T) {
	p := mempool.New(mempool.Config{MaxTxSize: 1000, MinFeeRate: 2000})
	refuse(t, p, pay(worth/2, 22, coin(1)), mempool.TooBig)
	size := chain.Amount(chain.TxSize(1, 1, 0))
	refuse(t, p, pay(2*size-1, 1, coin(1)), mempool.LowFee)
	add(t, p, pay(2*size, 1, coin(1)))
}

func TestReplacingManyAtOnce(t *testing.T) {
	p := mempool.New(mempool.Config{})
	var coins []chain.OutPoint
	var all []chain.CheckedTx
	for i := range uint32(mempool.MaxReplaced + 1) {
		tx := pay(1000, 1, coin(i))
		add(t, p, tx)
		coins, all = append(coins, coin(i)), append(all, tx)
	}
	refuse(t, p, pay(worth, 1, coins...), mempool.TooManyReplaced)
	replaced, err := p.Add(0, pay(worth, 1, coins[:mempool.MaxReplaced]...), false)
	if err != nil || len(replaced) != mempool.MaxReplaced {
		t.Fatalf("%d replaced, %v", len(replaced), err)
	}
	if last := all[mempool.MaxReplaced]; !p.Has(last.ID()) {
		t.Error("one too many left")
	}
}

func TestChainsAreBounded(t *testing.T) {
	p := mempool.New(mempool.Config{MaxAncestors: 3, MaxDescendants: 4})
	a := pay(1000, 5, coin(1))
	b, c, d := pay(1000, 1, out(a, 0)), pay(1000, 1, out(a, 1)), pay(1000, 1, out(a, 2))
	add(t, p, a, b, c)
	deep := pay(1000, 1, out(c, 0))
	add(t, p, deep)
	refuse(t, p, d, mempool.LongChain)                          // a has four with itself
	refuse(t, p, pay(1000, 1, out(deep, 0)), mempool.LongChain) // a, c, deep are three
	refuse(t, p, pay(1000, 1, out(b, 0), out(c, 0), out(a, 4)), mempool.LongChain)

	// What takes a brother's place does not count twice.
	b2 := pay(9000, 2, out(a, 0))
	if _, err := p.Add(0, b2, false); err != nil {
		t.Fatal(err)
	}
	waits(t, p, a, b2, c, deep)
	e, _ := p.Get(a.ID())
	if e.Descendants.Count != 4 || e.Descendants.Fee != 12_000 || len(e.Children) != 2 {
		t.Errorf("%+v", e)
	}
	if e, _ := p.Get(deep.ID()); !slices.Equal(e.Parents, []chain.Hash{c.ID()}) || e.Ancestors.Count != 3 {
		t.Errorf("%+v", e)
	}
}

func TestAFullPoolKeepsWhatPaysBest(t *testing.T) {
	//  top (20) ─ middle (8) ─ low (1)     poor (2)     lone (5)      grains a byte
	small := chain.TxSize(1, 1, 0)
	pays := func(rate int, c chain.OutPoint) chain.CheckedTx { return pay(chain.Amount(rate*small), 1, c) }
	top := pays(20, coin(1))
	middle := pays(8, out(top, 0))
	low := pays(1, out(middle, 0))
	poor, lone := pays(2, coin(2)), pays(5, coin(3))
	p := mempool.New(mempool.Config{MaxBytes: 5 * small, MaxTxSize: 5 * small})
	add(t, p, top, middle, low, poor, lone)

	refuse(t, p, pays(1, coin(4)), mempool.Full)
	three := chain.TxSize(1, 10, 0) // takes the room of three, not of two
	if three <= 2*small || three > 3*small {
		t.Fatal("choose another size")
	}
	refuse(t, p, pay(chain.Amount(three*5), 10, coin(4)), mempool.Full) // lone pays as much
	best := pay(chain.Amount(three*7), 10, coin(4))
	add(t, p, best) // low alone does not make room; middle pays more than lone and stays
	waits(t, p, top, middle, best)
	for _, tx := range []chain.CheckedTx{low, poor, lone} {
		fate(t, p, tx, mempool.Evicted)
	}
	e, _ := p.Get(top.ID())
	if e.Descendants.Count != 2 || e.Descendants.Bytes != 2*small {
		t.Errorf("%+v", e.Descendants)
	}
}

func TestOfEqualsTheHigherIDIsEvicted(t *testing.T) {
	small := chain.TxSize(1, 1, 0)
	p := mempool.New(mempool.Config{MaxBytes: 4 * small, MaxTxSize: 4 * small})
	var equals []chain.CheckedTx
	for i := range uint32(4) {
		equals = append(equals, pay(1000, 1, coin(i)))
	}
	add(t, p, equals...)
	slices.SortFunc(equals, func(a, b chain.CheckedTx) int { return a.ID().Compare(b.ID()) })
	better := pay(1001, 1, coin(9))
	add(t, p, better)
	waits(t, p, append(equals[:3:3], better)...)
	for i, tx := range p.Select(1_000_000)[1:] {
		if tx.ID() != equals[i].ID() {
			t.Errorf("of equals number %d is not the lower id", i)
		}
	}
}

func TestAChildAndThenItsParentAreEvicted(t *testing.T) {
	small := chain.TxSize(1, 1, 0)
	pays := func(rate int, c chain.OutPoint) chain.CheckedTx { return pay(chain.Amount(rate*small), 1, c) }
	top := pays(20, coin(1))
	middle := pays(3, out(top, 0))
	low := pays(1, out(middle, 0))
	p := mempool.New(mempool.Config{MaxBytes: 3 * small, MaxTxSize: 3 * small})
	add(t, p, top, middle, low)
	best := pay(chain.Amount(5*small*2), 5, coin(2))
	add(t, p, best)
	waits(t, p, top, best)
	if e, _ := p.Get(top.ID()); e.Descendants.Count != 1 || e.Descendants.Bytes != small {
		t.Errorf("%+v", e.Descendants)
	}
}

func TestAChildNeverEvictsItsParent(t *testing.T) {
	small := chain.TxSize(1, 1, 0)
	a, b := pay(chain.Amount(small), 1, coin(1)), pay(chain.Amount(2*small), 1, coin(2))
	p := mempool.New(mempool.Config{MaxBytes: 2 * small, MaxTxSize: 2 * small})
	add(t, p, a, b)
	child := pay(chain.Amount(9*small), 1, out(a, 0))
	add(t, p, child)
	waits(t, p, a, child)
	refuse(t, p, pay(chain.Amount(9*small), 1, out(child, 0)), mempool.Full)
}

func TestABlockConfirmsAndRulesOut(t *testing.T) {
	p := mempool.New(mempool.Config{})
	a := pay(1000, 2, coin(1))
	b, c := pay(1000, 1, out(a, 0)), pay(1000, 1, out(a, 1))
	loser := pay(1000, 1, coin(2))
	heir := pay(1000, 1, out(loser, 0))
	winner := pay(1000, 3, coin(2)) // heard of only now
	add(t, p, a, b, c, loser, heir)
	one := block("one", a, winner, b)
	p.Confirm(one)

	waits(t, p, c)
	if e, _ := p.Get(c.ID()); e.Ancestors.Count != 1 || e.Parents != nil {
		t.Errorf("%+v", e)
	}
	for _, tx := range []chain.CheckedTx{a, b} {
		if f := fate(t, p, tx, mempool.Confirmed); f.Block != one.ID() {
			t.Errorf("confirmed in %v", f.Block)
		}
	}
	for _, tx := range []chain.CheckedTx{loser, heir} {
		if f := fate(t, p, tx, mempool.Conflicted); f.By != winner.ID() || f.Block != one.ID() {
			t.Errorf("lost to %v in %v", f.By, f.Block)
		}
	}
	if _, ok := p.Fate(winner.ID()); ok {
		t.Error("a transaction that never waited here has no fate here")
	}
}

func nobody(chain.CheckedTx) error { return chain.MissingCoin.Err() }
func anyone(chain.CheckedTx) error { return nil }

func TestAReorganisationTakesTransactionsBack(t *testing.T) {
	//         ┌ a: kept, mine, loser      heir spends loser's output, waiting
	//  root ──┤
	//         └ b1: winner    b2: kept    winner spends loser's coin
	p := mempool.New(mempool.Config{})
	kept, mine, loser := pay(1000, 1, coin(1)), pay(1000, 1, coin(2)), pay(1000, 1, coin(3))
	heir, onMine := pay(1000, 1, out(loser, 0)), pay(1000, 1, out(mine, 0))
	winner := pay(1000, 2, coin(3))
	if _, err := p.Add(7, mine, true); err != nil {
		t.Fatal(err)
	}
	a := block("a", kept, mine, loser)
	p.Confirm(a)
	add(t, p, heir, onMine)
	seq := p.Seq()

	p.Undo(a)
	b1, b2 := block("b1", winner), block("b2", kept)
	p.Confirm(b1)
	p.Confirm(b2)
	back := p.Settle(9, func(tx chain.CheckedTx) error {
		if tx.ID() == heir.ID() {
			return nobody(tx)
		}
		return nil
	})

	if len(back) != 2 || back[0].ID() != mine.ID() || back[1].ID() != onMine.ID() {
		t.Errorf("back are %v", back)
	}
	waits(t, p, mine, onMine)
	if e, _ := p.Get(mine.ID()); !e.Own || len(e.Children) != 1 {
		t.Errorf("%+v", e)
	}
	if f := fate(t, p, kept, mempool.Confirmed); f.Block != b2.ID() {
		t.Errorf("confirmed again in %v", f.Block)
	}
	for _, tx := range []chain.CheckedTx{loser, heir} {
		if f := fate(t, p, tx, mempool.Conflicted); f.By != winner.ID() || f.Block != b1.ID() {
			t.Errorf("lost to %v in %v", f.By, f.Block)
		}
	}
	changes, _, _ := p.Since(seq, 0)
	var story []mempool.Reason
	for _, c := range changes {
		story = append(story, c.Reason)
	}
	want := []mempool.Reason{mempool.Conflicted, mempool.Confirmed, mempool.Returned, mempool.Conflicted}
	if !slices.Equal(story, want) {
		t.Errorf("the journal says %v, want %v", story, want)
	}
	if again := p.Settle(9, nobody); again != nil {
		t.Errorf("settled twice: %v", again)
	}
}

func TestUndoneBlocksComeBackInTheirOrder(t *testing.T) {
	p := mempool.New(mempool.Config{})
	x := pay(1000, 1, coin(1))
	y := pay(1000, 1, out(x, 0))
	z := pay(1000, 1, out(y, 0))
	one, two := block("one", x), block("two", y)
	add(t, p, x, y, z)
	p.Confirm(one)
	p.Confirm(two)
	reward := pay(1000, 1, chain.OutPoint{Tx: two.CoinbaseID()}, out(z, 0))
	add(t, p, reward)
	p.Undo(two)
	p.Undo(one)
	if p.Len() != 0 {
		t.Errorf("%d wait on blocks that are gone", p.Len())
	}
	back := p.Settle(0, func(tx chain.CheckedTx) error {
		if tx.ID() == reward.ID() {
			return nobody(tx) // the coinbase is no more
		}
		return nil
	})
	waits(t, p, x, y, z)
	for i, tx := range []chain.CheckedTx{x, y, z} {
		if i >= len(back) || back[i].ID() != tx.ID() {
			t.Fatalf("back are %v", back)
		}
	}
	if f := fate(t, p, reward, mempool.Dropped); !errors.Is(f.Why, chain.MissingCoin.Err()) {
		t.Errorf("dropped because of %v", f.Why)
	}
}

func TestALoserThatIsConfirmedAfterAll(t *testing.T) {
	p := mempool.New(mempool.Config{})
	a, b := pay(1000, 1, coin(1)), pay(2000, 1, coin(1))
	add(t, p, a, b)
	fate(t, p, a, mempool.Replaced)
	one := block("one", a)
	p.Confirm(one)
	fate(t, p, a, mempool.Confirmed)
	if f := fate(t, p, b, mempool.Conflicted); f.By != a.ID() {
		t.Errorf("lost to %v", f.By)
	}
	p.Undo(one)
	p.Settle(0, anyone)
	waits(t, p, a)
	add(t, p, b)
	waits(t, p, b)
	if _, ok := p.Fate(b.ID()); ok {
		t.Error("b waits, and its old fate still stands")
	}
}

func TestAParentThatComesAfterItsChild(t *testing.T) {
	p := mempool.New(mempool.Config{MaxDescendants: 2})
	a := pay(1000, 2, coin(1))
	b, c := pay(1000, 1, out(a, 0)), pay(1000, 1, out(a, 1))
	add(t, p, b, c) // as if a was in a block that is gone, and nobody said Undo
	add(t, p, a)
	waits(t, p, a, b)
	if e, _ := p.Get(a.ID()); e.Descendants.Count != 2 {
		t.Errorf("%+v", e)
	}
	if f := fate(t, p, c, mempool.Dropped); chain.KindOf(f.Why) != mempool.LongChain {
		t.Errorf("dropped because of %v", f.Why)
	}
}

func TestRecheckDropsWhatTheNewTipForbids(t *testing.T) {
	p := mempool.New(mempool.Config{})
	a, b := pay(1000, 1, coin(1)), pay(1000, 1, coin(2))
	child := pay(1000, 1, out(a, 0))
	add(t, p, a, b, child)
	immature := chain.ImmatureCoin.Err()
	gone := p.Recheck(4, func(tx chain.CheckedTx) error {
		if spends(tx, coin(1)) {
			return immature
		}
		return nil
	})
	if len(gone) != 2 || gone[0].ID() != a.ID() {
		t.Errorf("gone are %v", gone)
	}
	waits(t, p, b)
	if f := fate(t, p, child, mempool.Dropped); !errors.Is(f.Why, immature) || f.Time != 4 {
		t.Errorf("%+v", f)
	}
}

func TestAChildPaysForItsParent(t *testing.T) {
	p := mempool.New(mempool.Config{})
	parent := pay(300, 2, coin(1))
	child := pay(9000, 2, out(parent, 0))
	poor := pay(300, 1, out(parent, 1))
	other := pay(1000, 1, coin(2))
	add(t, p, parent, child, poor, other)
	want := []chain.CheckedTx{parent, child, other, poor}
	for i, tx := range p.Select(1_000_000) {
		if tx.ID() != want[i].ID() {
			t.Errorf("place %d is wrong", i)
		}
	}
	room := other.Size() + parent.Size() // not enough for the best package
	for i, tx := range p.Select(room) {
		if want := []chain.CheckedTx{other, parent}; tx.ID() != want[i].ID() {
			t.Errorf("in a small block place %d is wrong", i)
		}
	}
	if ids := p.IDs(-1); ids != nil {
		t.Errorf("fewer than none are %v", ids)
	}
	if ids := p.IDs(1); len(ids) != 1 || ids[0] != parent.ID() {
		t.Errorf("the best id is %v", ids)
	}
}

func TestCoinsOfThePool(t *testing.T) {
	p := mempool.New(mempool.Config{})
	a := pay(1000, 2, coin(1))
	b := pay(1000, 1, out(a, 1))
	add(t, p, a, b)
	for i, o := range a.Tx().Outputs {
		c, ok := p.Coin(out(a, uint32(i)))
		if !ok || c.Value != o.Value || c.Owner != o.To || c.Coinbase || c.Height != mempool.Height || c.OutPoint != out(a, uint32(i)) {
			t.Errorf("output %d is %+v", i, c)
		}
	}
	for _, o := range []chain.OutPoint{out(a, 2), out(a, 1<<32-1), coin(1)} {
		if c, ok := p.Coin(o); ok {
			t.Errorf("%v is %v", o, c)
		}
	}
	if _, ok := p.Spender(out(a, 0)); ok {
		t.Error("nobody spends output 0")
	}
	if by, _ := p.Spender(out(a, 1)); by != b.ID() {
		t.Errorf("%v spends output 1", by)
	}
}

func TestOwnPaymentsAreDueWithBackOff(t *testing.T) {
	p := mempool.New(mempool.Config{Republish: 10, RepublishMax: 35})
	mine, other := pay(1000, 1, coin(1)), pay(1000, 1, coin(2))
	child := pay(1000, 1, out(mine, 0))
	for _, tx := range []chain.CheckedTx{mine, child} {
		if _, err := p.Add(100, tx, true); err != nil {
			t.Fatal(err)
		}
	}
	add(t, p, other)
	var published []chain.Time
	for now := chain.Time(100); now < 260; now++ {
		switch due := p.Due(now); {
		case len(due) == 2 && due[0].ID() == mine.ID():
			published = append(published, now)
		case len(due) != 0:
			t.Fatalf("at %d due are %v", now, due)
		}
	}
	if want := []chain.Time{110, 130, 165, 200, 235}; !slices.Equal(published, want) {
		t.Errorf("published at %v, want %v", published, want)
	}
	p.Confirm(block("one", mine, child))
	if _, err := p.Add(300, other, true); chain.KindOf(err) != mempool.Known {
		t.Fatal(err)
	}
	if due := p.Due(309); due != nil {
		t.Errorf("too early: %v", due)
	}
	if due := p.Due(310); len(due) != 1 || due[0].ID() != other.ID() {
		t.Errorf("adopted, and due are %v", due)
	}
}

func TestWaitingEnds(t *testing.T) {
	p := mempool.New(mempool.Config{Expiry: 100})
	a, b := pay(1000, 1, coin(1)), pay(1000, 1, coin(2))
	child := pay(1000, 1, out(a, 0))
	for now, tx := range []chain.CheckedTx{a, b, child} {
		if _, err := p.Add(chain.Time(10*now), tx, false); err != nil {
			t.Fatal(err)
		}
	}
	if gone := p.Expire(100); gone != nil {
		t.Errorf("gone too early: %v", gone)
	}
	if gone := p.Expire(101); len(gone) != 2 || gone[0].ID() != a.ID() || gone[1].ID() != child.ID() {
		t.Errorf("gone are %v", gone)
	}
	waits(t, p, b)
	fate(t, p, child, mempool.Expired)
}

// Our own payment does not expire, nor what it builds on; everything else does.
func TestOurOwnOutlastsOthers(t *testing.T) {
	p := mempool.New(mempool.Config{Expiry: 100})
	parent, stranger := pay(1000, 2, coin(1)), pay(1000, 1, coin(2))
	mine, brother := pay(1000, 1, out(parent, 0)), pay(1000, 1, out(parent, 1))
	add(t, p, parent, stranger, brother)
	if _, err := p.Add(0, mine, true); err != nil {
		t.Fatal(err)
	}
	if gone := p.Expire(1000); len(gone) != 2 {
		t.Errorf("%d expired", len(gone))
	}
	waits(t, p, parent, mine)
	p.Remove(mine.ID(), mempool.Dropped)
	if gone := p.Expire(1000); len(gone) != 1 || gone[0].ID() != parent.ID() {
		t.Errorf("without ours, %d expired", len(gone))
	}
}

// When room runs out strangers leave first, whatever they pay, and our own last.
func TestOurOwnIsEvictedLast(t *testing.T) {
	small := chain.TxSize(1, 1, 0)
	pays := func(rate int, c chain.OutPoint) chain.CheckedTx { return pay(chain.Amount(rate*small), 1, c) }
	p := mempool.New(mempool.Config{MaxBytes: 4 * small, MaxTxSize: 4 * small})
	parent := pays(1, coin(1))
	mine := pays(2, out(parent, 0))
	add(t, p, parent, pays(3, coin(2)), pays(4, coin(3)))
	if _, err := p.Add(0, mine, true); err != nil {
		t.Fatal(err)
	}
	refuse(t, p, pays(3, coin(4)), mempool.Full) // as much as the cheapest stranger, more than ours
	five, six := pays(5, coin(5)), pays(6, coin(6))
	add(t, p, five, six)
	waits(t, p, parent, mine, five, six)
	nine, ten, best := pays(9, coin(7)), pays(10, coin(8)), pay(chain.Amount(chain.TxSize(1, 4, 0)*50), 4, coin(9))
	add(t, p, nine, ten)
	waits(t, p, parent, mine, nine, ten)
	add(t, p, best) // takes the room of three at the most
	if p.Has(nine.ID()) || p.Has(ten.ID()) {
		t.Error("a stranger outlasted our own")
	}
}

// After an eviction newcomers pay more than what was pushed out, until blocks have
// come and time has passed.
func TestTheFloorRisesAndFalls(t *testing.T) {
	const minute = chain.Time(60_000)
	small := chain.TxSize(1, 1, 0)
	p := mempool.New(mempool.Config{MaxBytes: 2 * small, MaxTxSize: 2 * small, Halving: 10 * minute})
	pays := func(rate int, c chain.OutPoint) chain.CheckedTx { return pay(chain.Amount(rate*small), 1, c) }
	if p.MinRate() != 1000 {
		t.Fatalf("an empty pool asks for %d", p.MinRate())
	}
	left, right := pays(8, coin(1)), pays(9, coin(2))
	add(t, p, left, right)
	add(t, p, pays(10, coin(3)))
	fate(t, p, left, mempool.Evicted)
	if p.MinRate() != 9000 { // 8 grains a byte, and one more
		t.Fatalf("after the eviction it asks for %d", p.MinRate())
	}
	cheap := pays(8, coin(1))
	refuse(t, p, cheap, mempool.LowPoolFee)
	p.Expire(100 * minute) // nothing shows that the pool drains
	if p.MinRate() != 9000 {
		t.Errorf("without a block it falls to %d", p.MinRate())
	}
	p.Confirm(block("one", right))
	p.Expire(110 * minute) // half full: one half-life
	if got := p.MinRate(); got < 4490 || got > 4510 {
		t.Errorf("after one half-life it asks for %d", got)
	}
	if _, err := p.Add(110*minute, cheap, false); err != nil {
		t.Errorf("what was refused: %v", err)
	}
	p.Expire(200 * minute)
	if p.MinRate() != 1000 {
		t.Errorf("in the end it asks for %d", p.MinRate())
	}
}

// A family is bounded in bytes, upward and downward.
func TestFamiliesAreBoundedInBytes(t *testing.T) {
	small, wide := chain.TxSize(1, 1, 0), chain.TxSize(1, 3, 0)
	p := mempool.New(mempool.Config{MaxFamily: wide + 2*small})
	a := pay(1000, 3, coin(1))
	b := pay(1000, 1, out(a, 0))
	c := pay(1000, 1, out(b, 0))
	add(t, p, a, b, c)
	refuse(t, p, pay(1000, 1, out(c, 0)), mempool.LongChain) // too much above it
	refuse(t, p, pay(1000, 1, out(a, 1)), mempool.LongChain) // too much below a
	b2 := pay(9000, 1, out(a, 0))
	if _, err := p.Add(0, b2, false); err != nil { // takes the place of two
		t.Fatal(err)
	}
	waits(t, p, a, b2)
	add(t, p, pay(1000, 1, out(a, 1)))
	add(t, p, padded(80, 5000, 25, coin(9))) // alone, however large
}

func TestTheJournalSaysWhenItForgot(t *testing.T) {
	p := mempool.New(mempool.Config{Journal: 3})
	var all []chain.CheckedTx
	for i := range uint32(5) {
		all = append(all, pay(1000, 1, coin(i)))
	}
	add(t, p, all[:3]...)
	changes, next, gap := p.Since(0, 2)
	if len(changes) != 2 || next != 2 || gap || changes[1].ID != all[1].ID() {
		t.Errorf("%v, %d, %v", changes, next, gap)
	}
	add(t, p, all[3:]...)
	if changes, next, gap = p.Since(2, 9); len(changes) != 3 || next != 5 || gap || changes[2].ID != all[4].ID() {
		t.Errorf("%v, %d, %v", changes, next, gap)
	}
	if changes, next, gap = p.Since(1, 9); changes != nil || next != 5 || !gap {
		t.Errorf("number 1 is forgotten: %v, %d, %v", changes, next, gap)
	}
	if changes, next, gap = p.Since(5, 0); changes != nil || next != 5 || gap {
		t.Errorf("nothing is new: %v, %d, %v", changes, next, gap)
	}
	if _, next, gap = p.Since(6, 0); next != 5 || !gap {
		t.Errorf("number 6 is of another life: %d, %v", next, gap)
	}
	if p.Remove(all[0].ID(), mempool.Dropped); p.Seq() != 6 {
		t.Errorf("the next change is number %d", p.Seq())
	}
	if gone := p.Remove(all[0].ID(), mempool.Dropped); gone != nil || p.Seq() != 6 {
		t.Errorf("removed twice: %v", gone)
	}
}

func TestMemoryIsBoundedAndConfirmedOnesDoNotPushLosersOut(t *testing.T) {
	size := chain.TxSize(1, 1, 0)
	p := mempool.New(mempool.Config{Memory: 3*size + size/2})
	var all []chain.CheckedTx
	for i := range uint32(10) {
		all = append(all, pay(1000, 1, coin(i)))
	}
	add(t, p, all...)
	for _, tx := range all[:4] {
		p.Remove(tx.ID(), mempool.Dropped)
	}
	p.Confirm(block("one", all[4:]...))
	for i, tx := range all {
		_, ok := p.Fate(tx.ID())
		if want := i >= 1 && i < 4 || i >= 7; ok != want {
			t.Errorf("number %d remembered: %v", i, ok)
		}
	}
}

func TestRates(t *testing.T) {
	for _, c := range []struct {
		rate  mempool.FeeRate
		bytes int
		fee   chain.Amount
	}{{1000, 183, 183}, {1, 1, 1}, {1, 1000, 1}, {1, 1001, 2}, {0, 500, 0}, {1500, 3, 5}, {1 << 63, 100_000, chain.MaxAmount}, {1<<64 - 1, 1 << 40, chain.MaxAmount}} {
		if got := c.rate.Fee(c.bytes); got != c.fee {
			t.Errorf("%d bytes at %d cost %d, want %d", c.bytes, c.rate, got, c.fee)
		}
	}
	for _, c := range []struct {
		k    mempool.Package
		rate mempool.FeeRate
	}{
		{mempool.Package{}, 0},
		{mempool.Package{Bytes: 1000, Fee: 1234}, 1234},
		{mempool.Package{Bytes: 3, Fee: 1}, 333},
		{mempool.Package{Bytes: 183, Fee: chain.MaxAmount}, mempool.FeeRate(chain.MaxAmount)},
	} {
		if got := c.k.Rate(); got != c.rate {
			t.Errorf("%v pay %d, want %d", c.k, got, c.rate)
		}
	}
}

func TestConfigsThatMakeNoSense(t *testing.T) {
	if err := (mempool.Config{}).Check(); err != nil {
		t.Error(err)
	}
	if c := mempool.New(mempool.Config{MaxAncestors: 7}).Config(); c.MaxAncestors != 7 || c.MaxDescendants != 25 || c.MaxBytes != 20_000_000 {
		t.Errorf("%+v", c)
	}
	for _, c := range []mempool.Config{{MaxBytes: 1000}, {Journal: -1}, {Expiry: -5}, {MaxTxSize: 30_000_000}} {
		if c.Check() == nil {
			t.Errorf("%+v passes", c)
		}
	}
}
