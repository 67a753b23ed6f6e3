package store

import (
	"bytes"
	"errors"
	"fmt"

	"cairn/chain"
	"cairn/node"
)

// ErrLogic is wrapped by what Commit returns for a step that does not follow
// from what is stored: whoever made the step is wrong, and nothing was written.
var ErrLogic = errors.New("logic fault")

func fault(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrLogic, fmt.Sprintf(format, args...))
}

// A plan turns steps into batches. Nothing is written before the last step has
// proven consistent.
type plan struct {
	base    snapshot
	room    size
	batches []*batch                          // whole steps each, to be written in this order
	step    *batch                            // of the step being planned
	bodies  map[chain.Hash]chain.CheckedBlock // that came with these steps

	behind *stand              // nil: what follows from blocks is written at once
	fresh  map[chain.Hash]bool // bodies that came with these steps and go on the tip
	moves  []move              // if behind
	upTo   []int               // how many of them are made with each batch
}

// stand is what is due when a plan begins.
type stand struct {
	names   func(chain.Hash) (*names, bool) // of a block that is due
	growing int                             // blocks on the tip of which nothing was written
	frozen  bool                            // something is being written
}

func newPlan(base snapshot, room size) *plan {
	return &plan{base: base, room: room, bodies: map[chain.Hash]chain.CheckedBlock{}, fresh: map[chain.Hash]bool{}}
}

// get reads through all that is planned.
func (p *plan) get(key []byte) ([]byte, error) {
	if c, ok := p.step.changes[string(key)]; ok {
		return c.value, nil
	}
	for i := len(p.batches) - 1; i >= 0; i-- {
		if c, ok := p.batches[i].changes[string(key)]; ok {
			return c.value, nil
		}
	}
	return p.base.get(key)
}

// take plans one step, and fuses it with the batch before if both fit one
// transaction.
func (p *plan) take(s node.Step) error {
	p.step = newBatch()
	if err := p.change(s); err != nil {
		return err
	}
	if n := len(p.batches); n > 0 && p.batches[n-1].weight.plus(p.step.weight).fits(p.room) {
		p.batches[n-1].then(p.step)
		p.upTo[n-1] = len(p.moves)
	} else {
		p.batches, p.upTo = append(p.batches, p.step), append(p.upTo, len(p.moves))
	}
	p.step = nil
	return nil
}

func (p *plan) change(s node.Step) error {
	for _, b := range s.Bodies {
		p.bodies[b.ID()] = b
	}
	for _, e := range s.Entries {
		if err := p.enter(e, s.Tip); err != nil {
			return err
		}
	}
	for _, b := range s.Bodies {
		if err := p.stored(b.ID()); err != nil {
			return err
		}
	}
	if err := p.move(s); err != nil {
		return err
	}
	for _, id := range s.Condemned {
		if err := p.condemn(id); err != nil {
			return err
		}
	}
	return nil
}

// enter writes an entry, and its body if the entry becomes complete.
func (p *plan) enter(e node.Entry, tip chain.Hash) error {
	id := e.State.ID
	if id != e.Header.ID() || e.State.Bits != e.Header.Bits || e.State.Time != e.Header.Time {
		return fault("the state of entry %v is not its header's", id)
	}
	old, err := p.entry(id)
	known := err == nil
	if err != nil && !errors.Is(err, node.ErrUnknown) {
		return err
	}
	switch {
	case e.Status != node.Complete && e.Status != node.Condemned:
		return fault("entry %v is neither complete nor condemned", id)
	case known && old.Status == e.Status:
		return nil
	case known && old.Status == node.Condemned:
		return fault("entry %v was condemned for good", id)
	case known:
		return p.condemn(id)
	}
	p.step.add(keyEntry(id), encodeEntry(e))
	p.step.add(keyStanding(e.State.Height, id), nil)
	if e.Status == node.Condemned {
		return nil
	}
	b, ok := p.bodies[id]
	if !ok {
		return fault("entry %v is complete without a body", id)
	}
	return p.write(b, e.State, tip)
}

