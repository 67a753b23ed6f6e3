package mempool

import (
	"slices"

	"cairn/chain"
)

// Add decides about a transaction that chain.Admit admitted, and returns what it
// replaced, parents first. Own ones are published again (Due) until they are
// confirmed. A refusal is a *chain.RuleError of one of this package's kinds and
// changes nothing, but that Known with own makes the waiting one our own.
//
// It may take the place of transactions that spend the same coins if it pays at
// a higher rate than each of those, and at least all fees that leave with them
// plus the minimum rate for its own size (BIP125 rules 3 and 4; every
// transaction is replaceable).
func (p *Pool) Add(now chain.Time, tx chain.CheckedTx, own bool) (replaced []chain.CheckedTx, err error) {
	p.hear(now)
	if e, ok := p.entries[tx.ID()]; ok {
		if own {
			p.adopt(e)
		}
		return nil, refused(Known, "it waits since %d", e.added)
	}
	if err := p.worthy(tx); err != nil {
		return nil, err
	}
	if least := p.MinRate().Fee(tx.Size()); tx.Fee() < least {
		return nil, refused(LowPoolFee, "pays %v, %d bytes cost %v since the pool was full", tx.Fee(), tx.Size(), least)
	}
	replaced, err = p.enter(newEntry(tx, now, own))
	if err == nil {
		p.lost.forget(tx.ID())
		p.done.forget(tx.ID())
		p.journal.add(p.change(tx, Fate{Reason: Added}))
	}
	return replaced, err
}

// enter lets e in, or changes nothing. What needed its outputs before it came
// leaves and comes again behind it.
func (p *Pool) enter(e *entry) (replaced []chain.CheckedTx, err error) {
	s, err := p.plan(e.tx)
	if err != nil {
		return nil, err
	}
	early := p.families(p.heirs(e.tx.ID(), len(e.tx.Tx().Outputs))...)
	replaced = p.drop(s.replaced, Fate{Reason: Replaced, By: e.tx.ID()})
	if p.drop(s.evicted, Fate{Reason: Evicted}); len(s.evicted) > 0 {
		p.raise(s.dearest)
	}
	early = p.loosen(early)
	p.schedule(e)
	p.link(e)
	for _, heir := range early {
		if _, err := p.enter(newEntry(heir.tx, heir.added, heir.own)); err != nil {
			p.lose(heir.tx, heir.own, err)
		}
	}
	return replaced, nil
}

// swap is what has to leave so that a newcomer can enter.
type swap struct {
	replaced []*entry // for what they spend; with descendants, parents first
	evicted  []*entry // for their room; likewise
	dearest  FeeRate  // of what is evicted
}

func (p *Pool) plan(tx chain.CheckedTx) (s swap, err error) {
	if err := p.worthy(tx); err != nil {
		return swap{}, err
	}
	parents := p.parents(tx)
	if len(parents) >= p.cfg.MaxAncestors {
		return swap{}, refused(LongChain, "%d waiting parents, allowed %d ancestors", len(parents), p.cfg.MaxAncestors-1)
	}
	ancestors := p.reach(parents, up)
	if s.replaced, err = p.replaceable(tx, ancestors); err != nil {
		return swap{}, err
	}
	if err := p.short(tx, ancestors, s.replaced); err != nil {
		return swap{}, err
	}
	err = p.room(tx, ancestors, &s)
	return s, err
}

// worthy checks what needs no other transaction.
func (p *Pool) worthy(tx chain.CheckedTx) error {
	if tx.Size() > p.cfg.MaxTxSize {
		return refused(TooBig, "%d bytes, allowed %d", tx.Size(), p.cfg.MaxTxSize)
	}
	if least := p.cfg.MinFeeRate.Fee(tx.Size()); tx.Fee() < least {
		return refused(LowFee, "pays %v, %d bytes cost %v", tx.Fee(), tx.Size(), least)
	}
	return nil
}

