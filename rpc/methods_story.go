package rpc

import (
	"errors"
	"slices"

	"cairn/chain"
	"cairn/node"
)

func storyMethods() []method {
	return []method{
		define("getstory", "What happened to a transaction or a block, as this node lived it: heard of when and from whom, in which blocks on which branches, undone by which reorganisations, ruled out by what, and why the branch that won did. Without an id, the last reorganisation and the branches beside ours.", getStory,
			param{name: "id", kind: thing, optional: true, doc: "a transaction or block"}),
	}
}

// KindFork is the kind of a Story about no id.
const KindFork = "fork"

// Story is the result of getstory. What happened before the node started it does
// not know, but for reorganisations, and for what the chain itself shows.
type Story struct {
	ID       *chain.Hash  `json:"id,omitempty"`
	Kind     string       `json:"kind"`            // tx, block or fork
	Tip      BlockName    `json:"tip"`             // of our best chain
	Seen     *Sighting    `json:"seen"`            // null if it is not remembered
	Waits    bool         `json:"waits"`           // in the pool
	Depth    *int64       `json:"depth"`           // on this node; −1 ruled out, null unknown or of a fork
	Blocks   []StoryBlock `json:"blocks"`          // that hold the transaction, by height; the block itself; of a fork the ends of the branches beside ours
	Conflict *StoryRival  `json:"conflict"`        // what rules the transaction out
	Left     *StoryFate   `json:"left"`            // why it left the pool last, if that is remembered
	Reorgs   []StoryReorg `json:"reorganisations"` // that undid or applied a block of it, oldest first; of a fork the last one
	Nodes    *StoryNodes  `json:"nodes,omitempty"` // what the counted nodes think
}

// Sighting is when this node first heard of something, and from whom.
type Sighting struct {
	At   int64  `json:"timemillis"` // since 1970
	From string `json:"from"`       // libp2p peer id; empty: not remembered
	Own  bool   `json:"own"`        // our own user or miner
}

// StoryBlock is a block in a Story.
type StoryBlock struct {
	ID     chain.Hash `json:"hash"`
	Height uint64     `json:"height"`
	Time   uint32     `json:"time"`   // of its header, seconds since 1970
	Status string     `json:"status"` // as in getchaintips: active, valid-fork, valid-headers, headers-only, invalid
	Depth  int64      `json:"depth"`  // −1 off our best chain
	Seen   *Sighting  `json:"seen"`
	Duel   *Duel      `json:"duel,omitempty"` // with our best chain, if it lies beside that
}

// Duel is two branches from where they part.
type Duel struct {
	Fork      BlockName  `json:"ancestor"`
	Ours      BlockName  `json:"ours"` // the ends
	Other     BlockName  `json:"other"`
	OurWork   chain.Work `json:"ourwork"` // behind the ancestor
	OtherWork chain.Work `json:"otherwork"`
}

// StoryRival is a transaction of the best chain that spends a coin which another
// needs.
type StoryRival struct {
	Tx    chain.Hash `json:"txid"`
	Block *BlockName `json:"block"` // that confirms it
}

// StoryFate is why a transaction left the pool.
type StoryFate struct {
	At int64 `json:"timemillis"` // since 1970
	TxFate
}

// StoryReorg is a reorganisation in a Story.
type StoryReorg struct {
	At       int64      `json:"timemillis"` // since 1970
	Ancestor BlockName  `json:"ancestor"`
	From     BlockName  `json:"from"` // the tip before
	To       BlockName  `json:"to"`
	Undone   int        `json:"undone"`   // blocks
	Applied  int        `json:"applied"`  // likewise
	LostWork chain.Work `json:"lostwork"` // of those
	WonWork  chain.Work `json:"wonwork"`
	Txs      int        `json:"transactions"` // undone
	Lost     bool       `json:"lost"`         // a block of the thing was undone
	Won      bool       `json:"won"`          // a block of the thing was applied
	Fate     *TxFate    `json:"fate,omitempty"`
}

