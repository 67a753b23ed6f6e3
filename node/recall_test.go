package node_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/chain/schnorr"
	"cairn/node"
)

// bazaar is a random tree whose blocks hold payments, some of which may not stand
// where they stand. The same payments are told to the node as loose ones, so that it
// connects blocks with coins that its pool recalls; story.check knows by replay which
// branches hold and what coins there are.
type bazaar struct {
	*story
	r    *rand.Rand
	at   map[string]chain.Coins // after each block that holds, with all before it
	all  []chain.CheckedTx      // ever made, parents first
	know []string               // blocks, parents first
}

func open(t *testing.T, seed uint64) *bazaar {
	p := chaintest.Easy()
	p.Maturity = 1 + seed%4
	b := &bazaar{story: tell(t, p), r: rand.New(rand.NewPCG(seed, 7)), at: map[string]chain.Coins{}}
	b.at["0"], b.know = chaintest.Open(p).Coins, []string{"0"}
	return b
}

// pay makes a payment of some coins of a branch, or of what waits for it.
func (b *bazaar) pay() chain.CheckedTx {
	var coins []chain.Coin
	for _, c := range b.at[b.know[len(b.know)-1-b.r.IntN(min(len(b.know), 4))]] {
		coins = append(coins, c)
	}
	for _, tx := range b.all[max(0, len(b.all)-8):] {
		coins = append(coins, chaintest.Outs(tx.Tx(), 0)...)
	}
	slices.SortFunc(coins, func(x, y chain.Coin) int { return x.OutPoint.Compare(y.OutPoint) })
	b.r.Shuffle(len(coins), func(i, j int) { coins[i], coins[j] = coins[j], coins[i] })
	tx := &chain.Tx{}
	var keys []schnorr.PrivateKey
	left := chain.Amount(0)
	for _, c := range coins {
		if k := owner(c); k >= 0 && c.Value > chain.CRN && !spends(tx, c.OutPoint) && len(keys) <= b.r.IntN(3) {
			tx.Inputs = append(tx.Inputs, chain.Input{Prev: c.OutPoint, Value: c.Value, Owner: c.Owner})
			keys, left = append(keys, chaintest.Key(k)), left+c.Value
		}
	}
	left -= chain.Amount(1000 + b.r.IntN(5000))
	tx.Outputs = []chain.Output{{Value: left / 2, To: owners()[b.r.IntN(9)]}, {Value: left - left/2, To: owners()[b.r.IntN(9)]}}
	checked := chaintest.CheckTx(b.p, chaintest.Sign(b.p, tx, keys...))
	b.all = append(b.all, checked)
	return checked
}

var owners = sync.OnceValue(func() (list []chain.Address) {
	for k := range 10 {
		list = append(list, chaintest.Address(k))
	}
	return list
})

// owner is the number of the key that a coin pays.
func owner(c chain.Coin) int {
	return slices.Index(owners(), c.Owner)
}

func spends(tx *chain.Tx, o chain.OutPoint) bool {
	return slices.ContainsFunc(tx.Inputs, func(in chain.Input) bool { return in.Prev == o })
}

// mine puts a block on a branch. One in eight holds a payment more than may stand
// there: whose coin is missing, spent or too young.
func (b *bazaar) mine() {
	parent := b.know[max(0, len(b.know)-1-b.r.IntN(4))]
	name := "n" + itoa(len(b.know))
	var txs []chain.CheckedTx
	for _, tx := range b.all[max(0, len(b.all)-20):] {
		if b.r.IntN(3) > 0 && b.stands(parent, append(txs, tx)) {
			txs = append(txs, tx)
		}
	}
	if b.r.IntN(8) == 0 && len(b.all) > 0 {
		if odd := b.all[b.r.IntN(len(b.all))]; !slices.ContainsFunc(txs, func(t chain.CheckedTx) bool { return t.ID() == odd.ID() }) {
			txs = append(txs, odd)
		}
	}
	block := b.block(parent, chaintest.Plan{Name: name, Pay: owners()[b.r.IntN(9)], Gap: 1 + int64(b.r.IntN(3))}, txs)
	b.blocks[name], b.states[name] = block, chaintest.After(b.p, b.states[parent], block.Block())
	b.names[block.ID()] = name
	b.know = append(b.know, name)
	b.at[name] = b.at[parent] // nothing holds on a false block, but the payments of its branch go on
	_, d, err := chain.Connect(b.p, b.states[parent], b.blocks[name], b.at[parent])
	if b.wrong[block.ID()] = err != nil; err == nil {
		b.at[name] = maps.Clone(b.at[parent])
		b.at[name].Apply(d)
	}
}

