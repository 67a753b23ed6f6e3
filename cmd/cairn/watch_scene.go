package main

import (
	"context"
	"slices"
	"time"

	"cairn/chain"
	"cairn/converge"
	"cairn/rpc"
)

const maxShown = 24 // transactions on the screen where none is named

// scene is all that the screen draws, as it was at one moment. Strangers' words in
// it are clean.
type scene struct {
	At         time.Time
	Network    string
	Tip        chain.Hash
	Height     uint64
	Headers    uint64  // of the heaviest branch known
	Waiting    int     // transactions in the pool
	Hashrate   uint64  // a second, of the nodes that we ask
	Found      uint64  // blocks that they found
	Expected   float64 // seconds until they find another, on average; 0 if they do not search
	NetRate    float64
	Difficulty float64
	Spacing    time.Duration // between blocks, that the difficulty aims at
	Reorgs     rpc.Reorgs
	Nodes      []sceneNode // the one that we ask first
	Txs        []sceneTx
	Tree       forkTree
}

// depths are those of every transaction.
func (s *scene) depths() (list [][]converge.Row) {
	for _, tx := range s.Txs {
		list = append(list, tx.Depths)
	}
	return list
}

// sceneNode is a node and the tip that it follows.
type sceneNode struct {
	Key    string // its name in a sceneTx
	Name   string // as the screen shows it
	Height uint64
	Tip    *chain.Hash
	Age    time.Duration // of what we know of it; 0 if it told us just now
	Note   string
}

// sceneTx is a transaction and its depth on every node that is counted.
type sceneTx struct {
	ID       chain.Hash
	Depths   []converge.Row
	Reason   string
	Conflict *chain.Hash
}

// on is the depth on a node, and whether that is known lately.
func (tx *sceneTx) on(key string) (d converge.Depth, fresh bool) {
	for _, r := range tx.Depths {
		if r.Name == key {
			return r.Depth, r.Fresh
		}
	}
	return d, true
}

// here is the depth on the node that we ask.
func (tx *sceneTx) here() converge.Depth {
	if len(tx.Depths) == 0 {
		return converge.Depth{}
	}
	return tx.Depths[0].Depth
}

// settled tells whether nobody will look at it again.
func (tx *sceneTx) settled() bool {
	return converge.Agreed(tx.Depths, settled, converge.All).Yes || tx.here() == converge.Depth{N: converge.Off, Known: true}
}

// looker takes one look after the other, and never two at once. It follows the
// transactions named here beside its own.
type looker interface {
	look(ctx context.Context, also []chain.Hash) (*scene, error)
}

// nodeLooker sees all through one node.
type nodeLooker struct {
	dial  func() (*rpc.Client, error)
	node  *rpc.Client // nil until it is called, and after it failed: it may come back elsewhere
	rules *chain.Params
	tree  arborist
	pool  follower
}

func (l *nodeLooker) look(ctx context.Context, also []chain.Hash) (*scene, error) {
	s, err := l.try(ctx, also)
	if err != nil {
		l.node = nil
	}
	return s, err
}

func (l *nodeLooker) try(ctx context.Context, also []chain.Hash) (s *scene, err error) {
	if l.node == nil {
		if l.node, err = l.dial(); err != nil {
			return nil, err
		}
		if l.rules, err = l.node.Network(ctx); err != nil {
			return nil, err
		}
	}
	tips, err := ask[rpc.ConvergenceInfo](ctx, l.node, "getconvergence")
	if err != nil {
		return nil, err
	}
	s = &scene{Tip: tips.ID, Height: tips.Self.Height, Nodes: sceneNodes(&tips.Agreement)}
	if err := s.glance(ctx, l.node, l.rules); err != nil {
		return nil, err
	}
	var claimed []claim
	for _, n := range s.Nodes {
		if n.Tip != nil {
			claimed = append(claimed, claim{*n.Tip, l.node})
		}
	}
	if s.Tree, err = l.tree.look(ctx, l.node, claimed); err != nil {
		return nil, err
	}
	s.settle(0)
	s.Txs, err = l.txs(ctx, s, also)
	s.At = time.Now()
	return s, err
}

// settle makes the tree's tip the scene's: a block may have come since we asked the
// node for its tip.
func (s *scene) settle(node int) {
	best, ok := s.Tree.Blocks[s.Tree.Best]
	if !ok {
		return
	}
	s.Tip, s.Height = s.Tree.Best, best.Height
	s.Nodes[node].Tip, s.Nodes[node].Height = &s.Tree.Best, best.Height
}

