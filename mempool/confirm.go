package mempool

import (
	"cmp"
	"slices"

	"cairn/chain"
)

// Confirm takes out what the block holds, and whatever conflicts with it, with
// descendants.
func (p *Pool) Confirm(b chain.CheckedBlock) {
	p.drained()
	if len(p.entries)+len(p.adrift.byID)+len(p.lost.byID) == 0 {
		return // nothing that it could touch, as in a first sync
	}
	for _, tx := range b.Txs() {
		if !p.confirm(tx, b) {
			p.conflict(tx, b.ID())
		}
	}
}

// confirm tells whether the transaction was here, or came loose: no other of those
// then spends a coin of it.
func (p *Pool) confirm(tx chain.CheckedTx, b chain.CheckedBlock) bool {
	id := tx.ID()
	f := Fate{Reason: Confirmed, Block: b.ID()}
	if e, ok := p.entries[id]; ok {
		p.settled(e, b.Block().Coinbase.Height)
		p.unlink(e)
		p.note(tx, e.own, f)
		return true
	}
	if l, ok := p.adrift.take(id); ok {
		p.record(tx, l.own, f)
		return true
	}
	if old, ok := p.lost.get(id); ok {
		p.record(tx, old.Own, f)
	}
	return false
}

func (p *Pool) conflict(tx chain.CheckedTx, block chain.Hash) {
	f := Fate{Reason: Conflicted, By: tx.ID(), Block: block}
	if rivals := p.rivals(tx); len(rivals) > 0 {
		p.drop(p.families(rivals...), f)
	}
	for i := range tx.Tx().Inputs {
		if l, ok := p.adrift.spends[tx.Tx().Inputs[i].Prev]; ok {
			p.adrift.take(l.tx.ID())
			p.record(l.tx, l.own, f)
		}
	}
}

// adrift holds what is neither in the pool nor on the best chain while a
// reorganisation is going on.
type adrift struct {
	blocks [][]*loose // of undone blocks, in the order of undoing
	heirs  []*loose   // that waited on outputs of those
	byID   map[chain.Hash]*loose
	spends map[chain.OutPoint]*loose
}

// loose is one of them.
type loose struct {
	tx     chain.CheckedTx
	added  chain.Time
	own    bool
	waited bool // it was in the pool before
	rank   int  // among heirs: more than any of its ancestors has
}

func (a *adrift) put(l *loose) *loose {
	if a.byID == nil {
		a.byID, a.spends = map[chain.Hash]*loose{}, map[chain.OutPoint]*loose{}
	}
	a.byID[l.tx.ID()] = l
	for i := range l.tx.Tx().Inputs {
		a.spends[l.tx.Tx().Inputs[i].Prev] = l
	}
	return l
}

func (a *adrift) take(id chain.Hash) (*loose, bool) {
	l, ok := a.byID[id]
	if !ok {
		return nil, false
	}
	delete(a.byID, id)
	for i := range l.tx.Tx().Inputs {
		delete(a.spends, l.tx.Tx().Inputs[i].Prev)
	}
	return l, true
}

// list orders all of them parents first.
func (a *adrift) list() (all []*loose) {
	for _, block := range slices.Backward(a.blocks) {
		all = append(all, block...)
	}
	slices.SortStableFunc(a.heirs, func(x, y *loose) int {
		return cmp.Or(cmp.Compare(x.rank, y.rank), x.tx.ID().Compare(y.tx.ID()))
	})
	return append(all, a.heirs...)
}

// Undo says that the block left the best chain: its transactions come loose, and
// with them whatever here depends on its outputs. Undo the newest block first,
// and call Settle in the end.
func (p *Pool) Undo(b chain.CheckedBlock) {
	heirs := p.heirs(b.CoinbaseID(), len(b.Block().Coinbase.Outputs))
	block := make([]*loose, len(b.Txs()))
	for i, tx := range b.Txs() {
		heirs = append(heirs, p.heirs(tx.ID(), len(tx.Tx().Outputs))...)
		before, _ := p.done.get(tx.ID())
		p.done.forget(tx.ID())
		block[i] = p.adrift.put(&loose{tx: tx, added: p.now, own: before.Own})
	}
	p.adrift.blocks = append(p.adrift.blocks, block)
	for _, e := range p.loosen(p.families(heirs...)) {
		l := &loose{tx: e.tx, added: e.added, own: e.own, waited: true, rank: e.up.Count}
		p.adrift.heirs = append(p.adrift.heirs, p.adrift.put(l))
	}
}

// loosen takes out entries, listed parents first and complete with descendants,
// and records nothing. Those that left before are skipped.
func (p *Pool) loosen(list []*entry) []*entry {
	list = slices.DeleteFunc(list, func(e *entry) bool { return p.entries[e.tx.ID()] != e })
	for _, e := range slices.Backward(list) {
		p.unlink(e)
	}
	return list
}

// Settle decides about everything that came loose since the first Undo and was
// not confirmed again: what admit (chain.Admit on the new tip, with the coins of
// chain and pool) and the pool's rules let in waits again and is returned,
// parents first. Fate tells about the rest.
func (p *Pool) Settle(now chain.Time, admit func(chain.CheckedTx) error) (back []chain.CheckedTx) {
	p.hear(now)
	a := p.adrift
	p.adrift = adrift{}
	for _, l := range a.list() {
		if a.byID[l.tx.ID()] != l {
			continue
		}
		if err := p.settle(l, admit); err != nil {
			p.lose(l.tx, l.own, err)
		} else {
			back = append(back, l.tx)
		}
	}
	return back
}

func (p *Pool) settle(l *loose, admit func(chain.CheckedTx) error) error {
	if err := admit(l.tx); err != nil {
		return err
	}
	if _, err := p.enter(newEntry(l.tx, l.added, l.own)); err != nil {
		return err
	}
	p.lost.forget(l.tx.ID())
	if !l.waited {
		p.journal.add(p.change(l.tx, Fate{Reason: Returned}))
	}
	return nil
}

// lose records that a transaction did not get in again. If a parent was lost to
// another transaction, that is the reason.
func (p *Pool) lose(tx chain.CheckedTx, own bool, why error) {
	for i := range tx.Tx().Inputs {
		f, ok := p.lost.get(tx.Tx().Inputs[i].Prev.Tx)
		if ok && f.By != (chain.Hash{}) {
			p.record(tx, own, Fate{Reason: f.Reason, By: f.By, Block: f.Block})
			return
		}
	}
	p.record(tx, own, Fate{Reason: Dropped, Why: why})
}

// Recheck asks about everything that waits, parents first, and drops what is
// refused, with descendants; a coinbase's coin may be immature again when the
// new best chain is shorter than the old.
func (p *Pool) Recheck(now chain.Time, admit func(chain.CheckedTx) error) (out []chain.CheckedTx) {
	p.hear(now)
	for _, e := range p.sorted() {
		if p.entries[e.tx.ID()] != e {
			continue
		}
		if why := admit(e.tx); why != nil {
			out = append(out, p.drop(p.families(e), Fate{Reason: Dropped, Why: why})...)
		}
	}
	return out
}
