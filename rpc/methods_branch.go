package rpc

import (
	"context"
	"errors"
	"time"

	"cairn/chain"
	"cairn/node"
)

func branchMethods() []method {
	return []method{
		slowly(define("invalidateblock", "Follows no branch with this block any more, as if it broke a rule, until reconsiderblock.", invalidateBlock,
			param{name: "blockhash", kind: id, doc: "the block's id"})),
		slowly(define("reconsiderblock", "Takes back invalidateblock for a block, those before it and those that build on it.", reconsiderBlock,
			param{name: "blockhash", kind: id, doc: "the block's id"})),
		slowly(define("waitfornewblock", "Waits until the best chain ends elsewhere, and tells where it ends then.", waitForNewBlock,
			param{name: "timeout", kind: number, optional: true, doc: "milliseconds; 0 is no limit; default 0"},
			param{name: "current_tip", kind: id, optional: true, doc: "the tip that is known; default: that of now"})),
		slowly(define("waitforblock", "Waits until the best chain ends with a block, and tells where it ends then.", waitForBlock,
			param{name: "blockhash", kind: id, doc: "the block's id"},
			param{name: "timeout", kind: number, optional: true, doc: "milliseconds; 0 is no limit; default 0"})),
		slowly(define("waitforblockheight", "Waits until the best chain is so high, and tells where it ends then.", waitForBlockHeight,
			param{name: "height", kind: number, doc: "at the least"},
			param{name: "timeout", kind: number, optional: true, doc: "milliseconds; 0 is no limit; default 0"})),
	}
}

func invalidateBlock(c *call) (any, error) {
	return nil, unknownBlock(c.Branches.Invalidate(c.ctx, arg[chain.Hash](c, 0)))
}

func reconsiderBlock(c *call) (any, error) {
	return nil, unknownBlock(c.Branches.Reconsider(c.ctx, arg[chain.Hash](c, 0)))
}

func unknownBlock(err error) error {
	if errors.Is(err, node.ErrUnknown) {
		return Errorf(NotFound, "Block not found")
	}
	return err
}

// Awaited is the result of waitfornewblock and its kin: the tip, whether what was
// waited for came or not.
type Awaited struct {
	Hash   chain.Hash `json:"hash"`
	Height uint64     `json:"height"`
}

func waitForNewBlock(c *call) (*Awaited, error) {
	known, err := c.tip()
	if err != nil {
		return nil, err
	}
	last := argOr(c, 1, known.ID)
	return c.await(0, func(tip chain.State) bool { return tip.ID != last })
}

func waitForBlock(c *call) (*Awaited, error) {
	want := arg[chain.Hash](c, 0)
	return c.await(1, func(tip chain.State) bool { return tip.ID == want })
}

func waitForBlockHeight(c *call) (*Awaited, error) {
	want := arg[int64](c, 0)
	return c.await(1, func(tip chain.State) bool { return int64(tip.Height) >= want })
}

// maxWait is the longest timeout, in milliseconds; more is no limit.
const maxWait = int64(100 * 365 * 24 * time.Hour / time.Millisecond)

// await waits until the tip is as it should be, at most for the timeout that an
// argument names, and not longer than the server runs or the caller stays.
func (c *call) await(timeout int, met func(chain.State) bool) (*Awaited, error) {
	limit := argOr(c, timeout, int64(0))
	if limit < 0 {
		return nil, Errorf(Misc, "Negative timeout")
	}
	ctx := c.ctx
	if limit > 0 && limit < maxWait {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(limit)*time.Millisecond)
		defer cancel()
	}
	for {
		moved := c.Branches.Moved() // before we look, so that no move is missed
		tip, err := c.latest()
		if err != nil {
			return nil, err
		}
		if met(tip) || ctx.Err() != nil {
			return &Awaited{Hash: tip.ID, Height: tip.Height}, nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
		}
	}
}

// latest is the tip of now, whatever the call's snapshot says.
func (c *call) latest() (chain.State, error) {
	v, err := c.Open()
	if err != nil {
		return chain.State{}, err
	}
	defer v.Close()
	tip, err := v.Tip()
	return tip.State, err
}