// stands tells whether payments hold in a block behind parent.
func (b *bazaar) stands(parent string, txs []chain.CheckedTx) bool {
	_, _, err := chain.Connect(b.p, b.states[parent], b.block(parent, chaintest.Plan{}, txs), b.at[parent])
	return err == nil
}

func (b *bazaar) block(parent string, plan chaintest.Plan, txs []chain.CheckedTx) chain.CheckedBlock {
	for _, tx := range txs {
		plan.Txs = append(plan.Txs, tx.Tx())
	}
	raw := chaintest.Block(b.p, b.states[parent], plan)
	c, err := chain.CheckBlock(b.p, raw.Header, raw.Coinbase, txs)
	if err != nil {
		b.Fatal(err)
	}
	return c
}

// live does one thing with the node.
func (b *bazaar) live(next *int) {
	switch k := b.r.IntN(10); {
	case k < 4:
		tx := b.pay()
		if b.r.IntN(5) > 0 { // the node never hears of some
			b.done(b.n.Tx(b.now, "peer", tx))
		}
	case k < 5 && len(b.all) > 0:
		b.done(b.n.Tx(b.now, node.Self, b.all[b.r.IntN(len(b.all))]))
	case k < 8:
		b.mine()
	case k < 9:
		n := min(1+b.r.IntN(5), len(b.know)-*next)
		b.giveTogether(b.know[*next : *next+n]...)
		*next += n
	case b.r.IntN(6) == 0:
		b.start()
	}
}

func TestBlocksConnectWithCoinsThatThePoolRecalls(t *testing.T) {
	recalled, deepest := 0, 0
	for seed := range uint64(24) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			b := open(t, seed)
			b.meet("peer", "0")
			next := 1
			for range 80 {
				b.live(&next)
			}
			b.giveTogether(b.know[next:]...)
			recalled += b.recalled
			deepest = max(deepest, b.n.ReorgStats().Deepest)
		})
	}
	if recalled < 500 || deepest < 2 {
		t.Errorf("%d coins recalled, reorganisations %d deep: the stories tell too little", recalled, deepest)
	}
}

// A payment's heir waits while the payment moves to a block of another height: its
// coin is another then.
func TestAnHeirWaitsWhileItsParentMovesUp(t *testing.T) {
	s := tell(t, chaintest.Easy())
	parent := s.pay(0, 1, 500)
	heir := chaintest.Pay(s.p, chaintest.Outs(parent, 0)[0], chaintest.Key(1), 700)
	s.Fork("0", "r1", "r2", "r3")
	s.Block("r3", chaintest.Plan{Name: "a4", Txs: []*chain.Tx{parent}})
	s.Fork("r3", "b4")
	s.Block("b4", chaintest.Plan{Name: "b5", Txs: []*chain.Tx{parent}})
	s.Block("b5", chaintest.Plan{Name: "b6", Txs: []*chain.Tx{heir}})
	s.give("r1", "r2", "r3")
	for _, tx := range []*chain.Tx{parent, heir} {
		s.done(s.n.Tx(s.now, "peer", chaintest.CheckTx(s.p, tx)))
		s.verdict(node.Accept, nil)
	}
	coin := chaintest.Outs(parent, 4)[0]
	if _, ok := s.n.Mempool().Recall(coin.OutPoint); ok {
		t.Error("the pool recalls a coin that is not on the chain")
	}
	s.give("a4")
	if c, ok := s.n.Mempool().Recall(coin.OutPoint); !ok || c != coin {
		t.Errorf("the pool recalls %v, want %v", c, coin)
	}
	s.give("b4", "b5")
	s.tip("b5")
	if !s.n.Mempool().Has(heir.ID()) {
		t.Fatal("the heir is gone")
	}
	if c, ok := s.n.Mempool().Recall(coin.OutPoint); ok {
		t.Errorf("the pool recalls %v, which it was not told of", c)
	}
	s.give("b6")
	s.tip("b6")
}