// StoryNodes counts what nodes think of a thing, as far as we know.
type StoryNodes struct {
	Counted int `json:"counted"` // we among them
	Have    int `json:"have"`    // it at least one deep
	Against int `json:"against"` // whose branch rules it out
}

func getStory(c *call) (*Story, error) {
	if c.Record == nil {
		return nil, errNoRecord
	}
	v, err := c.view()
	if err != nil {
		return nil, err
	}
	tip, err := v.Tip()
	if err != nil {
		return nil, err
	}
	t := teller{
		call: c, v: v, tip: tip, past: c.Record.Reorgs(),
		Story: &Story{Tip: nameOf(tip), Blocks: []StoryBlock{}, Reorgs: []StoryReorg{}},
	}
	if c.args[0] == nil {
		return t.Story, t.fork()
	}
	id := arg[chain.Hash](c, 0)
	t.ID = &id
	if err = t.tx(id); errors.Is(err, node.ErrUnknown) {
		err = t.block(id)
	}
	if errors.Is(err, node.ErrUnknown) {
		err = Errorf(NotFound, "No such transaction or block")
	}
	return t.Story, err
}

// teller finds out what a Story holds.
type teller struct {
	*call
	*Story
	v    Snapshot
	tip  node.Entry
	ends []Branch      // read once
	past []ReorgRecord // likewise, newest first
}

func nameOf(e node.Entry) BlockName { return BlockName{ID: e.State.ID, Height: e.State.Height} }

func (t *teller) tx(id chain.Hash) error {
	_, waits := t.Pool.Get(id) // before the chain: what a block takes in between is found there
	blocks, err := t.v.TxBlocks(id)
	if err != nil {
		return err
	}
	past := t.Record.Past(id)
	if len(blocks) == 0 && !waits && past.Left == nil {
		return node.ErrUnknown
	}
	t.Kind, t.Waits, t.Seen, t.Left = KindTx, waits, past.Seen, past.Left
	for _, b := range blocks {
		e, err := t.v.Entry(b)
		if err != nil {
			return err
		}
		if err := t.add(e); err != nil {
			return err
		}
	}
	slices.SortFunc(t.Blocks, func(a, b StoryBlock) int { return int(int64(a.Height) - int64(b.Height)) })
	t.reorgs(id, blocks)
	return t.agreement(t.Convergence.Tx(id))
}

func (t *teller) block(id chain.Hash) error {
	e, err := t.v.Entry(id)
	if err != nil {
		return err
	}
	t.Kind, t.Seen = KindBlock, t.Record.Past(id).Seen
	if err := t.add(e); err != nil {
		return err
	}
	t.reorgs(id, []chain.Hash{id})
	return t.agreement(t.Convergence.Block(id))
}

// maxSides is how many branches a Story about a fork shows.
const maxSides = 20

func (t *teller) fork() error {
	t.Kind = KindFork
	if len(t.past) > 0 {
		t.Reorgs = append(t.Reorgs, storyOf(t.past[0]))
	}
	ends, err := t.branches()
	if err != nil {
		return err
	}
	slices.SortFunc(ends, func(a, b Branch) int { return b.State.Work.Cmp(a.State.Work) })
	for _, e := range ends {
		if e.State.ID != t.tip.State.ID && len(t.Blocks) < maxSides {
			if err := t.add(e.Entry); err != nil {
				return err
			}
		}
	}
	return nil
}

// agreement takes over what the nodes think.
func (t *teller) agreement(a Agreement, err error) error {
	if errors.Is(err, node.ErrUnknown) {
		return nil // it came since
	}
	if err != nil {
		return err
	}
	t.Depth, t.Nodes = a.Self.Depth, &StoryNodes{Counted: a.Counted}
	for _, o := range append(a.Peers, a.Self) {
		switch {
		case !o.Counted || o.Depth == nil:
		case *o.Depth > 0:
			t.Nodes.Have++
		case *o.Depth < 0:
			t.Nodes.Against++
		}
	}
	if a.Conflict == nil {
		return nil
	}
	t.Conflict = &StoryRival{Tx: *a.Conflict}
	blocks, err := t.v.TxBlocks(*a.Conflict)
	if err != nil || len(blocks) == 0 {
		return err
	}
	e, err := preferred(t.v, blocks)
	if depth, err := depthOf(t.v, e.State); err == nil && depth > 0 {
		name := nameOf(e)
		t.Conflict.Block = &name
	}
	return err
}

