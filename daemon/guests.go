package daemon

import (
	"sync"

	"cairn/node"
)

// guests numbers the visits of peers: what was begun in one must not count in
// the next, nor after the last.
type guests struct {
	mu    sync.Mutex
	count int               // guarded by mu; visits since the start
	here  map[node.Peer]int // guarded by mu; the number of each visit that lasts
}

func (g *guests) arrive(p node.Peer) (visit int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.count++
	g.here[p] = g.count
	return g.count
}

func (g *guests) leave(p node.Peer) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.here, p)
}

// visit is the number of p's visit, 0 if p is not here.
func (g *guests) visit(p node.Peer) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.here[p]
}
