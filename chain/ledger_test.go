package chain_test

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/chain/schnorr"
)

// naive is the ledger as one would explain it: a map of coins, and one transaction
// after the other.
type naive map[chain.OutPoint]chain.Coin

// apply changes the map by a block at a height and says which rule stopped it.
func (n naive) apply(p *chain.Params, height uint64, b *chain.Block) chain.Kind {
	if b.Coinbase.Height != height {
		return chain.BadHeight
	}
	reward := p.Subsidy(height)
	for _, tx := range b.Txs {
		for _, in := range tx.Inputs {
			coin, ok := n[in.Prev]
			switch {
			case !ok:
				return chain.MissingCoin
			case in.Value != coin.Value || in.Owner != coin.Owner:
				return chain.Mismatch
			case coin.Coinbase && coin.Height+p.Maturity > height:
				return chain.ImmatureCoin
			}
			reward += coin.Value
			delete(n, in.Prev)
		}
		for _, o := range tx.Outputs {
			reward -= o.Value
		}
		n.create(tx.ID(), tx.Outputs, height, false)
	}
	for _, o := range b.Coinbase.Outputs {
		if o.Value > reward {
			return chain.BadReward
		}
		reward -= o.Value
	}
	n.create(b.Coinbase.ID(), b.Coinbase.Outputs, height, true)
	return ""
}

func (n naive) create(id chain.Hash, outs []chain.Output, height uint64, coinbase bool) {
	for i, o := range outs {
		at := chain.OutPoint{Tx: id, Index: uint32(i)}
		n[at] = chain.Coin{OutPoint: at, Value: o.Value, Owner: o.To, Height: height, Coinbase: coinbase}
	}
}

// gambler makes random blocks, most of them honest.
type gambler struct {
	r    *rand.Rand
	p    *chain.Params
	keys map[chain.Address]int
	seen []chain.Coin // every coin there ever was
}

func newGambler(p *chain.Params, seed uint64) *gambler {
	g := &gambler{r: rand.New(rand.NewPCG(seed, 1)), p: p, keys: map[chain.Address]int{}}
	for i, a := range chain.Prefunded() {
		g.keys[a] = i
	}
	g.seen = p.GenesisCoins().Created
	return g
}

func (g *gambler) one(n int) bool { return g.r.IntN(n) == 0 }

func (g *gambler) address() chain.Address { return chaintest.Address(g.r.IntN(10)) }

// pick chooses a coin: an honest player one that may be spent, a liar any that ever
// was.
func (g *gambler) pick(honest bool, have naive, height uint64) (chain.Coin, bool) {
	for range 30 {
		c := g.seen[g.r.IntN(len(g.seen))]
		if _, ok := have[c.OutPoint]; !honest || ok && g.p.Mature(c, height) {
			return c, true
		}
	}
	return chain.Coin{}, false
}

// tx spends one to three coins and may lie about them; it passes CheckTx.
func (g *gambler) tx(honest bool, have naive, height uint64) *chain.Tx {
	tx := &chain.Tx{}
	var in chain.Amount
	for range 1 + g.r.IntN(3) {
		c, ok := g.pick(honest, have, height)
		if !ok || slices.ContainsFunc(tx.Inputs, func(i chain.Input) bool { return i.Prev == c.OutPoint }) {
			continue
		}
		claimed := claim(c)
		if !honest && g.one(8) {
			claimed.Value++
		}
		if !honest && g.one(8) {
			claimed.Owner = g.address()
		}
		tx.Inputs = append(tx.Inputs, claimed)
		in += claimed.Value
	}
	if in < 4 {
		return nil
	}
	for range 1 + g.r.IntN(3) {
		if in < 4 {
			break
		}
		v := 1 + chain.Amount(g.r.Uint64N(uint64(in/4)))
		tx.Outputs = append(tx.Outputs, chain.Output{Value: v, To: g.address()})
		in -= v
	}
	var keys []schnorr.PrivateKey
	for _, i := range tx.Inputs {
		keys = append(keys, chaintest.Key(g.keys[i.Owner]))
	}
	return chaintest.Sign(g.p, tx, keys...)
}

