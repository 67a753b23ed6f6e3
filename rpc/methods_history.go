package rpc

import (
	"context"
	"errors"
	"sync"

	"cairn/chain"
	"cairn/node"
)

func historyMethods() []method {
	return []method{
		slowly(define("getchaintxstats", "How many transactions the best chain holds, and how many came lately.", getChainTxStats,
			param{name: "nblocks", kind: number, optional: true, doc: "how many blocks back; default: a month of them, or as many as there are", example: "10"},
			param{name: "blockhash", kind: id, optional: true, doc: "the last of them; default: the tip"})),
	}
}

// ChainTxStats is the result of getchaintxstats.
type ChainTxStats struct {
	Time        uint32     `json:"time"`    // of the last block, seconds since 1970
	Txs         uint64     `json:"txcount"` // up to there, coinbases included
	Final       chain.Hash `json:"window_final_block_hash"`
	FinalHeight uint64     `json:"window_final_block_height"`
	Blocks      uint64     `json:"window_block_count"`
	WindowTxs   *uint64    `json:"window_tx_count,omitempty"`
	Interval    *int64     `json:"window_interval,omitempty"` // seconds between the median times of both ends
	Rate        *float64   `json:"txrate,omitempty"`          // transactions a second
}

// month is in seconds.
const month = 30 * 24 * 60 * 60

func getChainTxStats(c *call) (*ChainTxStats, error) {
	v, end, err := c.onBest(1)
	if err != nil {
		return nil, err
	}
	height := end.State.Height
	blocks := min(month/max(uint64(c.Params.Spacing), 1), max(height, 1)-1)
	if c.args[0] != nil {
		n := arg[int64](c, 0)
		if n < 0 || n > 0 && uint64(n) >= height {
			return nil, Errorf(InvalidParameter, "Invalid block count: should be between 0 and the block's height - 1")
		}
		blocks = uint64(n)
	}
	s := &ChainTxStats{Time: end.State.Time, Final: end.State.ID, FinalHeight: height, Blocks: blocks}
	if s.Txs, err = c.counts.upTo(c.ctx, v, height); err != nil || blocks == 0 {
		return s, err
	}
	return s, s.window(c, v, end)
}

// onBest finds a block of the best chain that an argument names, or the tip.
func (c *call) onBest(i int) (Snapshot, node.Entry, error) {
	if c.args[i] == nil {
		v, err := c.view()
		if err != nil {
			return nil, node.Entry{}, err
		}
		tip, err := v.Tip()
		return v, tip, err
	}
	v, e, err := c.entry(i)
	if err != nil {
		return nil, e, err
	}
	depth, err := depthOf(v, e.State)
	if err == nil && depth < 1 {
		err = Errorf(InvalidParameter, "Block is not in main chain")
	}
	return v, e, err
}

// window fills in what happened since the block that lies s.Blocks before the end.
func (s *ChainTxStats) window(c *call, v Snapshot, end node.Entry) error {
	before, err := c.counts.upTo(c.ctx, v, s.FinalHeight-s.Blocks)
	if err != nil {
		return err
	}
	id, err := v.At(s.FinalHeight - s.Blocks)
	if err != nil {
		return err
	}
	begin, err := v.Entry(id)
	if err != nil {
		return err
	}
	from, err := medianTime(v, begin)
	if err != nil {
		return err
	}
	to, err := medianTime(v, end)
	if err != nil {
		return err
	}
	txs, interval := s.Txs-before, int64(to)-int64(from)
	s.WindowTxs, s.Interval = &txs, &interval
	if interval > 0 {
		rate := float64(txs) / float64(interval)
		s.Rate = &rate
	}
	return nil
}

// counts remembers how many transactions the best chain holds up to some blocks of
// it, so that nobody has to count from the genesis twice.
type counts struct {
	mu    sync.Mutex
	marks []mark // guarded by mu; by height
}

type mark struct {
	height uint64
	id     chain.Hash
	total  uint64
}

// markEvery is how many blocks lie between two marks that stay.
const markEvery = 2016

func newCounts() *counts { return &counts{} }

// upTo counts transactions up to a height of the best chain, that included.
func (t *counts) upTo(ctx context.Context, v Snapshot, height uint64) (uint64, error) {
	at, err := t.last(v, height)
	if err != nil {
		return 0, err
	}
	for at.id == (chain.Hash{}) || at.height < height {
		next := mark{total: at.total}
		if at.id != (chain.Hash{}) {
			next.height = at.height + 1
		}
		if next.id, err = v.At(next.height); err != nil {
			return 0, err
		}
		n, err := v.TxCount(next.id)
		if err != nil {
			return 0, err
		}
		next.total += uint64(n)
		if at = next; at.height%markEvery == 0 {
			t.put(at)
		}
		if ctx.Err() != nil {
			return 0, errors.New("the caller is gone")
		}
	}
	return at.total, nil
}

// last is the highest mark up to a height that lies on the best chain; the zero
// mark lies before the genesis.
func (t *counts) last(v Snapshot, height uint64) (mark, error) {
	t.mu.Lock()
	marks := t.marks
	t.mu.Unlock()
	for i := len(marks) - 1; i >= 0; i-- {
		if marks[i].height > height {
			continue
		}
		id, err := v.At(marks[i].height)
		if err != nil && !errors.Is(err, node.ErrUnknown) {
			return mark{}, err
		}
		if err == nil && id == marks[i].id {
			return marks[i], nil
		}
	}
	return mark{}, nil
}

// put keeps a mark, in place of what stands at its height and above: a
// reorganisation may have changed that. The slice is new, for others read the old.
func (t *counts) put(m mark) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var kept []mark
	for _, old := range t.marks {
		if old.height < m.height {
			kept = append(kept, old)
		}
	}
	t.marks = append(kept, m)
}