// add describes a block.
func (t *teller) add(e node.Entry) error {
	depth, err := depthOf(t.v, e.State)
	if err != nil {
		return err
	}
	b := StoryBlock{ID: e.State.ID, Height: e.State.Height, Time: e.State.Time, Depth: depth, Seen: t.Record.Past(e.State.ID).Seen, Status: "active"}
	if depth < 1 {
		if b.Duel, err = t.duel(e); err != nil {
			return err
		}
		b.Status = status(Branch{Entry: e, Connected: t.connected(e.State.ID)}, 1)
	}
	t.Blocks = append(t.Blocks, b)
	return nil
}

// connected tells whether a block was on our chain before.
func (t *teller) connected(id chain.Hash) bool {
	return slices.ContainsFunc(t.past, func(r ReorgRecord) bool { return slices.Contains(r.Undone, id) })
}

func (t *teller) branches() (ends []Branch, err error) {
	if t.ends == nil {
		t.ends, err = t.v.Tips()
	}
	return slices.Clone(t.ends), err
}

// duel compares the heaviest branch through a block with our best chain.
func (t *teller) duel(e node.Entry) (*Duel, error) {
	ends, err := t.branches()
	if err != nil {
		return nil, err
	}
	heaviest := e
	for _, end := range ends {
		if end.State.Work.Cmp(heaviest.State.Work) > 0 {
			if through, err := t.through(end.Entry, e); err != nil {
				return nil, err
			} else if through {
				heaviest = end.Entry
			}
		}
	}
	fork := e
	for depth := int64(-1); depth < 1; {
		if fork, err = t.v.Entry(fork.Header.Prev); err != nil {
			return nil, err
		}
		if depth, err = depthOf(t.v, fork.State); err != nil {
			return nil, err
		}
	}
	return &Duel{
		Fork: nameOf(fork), Ours: nameOf(t.tip), Other: nameOf(heaviest),
		OurWork: t.tip.State.Work.Minus(fork.State.Work), OtherWork: heaviest.State.Work.Minus(fork.State.Work),
	}, nil
}

// through tells whether the branch that ends at end runs through a block.
func (t *teller) through(end, block node.Entry) (bool, error) {
	for end.State.Height > block.State.Height {
		depth, err := depthOf(t.v, end.State)
		if err != nil || depth > 0 {
			return false, err
		}
		if end, err = t.v.Entry(end.Header.Prev); err != nil {
			return false, err
		}
	}
	return end.State.ID == block.State.ID, nil
}

// reorgs picks those that undid or applied one of these blocks.
func (t *teller) reorgs(id chain.Hash, blocks []chain.Hash) {
	in := func(list []chain.Hash) bool {
		return slices.ContainsFunc(blocks, func(b chain.Hash) bool { return slices.Contains(list, b) })
	}
	for _, r := range slices.Backward(t.past) {
		s := storyOf(r)
		s.Lost, s.Won = in(r.Undone), in(r.Applied)
		for i := range r.Txs {
			if f := r.Txs[i]; f.ID == id {
				f.Why = Clean(f.Why)
				s.Fate, s.Lost = &f, true
			}
		}
		if s.Lost || s.Won {
			t.Reorgs = append(t.Reorgs, s)
		}
	}
}

func storyOf(r ReorgRecord) StoryReorg {
	return StoryReorg{
		At: r.At, Ancestor: r.Ancestor, From: r.From, To: r.To, Undone: len(r.Undone), Applied: len(r.Applied),
		LostWork: r.LostWork, WonWork: r.WonWork, Txs: len(r.Txs),
	}
}
