package mempool

import "cairn/chain"

// spend is one input of a waiting transaction.
type spend struct {
	by   *entry
	at   int32 // number of the input
	born born
}

// born tells where on the chain a coin was made. Zero is not known: the coin is a
// waiting transaction's, or nobody said.
type born uint64

func bornOf(c chain.Coin) born {
	b := born(c.Height)<<2 | 1
	if c.Coinbase {
		b |= 2
	}
	return b
}

// Learn notes the coins that a waiting transaction was found to spend, so that Recall
// knows them. Those of the pool, at Height, are left out.
func (p *Pool) Learn(tx chain.CheckedTx, found chain.Coins) {
	if !p.Has(tx.ID()) {
		return
	}
	for i := range tx.Tx().Inputs {
		if c, ok := found[tx.Tx().Inputs[i].Prev]; ok && c.Height != Height {
			p.learn(c)
		}
	}
}

// learn notes where a coin was made that a waiting transaction spends.
func (p *Pool) learn(c chain.Coin) {
	if s, ok := p.spends[c.OutPoint]; ok {
		s.born = bornOf(c)
		p.spends[c.OutPoint] = s
	}
}

// settled notes that a block of some height holds e, which still waits here: what
// its heirs spend is a coin of the chain now.
func (p *Pool) settled(e *entry, height uint64) {
	if len(e.children) == 0 {
		return
	}
	for i := range e.tx.Tx().Outputs {
		p.learn(e.tx.Tx().Out(e.tx.ID(), i, height))
	}
}

// Recall returns a coin of the chain that a waiting transaction spends, if the pool
// knows it: unspent at the tip that the pool was brought to last, for what waits
// spends nothing else, and whatever comes off the chain takes its heirs out of the
// pool. It says no more than Learn and Confirm were told.
func (p *Pool) Recall(op chain.OutPoint) (chain.Coin, bool) {
	s, ok := p.spends[op]
	if !ok || s.born == 0 {
		return chain.Coin{}, false
	}
	in := &s.by.tx.Tx().Inputs[s.at]
	return chain.Coin{
		OutPoint: op, Value: in.Value, Owner: in.Owner,
		Height: uint64(s.born >> 2), Coinbase: s.born&2 != 0,
	}, true
}
