package daemon

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cairn/chain"
	"cairn/converge"
	"cairn/mempool"
	"cairn/node"
	"cairn/p2p"
	"cairn/rpc"
)

const (
	fresh     = 30 * time.Second // how old a claim may be that counts
	maxFamily = 256              // ancestors that are searched for conflicts
)

// places collects where a transaction stands, on all branches.
type places struct {
	d    *Daemon
	w    converge.Where
	seen map[chain.Hash]bool
}

// where finds the blocks that hold a transaction or confirm a conflicting spend.
// A transaction that no block, pool or memory holds is node.ErrUnknown.
func (d *Daemon) where(ctx context.Context, id chain.Hash) (converge.Where, error) {
	blocks, err := d.cfg.Store.TxBlocks(id)
	if err != nil {
		return converge.Where{}, err
	}
	tx, err := d.findTx(ctx, id, blocks)
	if err != nil {
		return converge.Where{}, err
	}
	p := places{d: d, w: converge.Where{Blocks: blocks}, seen: map[chain.Hash]bool{}}
	return p.w, p.conflicts(ctx, id, tx)
}

// conflicts looks for other spends of the transaction's coins, and of those of
// the transactions that made them: what a branch rules out, it rules out with
// all that builds on it.
func (p *places) conflicts(ctx context.Context, id chain.Hash, tx *chain.Tx) error {
	if tx == nil || p.seen[id] || len(p.seen) >= maxFamily {
		return nil
	}
	p.seen[id] = true
	for i := range tx.Inputs {
		prev := tx.Inputs[i].Prev
		if err := p.rivals(id, prev); err != nil {
			return err
		}
		blocks, err := p.d.cfg.Store.TxBlocks(prev.Tx)
		if err != nil {
			return err
		}
		parent, err := p.d.findTx(ctx, prev.Tx, blocks)
		if errors.Is(err, node.ErrUnknown) {
			continue
		}
		if err != nil {
			return err
		}
		if err := p.conflicts(ctx, prev.Tx, parent); err != nil {
			return err
		}
	}
	return nil
}

func (p *places) rivals(id chain.Hash, coin chain.OutPoint) error {
	spenders, err := p.d.cfg.Store.Spenders(coin)
	if err != nil {
		return err
	}
	for _, by := range spenders {
		if by == id {
			continue
		}
		blocks, err := p.d.cfg.Store.TxBlocks(by)
		if err != nil {
			return err
		}
		for _, b := range blocks {
			p.w.Conflicts = append(p.w.Conflicts, converge.Conflict{Block: b, By: by})
		}
	}
	return nil
}

// findTx finds a transaction in the blocks, the pool, or the memory of what left
// it. A coinbase is found as nil.
func (d *Daemon) findTx(ctx context.Context, id chain.Hash, blocks []chain.Hash) (*chain.Tx, error) {
	if len(blocks) > 0 {
		return d.txIn(blocks[0], id)
	}
	var tx *chain.Tx
	err := d.loop.do(ctx, func(chain.Time) {
		pool := d.loop.node.Mempool()
		if e, ok := pool.Get(id); ok {
			tx = e.Tx.Tx()
		} else if f, ok := pool.Fate(id); ok {
			tx = f.Tx.Tx()
		}
	})
	if err == nil && tx == nil {
		err = node.ErrUnknown
	}
	return tx, err
}

func (d *Daemon) txIn(block, id chain.Hash) (*chain.Tx, error) {
	b, err := d.cfg.Store.Body(block)
	if err != nil {
		return nil, err
	}
	for _, t := range b.Txs() {
		if t.ID() == id {
			return t.Tx(), nil
		}
	}
	return nil, nil
}

// agreement is rpc.Convergence: the depth on every node, seen from this one.
type agreement struct{ d *Daemon }

// Tx is the depth of a transaction.
func (a agreement) Tx(id chain.Hash) (rpc.Agreement, error) {
	ctx := a.d.life
	w, err := a.d.where(ctx, id)
	if err != nil {
		return rpc.Agreement{}, err
	}
	out, err := a.rows(ctx, func(n *node.Node, tip chain.Hash) converge.Depth { return converge.OfTx(n, tip, w) })
	if err != nil {
		return out, err
	}
	return out, a.explain(ctx, id, w, &out)
}

