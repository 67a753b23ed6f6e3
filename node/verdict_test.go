package node_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/mempool"
	"cairn/node"
)

// rule is what becomes of a kind of broken rule: of a loose message that breaks
// it, and of the block id whose body does.
type rule struct {
	loose    node.Verdict
	condemns bool
}

// rules holds every kind of chain and of mempool.
var rules = map[chain.Kind]rule{
	chain.Malformed:     {node.Reject, false},
	chain.BadVersion:    {node.Reject, true},
	chain.HighHash:      {node.Reject, true},
	chain.BadBits:       {node.Reject, true},
	chain.TooOld:        {node.Reject, true},
	chain.BadRoot:       {node.Reject, false},
	chain.Mutated:       {node.Reject, false},
	chain.BadLength:     {node.Reject, true},
	chain.BadCoinbase:   {node.Reject, true},
	chain.BadHeight:     {node.Reject, true},
	chain.BadReward:     {node.Reject, true},
	chain.LooseCoinbase: {node.Reject, false},
	chain.NoInputs:      {node.Reject, false},
	chain.NoOutputs:     {node.Reject, true},
	chain.ZeroOutput:    {node.Reject, true},
	chain.TooLarge:      {node.Reject, true},
	chain.BelowOut:      {node.Reject, true},
	chain.RepeatedInput: {node.Reject, true},
	chain.BadSignature:  {node.Reject, true},
	chain.Mismatch:      {node.Reject, true},
	chain.BadParent:     {node.Ignore, true}, // whoever passes it on may have no bodies yet
	chain.MissingCoin:   {node.Ignore, true},
	chain.ImmatureCoin:  {node.Ignore, true},

	mempool.Known:           {node.Ignore, true},
	mempool.TooBig:          {node.Ignore, true},
	mempool.LowFee:          {node.Ignore, true},
	mempool.LowPoolFee:      {node.Ignore, true},
	mempool.Conflict:        {node.Ignore, true},
	mempool.LowReplacement:  {node.Ignore, true},
	mempool.TooManyReplaced: {node.Ignore, true},
	mempool.SpendsConflict:  {node.Ignore, true},
	mempool.LongChain:       {node.Ignore, true},
	mempool.Full:            {node.Ignore, true},
}

func TestEveryKindHasItsVerdict(t *testing.T) {
	kinds := slices.Concat(chain.Kinds(), mempool.Kinds())
	if len(kinds) != len(rules) {
		t.Errorf("%d kinds, %d rules", len(kinds), len(rules))
	}
	for _, k := range kinds {
		want, ok := rules[k]
		if !ok {
			t.Errorf("%s has no rule", k)
		}
		err := fmt.Errorf("somewhere: %w", &chain.RuleError{Kind: k, Detail: "some"})
		if v, why, ours := node.Refuse(err); v != want.loose || why == nil || ours != nil {
			t.Errorf("%s: verdict %d, want %d, %v", k, v, want.loose, ours)
		}
	}
	for _, err := range node.Reasons() {
		if v, why, ours := node.Refuse(err); v != node.Ignore || !errors.Is(why, err) || ours != nil {
			t.Errorf("%v: verdict %d, %v", err, v, ours)
		}
	}
	if _, _, ours := node.Refuse(errDisk); !errors.Is(ours, errDisk) {
		t.Errorf("a burning disk gives %v", ours)
	}
	if _, _, ours := node.Refuse(node.ErrUnknown); ours == nil {
		t.Error("what our own store lost is blamed on nobody's message")
	}
}

// TestEveryKindInABody: what breaks a rule in a body condemns the id or is asked
// for elsewhere, and never blames a forwarder.
func TestEveryKindInABody(t *testing.T) {
	for _, k := range chain.Kinds() {
		s := tell(t, chaintest.Easy())
		s.Fork("0", "a1")
		s.meet("peer", "a1")
		s.done(s.n.Headers(s.now, "peer", s.headers("a1")))
		s.done(s.n.Broken(s.now, "peer", s.blocks["a1"].ID(), k.Err()))
		e, _ := s.n.Entry(s.blocks["a1"].ID())
		if s.out.Verdict == node.Reject || (e.Status == node.Condemned) != rules[k].condemns {
			t.Errorf("%s: verdict %d, status %d", k, s.out.Verdict, e.Status)
		}
		if again := s.n.Flying() > 0; again == rules[k].condemns {
			t.Errorf("%s: asked again: %v", k, again)
		}
	}
}

