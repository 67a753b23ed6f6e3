package rpc

import (
	"cmp"
	"slices"
	"strings"

	"cairn/chain"
	"cairn/mempool"
)

func feeMethods() []method {
	return []method{
		define("estimatesmartfee", "The fee rate with which a payment should be in one of the next blocks. It is the highest of three: what the pool asks for; what outbids all that waits and would fill those blocks; what one of as many blocks asked for lately, in the worst stretch of the last 12. A block asks for nothing while it has room.", estimateSmartFee,
			param{name: "conf_target", kind: number, doc: "blocks, 1 to 1008"},
			param{name: "estimate_mode", kind: text, optional: true, doc: "unset, economical or conservative; makes no difference here"}),
	}
}

const (
	maxTarget  = 1008 // blocks, as in Bitcoin Core
	pastBlocks = 12   // whose fees an estimate looks at
)

// Estimate is the result of estimatesmartfee.
type Estimate struct {
	Rate   Amount `json:"feerate"` // CRN per 1000 bytes
	Blocks int64  `json:"blocks"`  // that it is for
}

func estimateSmartFee(c *call) (*Estimate, error) {
	target := arg[int64](c, 0)
	if target < 1 || target > maxTarget {
		return nil, Errorf(InvalidParameter, "Invalid conf_target, must be between 1 and %d", maxTarget)
	}
	mode := strings.ToLower(argOr(c, 1, "unset"))
	if !slices.Contains([]string{"unset", "economical", "conservative"}, mode) {
		return nil, Errorf(InvalidParameter, `Invalid estimate_mode parameter, must be one of: "unset", "economical", "conservative"`)
	}
	info := c.Pool.Info()
	floor := mempool.FeeRate(max(info.MinFee, info.RelayFee))
	past, err := c.asked(floor)
	if err != nil {
		return nil, err
	}
	rate := max(floor, worstStretch(past, int(target)), outbid(c.Pool.List(), int(target)*c.Params.MaxBlock))
	return &Estimate{Rate: Amount(rate), Blocks: target}, nil
}

// outbid is a rate above that of whatever waits and does not fit into so many
// bytes together with what pays more; 0 if all fits. A transaction counts at the
// rate of itself with its ancestors.
func outbid(waiting []mempool.Entry, room int) mempool.FeeRate {
	slices.SortFunc(waiting, func(a, b mempool.Entry) int { return cmp.Compare(b.Ancestors.Rate(), a.Ancestors.Rate()) })
	for _, w := range waiting {
		if room -= w.Tx.Size(); room < 0 {
			return w.Ancestors.Rate() + 1
		}
	}
	return 0
}

// asked is the lowest rate that each of the last blocks took, oldest first; floor
// for one that had room.
func (c *call) asked(floor mempool.FeeRate) (rates []mempool.FeeRate, err error) {
	v, err := c.view()
	if err != nil {
		return nil, err
	}
	tip, err := v.Tip()
	if err != nil {
		return nil, err
	}
	for h := tip.State.Height - min(pastBlocks, tip.State.Height) + 1; h <= tip.State.Height; h++ {
		at, err := v.At(h)
		if err != nil {
			return nil, err
		}
		body, err := v.Body(at)
		if err != nil {
			return nil, err
		}
		rates = append(rates, lowest(body, c.Params.MaxBlock, floor))
	}
	return rates, nil
}

// roomy is how many tenths of a block are taken at most when it had room: miners
// stop when little is left.
const roomy = 9

func lowest(b chain.CheckedBlock, most int, floor mempool.FeeRate) mempool.FeeRate {
	if b.Size()*10 <= most*roomy || len(b.Txs()) == 0 {
		return floor
	}
	least := mempool.FeeRate(chain.MaxAmount)
	for _, t := range b.Txs() {
		least = min(least, rateOf(t))
	}
	return least
}

func rateOf(t chain.CheckedTx) mempool.FeeRate {
	return mempool.Package{Count: 1, Bytes: t.Size(), Fee: t.Fee()}.Rate()
}

// worstStretch is the lowest rate that was enough for one of any n blocks in a
// row, 0 if there was none.
func worstStretch(rates []mempool.FeeRate, n int) (worst mempool.FeeRate) {
	n = min(n, len(rates))
	if n == 0 {
		return 0
	}
	for i := 0; i+n <= len(rates); i++ {
		worst = max(worst, slices.Min(rates[i:i+n]))
	}
	return worst
}
