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

// Needs lists the coins that the block spends and does not itself create.
func (b CheckedBlock) Needs() []OutPoint {
	own := make(map[Hash]bool, len(b.txs))
	var needs []OutPoint
	for _, t := range b.txs {
		for i := range t.tx.Inputs {
			if prev := t.tx.Inputs[i].Prev; !own[prev.Tx] {
				needs = append(needs, prev)
			}
		}
		own[t.id] = true
	}
	return needs
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
	l := ledger{p: p, height: next.Height, found: found, created: Coins{}, spent: Coins{}}
	var fees Amount
	for _, t := range b.txs {
		if err := l.spend(t); err != nil {
			return State{}, Diff{}, err
		}
		var ok bool
		if fees, ok = fees.Plus(t.fee); !ok {
			return State{}, Diff{}, broken(TooLarge, "fees sum up to more than %v", MaxAmount)
		}
	}
	if err := l.reward(b, fees); err != nil {
		return State{}, Diff{}, err
	}
	return next, Diff{Spent: sorted(l.spent), Created: sorted(l.created)}, nil
}

// ledger follows the coins through one block.
type ledger struct {
	p       *Params
	height  uint64
	found   Coins
	created Coins // by this block, and still unspent
	spent   Coins // of the coins found
}

func (l *ledger) spend(t CheckedTx) error {
	for i := range t.tx.Inputs {
		in := &t.tx.Inputs[i]
		coin, err := l.coin(in.Prev)
		if err == nil {
			err = l.p.claims(in, coin, l.height)
		}
		if err != nil {
			return err
		}
		if _, own := l.created[in.Prev]; own {
			delete(l.created, in.Prev)
		} else {
			l.spent[in.Prev] = coin
		}
	}
	for i := range t.tx.Outputs {
		c := t.tx.Out(t.id, i, l.height)
		l.created[c.OutPoint] = c
	}
	return nil
}

func (l *ledger) coin(o OutPoint) (Coin, error) {
	if c, ok := l.created[o]; ok {
		return c, nil
	}
	c, ok := l.found[o]
	if _, gone := l.spent[o]; gone || !ok {
		return Coin{}, broken(MissingCoin, "%v", o)
	}
	return c, nil
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

func (l *ledger) reward(b CheckedBlock, fees Amount) error {
	allowed, ok := l.p.Subsidy(l.height).Plus(fees)
	if !ok {
		allowed = MaxAmount
	}
	paid, err := sumOutputs(b.block.Coinbase.Outputs)
	if err != nil {
		return err
	}
	if paid > allowed {
		return broken(BadReward, "pays %v, allowed %v", paid, allowed)
	}
	for _, c := range coinbaseCoins(b.block.Coinbase, b.cbID) {
		l.created[c.OutPoint] = c
	}
	return nil
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
	l := ledger{p: p, height: tip.Height + 1, found: found, created: Coins{}, spent: Coins{}}
	if err := l.spend(tx); err != nil {
		return 0, err
	}
	return tx.fee, nil
}
