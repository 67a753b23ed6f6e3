package node

import (
	"errors"
	"fmt"

	"cairn/chain"
	"cairn/mempool"
)

// Bounds on what a node keeps for others. Each is named here and nowhere else.
const (
	window      = 2016     // heights of the tree that stay in memory
	margin      = 288      // blocks' worth of work that a branch may lie behind the tip
	maxOrphans  = 256      // announcements and blocks whose parent is unknown
	maxLater    = 64       // announcements and blocks whose time has not come
	maxLoose    = 128      // transactions whose coin is unknown
	maxHeaded   = 1 << 20  // headers without a body
	maxInHand   = 64 << 20 // bytes of bodies that wait for an earlier one
	maxSide     = 1 << 30  // bytes of bodies off the best chain, stored since the start
	maxInFlight = 128      // bodies asked for
	maxClaims   = 256      // peers whose tip is remembered
	maxReorgs   = 256      // reorganisations remembered
)

// Config says who a node is.
type Config struct {
	Params *chain.Params
	Store  Store
	Pool   mempool.Config
	Peer   Peer   // our own name in claims
	Agent  string // our program, told to peers
	Salt   uint64 // makes our blocks differ from those of others that pay the same address
}

// Node is one honest player. It is not safe for concurrent use.
type Node struct {
	p    *chain.Params
	cfg  Config
	tree *tree
	tip  *entry
	pool *mempool.Pool

	seq        uint64
	ready      []*entry              // complete and not yet stored, parents first
	candidates map[chain.Hash]*entry // complete and heavier than the tip when they became so

	orphans orphans
	later   []arrival // blocks from a future
	partial map[chain.Hash]*partial
	loose   []looseTx // transactions whose coin is unknown
	paths   map[chain.Hash][]*entry
	side    int // bytes of bodies off the best chain
	flying  int // bodies asked for

	peers   map[Peer]*peer
	counter uint64
	reorgs  []Reorg
	reorged uint64 // reorganisations in all
	stats   ReorgStats
}

// New makes a node on what the store remembers. If a crash cut a reorganisation
// short, it is finished here.
func New(now chain.Time, cfg Config) (*Node, error) {
	if cfg.Params == nil || cfg.Store == nil {
		return nil, errors.New("node: params and store are needed")
	}
	recent, err := cfg.Store.Recent(window)
	if err != nil {
		return nil, fmt.Errorf("read the recent blocks: %w", err)
	}
	tip, err := cfg.Store.Tip()
	if err != nil {
		return nil, fmt.Errorf("read the tip: %w", err)
	}
	n := &Node{
		p: cfg.Params, cfg: cfg, tree: newTree(cfg.Store, recent), pool: mempool.New(cfg.Pool),
		orphans: orphans{}, partial: map[chain.Hash]*partial{}, paths: map[chain.Hash][]*entry{},
		peers: map[Peer]*peer{}, candidates: map[chain.Hash]*entry{},
	}
	if n.tip, err = n.tree.known(tip.State.ID); err != nil {
		return nil, err
	}
	for _, e := range n.tree.m {
		if e.whole() && e.heavier(n.tip) {
			n.candidates[e.id()] = e
		}
	}
	var out Outcome
	return n, n.advance(now, &out)
}

// Params are the rules of the node's network.
func (n *Node) Params() *chain.Params { return n.p }

// Best is the state at the tip of the best chain.
func (n *Node) Best() chain.State { return n.tip.State }

// BestHeader is the header at the tip of the best chain.
func (n *Node) BestHeader() chain.Header { return n.tip.Header }

// Entry finds a block of any branch, in memory or stored.
func (n *Node) Entry(id chain.Hash) (Entry, bool) {
	e, err := n.tree.get(id)
	if err != nil || e == nil {
		return Entry{}, false
	}
	return e.Entry, true
}

// Ancestor is the id of the block at height on the branch that ends at tip.
func (n *Node) Ancestor(tip chain.Hash, height uint64) (chain.Hash, bool) {
	e, err := n.tree.get(tip)
	if err != nil || e == nil || e.State.Height < height {
		return chain.Hash{}, false
	}
	if e, err = n.tree.ancestor(e, height); err != nil || e == nil {
		return chain.Hash{}, false
	}
	return e.id(), true
}

// Mempool is the pool; only the node's owner may touch it.
func (n *Node) Mempool() *mempool.Pool { return n.pool }

// Leaves lists the ends of all branches held in memory, the tip among them.
func (n *Node) Leaves() []Entry {
	list := []Entry{n.tip.Entry}
	for id, e := range n.tree.m {
		if len(e.children) == 0 && id != n.tip.id() {
			list = append(list, e.Entry)
		}
	}
	return list
}

// Syncing tells whether a heavier branch is known whose bodies are still to
// come, and its height.
func (n *Node) Syncing() (height uint64, yes bool) {
	for id := range n.tree.heads {
		if e := n.tree.m[id]; e.Status == Headed && e.State.Work.Cmp(n.tip.State.Work) > 0 {
			yes = true
			height = max(height, e.State.Height)
		}
	}
	return height, yes
}

// Since leads from the block that a watcher last saw to the tip, in at most most
// steps. A block that was never ours gives ErrUnknown: start again at the
// genesis.
func (n *Node) Since(last chain.Hash, most int) (Move, error) {
	e, err := n.tree.get(last)
	if err != nil {
		return Move{}, err
	}
	if e == nil {
		return Move{}, ErrUnknown
	}
	fork, err := n.tree.fork(e, n.tip)
	if err != nil {
		return Move{}, err
	}
	var m Move
	for e.id() != fork.id() {
		m.Undone = append(m.Undone, e.id())
		if e, err = n.tree.known(e.parent()); err != nil {
			return Move{}, err
		}
	}
	return m, n.applied(&m, e, most)
}

func (n *Node) applied(m *Move, at *entry, most int) error {
	for at.State.Height < n.tip.State.Height && len(m.Applied) < most {
		id, err := n.cfg.Store.At(at.State.Height + 1)
		if err != nil {
			return err
		}
		if at, err = n.tree.known(id); err != nil {
			return err
		}
		m.Applied = append(m.Applied, id)
	}
	m.Tip, m.More = at.State, at.id() != n.tip.id()
	return nil
}

// Tick does what time brings: blocks whose time has come, requests that nobody
// answered, claims that are stale, payments to say again. Call it about once a
// second.
func (n *Node) Tick(now chain.Time) (Outcome, error) {
	var out Outcome
	n.forgetClaims(now)
	n.timeOut(now)
	later := n.later
	n.later = nil
	for _, a := range later {
		if err := n.again(now, a, &out); err != nil {
			return out, err
		}
	}
	n.pool.Expire(now)
	out.Relay = append(out.Relay, n.pool.Due(now)...)
	out.Ask = append(out.Ask, n.lookAtPools(now)...)
	out.Ask = append(out.Ask, n.fetch(now)...)
	return out, nil
}

// Header describes a block for converge.Tree: complete means that its body and
// those of all its ancestors are here.
func (n *Node) Header(id chain.Hash) (parent chain.Hash, height uint64, complete, ok bool) {
	e, ok := n.Entry(id)
	return e.Header.Prev, e.State.Height, e.Status == Complete, ok
}
