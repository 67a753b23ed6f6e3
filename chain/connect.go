package chain

// ConnectHeader gives the state after h, or the rule that h breaks as a child
// of parent. h has passed CheckHeader. That a header lies too far ahead of a
// clock is not a rule: each node judges it by its own.
func ConnectHeader(p *Params, parent State, h Header) (State, error) {
	if h.Prev != parent.ID {
		return State{}, broken(BadParent, "%v is no child of %v", h.ID(), parent.ID)
	}
	// Not the median of eleven: with a capped gap, time that runs backwards
	// is a ratchet by which a weak miner lowers the difficulty of a branch.
	if h.Time < parent.Time {
		return State{}, broken(TooOld, "%d, its parent has %d", h.Time, parent.Time)
	}
	if want := NextBits(p, parent); h.Bits != want {
		return State{}, broken(BadBits, "%v, the rule says %v", h.Bits, want)
	}
	return State{
		Height: parent.Height + 1,
		ID:     h.ID(),
		Work:   parent.Work.Plus(h.Bits.Work()),
		Bits:   h.Bits,
		Time:   h.Time,
		Gap:    h.Time - parent.Time,
	}, nil
}

// Needs lists the coins that the block spends and does not itself create, in the
// order of its inputs; the list must not be changed.
func (b CheckedBlock) Needs() []OutPoint { return b.flows().needs }

// flows is found when the block is checked, or else when somebody asks.
func (b CheckedBlock) flows() *flow {
	if b.flow != nil {
		return b.flow
	}
	leaves := b.leaves()
	return flowOf(leaves, orderOf(leaves), b.txs)
}

// Connect gives the state after b and its net effect on the coins, or the rule
// that it breaks as a child of parent. found holds the coins of b.Needs() that
// are unspent after parent.
func Connect(p *Params, parent State, b CheckedBlock, found Coins) (State, Diff, error) {
	next, err := ConnectHeader(p, parent, b.Header())
	if err != nil {
		return State{}, Diff{}, err
	}
	if h := b.block.Coinbase.Height; h != next.Height {
		return State{}, Diff{}, broken(BadHeight, "names height %d, stands at %d", h, next.Height)
	}
	l := newLedger(p, b, next.Height)
	var fees Amount
	for _, t := range b.txs {
		if err := l.spend(t, found); err != nil {
			return State{}, Diff{}, err
		}
		var ok bool
		if fees, ok = fees.Plus(t.fee); !ok {
			return State{}, Diff{}, broken(TooLarge, "fees sum up to more than %v", MaxAmount)
		}
	}
	if err := l.reward(fees); err != nil {
		return State{}, Diff{}, err
	}
	return next, Diff{Spent: l.allSpent(), Created: l.allCreated()}, nil
}

// ledger follows the coins through one block.
type ledger struct {
	*flow
	p      *Params
	b      CheckedBlock
	height uint64
	spent  []Coin // of other blocks, in the order of needs, as far as they are spent
	inputs int    // that were spent
	gone   []bool // for each output of the block, the coinbase's excepted: it is spent here
}

func newLedger(p *Params, b CheckedBlock, height uint64) *ledger {
	f := b.flows()
	return &ledger{
		flow: f, p: p, b: b, height: height,
		spent: make([]Coin, 0, len(f.needs)), gone: make([]bool, f.first[len(b.txs)]),
	}
}

func (l *ledger) spend(t CheckedTx, found Coins) error {
	for i := range t.tx.Inputs {
		in := &t.tx.Inputs[i]
		var coin Coin
		var ok bool
		by := l.from[l.inputs]
		if by >= 0 {
			coin, ok = l.take(int(by), in.Prev)
		} else {
			coin, ok = found[in.Prev]
			ok = ok && (l.again == nil || !l.again[len(l.spent)])
			l.spent = append(l.spent, coin)
		}
		if !ok {
			return broken(MissingCoin, "%v", in.Prev)
		}
		if err := l.p.claims(in, coin, l.height); err != nil {
			return err
		}
		l.inputs++
	}
	return nil
}

// take spends an output of an earlier transaction of the block.
func (l *ledger) take(by int, o OutPoint) (Coin, bool) {
	maker := l.b.txs[by]
	if uint64(o.Index) >= uint64(len(maker.tx.Outputs)) {
		return Coin{}, false
	}
	gone := &l.gone[int(l.first[by])+int(o.Index)]
	if *gone {
		return Coin{}, false
	}
	*gone = true
	return maker.tx.Out(maker.id, int(o.Index), l.height), true
}

// claims checks what an input says about its coin, and the coin's age.
func (p *Params) claims(in *Input, c Coin, height uint64) error {
	if in.Value != c.Value || in.Owner != c.Owner {
		return broken(Mismatch, "%v is %v CRN of %v, the input says %v of %v",
			c.OutPoint, c.Value, c.Owner, in.Value, in.Owner)
	}
	if !p.Mature(c, height) {
		return broken(ImmatureCoin, "%v may be spent from height %d, this is %d",
			c.OutPoint, c.Height+p.Maturity, height)
	}
	return nil
}

func (l *ledger) reward(fees Amount) error {
	allowed, ok := l.p.Subsidy(l.height).Plus(fees)
	if !ok {
		allowed = MaxAmount
	}
	paid, err := sumOutputs(l.b.block.Coinbase.Outputs)
	if err != nil {
		return err
	}
	if paid > allowed {
		return broken(BadReward, "pays %v, allowed %v", paid, allowed)
	}
	return nil
}

// Both lists stand in the order of their coins, so that equal effects are equal
// diffs.

func (l *ledger) allSpent() []Coin {
	list := make([]Coin, len(l.spent))
	for i, at := range l.rank {
		list[i] = l.spent[at]
	}
	return list
}

func (l *ledger) allCreated() []Coin {
	list := make([]Coin, 0, len(l.gone)+len(l.b.block.Coinbase.Outputs))
	for _, leaf := range l.made {
		by := leaf - 1
		if by < 0 {
			list = append(list, coinbaseCoins(l.b.block.Coinbase, l.b.cbID)...)
			continue
		}
		t := l.b.txs[by]
		for i := range t.tx.Outputs {
			if !l.gone[int(l.first[by])+i] {
				list = append(list, t.tx.Out(t.id, i, l.height))
			}
		}
	}
	return list
}

func coinbaseCoins(cb *Coinbase, id Hash) []Coin {
	coins := make([]Coin, len(cb.Outputs))
	for i := range coins {
		coins[i] = cb.Out(id, i)
	}
	return coins
}

// Admit tells whether a block on top of tip could hold the loose transaction,
// given the coins found in the chain and the pool. Kinds MissingCoin and
// ImmatureCoin are true only here and now; others hold on every chain.
func Admit(p *Params, tip State, tx CheckedTx, found Coins) (fee Amount, err error) {
	for i := range tx.tx.Inputs {
		in := &tx.tx.Inputs[i]
		coin, ok := found[in.Prev]
		if !ok {
			return 0, broken(MissingCoin, "%v", in.Prev)
		}
		if err := p.claims(in, coin, tip.Height+1); err != nil {
			return 0, err
		}
	}
	return tx.fee, nil
}
