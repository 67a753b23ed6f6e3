package daemon

import (
	"fmt"
	"slices"
	"time"

	"cairn/chain"
	"cairn/converge"
	"cairn/mempool"
	"cairn/node"
	"cairn/p2p"
	"cairn/rpc"
)

// record is rpc.Record: the last hours, as this node lived them.
type record struct{ d *Daemon }

// Timeline tells what came behind a cursor.
func (r record) Timeline(cursor string) (rpc.Timeline, error) {
	c := r.d.chronicle
	t := rpc.Timeline{Now: r.d.cfg.Clock().UnixMilli(), Nodes: r.nodes()}
	var b, m, x uint64
	read, _ := fmt.Sscanf(cursor, c.life+".%d.%d.%d", &b, &m, &x)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.recall(t.Nodes)
	if t.Whole = read != 3 || !c.keeps(b, m, x); t.Whole {
		b, m, x = c.blocks.first, c.moves.first, c.txs.first
	}
	t.Cursor = fmt.Sprintf("%s.%d.%d.%d", c.life, c.blocks.next(), c.moves.next(), c.txs.next())
	t.First = b
	for _, n := range c.blocks.since(b) {
		t.Blocks = append(t.Blocks, rpc.TimelineBlock{ID: n.ID, Prev: n.Prev, Height: n.Height, Time: n.Time, Seen: int64(n.Seen)})
	}
	t.Moves = c.told(&t, m)
	for _, n := range c.txs.since(x) {
		t.Txs = append(t.Txs, rpc.TimelineTx{ID: n.ID, Seen: int64(n.Seen)})
	}
	return t, nil
}

const keptAgents = 1024

// recall fills in how nodes called themselves when they were connected. mu is held.
func (c *chronicle) recall(nodes []rpc.TimelineNode) {
	for i := range nodes {
		n := &nodes[i]
		if n.Agent == "" {
			n.Agent = c.agents[n.ID]
		} else if len(c.agents) < keptAgents {
			c.agents[n.ID] = n.Agent
		}
	}
}

// keeps tells whether nothing behind a cursor is forgotten.
func (c *chronicle) keeps(b, m, x uint64) bool {
	return b >= c.blocks.first && b <= c.blocks.next() && m >= c.moves.first && m <= c.moves.next() && x >= c.txs.first && x <= c.txs.next()
}

// told are the moves from a number on. Who moved and is not among the nodes of the
// timeline is added to them. mu is held.
func (c *chronicle) told(t *rpc.Timeline, from uint64) (moves []rpc.TimelineMove) {
	index := map[string]int{}
	for i, n := range t.Nodes {
		index[n.ID] = i
	}
	for _, m := range c.moves.since(from) {
		name := t.Nodes[0].ID
		if m.Who != node.Self {
			name = p2p.Name(m.Who)
		}
		i, known := index[name]
		if !known {
			i = len(t.Nodes)
			index[name] = i
			t.Nodes = append(t.Nodes, rpc.TimelineNode{ID: name})
		}
		block := int64(-1)
		if number, known := c.numbers[m.Tip]; known {
			block = int64(number)
		}
		moves = append(moves, rpc.TimelineMove{int64(m.At), int64(i), block})
	}
	return moves
}

// nodes are those that count: we, the connected peers, and whoever was asked for.
func (r record) nodes() []rpc.TimelineNode {
	list := []rpc.TimelineNode{{ID: p2p.Name(r.d.net.ID()), Agent: r.d.cfg.Network.Agent, Connected: true, Counted: true}}
	for _, p := range r.d.net.Peers() {
		list = append(list, rpc.TimelineNode{ID: p2p.Name(p.Peer), Agent: p.Agent, Connected: true, Counted: true, Ping: rpc.Seconds(p.Latency)})
	}
	for _, w := range r.d.net.Wanted() {
		name := p2p.Name(w.Peer)
		if w.Peer == "" {
			name = w.Addr
		}
		if !slices.ContainsFunc(list, func(n rpc.TimelineNode) bool { return n.ID == name }) {
			list = append(list, rpc.TimelineNode{ID: name, Counted: true})
		}
	}
	return list
}

// counted are the peers that count, for the loop.
func (d *Daemon) counted() []node.Peer {
	var list []node.Peer
	for _, w := range d.net.Wanted() {
		if w.Peer != d.net.ID() && !slices.Contains(list, w.Peer) {
			list = append(list, w.Peer)
		}
	}
	for _, p := range d.net.Peers() {
		if !slices.Contains(list, p.Peer) {
			list = append(list, p.Peer)
		}
	}
	return list
}

// Depths is the depth of a transaction under each of some tips, present or past.
func (r record) Depths(id chain.Hash, tips []chain.Hash) (rpc.TxDepths, error) {
	now, err := r.d.cfg.Store.Reader()
	if err != nil {
		return rpc.TxDepths{}, err
	}
	defer now.Close()
	s, err := r.d.find(now, id, tips...)
	if err != nil {
		return rpc.TxDepths{}, err
	}
	out := rpc.TxDepths{ID: id, Blocks: s.w.Blocks, Depths: make([]*int64, len(tips))}
	err = r.d.loop.look(r.d.life, func(chain.Time) {
		for i, tip := range tips {
			d := s.depth(r.d.loop.node, tip)
			out.Depths[i] = number(d)
			if d.Known && d.N == converge.Off {
				out.Conflict = named(d.By)
			}
		}
	})
	r.d.chronicle.mu.Lock()
	defer r.d.chronicle.mu.Unlock()
	out.Seen = int64(r.d.chronicle.seen[id])
	return out, err
}

