package node

import (
	"fmt"
)

// Bounds that tests reach.
const (
	MaxAside       = maxAside
	MaxLoose       = maxLoose
	MaxClaims      = maxClaims
	MaxInFlight    = maxInFlight
	MaxAPeer       = maxAPeer
	FewBodies      = fewBodies
	MaxAhead       = maxAhead
	ListedPerMilli = listedPerMilli
	BodyWait       = bodyWait

	MaxAsideBytes = maxAsideBytes
	ClaimLife     = claimLife
)

// Most bounds the entries in memory.
func (n *Node) Most(entries int) { n.most = entries }

// Hold bounds the bytes of bodies in hand.
func (n *Node) Hold(bytes int) { n.hand = bytes }

// InMemory counts the entries in memory.
func (n *Node) InMemory() int { return len(n.tree.m) }

// Aside counts orphans and what waits for its time.
func (n *Node) Aside() (orphans, later int) { return len(n.orphans.list), len(n.later.list) }

// AsideBytes counts orphans, and their bytes.
func (n *Node) AsideBytes() (orphans, bytes int) { return len(n.orphans.list), n.orphans.bytes }

// HalfFilled counts announced blocks that are being filled in.
func (n *Node) HalfFilled() int { return len(n.partial) }

// Loose counts transactions whose coin is unknown.
func (n *Node) Loose() int { return len(n.loose) }

// Run is how many bodies go into one request.
func (n *Node) Run() int { return n.run() }

// Flying counts bodies asked for.
func (n *Node) Flying() int { return len(n.flight) }

// FillSide makes the node believe that its disk is full of side branches.
func (n *Node) FillSide() { n.side = maxSide + 1 }

// Sound tells what is inconsistent inside.
func (n *Node) Sound() error {
	if len(n.ready)+len(n.doomed) > 0 {
		return fmt.Errorf("%d blocks and %d condemnations wait to be stored", len(n.ready), len(n.doomed))
	}
	for id := range n.partial {
		if n.flight[id] == nil {
			return fmt.Errorf("%v is half filled in and nobody is asked", id)
		}
	}
	return n.soundTree()
}

func (n *Node) soundTree() error {
	bytes, flying := 0, 0
	for id, e := range n.tree.m {
		if e.body != nil {
			bytes += e.body.Size()
		}
		if e.asked != 0 {
			flying++
		}
		if (e.asked != 0) != (n.flight[id] == e) {
			return fmt.Errorf("%v is asked for since %d, and flies: %v", id, e.asked, n.flight[id] == e)
		}
		if err := n.soundEntry(e); err != nil {
			return fmt.Errorf("block %v at height %d: %w", id, e.State.Height, err)
		}
	}
	if bytes != n.tree.bytes || flying != len(n.flight) {
		return fmt.Errorf("%d bytes in hand, counted %d; %d in flight, counted %d", bytes, n.tree.bytes, flying, len(n.flight))
	}
	for id, e := range n.tree.heads {
		if n.tree.m[id] != e {
			return fmt.Errorf("head %v is not in memory", id)
		}
	}
	return nil
}

func (n *Node) soundEntry(e *entry) error {
	open := true
	for _, c := range e.children {
		if n.tree.m[c.id()] != c || c.parent() != e.id() {
			return fmt.Errorf("%v is no child in memory", c.id())
		}
		open = open && c.Status == Condemned
	}
	head := n.tree.heads[e.id()] == e
	switch {
	case head != (e.Status == Headed && open):
		return fmt.Errorf("status %d, open %v, head %v", e.Status, open, head)
	case e.Status == Complete && !e.stored:
		return fmt.Errorf("complete and not stored")
	case e.Status != Headed && e.body != nil:
		return fmt.Errorf("status %d with a body in hand", e.Status)
	case e.stored && e.State.Height > 0:
		return n.soundStored(e)
	}
	return nil
}

func (n *Node) soundStored(e *entry) error {
	if s, err := n.cfg.Store.Entry(e.id()); err != nil || s.Status != e.Status {
		return fmt.Errorf("in memory %d, stored %d, %v", e.Status, s.Status, err)
	}
	_, err := n.cfg.Store.Entry(e.parent())
	if err != nil {
		return fmt.Errorf("its parent is not stored: %w", err)
	}
	return nil
}

// Refuse is what the node makes of an error.
func Refuse(err error) (v Verdict, why, ours error) {
	var out Outcome
	ours = out.refuse(err)
	return out.Verdict, out.Why, ours
}

// Reasons are this package's.
func Reasons() []error { return reasons }
