package daemon

import (
	"slices"
	"sync"

	"cairn/chain"
	"cairn/node"
)

// coming are the blocks whose call waits for the loop: it looks ahead at them while a
// commit waits for the disk.
type coming struct {
	news chan struct{} // there may be something to look at

	mu    sync.Mutex
	lists [][]chain.CheckedBlock // guarded by mu
}

func newComing() coming { return coming{news: make(chan struct{}, 1)} }

// expect adds blocks, which nobody may change any more, until their turn has come.
func (c *coming) expect(blocks []chain.CheckedBlock) (come func()) {
	c.mu.Lock()
	c.lists = append(c.lists, blocks)
	c.mu.Unlock()
	signal(c.news)
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		i := slices.IndexFunc(c.lists, func(l []chain.CheckedBlock) bool { return &l[0] == &blocks[0] })
		c.lists = slices.Delete(c.lists, i, i+1)
	}
}

// draft lets the node look at one of them, and comes back for the next.
func (c *coming) draft(n *node.Node) {
	c.mu.Lock()
	all := slices.Concat(c.lists...)
	c.mu.Unlock()
	if len(all) > 0 && n.Draft(all...) {
		signal(c.news)
	}
}