// TestLooseTransactions sends one for each reason that the node itself finds.
func TestLooseTransactions(t *testing.T) {
	s := tell(t, chaintest.Easy())
	s.Fork("0", "r1", "r2", "r3")
	s.give("r1", "r2", "r3")
	good := chaintest.CheckTx(s.p, s.pay(0, 1, 500))
	coin := chaintest.Funds(s.p, 1)
	bend := func(change func(*chain.Coin)) chain.CheckedTx {
		c := coin
		change(&c)
		for i := range 10 {
			if chaintest.Address(i) == c.Owner {
				return chaintest.CheckTx(s.p, chaintest.Pay(s.p, c, chaintest.Key(i), 500))
			}
		}
		panic("nobody's coin")
	}
	young := s.blocks["r3"].Block().Coinbase.Out(s.blocks["r3"].CoinbaseID(), 0)
	for _, c := range []struct {
		name string
		tx   chain.CheckedTx
		want node.Verdict
		why  error
	}{
		{"good", good, node.Accept, nil},
		{"again", good, node.Ignore, node.ErrKnown},
		{"another value", bend(func(c *chain.Coin) { c.Value-- }), node.Reject, chain.Mismatch.Err()},
		{"another owner", bend(func(c *chain.Coin) { c.Owner = chaintest.Address(5) }), node.Reject, chain.Mismatch.Err()},
		{"no such output", bend(func(c *chain.Coin) { c.Index = 99 }), node.Ignore, chain.MissingCoin.Err()},
		{"too young", chaintest.CheckTx(s.p, chaintest.Pay(s.p, young, chaintest.Key(9), 500)), node.Ignore, chain.ImmatureCoin.Err()},
		{"no fee", chaintest.CheckTx(s.p, s.pay(2, 1, 0)), node.Ignore, mempool.LowFee.Err()},
		{"double spend", chaintest.CheckTx(s.p, s.pay(0, 2, 500)), node.Ignore, mempool.Conflict.Err()},
		{"a little more", chaintest.CheckTx(s.p, s.pay(0, 2, 501)), node.Ignore, mempool.LowReplacement.Err()},
	} {
		err := s.n.TryInOrder(s.now, []chain.CheckedTx{c.tx})[0]
		s.tx("peer", c.tx)
		if s.out.Verdict != c.want || c.why != nil && !errors.Is(s.out.Why, c.why) {
			t.Errorf("%s: verdict %d because %v, want %d because %v", c.name, s.out.Verdict, s.out.Why, c.want, c.why)
		}
		if !errors.Is(err, c.why) {
			t.Errorf("%s: trying says %v", c.name, err)
		}
	}
	s.Block("r3", chaintest.Plan{Name: "a4", Txs: []*chain.Tx{good.Tx()}})
	s.give("a4")
	s.tx("peer", good)
	s.verdict(node.Ignore, node.ErrKnown)
}

func TestALooseHeaderThatIsFalseIsRejected(t *testing.T) {
	s := tell(t, chaintest.Retargeting())
	s.Fork("0", "a1", "a2")
	s.give("a1", "a2")
	for name, change := range map[chain.Kind]func(*chain.Header){
		chain.BadBits: func(h *chain.Header) { h.Bits-- },
		chain.TooOld:  func(h *chain.Header) { h.Time = s.states["a2"].Time - 1 },
	} {
		b := chaintest.Block(s.p, s.states["a2"], chaintest.Plan{Name: string(name)})
		change(&b.Header)
		a, err := chain.CheckAnnouncement(s.p, b.Announce())
		if err != nil {
			t.Fatal(err)
		}
		s.done(s.n.Announced(s.now, "peer", a))
		s.verdict(node.Reject, name.Err())
		s.done(s.n.Headers(s.now, "peer", []chain.Header{b.Header}))
		s.verdict(node.Reject, name.Err())
	}
}

