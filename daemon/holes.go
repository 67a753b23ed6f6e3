package daemon

import (
	"fmt"
	"sync"

	"cairn/chain"
)

// A body that a peer asks for decides nothing here: what was built on it was
// checked and is on disk in other words (coins, headers, diffs). So one that the
// disk does not give back is left out of the answer, which is no lie, for others
// have it, and the person who runs the node is told. Where the rules need a body, for a
// reorganisation, the node stops, and so it does when many are lost: what is still
// read may then be wrong as well.

// maxHoles are the bodies that may be lost while the node goes on.
const maxHoles = 8

// holes are the blocks whose bodies the disk did not give back.
type holes struct {
	mu sync.Mutex
	of map[chain.Hash]bool // guarded by mu; false if it gave the body after all, later
}

// note notes how reading a body went. It tells whether it is the first time that it
// failed, and how many are lost.
func (h *holes) note(id chain.Hash, lost bool) (first bool, n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, before := h.of[id]; lost || before {
		h.of[id] = lost
		first = !before
	}
	return first, h.lost()
}

// lost expects mu to be held.
func (h *holes) lost() (n int) {
	for _, lost := range h.of {
		if lost {
			n++
		}
	}
	return n
}

func (h *holes) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.lost()
}

// gave hears how reading a body for a peer went, and stops the node when too many
// are lost.
func (d *Daemon) gave(id chain.Hash, err error) {
	first, n := d.holes.note(id, err != nil)
	if first {
		d.log.Error("the disk does not give a block back: peers are told nothing of it", "id", id, "err", err)
	}
	if err != nil && n > maxHoles {
		d.fail(fmt.Errorf("%d blocks cannot be read any more: %w", n, err))
	}
}
