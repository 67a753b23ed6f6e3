package chaintest

import (
	"testing"

	"cairn/chain"
)

func TestKeysOwnThePrefundedCoins(t *testing.T) {
	for _, p := range []*chain.Params{chain.Dev(), chain.Regtest(), Easy(), Retargeting()} {
		for i, a := range chain.Prefunded() {
			if got := Address(i); got != a {
				t.Errorf("key %d is of %v, want %v", i, got, a)
			}
			if c := Funds(p, i); c.Owner != a || c.Value != 10_000*chain.CRN {
				t.Errorf("%s: coin %d is %v of %v", p.Name, i, c, c.Owner)
			}
		}
	}
}

func TestBlocksAreValid(t *testing.T) {
	for _, p := range []*chain.Params{chain.Regtest(), Easy(), Retargeting()} {
		t.Run(p.Name, func(t *testing.T) {
			l := Open(p)
			l.Grow(5, "a", Address(1))
			tx := Pay(p, Funds(p, 0), Key(0), 7, chain.Output{Value: 3 * chain.CRN, To: Address(2)})
			then := Pay(p, Outs(tx, 6)[0], Key(2), 5)
			b := l.Add(Plan{Name: "six", Gap: -1, Pay: Address(3), Txs: []*chain.Tx{tx, then}})
			if paid := b.Block().Coinbase.Outputs[0].Value; paid != p.Subsidy(6)+12 {
				t.Errorf("the miner gets %v", paid)
			}
			if l.State.Height != 6 || l.State.Gap != 0 || l.State.ID != b.ID() {
				t.Errorf("ends at %+v", l.State)
			}
			if c, ok := l.Coins[Outs(then, 6)[0].OutPoint]; !ok || c.Value != 3*chain.CRN-5 || c.Owner != Address(2) {
				t.Errorf("the second payment made %v", c)
			}
		})
	}
}

func TestEqualPlansGiveEqualBlocks(t *testing.T) {
	p := Easy()
	root := p.GenesisState()
	a := Next(p, root, Address(0))
	if b := Next(p, root, Address(0)); b.ID() != a.ID() {
		t.Error("one plan, two blocks")
	}
	for name, b := range map[string]*chain.Block{
		"pay":  Next(p, root, Address(1)),
		"name": Block(p, root, Plan{Name: "b", Pay: Address(0)}),
		"gap":  Block(p, root, Plan{Gap: 1, Pay: Address(0)}),
	} {
		if b.ID() == a.ID() {
			t.Errorf("another %s, the same block", name)
		}
	}
}

func TestRetargetingBranchesWeighWhatTheirTimesSay(t *testing.T) {
	p := Retargeting()
	fast, slow := Open(p), Open(p)
	for range 200 {
		fast.Add(Plan{Gap: -1})
		slow.Add(Plan{Gap: 4})
	}
	if fast.State.Work.Cmp(slow.State.Work) <= 0 {
		t.Errorf("fast blocks weigh %v, slow ones %v", fast.State.Work, slow.State.Work)
	}
}

func TestPayPanicsOnACoinTooSmall(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("paid more than there was")
		}
	}()
	p := Easy()
	Pay(p, Funds(p, 0), Key(0), 1, chain.Output{Value: 10_000 * chain.CRN, To: Address(1)})
}
