package daemon

import (
	"context"
	"sync"

	"cairn/node"
)

// guests numbers the visits of peers: what was begun in one must not count in
// the next, nor after the last.
type guests struct {
	mu    sync.Mutex
	count int                  // guarded by mu; visits since the start
	here  map[node.Peer]*visit // guarded by mu; those that last
}

type visit struct {
	number  int
	settled chan struct{} // closed once gossip has found its way
	over    chan struct{} // closed once the peer left
}

func (g *guests) arrive(p node.Peer) *visit {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.count++
	g.here[p] = &visit{g.count, make(chan struct{}), make(chan struct{})}
	return g.here[p]
}

// settle is told once of each visit at most.
func (g *guests) settle(p node.Peer) {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.here[p].settled)
}

func (g *guests) leave(p node.Peer) {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.here[p].over)
	delete(g.here, p)
}

// visit is the number of p's visit, 0 if p is not here.
func (g *guests) visit(p node.Peer) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	if v := g.here[p]; v != nil {
		return v.number
	}
	return 0
}

// gossips tells whether gossip has found its way.
func (v *visit) gossips() bool {
	select {
	case <-v.settled:
		return true
	default:
		return false
	}
}

// awaitGossip waits for that, and tells whether it came before the peer left and ctx ended.
func (v *visit) awaitGossip(ctx context.Context) bool {
	select {
	case <-v.settled:
		return true
	case <-v.over:
	case <-ctx.Done():
	}
	return false
}