// Reorgs are the reorganisations that are remembered, newest first.
func (r record) Reorgs() []rpc.ReorgRecord {
	past, _ := r.d.lived()
	slices.Reverse(past)
	return past
}

// Past tells when and from whom something came, and why it left the pool.
func (r record) Past(id chain.Hash) (p rpc.Past) {
	_ = r.d.loop.look(r.d.life, func(chain.Time) {
		n := r.d.loop.node
		if s, ok := n.Sight(id); ok && s.Time > r.d.revived {
			p.Seen = sighting(s)
		}
		if f, ok := n.Mempool().Fate(id); ok {
			p.Left = &rpc.StoryFate{At: int64(f.Time), TxFate: fatesOf([]mempool.Fate{f})[0]}
		}
	})
	if p.Seen != nil {
		return p
	}
	r.d.chronicle.mu.Lock()
	defer r.d.chronicle.mu.Unlock()
	if at, ok := r.d.chronicle.seen[id]; ok && at > 0 { // it came inside a block
		p.Seen = &rpc.Sighting{At: int64(at)}
	}
	return p
}

func sighting(s node.Sight) *rpc.Sighting {
	t := &rpc.Sighting{At: int64(s.Time), Own: s.From == node.Self}
	if !t.Own {
		t.From = p2p.Name(s.From)
	}
	return t
}

// What is told of when a depth was reached.
const (
	milestones  = 6
	mostReplays = 512 // tips that are looked at
)

// milestones tells when the counted nodes came to have a transaction so deep: all
// of them, and a quorum, each since it stayed so.
func (a agreement) milestones(s *search, id chain.Hash, v *view) error {
	c := a.d.chronicle
	c.mu.Lock()
	since, known := c.seen[id]
	moves := slices.Clone(c.moves.since(c.moves.first))
	c.mu.Unlock()
	if !known {
		return nil
	}
	at := int64(since)
	v.out.Seen, v.out.SinceSeen = &at, seconds(chain.Time(a.d.cfg.Clock().UnixMilli())-since)
	depths, err := a.depthsUnder(s, tipsOf(moves, since))
	if err != nil {
		return err
	}
	v.out.Reached = replay(moves, since, append(a.d.counted(), node.Self), depths)
	return nil
}

// tipsOf lists the tips that anybody followed since a time.
func tipsOf(moves []moveNote, since chain.Time) (tips []chain.Hash) {
	listed := map[chain.Hash]bool{{}: true}
	add := func(id chain.Hash) {
		if !listed[id] && len(tips) < mostReplays {
			listed[id] = true
			tips = append(tips, id)
		}
	}
	before := map[node.Peer]chain.Hash{}
	for _, m := range moves {
		if m.At < since {
			before[m.Who] = m.Tip
			continue
		}
		add(m.Tip)
	}
	for _, tip := range before {
		add(tip)
	}
	return tips
}

func (a agreement) depthsUnder(s *search, tips []chain.Hash) (map[chain.Hash]converge.Depth, error) {
	depths := map[chain.Hash]converge.Depth{}
	err := a.d.loop.look(a.d.life, func(chain.Time) {
		for _, tip := range tips {
			s.tips[tip] = true // what it does not hold is told by its body: conflicts do not matter here
			depths[tip] = s.depth(a.d.loop.node, tip)
		}
	})
	return depths, err
}

// replay goes through the moves, and notes since when the nodes have each depth.
// Silence of a node does not undo what it had reached, another branch does.
func replay(moves []moveNote, since chain.Time, who []node.Peer, depths map[chain.Hash]converge.Depth) []rpc.Milestone {
	var all, quorum [milestones + 1]chain.Time
	follows := map[node.Peer]chain.Hash{}
	for i, m := range moves {
		follows[m.Who] = m.Tip
		if m.At < since || i+1 < len(moves) && moves[i+1].At == m.At {
			continue
		}
		have := make([]converge.Row, len(who))
		for j, p := range who {
			have[j] = converge.Row{Fresh: true, Depth: depths[follows[p]]}
		}
		for d := int64(1); d <= milestones; d++ {
			note(&all[d], m.At, have, d, converge.All)
			note(&quorum[d], m.At, have, d, converge.Quorum)
		}
	}
	var list []rpc.Milestone
	for d := 1; d <= milestones && all[d]+quorum[d] > 0; d++ {
		list = append(list, rpc.Milestone{Depth: d, All: after(all[d], since), Quorum: after(quorum[d], since)})
	}
	return list
}

func note(when *chain.Time, at chain.Time, rows []converge.Row, depth int64, who converge.Who) {
	switch lost := slices.ContainsFunc(rows, func(r converge.Row) bool { return r.Depth.Known && r.Depth.N < depth }); {
	case converge.Agreed(rows, depth, who).Yes:
		if *when == 0 {
			*when = at
		}
	case lost:
		*when = 0
	}
}

func after(at, since chain.Time) *rpc.Seconds {
	if at == 0 {
		return nil
	}
	s := rpc.Seconds(time.Duration(at-since) * time.Millisecond)
	return &s
}
