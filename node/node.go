package node

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"cairn/chain"
	"cairn/mempool"
)

// Config says who a node is.
type Config struct {
	Params *chain.Params
	Store  Store
	Pool   mempool.Config
	Peer   Peer   // our own name in claims
	Agent  string // our program, told to peers
	Salt   uint64 // makes our blocks differ from those of others that pay the same address
	Window uint64 // heights of the tree that stay in memory; default 2016

	RuledOut []chain.Hash // blocks that Invalidate ruled out before, as RuledOut lists them
}

// Node is one honest player. It is not safe for concurrent use.
type Node struct {
	p    *chain.Params
	cfg  Config
	tree *tree
	tip  *entry
	pool *mempool.Pool

	seq        uint64
	connected  struct{ blocks, txs uint64 } // put on the tip since the start
	ready      []*entry                     // complete and not yet stored, parents first
	doomed     []*entry                     // condemned and not yet stored as such, parents first
	candidates map[chain.Hash]*entry        // complete and heavier than the tip when they became so

	orphans aside // blocks whose parent is unknown
	later   aside // blocks whose time has not come
	partial map[chain.Hash]*partial
	loose   []looseTx               // transactions whose coin is unknown
	paths   map[chain.Hash][]*entry // what heads still miss, oldest first; the beginning of it
	flight  map[chain.Hash]*entry   // bodies asked for
	usual   int                     // bytes of a body, going by those that came lately
	side    int                     // bytes of bodies off the best chain
	low     uint64                  // height below which memory was thinned out
	most    int                     // entries in memory, at the most
	hand    int                     // bytes of bodies in hand, at the most

	list    listing // of the pool
	told    listing // of ends
	peers   map[Peer]*peer
	join    joining
	counter uint64
	sights  sights
	reorgs  []Reorg
	reorged uint64 // reorganisations in all
	stats   ReorgStats
	ruled   map[chain.Hash]bool // blocks that a person ruled out
}

// New makes a node on what the store remembers. If a crash cut a reorganisation
// short, it is finished here.
func New(now chain.Time, cfg Config) (*Node, error) {
	if cfg.Params == nil || cfg.Store == nil {
		return nil, errors.New("node: params and store are needed")
	}
	cfg.Window = cmp.Or(cfg.Window, window)
	recent, err := cfg.Store.Recent(int(cfg.Window))
	if err != nil {
		return nil, fmt.Errorf("read the recent blocks: %w", err)
	}
	tip, err := cfg.Store.Tip()
	if err != nil {
		return nil, fmt.Errorf("read the tip: %w", err)
	}
	n := &Node{
		p: cfg.Params, cfg: cfg, tree: newTree(cfg.Store, recent), pool: mempool.New(cfg.Pool), most: maxEntries, hand: maxInHand, usual: cfg.Params.MaxBlock,
		partial: map[chain.Hash]*partial{}, paths: map[chain.Hash][]*entry{}, flight: map[chain.Hash]*entry{},
		peers: map[Peer]*peer{}, candidates: map[chain.Hash]*entry{}, ruled: map[chain.Hash]bool{},
	}
	if n.tip, err = n.tree.known(tip.State.ID); err != nil {
		return nil, err
	}
	n.low = n.tip.State.Height - min(n.tip.State.Height, cfg.Window)
	n.recount()
	var out Outcome
	if err := n.ruleOut(now, cfg.RuledOut, &out); err != nil {
		return nil, err
	}
	if err := n.advance(now, &out); err != nil {
		return nil, err
	}
	return n, nil
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

// Leaves lists the ends of all branches held in memory, and the tip first; then
// by work, the heaviest first.
func (n *Node) Leaves() []Entry {
	var list []Entry
	for id, e := range n.tree.m {
		if len(e.children) == 0 && id != n.tip.id() {
			list = append(list, e.shown())
		}
	}
	slices.SortFunc(list, func(a, b Entry) int {
		return cmp.Or(b.State.Work.Cmp(a.State.Work), a.State.ID.Compare(b.State.ID))
	})
	return slices.Insert(list, 0, n.tip.Entry)
}

// Syncing tells whether a heavier branch is known whose bodies are still to
// come, and its height.
func (n *Node) Syncing() (height uint64, yes bool) {
	for _, e := range n.tree.heads {
		if e.heavier(n.tip) {
			yes = true
			height = max(height, e.State.Height)
		}
	}
	return height, yes
}

// Connected counts the blocks that were put on the tip since the start, and their
// transactions, coinbases excepted.
func (n *Node) Connected() (blocks, txs uint64) { return n.connected.blocks, n.connected.txs }

// Since leads from the block that a watcher last saw to the tip, in at most most
// steps, or all if most < 1. A block that was never ours gives ErrUnknown: start
// again at the genesis. The genesis itself is in no move.
func (n *Node) Since(last chain.Hash, most int) (Move, error) {
	e, err := n.tree.get(last)
	if err != nil {
		return Move{}, err
	}
	if e == nil || !e.whole() {
		return Move{}, ErrUnknown
	}
	var m Move
	for {
		best, err := n.tree.onBest(e)
		if err != nil {
			return Move{}, err
		}
		if best {
			break
		}
		m.Undone = append(m.Undone, e.id())
		if e, err = n.tree.known(e.parent()); err != nil {
			return Move{}, err
		}
	}
	err = n.applied(&m, e, most)
	return m, err
}

func (n *Node) applied(m *Move, at *entry, most int) error {
	for at.State.Height < n.tip.State.Height && (most < 1 || len(m.Applied) < most) {
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
	n.look(now)
	for _, a := range n.later.take(func(a arrival) bool { return n.arrived(now, a.header()) }) {
		if err := n.again(now, a, &out); err != nil {
			return out, err
		}
	}
	n.pool.Expire(now)
	out.Relay = append(out.Relay, n.pool.Due(now)...)
	out.Ask = append(out.Ask, n.lookAtPools(now)...)
	if err := n.chase(now, &out); err != nil {
		return out, err
	}
	if err := n.explore(now, &out); err != nil {
		return out, err
	}
	return out, n.fetch(now, &out)
}

// Header describes a block for converge.Tree: complete means that its body and
// those of all its ancestors are here.
func (n *Node) Header(id chain.Hash) (parent chain.Hash, height uint64, complete, ok bool) {
	e, ok := n.Entry(id)
	return e.Header.Prev, e.State.Height, e.Status == Complete, ok
}