// TestBodiesThatBreakARuleOfTheirBranch are condemned, and nobody is blamed.
func TestBodiesThatBreakARuleOfTheirBranch(t *testing.T) {
	p := chaintest.Easy()
	for k, plan := range map[chain.Kind]func(*story) *chain.Block{
		chain.MissingCoin: func(s *story) *chain.Block {
			return s.bent(chaintest.Plan{Txs: []*chain.Tx{s.pay(0, 1, 500), s.pay(0, 2, 500)}}, nil)
		},
		chain.ImmatureCoin: func(s *story) *chain.Block {
			c := s.blocks["r3"].Block().Coinbase.Out(s.blocks["r3"].CoinbaseID(), 0)
			return s.bent(chaintest.Plan{Txs: []*chain.Tx{chaintest.Pay(p, c, chaintest.Key(9), 500)}}, nil)
		},
		chain.Mismatch: func(s *story) *chain.Block {
			c := chaintest.Funds(p, 0)
			c.Value++
			return s.bent(chaintest.Plan{Txs: []*chain.Tx{chaintest.Pay(p, c, chaintest.Key(0), 500)}}, nil)
		},
		chain.BadReward: func(s *story) *chain.Block {
			return s.bent(chaintest.Plan{}, func(b *chain.Block) { b.Coinbase.Outputs[0].Value++ })
		},
		chain.BadHeight: func(s *story) *chain.Block {
			return s.bent(chaintest.Plan{}, func(b *chain.Block) { b.Coinbase.Height++ })
		},
	} {
		s := tell(t, p)
		s.Fork("0", "r1", "r2", "r3")
		s.give("r1", "r2", "r3")
		b := chaintest.Check(p, plan(s))
		s.done(s.n.Block(s.now, "peer", b))
		s.verdict(node.Ignore, k.Err())
		if e, ok := s.n.Entry(b.ID()); !ok || e.Status != node.Condemned {
			t.Errorf("%s: status %d", k, e.Status)
		}
		s.start()
		s.done(s.n.Block(s.now, "peer", b))
		s.verdict(node.Ignore, node.ErrKnown)
	}
}

// bent is a block on r3 that change has bent.
func (s *story) bent(plan chaintest.Plan, change func(*chain.Block)) *chain.Block {
	plan.Pay = chaintest.Address(9)
	b := chaintest.Block(s.p, s.states["r3"], plan)
	if change != nil {
		change(b)
	}
	return chaintest.Seal(s.p, b)
}

func TestAPaymentWaitsForTheOneBefore(t *testing.T) {
	s := tell(t, chaintest.Easy())
	s.Fork("0", "r1", "r2", "r3")
	s.give("r1", "r2", "r3")
	first := chaintest.CheckTx(s.p, s.pay(0, 1, 500))
	second := chaintest.CheckTx(s.p, chaintest.Pay(s.p, chaintest.Outs(first.Tx(), 0)[0], chaintest.Key(1), 500))
	third := chaintest.CheckTx(s.p, chaintest.Pay(s.p, chaintest.Outs(second.Tx(), 0)[0], chaintest.Key(1), 500))
	s.tx("peer", third, second, third)
	if s.n.Loose() != 2 {
		t.Fatalf("%d wait for a coin", s.n.Loose())
	}
	s.tx("peer", first)
	if len(s.out.Relay) != 2 || s.out.Relay[0].ID() != second.ID() || s.n.Mempool().Len() != 3 || s.n.Loose() != 0 {
		t.Errorf("relays %d, %d wait, %d loose", len(s.out.Relay), s.n.Mempool().Len(), s.n.Loose())
	}
	own := chaintest.CheckTx(s.p, chaintest.Pay(s.p, chaintest.Outs(s.pay(5, 1, 500), 0)[0], chaintest.Key(1), 500))
	s.tx(node.Self, own)
	s.verdict(node.Ignore, chain.MissingCoin.Err())
	if s.n.Loose() != 0 {
		t.Error("what we refused our own user is kept")
	}
}

func TestAPaymentWaitsForABlock(t *testing.T) {
	s := tell(t, chaintest.Easy())
	s.Fork("0", "r1", "r2", "r3")
	s.give("r1", "r2", "r3")
	first := s.pay(0, 1, 500)
	second := chaintest.CheckTx(s.p, chaintest.Pay(s.p, chaintest.Outs(first, 0)[0], chaintest.Key(1), 500))
	s.tx("peer", second)
	s.Block("r3", chaintest.Plan{Name: "a4", Txs: []*chain.Tx{first}})
	s.give("a4")
	if len(s.out.Relay) != 1 || !s.n.Mempool().Has(second.ID()) || s.n.Loose() != 0 {
		t.Errorf("relays %d, %d loose", len(s.out.Relay), s.n.Loose())
	}
}

func TestPaymentsFromNowhereAreBounded(t *testing.T) {
	s := tell(t, chaintest.Easy())
	for i := range 2 * node.MaxLoose {
		c := chaintest.Funds(s.p, 0)
		c.Tx = chain.SumHash([]byte{byte(i), byte(i >> 8)})
		s.done(s.n.Tx(s.now, "enemy", chaintest.CheckTx(s.p, chaintest.Pay(s.p, c, chaintest.Key(0), 500))))
	}
	if s.n.Loose() != node.MaxLoose {
		t.Errorf("%d are kept", s.n.Loose())
	}
}
