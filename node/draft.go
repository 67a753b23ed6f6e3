package node

import (
	"slices"

	"cairn/chain"
)

// drafts are what blocks do to the coins that were connected while those before them were
// being stored. That follows from a block and from what is before it, so a draft never
// becomes wrong, wherever the tip goes.
type drafts struct {
	open bool          // something is being stored, up to end
	end  chain.Hash    // the last block that is being stored or drafted
	list []draft       // whose turn is to come, oldest first
	over chain.Overlay // what all that is being stored does to the coins, and then the list
	size int           // coins that over holds, about
}

type draft struct {
	id   chain.Hash
	diff chain.Diff
}

func (d *draft) size() int { return len(d.diff.Spent) + len(d.diff.Created) }

// Draft connects one of some blocks if it comes right behind what is being stored, and
// tells whether it did: when the block's turn comes, that is done. Only a driver whose
// store gives it time during Commit may call this there. Whatever is wrong with a
// block is told when its turn comes, for nothing that anybody sees changes here.
func (n *Node) Draft(waiting ...chain.CheckedBlock) bool {
	d := &n.drafts
	if !d.open || d.size > maxDrafted {
		return false
	}
	i := slices.IndexFunc(waiting, func(b chain.CheckedBlock) bool { return b.Header().Prev == d.end })
	if i < 0 {
		return false
	}
	b := waiting[i]
	e := n.tree.m[b.ID()]
	if e == nil || !e.sound() {
		return false
	}
	diff, err := n.connect(e, b, &d.over)
	if err != nil {
		d.open = false
		return false
	}
	d.end = b.ID()
	d.list = append(d.list, draft{b.ID(), diff})
	d.put(d.list[len(d.list)-1])
	return true
}

// find tells what a block does to the coins, if it was drafted.
func (d *drafts) find(id chain.Hash) (chain.Diff, bool) {
	if i := d.index(id); i >= 0 {
		return d.list[i].diff, true
	}
	return chain.Diff{}, false
}

func (d *drafts) index(id chain.Hash) int {
	return slices.IndexFunc(d.list, func(one draft) bool { return one.id == id })
}

// begin notes that a plan is being stored. What was drafted behind its last block stays:
// what is on disk by now may stay in the overlay too, for it says the same.
func (d *drafts) begin(p *plan) {
	i := d.index(p.end())
	switch {
	case i < 0 || len(p.undone) > 0:
		*d = drafts{end: p.end()}
		d.cover(p)
	default:
		if d.list = d.list[i+1:]; 4*d.size > 3*maxDrafted {
			d.cover(p)
		}
	}
	d.open = true
}

// cover makes the overlay of a plan and what is drafted behind it.
func (d *drafts) cover(p *plan) {
	d.over, d.size = chain.Overlay{Expect: fewBodies}, 0
	for _, s := range p.steps {
		d.put(draft{diff: s.Diff})
	}
	for _, one := range d.list {
		d.put(one)
	}
}

func (d *drafts) put(one draft) {
	d.over.Apply(one.diff)
	d.size += one.size()
}

// stored notes that nothing is being stored any more.
func (d *drafts) stored() {
	d.open = false
	if len(d.list) == 0 {
		*d = drafts{}
	}
}
