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
	c.catchUp()
	c.recall(t.Nodes)
	if t.Whole = read != 3 || !c.keeps(b, m, x); t.Whole {
		b, m, x = c.blocks.first, c.moves.first, c.txs.first
	}
	t.Cursor = fmt.Sprintf("%s.%d.%d.%d", c.life, c.blocks.next(), c.moves.next(), c.txs.next())
	t.First = b
	blocks, moves, txs := slices.Clone(c.blocks.since(b)), slices.Clone(c.moves.since(m)), slices.Clone(c.txs.since(x))
	tips := make([]int64, len(moves))
	for i, m := range moves {
		tips[i] = c.numberOf(m.Tip)
	}
	c.mu.Unlock() // the loop waits for it: what follows takes longer
	for _, n := range blocks {
		t.Blocks = append(t.Blocks, rpc.TimelineBlock{ID: n.ID, Prev: n.Prev, Height: n.Height, Time: n.Time, Seen: int64(n.Seen)})
	}
	for _, n := range txs {
		t.Txs = append(t.Txs, rpc.TimelineTx{ID: n.ID, Seen: int64(n.Seen)})
	}
	tell(&t, moves, tips)
	return t, nil
}

// numberOf is a block's number, −1 if it is not kept. mu is held.
func (c *chronicle) numberOf(id chain.Hash) int64 {
	if number, known := c.numbers[id]; known {
		return int64(number)
	}
	return -1
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

// tell adds moves, and who moved and is not among the nodes yet.
func tell(t *rpc.Timeline, moves []moveNote, tips []int64) {
	index, byName := map[node.Peer]int{node.Self: 0}, map[string]int{}
	for i, n := range t.Nodes {
		byName[n.ID] = i
	}
	for i, m := range moves {
		at, known := index[m.Who]
		if !known {
			name := p2p.Name(m.Who)
			if at, known = byName[name]; !known {
				at = len(t.Nodes)
				t.Nodes = append(t.Nodes, rpc.TimelineNode{ID: name})
			}
			index[m.Who] = at
		}
		t.Moves = append(t.Moves, rpc.TimelineMove{int64(m.At), int64(at), tips[i]})
	}
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
	at, _ := r.d.chronicle.seenAt(id)
	out.Seen = int64(at)
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
	if at, ok := r.d.chronicle.seenAt(id); ok && at > 0 { // it came inside a block
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
	mostReplays = 64  // tips that are looked at: those that followed when it was new
	mostBack    = 256 // moves before that, to know where everybody stood
)

// milestones tells when the counted nodes came to have a transaction so deep: all
// of them, and a quorum, each since it stayed so.
func (a agreement) milestones(s *search, id chain.Hash, v *view) error {
	since, moves := a.d.chronicle.movesSince(id)
	if since == 0 {
		return nil
	}
	at := int64(since)
	v.out.Seen, v.out.SinceSeen = &at, seconds(chain.Time(a.d.cfg.Clock().UnixMilli())-since)
	depths := map[chain.Hash]converge.Depth{{}: {}}
	err := a.d.loop.look(a.d.life, func(chain.Time) {
		for _, m := range moves {
			if _, known := depths[m.Tip]; !known {
				s.tips[m.Tip] = true // 0 and ruled out are the same here: neither reaches a depth
				depths[m.Tip] = s.depth(a.d.loop.node, m.Tip)
			}
		}
	})
	if err != nil {
		return err
	}
	p := replay(moves, since, append(a.d.counted(), node.Self), depths)
	p.look(0, v.rows) // what was undone later is not reached any more
	v.out.Reached = p.told(since)
	return nil
}

// movesSince is when a transaction was heard of, 0 if it was not, and the moves
// while it was new, with some before them.
func (c *chronicle) movesSince(id chain.Hash) (since chain.Time, moves []moveNote) {
	c.mu.Lock()
	defer c.mu.Unlock()
	since, known := c.seenAt(id)
	if !known {
		return 0, nil
	}
	list := c.moves.list
	first, _ := slices.BinarySearchFunc(list, since, func(m moveNote, at chain.Time) int { return cmp.Compare(m.At, at) })
	tips := map[chain.Hash]bool{}
	end := first
	for end < len(list) && len(tips) <= mostReplays {
		tips[list[end].Tip] = true
		end++
	}
	return since, slices.Clone(list[max(0, first-mostBack):end])
}

// progress is since when the nodes have each depth.
type progress struct{ all, quorum [milestones + 1]chain.Time }

// look notes what the nodes have at a time; 0 takes back what they have not any
// more. Silence of a node undoes nothing that it had reached, another branch does.
func (p *progress) look(at chain.Time, rows []converge.Row) {
	for d := int64(1); d <= milestones; d++ {
		lost := slices.ContainsFunc(rows, func(r converge.Row) bool { return r.Depth.Known && r.Depth.N < d })
		note(&p.all[d], at, converge.Agreed(rows, d, converge.All).Yes, lost)
		note(&p.quorum[d], at, converge.Agreed(rows, d, converge.Quorum).Yes, lost)
	}
}

func note(when *chain.Time, at chain.Time, reached, lost bool) {
	switch {
	case reached && *when == 0:
		*when = at
	case !reached && lost:
		*when = 0
	}
}

// told are the depths that are reached.
func (p *progress) told(since chain.Time) (list []rpc.Milestone) {
	for d := 1; d <= milestones && p.all[d]+p.quorum[d] > 0; d++ {
		list = append(list, rpc.Milestone{Depth: d, All: after(p.all[d], since), Quorum: after(p.quorum[d], since)})
	}
	return list
}

// replay goes through the moves.
func replay(moves []moveNote, since chain.Time, who []node.Peer, depths map[chain.Hash]converge.Depth) *progress {
	p := &progress{}
	follows := map[node.Peer]chain.Hash{}
	for i, m := range moves {
		follows[m.Who] = m.Tip
		if m.At < since || i+1 < len(moves) && moves[i+1].At == m.At {
			continue
		}
		rows := make([]converge.Row, len(who))
		for j, name := range who {
			rows[j] = converge.Row{Fresh: true, Depth: depths[follows[name]]}
		}
		p.look(m.At, rows)
	}
	return p
}

func after(at, since chain.Time) *rpc.Seconds {
	if at == 0 {
		return nil
	}
	s := rpc.Seconds(time.Duration(at-since) * time.Millisecond)
	return &s
}