// Block is the depth of a block.
func (a agreement) Block(id chain.Hash) (rpc.Agreement, error) {
	var known bool
	err := a.d.loop.do(a.d.life, func(chain.Time) { _, known = a.d.loop.node.Entry(id) })
	if err != nil {
		return rpc.Agreement{}, err
	}
	if !known {
		return rpc.Agreement{}, node.ErrUnknown
	}
	return a.rows(a.d.life, func(n *node.Node, tip chain.Hash) converge.Depth { return converge.OfBlock(n, tip, id) })
}

func (a agreement) rows(ctx context.Context, depth func(*node.Node, chain.Hash) converge.Depth) (rpc.Agreement, error) {
	var out rpc.Agreement
	var rows []converge.Row
	connected := a.d.connected()
	err := a.d.loop.do(ctx, func(now chain.Time) {
		n := a.d.loop.node
		own := depth(n, n.Best().ID)
		out.Self = a.self(n, own)
		rows = append(rows, converge.Row{Name: out.Self.Peer, Fresh: true, Depth: own})
		for _, c := range n.Claims() {
			d := depth(n, c.Header.ID())
			o := a.opinion(c, now, d, connected)
			out.Peers = append(out.Peers, o)
			if o.Counted {
				rows = append(rows, converge.Row{Name: o.Peer, Fresh: time.Duration(o.Age) < fresh, Depth: d})
			}
			delete(connected, c.Peer)
		}
	})
	for name, agent := range connected { // silent so far: not yet
		o := rpc.Opinion{Peer: p2p.Name(name), Agent: agent, Connected: true, Counted: true}
		out.Peers = append(out.Peers, o)
		rows = append(rows, converge.Row{Name: o.Peer})
	}
	sum := converge.Summarize(rows)
	out.Counted, out.All, out.Quorum = len(rows), number(sum.All), number(sum.Quorum)
	out.Reason = sum.Note
	return out, err
}

func number(d converge.Depth) *int64 {
	if !d.Known {
		return nil
	}
	return &d.N
}

func (a agreement) self(n *node.Node, d converge.Depth) rpc.Opinion {
	tip := n.Best()
	return rpc.Opinion{
		Peer: p2p.Name(a.d.net.ID()), Agent: a.d.cfg.Network.Agent, Connected: true, Counted: true,
		Tip: &tip.ID, Height: tip.Height, Depth: number(d),
	}
}

func (a agreement) opinion(c node.Claim, now chain.Time, d converge.Depth, connected map[node.Peer]string) rpc.Opinion {
	tip := c.Header.ID()
	agent, here := connected[c.Peer]
	return rpc.Opinion{
		Peer: p2p.Name(c.Peer), Agent: agent, Connected: here, Counted: here,
		Tip: &tip, Height: c.Height, Depth: number(d),
		Age: rpc.Seconds(time.Duration(now-c.Seen) * time.Millisecond),
	}
}

// connected are our peers and their programs.
func (d *Daemon) connected() map[node.Peer]string {
	peers := map[node.Peer]string{}
	for _, p := range d.net.Peers() {
		peers[p.Peer] = p.Agent
	}
	return peers
}

// explain says why a transaction is ruled out, or waits.
func (a agreement) explain(ctx context.Context, id chain.Hash, w converge.Where, out *rpc.Agreement) error {
	return a.d.loop.do(ctx, func(chain.Time) {
		n := a.d.loop.node
		depth := converge.OfTx(n, n.Best().ID, w)
		if depth.Known && depth.N == converge.Off {
			out.Conflict = &depth.By
			out.Reason = fmt.Sprintf("block %v confirms %v, which spends the same coin", depth.Block, depth.By)
			return
		}
		if f, ok := n.Mempool().Fate(id); ok && depth.Known && depth.N == 0 {
			out.Reason = describe(f)
		}
	})
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
