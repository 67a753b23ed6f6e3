package daemon

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"cairn/chain"
	"cairn/converge"
	"cairn/mempool"
	"cairn/node"
	"cairn/p2p"
	"cairn/rpc"
	"cairn/store"
)

// agreement is rpc.Convergence: the depth on every node, seen from this one.
type agreement struct{ d *Daemon }

// depthOf is the depth of something under a tip. It is called in the loop.
type depthOf func(n *node.Node, tip chain.Hash) converge.Depth

// Tx is the depth of a transaction.
func (a agreement) Tx(id chain.Hash) (rpc.Agreement, error) {
	now, err := a.d.cfg.Store.Reader()
	if err != nil {
		return rpc.Agreement{}, err
	}
	defer now.Close()
	s, err := a.d.find(now, id)
	if err != nil {
		return rpc.Agreement{}, err
	}
	v := a.view()
	if err := a.look(now, &v, s.depth, func(n *node.Node) { v.explain(n, id) }); err != nil {
		return rpc.Agreement{}, err
	}
	err = a.milestones(s, id, &v)
	return v.sum(), err
}

// Block is the depth of a block.
func (a agreement) Block(id chain.Hash) (rpc.Agreement, error) {
	now, err := a.d.cfg.Store.Reader()
	if err != nil {
		return rpc.Agreement{}, err
	}
	defer now.Close()
	v, found := a.view(), false
	depth := func(n *node.Node, tip chain.Hash) converge.Depth { return converge.OfBlock(n, tip, id) }
	err = a.look(now, &v, depth, func(n *node.Node) { _, found = n.Entry(id) })
	if err == nil && !found {
		err = node.ErrUnknown
	}
	if err != nil {
		return rpc.Agreement{}, err
	}
	return v.sum(), nil
}

// look fills a view in, in the loop.
func (a agreement) look(at *store.Reader, v *view, depth depthOf, then func(*node.Node)) error {
	tip, err := at.Tip()
	if err != nil {
		return err
	}
	return a.d.loop.look(a.d.life, func(now chain.Time) {
		n := a.d.loop.node
		v.ours(tip.State, depth(n, tip.State.ID))
		for _, c := range n.Claims() {
			v.theirs(c, now, depth(n, c.Header.ID()))
		}
		then(n)
	})
}

// view is what one look from here shows.
type view struct {
	out  rpc.Agreement
	rows []converge.Row
	own  converge.Depth
	who  map[node.Peer]rpc.Opinion // whose depth counts, and is still to come
	lost []string                  // addresses that were asked for, where nobody answered yet
}

// view begins with who counts: we, every connected peer, and whoever the operator
// asked for, up or down.
func (a agreement) view() view {
	me := a.d.net.ID()
	v := view{who: map[node.Peer]rpc.Opinion{}}
	v.out.Self = rpc.Opinion{Peer: p2p.Name(me), Agent: a.d.cfg.Network.Agent, Connected: true, Counted: true}
	for _, w := range a.d.net.Wanted() {
		switch w.Peer {
		case me:
		case "":
			v.lost = append(v.lost, w.Addr)
		default:
			v.who[w.Peer] = rpc.Opinion{Peer: p2p.Name(w.Peer), Counted: true}
		}
	}
	for _, p := range a.d.net.Peers() {
		v.who[p.Peer] = rpc.Opinion{Peer: p2p.Name(p.Peer), Agent: p.Agent, Connected: true, Counted: true}
	}
	return v
}

func (v *view) ours(tip chain.State, d converge.Depth) {
	v.own = d
	v.out.Self.Tip, v.out.Self.Height, v.out.Self.Depth = &tip.ID, tip.Height, number(d)
	v.rows = append(v.rows, converge.Row{Name: v.out.Self.Peer, Fresh: true, Depth: d})
}

func (v *view) theirs(c node.Claim, now chain.Time, d converge.Depth) {
	o, counts := v.who[c.Peer]
	delete(v.who, c.Peer)
	o.Peer = p2p.Name(c.Peer)
	tip := c.Header.ID()
	o.Tip, o.Height, o.Depth, o.Age = &tip, c.Height, number(d), seconds(now-c.Seen)
	v.out.Peers = append(v.out.Peers, o)
	if counts {
		v.rows = append(v.rows, converge.Row{Name: o.Peer, Fresh: time.Duration(o.Age) < converge.Fresh, Depth: d})
	}
}

// sum adds those who said nothing, which count as not yet, and sums up.
func (v *view) sum() rpc.Agreement {
	for _, addr := range v.lost {
		v.silent(rpc.Opinion{Peer: addr, Counted: true})
	}
	for _, o := range v.who {
		v.silent(o)
	}
	slices.SortFunc(v.out.Peers, func(a, b rpc.Opinion) int { return cmp.Compare(a.Peer, b.Peer) })
	sum := converge.Summarize(v.rows)
	v.out.Counted, v.out.All, v.out.Quorum = len(v.rows), number(sum.All), number(sum.Quorum)
	v.out.Reason = cmp.Or(v.out.Reason, sum.Note)
	return v.out
}

func (v *view) silent(o rpc.Opinion) {
	v.out.Peers = append(v.out.Peers, o)
	v.rows = append(v.rows, converge.Row{Name: o.Peer})
}

func number(d converge.Depth) *int64 {
	if !d.Known {
		return nil
	}
	return &d.N
}

// explain says why a transaction is ruled out, or waits.
func (v *view) explain(n *node.Node, id chain.Hash) {
	if !v.own.Known {
		return
	}
	if v.own.N == converge.Off {
		v.out.Conflict = &v.own.By
		v.out.Reason = fmt.Sprintf("block %v confirms %v, which spends the same coin", v.own.Block, v.own.By)
		return
	}
	if f, ok := n.Mempool().Fate(id); ok && v.own.N == 0 {
		v.out.Reason = describe(f)
	}
}

// describe puts a fate into words.
func describe(f mempool.Fate) string {
	switch f.Reason {
	case mempool.Replaced:
		return fmt.Sprintf("replaced by %v, which pays more for the same coin", f.By)
	case mempool.Conflicted:
		return fmt.Sprintf("block %v confirms %v, which spends the same coin", f.Block, f.By)
	case mempool.Evicted:
		return "pushed out of the full pool by transactions that pay more"
	case mempool.Expired:
		return "it waited too long"
	case mempool.Dropped:
		return fmt.Sprintf("it cannot be confirmed any more: %v", f.Why)
	}
	return string(f.Reason)
}