// stored holds a step to its word that its bodies are those of complete entries.
func (p *plan) stored(id chain.Hash) error {
	e, err := p.entry(id)
	if errors.Is(err, node.ErrUnknown) || err == nil && e.Status != node.Complete {
		return fault("a body of %v came without a complete entry", id)
	}
	return err
}

// write writes a body, and what follows from it on whatever branch unless that is due.
func (p *plan) write(b chain.CheckedBlock, s chain.State, tip chain.Hash) error {
	p.step.add(keyBody(s.ID), b.Raw())
	switch {
	case p.behind == nil:
		for _, key := range bodyKeys(b) {
			p.step.add(key, nil)
		}
	case s.ID == tip:
		p.fresh[s.ID] = true
	default:
		p.step.add(keyAside(s.ID), nil)
		return p.moved(move{kind: setAside, block: dueBlock{id: s.ID, height: s.Height}, tip: tip})
	}
	return nil
}

// moved notes a move that is to be followed by what is due.
func (p *plan) moved(m move) error {
	var known bool
	if m.block.names, known = p.behind.names(m.block.id); !known {
		b, err := p.body(m.block.id)
		if err != nil {
			return err
		}
		m.block.names = namesOf(b)
	}
	p.moves = append(p.moves, m)
	return nil
}

// condemn marks an entry. Its body goes, with all that was derived from it: what
// breaks a rule for good holds no transaction and spends no coin.
func (p *plan) condemn(id chain.Hash) error {
	e, err := p.entry(id)
	switch {
	case errors.Is(err, node.ErrUnknown):
		return fault("%v is condemned and was never stored", id)
	case err != nil:
		return err
	case e.Status == node.Condemned:
		return nil
	}
	if at, err := p.get(keyHeight(e.State.Height)); err != nil {
		return err
	} else if string(at) == string(id[:]) {
		return fault("%v is condemned on the best chain", id)
	}
	b, err := p.body(id)
	if err != nil {
		return err
	}
	p.step.remove(keyBody(id))
	for _, key := range bodyKeys(b) {
		p.step.remove(key)
	}
	if p.step.remove(keyDiff(id)); p.behind != nil {
		p.step.remove(keyAside(id))
	}
	e.Status = node.Condemned
	p.step.put(keyEntry(id), encodeEntry(e))
	return nil
}

// move takes the tip off, puts a child on it, or leaves it.
func (p *plan) move(s node.Step) error {
	old, err := p.tip()
	if err != nil {
		return err
	}
	next, err := p.entry(s.Tip)
	if errors.Is(err, node.ErrUnknown) {
		return fault("the tip moves to %v, which was never stored", s.Tip)
	}
	switch {
	case err != nil:
		return err
	case s.Undo:
		return p.undo(old, next, s.Diff)
	case old.State.ID != next.State.ID:
		return p.put(old, next, s.Diff)
	case len(s.Diff.Spent)+len(s.Diff.Created) > 0:
		return fault("coins change and the tip %v does not", s.Tip)
	}
	return nil
}

func (p *plan) put(old, next node.Entry, d chain.Diff) error {
	if next.Header.Prev != old.State.ID || next.State.Height != old.State.Height+1 {
		return fault("%v at height %d is put on the tip %v at height %d and is no child of it",
			next.State.ID, next.State.Height, old.State.ID, old.State.Height)
	}
	if next.Status != node.Complete {
		return fault("%v is put on the tip and is condemned", next.State.ID)
	}
	return p.extend(next.State, old.State.ID, d)
}

