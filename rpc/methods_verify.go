package rpc

import (
	"context"
	"fmt"
	"slices"

	"cairn/chain"
	"cairn/node"
)

func verifyMethods() []method {
	return []method{
		slowly(define("verifychain", "Checks the last blocks of the best chain again: false means that the disk does not hold what the rules made of them, and the log says where.", verifyChain,
			param{name: "checklevel", kind: number, optional: true, doc: "how thoroughly: 0 reads the blocks, 1 checks each by itself, signatures too, 2 reads what they did to the coins, 3 undoes that, 4 connects them again; default 3", example: "4"},
			param{name: "nblocks", kind: number, optional: true, doc: "how many; 0 is all; default 6", example: "100"})),
	}
}

const (
	usualLevel = 3
	usualCheck = 6
)

func verifyChain(c *call) (bool, error) {
	level, n := argOr(c, 0, int64(usualLevel)), argOr(c, 1, int64(usualCheck))
	if level < 0 || level > 4 || n < 0 {
		return false, Errorf(InvalidParameter, "checklevel lies between 0 and 4, nblocks is 0 for all blocks or more")
	}
	v, err := c.view()
	if err != nil {
		return false, err
	}
	tip, err := v.Tip()
	if err != nil {
		return false, err
	}
	a := audit{p: c.Params, v: v, level: level}
	if n == 0 || uint64(n) > tip.State.Height {
		n = int64(tip.State.Height)
	}
	if err := a.run(c.ctx, tip, n); err != nil {
		if c.ctx.Err() != nil {
			return false, c.ctx.Err()
		}
		c.log.Error("verifychain: the chain on disk is damaged: stop the node, move the database away and fetch it again", "err", err)
		return false, nil
	}
	return true, nil
}

// audit looks at the last blocks of one moment's best chain.
type audit struct {
	p     *chain.Params
	v     Snapshot
	level int64
	coins chain.Overlay // as they were before the blocks undone so far
}

// run walks n blocks down from the tip, and up again.
func (a *audit) run(ctx context.Context, tip node.Entry, n int64) error {
	e, err := tip, error(nil)
	var below []node.Entry
	for range n {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := a.block(e); err != nil {
			return fmt.Errorf("block %v at height %d: %w", e.State.ID, e.State.Height, err)
		}
		below = append(below, e)
		if e, err = a.v.Entry(e.Header.Prev); err != nil {
			return err
		}
	}
	for _, next := range slices.Backward(below) {
		if err := ctx.Err(); err != nil || a.level < 4 {
			return err
		}
		if err := a.connect(e.State, next); err != nil {
			return fmt.Errorf("block %v at height %d: %w", next.State.ID, next.State.Height, err)
		}
		e = next
	}
	return nil
}

// block checks one by itself, and takes it back.
func (a *audit) block(e node.Entry) error {
	if at, err := a.v.At(e.State.Height); err != nil || at != e.State.ID {
		return fmt.Errorf("at its height stands %v (%v)", at, err)
	}
	body, err := a.v.Body(e.State.ID)
	if err != nil {
		return err
	}
	if body.ID() != e.State.ID {
		return fmt.Errorf("its body is that of %v", body.ID())
	}
	if a.level >= 1 {
		if err := again(a.p, body.Block()); err != nil {
			return err
		}
	}
	if a.level < 2 {
		return nil
	}
	diff, err := a.v.Diff(body)
	if err != nil || a.level < 3 {
		return err
	}
	return a.undo(diff)
}

// again checks a block that was checked when it came.
func again(p *chain.Params, b *chain.Block) error {
	if err := chain.CheckRoot(b.Header, b.Leaves()); err != nil {
		return err
	}
	txs, err := chain.CheckTxs(p, b.Txs)
	if err != nil {
		return err
	}
	_, err = chain.CheckBlock(p, b.Header, b.Coinbase, txs)
	return err
}

// undo takes back what a block did to the coins, which must be there.
func (a *audit) undo(d chain.Diff) error {
	created, err := a.coins.Find(points(d.Created), a.v.Coins)
	if err != nil {
		return err
	}
	for _, c := range d.Created {
		if created[c.OutPoint] != c {
			return fmt.Errorf("the coin %v that it made is not there, or is another", c.OutPoint)
		}
	}
	spent, err := a.coins.Find(points(d.Spent), a.v.Coins)
	if err != nil {
		return err
	}
	for o := range spent {
		return fmt.Errorf("the coin %v that it spent is still there", o)
	}
	a.coins.Apply(d.Inverse())
	return nil
}

// connect does it again.
func (a *audit) connect(parent chain.State, e node.Entry) error {
	body, err := a.v.Body(e.State.ID)
	if err != nil {
		return err
	}
	found, err := a.coins.Find(body.Needs(), a.v.Coins)
	if err != nil {
		return err
	}
	state, diff, err := chain.Connect(a.p, parent, body, found)
	if err != nil {
		return err
	}
	kept, err := a.v.Diff(body)
	switch {
	case err != nil:
		return err
	case state != e.State:
		return fmt.Errorf("the rules give %+v, the disk holds %+v", state, e.State)
	case !slices.Equal(ordered(diff.Spent), ordered(kept.Spent)) || !slices.Equal(ordered(diff.Created), ordered(kept.Created)):
		return fmt.Errorf("the disk holds another effect on the coins than the rules give")
	}
	a.coins.Apply(diff)
	return nil
}

func points(coins []chain.Coin) []chain.OutPoint {
	list := make([]chain.OutPoint, len(coins))
	for i := range coins {
		list[i] = coins[i].OutPoint
	}
	return list
}

func ordered(coins []chain.Coin) []chain.Coin {
	return slices.SortedFunc(slices.Values(coins), func(a, b chain.Coin) int { return a.OutPoint.Compare(b.OutPoint) })
}
