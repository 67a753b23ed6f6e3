package daemon

import (
	"slices"
	"time"

	"cairn/chain"
	"cairn/mempool"
	"cairn/node"
	"cairn/p2p"
	"cairn/rpc"
)

const (
	newsDelay = 20 * time.Millisecond // one look serves all that happened in so long
	maxNews   = 500                   // changes, and blocks, of one look
	maxWalk   = 10_000                // blocks between two reorganisations that are told one by one
)

// herald looks into the journals and tells what is new. Only its goroutine, and
// the loop on its behalf, touch it.
type herald struct {
	tip     chain.Hash // the best chain's end as the watchers know it
	reorgs  uint64     // the next one to tell
	changes uint64     // of the pool, likewise
	claims  map[node.Peer]chain.Hash
	lived   []node.Reorg // that the last look found
}

func newHerald(n *node.Node) herald {
	_, next := n.Reorgs(0)
	return herald{tip: n.Best().ID, reorgs: next, changes: n.Mempool().Seq(), claims: map[node.Peer]chain.Hash{}}
}

// proclaim tells all watchers what the node does.
func (d *Daemon) proclaim() {
	for {
		select {
		case <-d.life.Done():
			return
		case <-d.news:
		}
		if !d.pause(newsDelay) {
			return
		}
		var list []rpc.Event
		var more bool
		counted := d.counted()
		err := d.loop.do(d.life, func(now chain.Time) {
			list, more = d.herald.look(d.loop.node)
			d.chronicle.watch(now, d.loop.node, counted)
			d.story.note(d.herald.lived)
		})
		if err != nil {
			return
		}
		d.remember(list)
		d.keepStory()
		d.meter.tell(list)
		d.told.Tell(list...)
		if more {
			signal(d.news)
		}
	}
}

// look collects what is new: blocks first, for they are why transactions leave.
// While blocks are left for the next look, transactions wait for it too.
func (h *herald) look(n *node.Node) (list []rpc.Event, more bool) {
	list = h.lookBack(n, list)
	list, more = h.lookUp(n, list)
	if more {
		return list, true
	}
	changes, next, gap := n.Mempool().Since(h.changes, maxNews)
	h.changes = next
	if gap {
		list = append(list, gapOf("the pool changed faster than its events could be told: read it again"))
	}
	for _, c := range changes {
		list = append(list, changeOf(c))
	}
	return h.lookAround(n, list), next < n.Mempool().Seq()
}

func gapOf(why string) rpc.Event {
	return rpc.Event{Name: rpc.EventGap, Value: rpc.GapEvent{Why: why}}
}

// lookBack tells of reorganisations, each with the blocks on the way to it. Where
// that way is forgotten, lookUp leads on.
func (h *herald) lookBack(n *node.Node, list []rpc.Event) []rpc.Event {
	reorgs, next := n.Reorgs(h.reorgs)
	h.reorgs, h.lived = next, reorgs
	for _, r := range reorgs {
		if way, ok := h.way(n, r.From.ID); ok {
			list = connected(n, list, way)
			list = disconnected(n, list, r.Undone)
			list = connected(n, list, r.Applied)
			h.tip = r.To.ID
		}
		list = append(list, rpc.Event{Name: rpc.EventReorg, Value: reorgOf(r)})
	}
	return list
}

// way leads from the told tip to a block that builds on it, oldest first.
func (h *herald) way(n *node.Node, to chain.Hash) (way []chain.Hash, ok bool) {
	for at := to; len(way) < maxWalk; {
		if at == h.tip {
			slices.Reverse(way)
			return way, true
		}
		e, ok := n.Entry(at)
		if !ok || e.State.Height == 0 {
			return nil, false
		}
		way, at = append(way, at), e.Header.Prev
	}
	return nil, false
}

// lookUp tells of the blocks from the told tip to the node's.
func (h *herald) lookUp(n *node.Node, list []rpc.Event) ([]rpc.Event, bool) {
	move, err := n.Since(h.tip, maxNews)
	if err != nil {
		h.tip = n.Best().ID
		return append(list, gapOf("the way to the best chain is not known any more: read it again")), false
	}
	list = disconnected(n, list, move.Undone)
	list = connected(n, list, move.Applied)
	h.tip = move.Tip.ID
	return list, move.More
}

func connected(n *node.Node, list []rpc.Event, ids []chain.Hash) []rpc.Event {
	return blocks(n, list, rpc.EventConnected, ids)
}

func disconnected(n *node.Node, list []rpc.Event, ids []chain.Hash) []rpc.Event {
	return blocks(n, list, rpc.EventDisconnected, ids)
}

func blocks(n *node.Node, list []rpc.Event, name string, ids []chain.Hash) []rpc.Event {
	for _, id := range ids {
		if e, ok := n.Entry(id); ok {
			list = append(list, rpc.Event{Name: name, Value: rpc.BlockEvent{ID: id, Height: e.State.Height, Prev: e.Header.Prev, Time: e.State.Time}})
		}
	}
	return list
}

// lookAround tells which peers follow another tip than before.
func (h *herald) lookAround(n *node.Node, list []rpc.Event) []rpc.Event {
	claims := n.Claims()
	known := make(map[node.Peer]chain.Hash, len(claims))
	for _, c := range claims {
		id := c.Header.ID()
		known[c.Peer] = id
		if h.claims[c.Peer] != id {
			list = append(list, rpc.Event{Name: rpc.EventTip, Value: rpc.TipEvent{Peer: p2p.Name(c.Peer), ID: id, Height: c.Height}})
		}
	}
	h.claims = known
	return list
}

func reorgOf(r node.Reorg) rpc.ReorgEvent {
	e := rpc.ReorgEvent{
		Depth: len(r.Undone), Ancestor: rpc.BlockName{ID: r.Fork.ID, Height: r.Fork.Height},
		Undone: r.Undone, Applied: r.Applied, More: max(0, len(r.Fates)-rpc.MaxFates),
	}
	if e.Applied == nil {
		e.Applied = []chain.Hash{} // a branch was ruled out
	}
	e.Txs = fatesOf(r.Fates[:len(r.Fates)-e.More])
	return e
}

func fatesOf(fates []mempool.Fate) []rpc.TxFate {
	list := []rpc.TxFate{}
	for _, f := range fates {
		fate := rpc.TxFate{ID: f.Tx.ID(), Fate: string(f.Reason), By: named(f.By), Block: named(f.Block)}
		if f.Why != nil {
			fate.Why = f.Why.Error()
		}
		list = append(list, fate)
	}
	return list
}

func changeOf(c mempool.Change) rpc.Event {
	name := rpc.EventRemoved
	if c.Reason == mempool.Added || c.Reason == mempool.Returned {
		name = rpc.EventAccepted
	}
	return rpc.Event{Name: name, Value: rpc.TxEvent{
		ID: c.ID, Size: c.Bytes, Fee: rpc.Amount(c.Fee), Reason: string(c.Reason), By: named(c.By), Block: named(c.Block),
	}}
}

// named is nil for the id that names nothing.
func named(id chain.Hash) *chain.Hash {
	if id == (chain.Hash{}) {
		return nil
	}
	return &id
}
