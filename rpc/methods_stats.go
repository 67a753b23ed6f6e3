package rpc

import (
	"encoding/json"
	"errors"
	"slices"

	"cairn/chain"
	"cairn/node"
)

// BlockStats is the result of getblockstats. Amounts are in grains, rates in
// grains a byte, sizes in bytes. Averages and medians are rounded down.
type BlockStats struct {
	Height       uint64       `json:"height"`
	Block        chain.Hash   `json:"blockhash"`
	Time         uint32       `json:"time"`
	MedianTime   uint32       `json:"mediantime"`
	Txs          int          `json:"txs"` // the coinbase among them
	Ins          int          `json:"ins"`
	Outs         int          `json:"outs"` // the coinbase's among them
	Subsidy      chain.Amount `json:"subsidy"`
	TotalFee     chain.Amount `json:"totalfee"`
	TotalOut     chain.Amount `json:"total_out"`
	TotalSize    int          `json:"total_size"`
	AvgFee       chain.Amount `json:"avgfee"`
	MinFee       chain.Amount `json:"minfee"`
	MedianFee    chain.Amount `json:"medianfee"`
	MaxFee       chain.Amount `json:"maxfee"`
	AvgRate      chain.Amount `json:"avgfeerate"`
	MinRate      chain.Amount `json:"minfeerate"`
	MaxRate      chain.Amount `json:"maxfeerate"`
	Percentiles  [5]uint64    `json:"feerate_percentiles"` // the 10th, 25th, 50th, 75th and 90th, by bytes
	AvgSize      int          `json:"avgtxsize"`
	MinSize      int          `json:"mintxsize"`
	MedianSize   int          `json:"mediantxsize"`
	MaxSize      int          `json:"maxtxsize"`
	Increase     int          `json:"utxo_increase"` // outputs made less outputs spent
	SizeIncrease int          `json:"utxo_size_inc"` // of gettxoutsetinfo's bogosize
}

func getBlockStats(c *call) (any, error) {
	v, e, err := c.namedBlock()
	if err != nil {
		return nil, err
	}
	body, err := v.Body(e.State.ID)
	if errors.Is(err, node.ErrUnknown) {
		return nil, Errorf(Misc, "Block not available (not fully downloaded)")
	}
	if err != nil {
		return nil, err
	}
	stats := sums(c.Params, e, body)
	if stats.MedianTime, err = medianTime(v, e); err != nil {
		return nil, err
	}
	return chosen(stats, argOr(c, 1, []string(nil)))
}

// namedBlock finds the block that the first argument names by id or height.
func (c *call) namedBlock() (Snapshot, node.Entry, error) {
	height, byHeight := c.args[0].(int64)
	if !byHeight {
		return c.entry(0)
	}
	tip, err := c.tip()
	switch {
	case err != nil:
		return nil, node.Entry{}, err
	case height < 0:
		return nil, node.Entry{}, Errorf(InvalidParameter, "Target block height %d is negative", height)
	case uint64(height) > tip.Height:
		return nil, node.Entry{}, Errorf(InvalidParameter, "Target block height %d after current tip %d", height, tip.Height)
	}
	v, err := c.view()
	if err != nil {
		return nil, node.Entry{}, err
	}
	id, err := v.At(uint64(height))
	if err != nil {
		return nil, node.Entry{}, err
	}
	e, err := v.Entry(id)
	return v, e, err
}

func sums(p *chain.Params, e node.Entry, b chain.CheckedBlock) *BlockStats {
	s := &BlockStats{
		Height: e.State.Height, Block: e.State.ID, Time: e.State.Time, Subsidy: p.Subsidy(e.State.Height),
		Txs: 1 + len(b.Txs()), Outs: len(b.Block().Coinbase.Outputs),
	}
	var fees, rates []chain.Amount
	var sizes []int
	for _, t := range b.Txs() {
		s.Ins += len(t.Tx().Inputs)
		s.Outs += len(t.Tx().Outputs)
		s.TotalFee += t.Fee()
		s.TotalSize += t.Size()
		for _, o := range t.Tx().Outputs {
			s.TotalOut += o.Value
		}
		fees, sizes = append(fees, t.Fee()), append(sizes, t.Size())
		rates = append(rates, t.Fee()/chain.Amount(t.Size()))
	}
	s.Increase = s.Outs - s.Ins
	s.SizeIncrease = bogo * s.Increase
	if n := len(fees); n > 0 {
		s.AvgFee, s.AvgSize, s.AvgRate = s.TotalFee/chain.Amount(n), s.TotalSize/n, s.TotalFee/chain.Amount(s.TotalSize)
		s.MinRate, s.MaxRate = slices.Min(rates), slices.Max(rates)
		s.Percentiles = percentiles(b.Txs(), s.TotalSize)
		s.MinFee, s.MedianFee, s.MaxFee = spread(fees)
		s.MinSize, s.MedianSize, s.MaxSize = spread(sizes)
	}
	return s
}

// spread is the least, the middle and the most of some numbers; the middle of an
// even count is the mean of two.
func spread[T chain.Amount | int](list []T) (least, middle, most T) {
	slices.Sort(list)
	n := len(list)
	middle = list[n/2]
	if n%2 == 0 {
		middle = (list[n/2-1] + list[n/2]) / 2
	}
	return list[0], middle, list[n-1]
}

// percentiles are the rates below which so many percent of the bytes lie.
func percentiles(txs []chain.CheckedTx, bytes int) (rates [5]uint64) {
	txs = slices.Clone(txs)
	slices.SortFunc(txs, func(a, b chain.CheckedTx) int { return int(int64(rateOf(a)) - int64(rateOf(b))) })
	next, seen := 0, 0
	for _, t := range txs {
		for seen += t.Size(); next < len(rates) && seen*100 >= bytes*[...]int{10, 25, 50, 75, 90}[next]; next++ {
			rates[next] = uint64(t.Fee()) / uint64(t.Size())
		}
	}
	return rates
}

// chosen is all of the stats, or those that were asked for by name.
func chosen(s *BlockStats, names []string) (any, error) {
	if len(names) == 0 {
		return s, nil
	}
	raw, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	var all, some map[string]json.RawMessage
	if err := json.Unmarshal(raw, &all); err != nil {
		return nil, err
	}
	some = map[string]json.RawMessage{}
	for _, name := range names {
		value, ok := all[name]
		if !ok {
			return nil, Errorf(InvalidParameter, "Invalid selected statistic '%s'", Clean(name))
		}
		some[name] = value
	}
	return some, nil
}