// extend writes all that follows the tip, or leaves due what follows from blocks.
func (p *plan) extend(s chain.State, prev chain.Hash, d chain.Diff) error {
	id := s.ID
	if err := p.did(id, d); err != nil {
		return err
	}
	p.step.put(keyTip, id[:])
	p.step.add(keyHeight(s.Height), id[:])
	if p.behind != nil {
		p.behind.growing++
		fresh := p.fresh[id]
		delete(p.fresh, id)
		if err := p.mention(prev); err != nil {
			return err
		}
		return p.moved(move{kind: putOn, block: dueBlock{id: id, height: s.Height}, diff: d, tip: id, fresh: fresh})
	}
	b, err := p.body(id)
	if err != nil {
		return err
	}
	for key, item := range history(b, s.Height) {
		p.step.add(keyHistory(key.owner, key.at), encodeItem(item))
	}
	p.apply(d)
	return nil
}

// did writes what a block does to the coins: it was on the best chain before, or is
// for the first time.
func (p *plan) did(id chain.Hash, d chain.Diff) error {
	before, err := p.diff(id)
	switch {
	case errors.Is(err, node.ErrUnknown):
		p.step.add(keyDiff(id), encodeDiff(id, d))
		return nil
	case err == nil && !sameDiff(before, d):
		return fault("%v does not do what it did before", id)
	}
	return err
}

// mention marks where what is due begins, in the transaction with its first block.
func (p *plan) mention(tip chain.Hash) error {
	marked, err := p.get(keyWritten)
	if err != nil || marked != nil {
		return err
	}
	p.step.add(keyWritten, bytes.Clone(tip[:]))
	return nil
}

// takeBack takes a block off the tip and leaves due what follows from that.
func (p *plan) takeBack(old, next chain.State, d chain.Diff) error {
	if err := p.mention(old.ID); err != nil {
		return err
	}
	if p.behind.growing > 0 { // no longer on the way from the mark
		p.behind.growing--
		p.step.put(keyAside(old.ID), nil)
		marked, err := p.get(keyWritten)
		if err != nil {
			return err
		}
		if string(marked) == string(next.ID[:]) && !p.behind.frozen { // there is no way any more
			p.step.remove(keyWritten)
		}
	}
	return p.moved(move{kind: tookOff, block: dueBlock{id: old.ID, height: old.Height}, diff: d, tip: next.ID})
}

func (p *plan) undo(old, next node.Entry, d chain.Diff) error {
	id := old.State.ID
	if old.Header.Prev != next.State.ID {
		return fault("undoing %v leads to its parent, not to %v", id, next.State.ID)
	}
	did, err := p.diff(id)
	if err != nil {
		return err
	}
	if !sameDiff(did, d.Inverse()) {
		return fault("undoing %v is not the inverse of what it did", id)
	}
	p.step.put(keyTip, next.State.ID[:])
	p.step.remove(keyHeight(old.State.Height))
	if p.behind != nil {
		return p.takeBack(old.State, next.State, d)
	}
	b, err := p.body(id)
	if err != nil {
		return err
	}
	for key := range history(b, old.State.Height) {
		p.step.remove(keyHistory(key.owner, key.at))
	}
	p.apply(d)
	return nil
}

func (p *plan) apply(d chain.Diff) {
	for _, c := range d.Spent {
		p.step.remove(keyCoin(c.OutPoint))
		p.step.remove(keyOwned(c.Owner, c.OutPoint))
	}
	for _, c := range d.Created {
		p.step.add(keyCoin(c.OutPoint), encodeCoin(c))
		p.step.add(keyOwned(c.Owner, c.OutPoint), appendCoin(nil, c))
	}
}

func (p *plan) tip() (node.Entry, error) { return tipOf(p) }

func (p *plan) entry(id chain.Hash) (node.Entry, error) { return entryOf(p, id) }

// diff is what a block did when it was on the best chain, else node.ErrUnknown.
func (p *plan) diff(id chain.Hash) (chain.Diff, error) {
	raw, err := find(p, keyDiff(id))
	if err != nil {
		return chain.Diff{}, err
	}
	b, err := p.body(id)
	if err != nil {
		return chain.Diff{}, err
	}
	return decodeDiff(b, raw)
}

func (p *plan) body(id chain.Hash) (chain.CheckedBlock, error) {
	if b, ok := p.bodies[id]; ok {
		return b, nil
	}
	return bodyOf(p, id)
}