// block puts up to six transactions together; they may stand on each other.
func (g *gambler) block(parent chain.State, coins chain.Coins) *chain.Block {
	honest, height := !g.one(3), parent.Height+1
	have := naive(maps.Clone(coins))
	known := len(g.seen)
	var txs []*chain.Tx
	for range g.r.IntN(7) {
		tx := g.tx(honest, have, height)
		if tx == nil || slices.ContainsFunc(txs, func(o *chain.Tx) bool { return o.ID() == tx.ID() }) {
			continue
		}
		txs = append(txs, tx)
		for _, in := range tx.Inputs {
			delete(have, in.Prev)
		}
		have.create(tx.ID(), tx.Outputs, height, false)
		g.seen = append(g.seen, chaintest.Outs(tx, height)...)
	}
	if !honest {
		g.r.Shuffle(len(txs), func(i, j int) { txs[i], txs[j] = txs[j], txs[i] })
		if g.one(3) {
			g.seen = g.seen[:known]
		}
	}
	b := chaintest.Block(g.p, parent, chaintest.Plan{Name: string(rune('a' + g.r.IntN(26))), Pay: g.address(), Txs: txs})
	g.reward(honest, b)
	return chaintest.Seal(g.p, b)
}

// reward sometimes splits it, burns of it, or takes too much.
func (g *gambler) reward(honest bool, b *chain.Block) {
	out := &b.Coinbase.Outputs[0]
	if g.one(3) {
		out.Value--
		b.Coinbase.Outputs = append(b.Coinbase.Outputs, chain.Output{Value: 1, To: g.address()})
	}
	if g.one(3) {
		b.Coinbase.Outputs[0].Value -= 1 + chain.Amount(g.r.Uint64N(uint64(chain.CRN)))
	}
	if !honest && g.one(4) {
		b.Coinbase.Outputs[0].Value += chain.Amount(g.r.Uint64N(uint64(2 * chain.CRN)))
	}
	if !honest && g.one(12) {
		b.Coinbase.Height += uint64(1 + g.r.IntN(2))
	}
}

// past is what a block stood on, and what it did.
type past struct {
	state chain.State
	coins chain.Coins
	diff  chain.Diff
}

// walk goes up and down a random tree of blocks and holds Connect against naive.
type walk struct {
	t     *testing.T
	g     *gambler
	state chain.State
	coins chain.Coins
	under []past
	net   chain.Diff // of all steps since the genesis, up and down
	told  map[chain.Kind]int
}

