package rpc

import (
	"encoding/json"
	"errors"
	"math"
	"slices"

	"cairn/chain"
	"cairn/converge"
	"cairn/node"
)

// Record is what this node remembers of the last hours, in memory and bounded.
type Record interface {
	// Timeline tells what came behind a cursor; all that is kept if that is empty,
	// of another start, or too old.
	Timeline(cursor string) (Timeline, error)
	// Depths is the depth of a transaction under each of some tips. An id that no
	// branch and no pool holds is node.ErrUnknown.
	Depths(tx chain.Hash, tips []chain.Hash) (TxDepths, error)
	Reorgs() []ReorgRecord // newest first, each with every transaction that it undid
	Past(chain.Hash) Past  // of a transaction or block
}

// Past is what a Record holds of one transaction or block.
type Past struct {
	Seen *Sighting  // nil if it is not remembered
	Left *StoryFate // why it left the pool last; nil if it did not, or that is forgotten
}

// Timeline is the result of gettimeline. With it the past can be drawn: the depth
// of a payment on a node at a time is its depth under the tip that the node
// followed then. Times are milliseconds since 1970, by this node's clock.
type Timeline struct {
	Cursor string          `json:"cursor"` // for the next call
	Whole  bool            `json:"whole"`  // all that is kept, instead of what was told before
	Now    int64           `json:"now"`
	Nodes  []TimelineNode  `json:"nodes"` // this one first
	First  uint64          `json:"first"` // the number of the first of blocks
	Blocks []TimelineBlock `json:"blocks"`
	Moves  []TimelineMove  `json:"moves"`
	Txs    []TimelineTx    `json:"txs"`
}

// TimelineNode is a node that moved, or is counted.
type TimelineNode struct {
	ID        string  `json:"id"` // libp2p peer id, or the address of one that was never reached
	Agent     string  `json:"agent,omitempty"`
	Connected bool    `json:"connected"`
	Counted   bool    `json:"counted"` // among those that "all" and "quorum" mean
	Ping      Seconds `json:"ping"`
}

// TimelineBlock is a block of any branch.
type TimelineBlock struct {
	ID     chain.Hash `json:"hash"`
	Prev   chain.Hash `json:"prev"`
	Height uint64     `json:"height"`
	Time   uint32     `json:"time"` // of its header, seconds since 1970
	Seen   int64      `json:"seen"` // when it was heard of; 0 before this start
}

// TimelineMove is a time, the index of a node in Nodes, and the number of the
// block that it follows from then on, −1 if none is known.
type TimelineMove [3]int64

// TimelineTx is a transaction when it was heard of.
type TimelineTx struct {
	ID   chain.Hash `json:"txid"`
	Seen int64      `json:"seen"`
}

// TxDepths is one element of the result of getdepths.
type TxDepths struct {
	ID       chain.Hash   `json:"txid"`
	Seen     int64        `json:"seen"`               // milliseconds since 1970; 0 if it was not noted
	Blocks   []chain.Hash `json:"blocks"`             // that hold it, on any branch
	Depths   []*int64     `json:"depths"`             // under each tip; 0 still possible there, −1 ruled out, null unknown
	Conflict *chain.Hash  `json:"conflict,omitempty"` // the transaction that rules it out where it is ruled out
}

// ReorgRecord is one element of the result of getreorgs.
type ReorgRecord struct {
	At int64 `json:"at"` // milliseconds since 1970
	ReorgEvent
	From     BlockName  `json:"from"` // the tip before
	To       BlockName  `json:"to"`
	LostWork chain.Work `json:"lostwork"` // of the blocks undone
	WonWork  chain.Work `json:"wonwork"`  // of those applied
}

const (
	maxDepthTxs  = 64
	maxDepthTips = 512
)