// glance fills in what there is to say of the network and of one node's work.
func (s *scene) glance(ctx context.Context, node *rpc.Client, rules *chain.Params) error {
	mining, err := ask[rpc.MiningInfo](ctx, node, "getmininginfo")
	if err != nil {
		return err
	}
	status, err := ask[rpc.Status](ctx, node, "getstatus")
	if err != nil {
		return err
	}
	s.Network, s.Spacing = rpc.Clean(rules.Name), time.Duration(rules.Spacing)*time.Second
	s.Hashrate, s.NetRate, s.Difficulty = mining.Rate, mining.NetworkRate, mining.Difficulty
	s.Found, s.Expected = mining.Mining.Found, mining.Mining.Expected
	s.Headers, s.Waiting, s.Reorgs = status.Headers, status.Pool.Count, status.Reorgs
	return nil
}

// sceneNodes are the nodes that count.
func sceneNodes(a *rpc.Agreement) []sceneNode {
	list := []sceneNode{sceneOf(a.Self)}
	list[0].Name, list[0].Age = "this node", 0
	for _, o := range a.Peers {
		if o.Counted {
			list = append(list, sceneOf(o))
		}
	}
	return list
}

func sceneOf(o rpc.Opinion) sceneNode {
	n := sceneNode{
		Key: rpc.Clean(o.Peer), Name: shortPeer(o.Peer), Height: o.Height, Tip: o.Tip,
		Age: time.Duration(o.Age), Note: rpc.Clean(o.Agent),
	}
	if !o.Connected {
		n.Note = "not connected"
	}
	return n
}

// txs asks for the depth of what is followed.
func (l *nodeLooker) txs(ctx context.Context, s *scene, also []chain.Hash) (list []sceneTx, err error) {
	waiting, err := ask[[]chain.Hash](ctx, l.node, "getrawmempool")
	if err != nil {
		return nil, err
	}
	for _, id := range l.pool.follow(waiting, also) {
		tx, err := txThrough(ctx, l.node, id)
		switch {
		case err != nil && !absent(err):
			return nil, err
		case err != nil && l.pool.named:
			list = append(list, sceneTx{ID: id, Depths: strangers(s.Nodes)})
		case err == nil:
			list = append(list, *tx)
		}
	}
	return l.pool.learn(list), nil
}

// strangers are the rows of what no node is known to have seen.
func strangers(nodes []sceneNode) []converge.Row {
	rows := make([]converge.Row, len(nodes))
	for i, n := range nodes {
		rows[i] = converge.Row{Name: n.Key, Fresh: true}
	}
	return rows
}

func txThrough(ctx context.Context, node *rpc.Client, id chain.Hash) (*sceneTx, error) {
	info, err := ask[rpc.ConvergenceInfo](ctx, node, "getconvergence", id)
	if err != nil {
		return nil, err
	}
	return &sceneTx{ID: id, Depths: counted(info.Agreement), Reason: why(&info), Conflict: info.Conflict}, nil
}

// follower picks the transactions that the screen shows.
type follower struct {
	named   bool // by the caller: no others are followed
	ids     []chain.Hash
	settled map[chain.Hash]bool
}

// follow takes up what is asked for and what waits. Where it is too much, what is
// settled makes room, the oldest first.
func (f *follower) follow(waiting, also []chain.Hash) []chain.Hash {
	if f.named {
		waiting = nil
	}
	for _, id := range slices.Concat(also, waiting) {
		if slices.Contains(f.ids, id) {
			continue
		}
		if len(f.ids) >= maxShown && !f.makeRoom() {
			break
		}
		f.ids = append(f.ids, id)
	}
	return f.ids
}

func (f *follower) makeRoom() bool {
	i := slices.IndexFunc(f.ids, func(id chain.Hash) bool { return f.settled[id] })
	if i < 0 {
		return false
	}
	f.ids = slices.Delete(f.ids, i, i+1)
	return true
}

// learn notes what is settled, and lets go of what no node knows any more. It
// returns what the screen shows: where nothing is named, the newest on top.
func (f *follower) learn(txs []sceneTx) []sceneTx {
	f.settled = map[chain.Hash]bool{}
	f.ids = nil
	for i := range txs {
		f.ids = append(f.ids, txs[i].ID)
		f.settled[txs[i].ID] = txs[i].settled()
	}
	if !f.named {
		slices.Reverse(txs)
	}
	return txs
}
