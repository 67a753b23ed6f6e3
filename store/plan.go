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

	behind bool   // what follows from a block on the tip is left due, and what is taken off was due
	moves  []move // of the tip, if so
}

// move puts a block whose derived keys are due on the tip, or takes one off.
type move struct {
	late
	undo bool
	tip  chain.Hash // after it
}

func newPlan(base snapshot, room size) *plan {
	return &plan{base: base, room: room, bodies: map[chain.Hash]chain.CheckedBlock{}}
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
	} else {
		p.batches = append(p.batches, p.step)
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
	p.write(b, p.behind && id == tip)
	return nil
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
func (p *plan) write(b chain.CheckedBlock, due bool) {
	p.step.add(keyBody(b.ID()), b.Raw())
	if due {
		return
	}
	for _, key := range bodyKeys(b) {
		p.step.add(key, nil)
	}
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
	b, err := p.body(id)
	if err != nil {
		return err
	}
	p.step.put(keyTip, id[:])
	p.step.add(keyHeight(s.Height), id[:])
	p.step.add(keyDiff(id), encodeDiff(d))
	if p.behind {
		p.moves = append(p.moves, move{late: late{s.Height, b, d}, tip: id})
		return p.mention(prev)
	}
	for key, item := range history(b, s.Height) {
		p.step.add(keyHistory(key.owner, key.at), encodeItem(item))
	}
	p.apply(d)
	return nil
}

// mention marks where what is due begins, in the transaction with its first block.
func (p *plan) mention(prev chain.Hash) error {
	marked, err := p.get(keyWritten)
	if err != nil || marked != nil {
		return err
	}
	p.step.add(keyWritten, bytes.Clone(prev[:]))
	return nil
}

// takeBack takes a block off the tip of which no key on the best chain was written:
// what follows from its body on whatever branch is so now.
func (p *plan) takeBack(old, next chain.State, b chain.CheckedBlock, d chain.Diff) error {
	for _, key := range bodyKeys(b) {
		p.step.put(key, nil)
	}
	p.moves = append(p.moves, move{late: late{old.Height, b, d}, undo: true, tip: next.ID})
	marked, err := p.get(keyWritten)
	if err == nil && string(marked) == string(next.ID[:]) { // nothing is due any more
		p.step.remove(keyWritten)
	}
	return err
}

func (p *plan) undo(old, next node.Entry, d chain.Diff) error {
	id := old.State.ID
	if old.Header.Prev != next.State.ID {
		return fault("undoing %v leads to its parent, not to %v", id, next.State.ID)
	}
	raw, err := p.get(keyDiff(id))
	if err != nil {
		return err
	}
	if string(raw) != string(encodeDiff(d.Inverse())) {
		return fault("undoing %v is not the inverse of what it did", id)
	}
	b, err := p.body(id)
	if err != nil {
		return err
	}
	p.step.put(keyTip, next.State.ID[:])
	p.step.remove(keyHeight(old.State.Height))
	p.step.remove(keyDiff(id))
	if p.behind {
		return p.takeBack(old.State, next.State, b, d)
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

func (p *plan) body(id chain.Hash) (chain.CheckedBlock, error) {
	if b, ok := p.bodies[id]; ok {
		return b, nil
	}
	return bodyOf(p, id)
}