func TestConnectAgreesWithItsNaiveTwin(t *testing.T) {
	told := map[chain.Kind]int{}
	for seed := range uint64(8) {
		p := chaintest.Easy()
		w := &walk{t: t, g: newGambler(p, seed), state: p.GenesisState(), coins: chain.Coins{}, told: told}
		w.coins.Apply(p.GenesisCoins())
		for range 120 {
			if len(w.under) > 0 && w.g.one(4) {
				w.down()
			} else {
				w.up()
			}
			w.same()
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
	}
	t.Logf("verdicts: %v", told)
	for _, k := range []chain.Kind{"", chain.BadHeight, chain.MissingCoin, chain.Mismatch, chain.ImmatureCoin, chain.BadReward} {
		if told[k] < 5 {
			t.Errorf("only %d blocks were %q", told[k], k)
		}
	}
}

func (w *walk) up() {
	b := chaintest.Check(w.g.p, w.g.block(w.state, w.coins))
	found := chain.Coins{}
	for _, o := range b.Needs() { // no more than it asks for
		if c, ok := w.coins[o]; ok {
			found[o] = c
		}
	}
	twin := naive(maps.Clone(w.coins))
	want := twin.apply(w.g.p, w.state.Height+1, b.Block())
	next, diff, err := chain.Connect(w.g.p, w.state, b, found)
	if chain.KindOf(err) != want || (err == nil) != (want == "") {
		w.t.Errorf("height %d: %v, the twin says %q", w.state.Height+1, err, want)
	}
	w.told[want]++
	if err != nil {
		return
	}
	before := maps.Clone(w.coins)
	w.coins.Apply(diff)
	if !maps.Equal(w.coins, chain.Coins(twin)) {
		w.t.Errorf("height %d: the coins differ from the twin's", next.Height)
	}
	w.tidy(diff, before)
	w.again(b, diff)
	w.under = append(w.under, past{w.state, before, diff})
	w.state, w.net = next, w.net.Then(diff)
	for i := range b.Block().Coinbase.Outputs {
		w.g.seen = append(w.g.seen, b.Block().Coinbase.Out(b.CoinbaseID(), i))
	}
}

// tidy: a diff is sorted, takes only what was there and never both makes and takes
// a coin; forth and back is nowhere.
func (w *walk) tidy(d chain.Diff, before chain.Coins) {
	order := func(a, b chain.Coin) int { return a.OutPoint.Compare(b.OutPoint) }
	if !slices.IsSortedFunc(d.Spent, order) || !slices.IsSortedFunc(d.Created, order) {
		w.t.Error("the diff has no order")
	}
	for _, c := range d.Spent {
		if before[c.OutPoint] != c || slices.Contains(d.Created, c) {
			w.t.Errorf("%v is spent and was not there", c)
		}
	}
	for _, c := range d.Created {
		if _, ok := before[c.OutPoint]; ok {
			w.t.Errorf("%v is created and was there", c)
		}
	}
	again := maps.Clone(before)
	again.Apply(d)
	again.Apply(d.Inverse())
	if !maps.Equal(again, before) {
		w.t.Error("forth and back is elsewhere")
	}
	if none := d.Then(d.Inverse()); len(none.Spent)+len(none.Created) > 0 {
		w.t.Errorf("forth and back is %v", none)
	}
}

// again: a diff follows from its block and the births of the coins that are spent.
func (w *walk) again(b chain.CheckedBlock, d chain.Diff) {
	var births []chain.Birth
	for _, c := range d.Spent {
		births = append(births, c.Birth())
	}
	got, err := b.Effect(births)
	if err != nil || !slices.Equal(got.Spent, d.Spent) || !slices.Equal(got.Created, d.Created) {
		w.t.Errorf("the block's effect is %v, want %v (%v)", got, d, err)
	}
	if _, err := b.Effect(append(births, chain.Birth{})); err == nil {
		w.t.Error("a birth too many is taken")
	}
	if len(births) > 0 {
		if _, err := b.Effect(births[1:]); err == nil {
			w.t.Error("a birth too few is taken")
		}
	}
}

func (w *walk) down() {
	last := w.under[len(w.under)-1]
	w.under = w.under[:len(w.under)-1]
	w.coins.Apply(last.diff.Inverse())
	w.state, w.net = last.state, w.net.Then(last.diff.Inverse())
	if !maps.Equal(w.coins, last.coins) {
		w.t.Errorf("undone to height %d, the coins are not those of then", w.state.Height)
	}
}

// same: the net effect of all steps leads from the genesis to here, and back.
func (w *walk) same() {
	genesis := chain.Coins{}
	genesis.Apply(w.g.p.GenesisCoins())
	here := maps.Clone(genesis)
	here.Apply(w.net)
	if !maps.Equal(here, w.coins) {
		w.t.Errorf("height %d: the net effect leads elsewhere", w.state.Height)
	}
	here.Apply(w.net.Inverse())
	if !maps.Equal(here, genesis) {
		w.t.Errorf("height %d: the net effect does not lead back", w.state.Height)
	}
	var sum, issued chain.Amount
	for _, c := range w.coins {
		sum += c.Value
	}
	for h := uint64(1); h <= w.state.Height; h++ {
		issued += w.g.p.Subsidy(h)
	}
	if sum > 100_000*chain.CRN+issued {
		w.t.Errorf("height %d: %v CRN exist, %v were issued", w.state.Height, sum, issued)
	}
}

// One transaction in two branches at different heights makes two coins of one name.
func TestThenAcrossBranches(t *testing.T) {
	at := chain.OutPoint{Tx: chain.Hash{1}}
	five, six := chain.Coin{OutPoint: at, Height: 5}, chain.Coin{OutPoint: at, Height: 6}
	here := chain.Coins{at: five}
	make5, make6 := chain.Diff{Created: []chain.Coin{five}}, chain.Diff{Created: []chain.Coin{six}}
	move := make5.Inverse().Then(make6)
	there := maps.Clone(here)
	there.Apply(move)
	if there[at] != six || len(there) != 1 {
		t.Errorf("the move leads to %v", there)
	}
	there.Apply(move.Inverse())
	if !maps.Equal(there, here) {
		t.Errorf("and back to %v", there)
	}
	if back := move.Then(make6.Inverse()).Then(make5); len(back.Spent)+len(back.Created) != 0 {
		t.Errorf("there and back is %v", back)
	}
}

func TestStateFollowsTheHeaders(t *testing.T) {
	p := chaintest.Easy()
	s := p.GenesisState()
	work := s.Work
	for height := uint64(1); height <= 20; height++ {
		gap := uint32(1 + height*height%7)
		b := chaintest.Block(p, s, chaintest.Plan{Gap: int64(gap)})
		work = work.Plus(b.Header.Bits.Work())
		next, err := chain.ConnectHeader(p, s, b.Header)
		if err != nil {
			t.Fatal(err)
		}
		want := chain.State{Height: height, ID: b.ID(), Work: work, Bits: b.Header.Bits, Time: s.Time + gap, Gap: gap}
		if next != want {
			t.Fatalf("%+v, want %+v", next, want)
		}
		s = next
	}
}

// Admit looks one block ahead, at coins alone, and tells the fee.
func TestAdmitTellsTheFee(t *testing.T) {
	s := newScene()
	fee, err := chain.Admit(s.p, s.State, chaintest.CheckTx(s.p, s.tx), s.Coins)
	if err != nil || fee != 1000 {
		t.Errorf("%v, %v", fee, err)
	}
}