func timelineMethods() []method {
	return []method{
		define("gettimeline", "Which blocks and transactions came when, and who followed which tip, in the last hours.", getTimeline,
			param{name: "cursor", kind: text, optional: true, doc: "that of the last answer, to hear only what is new"}),
		define("getdepths", "The depth of transactions under tips, present or past.", getDepths,
			param{name: "txids", kind: words, doc: "64 ids at most; those that are unknown are left out of the answer"},
			param{name: "tips", kind: words, doc: "512 ids of blocks at most"}),
		define("getreorgs", "The reorganisations that this node remembers, over restarts, newest first, with the fate of each transaction.", getReorgs),
		define("getrisk", "How likely an attacker ever undoes what lies at each depth, by his share of all work.", getRisk,
			param{name: "depth", kind: number, optional: true, doc: "up to which; default 12, at most 200"}),
	}
}

func getTimeline(c *call) (*Timeline, error) {
	if c.Record == nil {
		return nil, errNoRecord
	}
	t, err := c.Record.Timeline(argOr(c, 0, ""))
	t.Nodes, t.Blocks, t.Moves, t.Txs = list(t.Nodes), list(t.Blocks), list(t.Moves), list(t.Txs)
	for i := range t.Nodes {
		t.Nodes[i].Agent = Clean(t.Nodes[i].Agent)
	}
	return &t, err
}

var errNoRecord = Errorf(Misc, "this node keeps no record")

func getDepths(c *call) ([]TxDepths, error) {
	if c.Record == nil {
		return nil, errNoRecord
	}
	txs, err := ids("txids", arg[[]string](c, 0), maxDepthTxs)
	if err != nil {
		return nil, err
	}
	tips, err := ids("tips", arg[[]string](c, 1), maxDepthTips)
	if err != nil {
		return nil, err
	}
	found := []TxDepths{}
	for _, tx := range txs {
		d, err := c.Record.Depths(tx, tips)
		if errors.Is(err, node.ErrUnknown) {
			continue
		}
		if err != nil {
			return nil, err
		}
		d.Blocks = list(d.Blocks)
		found = append(found, d)
	}
	return found, nil
}

func ids(name string, texts []string, most int) ([]chain.Hash, error) {
	if len(texts) > most {
		return nil, Errorf(InvalidParameter, "%s: %d ids, at most %d are allowed", name, len(texts), most)
	}
	all := make([]chain.Hash, len(texts))
	for i, t := range texts {
		raw, err := json.Marshal(t)
		if err != nil {
			return nil, err
		}
		v, err := readID(nil, name, raw)
		if err != nil {
			return nil, err
		}
		all[i] = v.(chain.Hash)
	}
	return all, nil
}

func getReorgs(c *call) ([]ReorgRecord, error) {
	if c.Record == nil {
		return nil, errNoRecord
	}
	reorgs := list(c.Record.Reorgs())
	for i := range reorgs {
		reorgs[i].More = max(0, len(reorgs[i].Txs)-MaxFates)
		reorgs[i].Txs = slices.Clone(reorgs[i].Txs[:len(reorgs[i].Txs)-reorgs[i].More])
		for j := range reorgs[i].Txs {
			reorgs[i].Txs[j].Why = Clean(reorgs[i].Txs[j].Why)
		}
	}
	return reorgs, nil
}

// RiskCurve is one element of the result of getrisk.
type RiskCurve struct {
	Share  float64   `json:"adversary"` // of all work
	Odds   []float64 `json:"odds"`      // that it ever undoes what lies at depth 0, 1, …
	Enough *int      `json:"enough"`    // the first depth with less than the usual risk, 0.1 %
}

// The attackers and the risk that people ask about.
var usualShares = []float64{0.1, 0.25, 0.4}

const (
	usualRisk   = 0.001
	usualDepths = 12
	maxDepths   = 200
)

func getRisk(c *call) ([]RiskCurve, error) {
	most := argOr(c, 0, int64(usualDepths))
	if most < 0 || most > maxDepths {
		return nil, Errorf(InvalidParameter, "depth %d is not between 0 and %d", most, maxDepths)
	}
	var curves []RiskCurve
	for _, q := range usualShares {
		curve := RiskCurve{Share: q}
		for z := range int(most) + 1 {
			curve.Odds = append(curve.Odds, math.Min(1, converge.Reversal(q, z)))
		}
		if z, ok := converge.DepthFor(q, usualRisk); ok {
			curve.Enough = &z
		}
		curves = append(curves, curve)
	}
	return curves, nil
}