// replaceable finds what tx replaces, or the rule that forbids it.
func (p *Pool) replaceable(tx chain.CheckedTx, ancestors []*entry) ([]*entry, error) {
	rivals := p.rivals(tx)
	if len(rivals) == 0 {
		return nil, nil
	}
	for _, r := range rivals {
		if err := outbids(tx, r); err != nil {
			return nil, err
		}
	}
	if n := crowd(rivals); n > MaxReplaced {
		return nil, refused(TooManyReplaced, "up to %d, allowed %d", n, MaxReplaced)
	}
	leaving := p.families(rivals...)
	for _, a := range ancestors {
		if a.mark == p.walk { // families marked all that leave
			return nil, refused(SpendsConflict, "%v would leave, and is an ancestor", a.tx.ID())
		}
	}
	fees, ok := sum(leaving).Fee.Plus(p.cfg.MinFeeRate.Fee(tx.Size()))
	if !ok || tx.Fee() < fees {
		return nil, refused(LowReplacement, "pays %v, the %d that would leave and its own bytes cost %v",
			tx.Fee(), len(leaving), fees)
	}
	return leaving, nil
}

// outbids checks that tx pays at a higher rate than its rival.
func outbids(tx chain.CheckedTx, rival *entry) error {
	mine, other := single(tx), single(rival.tx)
	switch {
	case mine.compare(other) > 0:
		return nil
	case mine.Fee <= other.Fee:
		return refused(Conflict, "%v spends the same coin and pays %v, this one %v", rival.tx.ID(), other.Fee, mine.Fee)
	}
	return refused(LowReplacement, "%d grains per 1000 bytes, %v pays %d", mine.Rate(), rival.tx.ID(), other.Rate())
}

// crowd bounds from above how many leave with these.
func crowd(list []*entry) (n int) {
	for _, e := range list {
		n += e.down.Count
	}
	return n
}

// short checks the limits of packages, as they will be when what is replaced
// has left.
func (p *Pool) short(tx chain.CheckedTx, ancestors, leaving []*entry) error {
	if len(ancestors) == 0 {
		return nil
	}
	all := sum(ancestors).plus(single(tx))
	switch {
	case all.Count > p.cfg.MaxAncestors:
		return refused(LongChain, "%d with its ancestors, allowed %d", all.Count, p.cfg.MaxAncestors)
	case all.Bytes > p.cfg.MaxFamily:
		return refused(LongChain, "%d bytes with its ancestors, allowed %d", all.Bytes, p.cfg.MaxFamily)
	}
	fewer := map[*entry]Package{}
	for _, e := range leaving {
		for _, a := range p.reach(e.parents, up) {
			fewer[a] = fewer[a].plus(single(e.tx))
		}
	}
	for _, a := range ancestors {
		down := a.down.minus(fewer[a]).plus(single(tx))
		switch {
		case down.Count > p.cfg.MaxDescendants:
			return refused(LongChain, "%v would have %d descendants, allowed %d", a.tx.ID(), down.Count, p.cfg.MaxDescendants)
		case down.Bytes > p.cfg.MaxFamily:
			return refused(LongChain, "%v would have %d bytes with its descendants, allowed %d", a.tx.ID(), down.Bytes, p.cfg.MaxFamily)
		}
	}
	return nil
}

// room finds what to evict for tx: the cheapest first, each with its
// descendants, as long as they pay a lower rate than tx; our own last. Its own
// ancestors stay.
func (p *Pool) room(tx chain.CheckedTx, ancestors []*entry, s *swap) error {
	need := p.bytes - sum(s.replaced).Bytes + tx.Size() - p.cfg.MaxBytes
	if need <= 0 {
		return nil
	}
	spared := map[*entry]bool{}
	for _, e := range slices.Concat(ancestors, s.replaced) {
		spared[e] = true
	}
	var seen []*entry
	for need > 0 && p.cheapest.top() != nil {
		e := p.cheapest.next()
		seen = append(seen, e)
		if spared[e] {
			continue
		}
		if single(tx).compare(e.score()) <= 0 {
			break
		}
		s.dearest = max(s.dearest, e.score().Rate())
		for _, d := range p.families(e) {
			if !spared[d] {
				spared[d] = true
				s.evicted = append(s.evicted, d)
				need -= d.tx.Size()
			}
		}
	}
	for _, e := range seen {
		p.cheapest.rejoin(e)
	}
	if need > 0 {
		return refused(Full, "%d bytes wait, and pay at least as much per byte", p.bytes)
	}
	slices.SortFunc(s.evicted, parentsFirst)
	return nil
}
