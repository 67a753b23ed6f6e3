package daemon

import (
	"context"
	"fmt"

	"cairn/chain"
	"cairn/node"
)

// keyRuledOut names the blocks that a person ruled out, in the store: their ids,
// one after the other.
const keyRuledOut = "daemon/ruled-out"

func (d *Daemon) ruledOut() ([]chain.Hash, error) {
	raw, _, err := d.cfg.Store.Get(keyRuledOut)
	if err != nil {
		return nil, err
	}
	var ids []chain.Hash
	for ; len(raw) >= len(chain.Hash{}); raw = raw[len(chain.Hash{}):] {
		ids = append(ids, chain.Hash(raw[:len(chain.Hash{})]))
	}
	return ids, nil
}

func (d *Daemon) rememberRuledOut(ids []chain.Hash) error {
	var raw []byte // nil forgets
	for _, id := range ids {
		raw = append(raw, id[:]...)
	}
	return d.cfg.Store.Put(keyRuledOut, raw)
}

// branches is rpc.Branches.
type branches struct{ d *Daemon }

// Moved is closed when the best chain moves next.
func (b branches) Moved() <-chan struct{} { return b.d.Moved() }

// Invalidate rules a block out, over restarts too.
func (b branches) Invalidate(ctx context.Context, id chain.Hash) error {
	return b.judge(ctx, id, (*node.Node).Invalidate)
}

// Reconsider takes that back.
func (b branches) Reconsider(ctx context.Context, id chain.Hash) error {
	return b.judge(ctx, id, (*node.Node).Reconsider)
}

// judge asks the node itself, whatever player stands around it. A crash between
// its commit and ours leaves a chain that is taken up again at the next start,
// and nobody was told otherwise.
func (b branches) judge(ctx context.Context, id chain.Hash, f func(*node.Node, chain.Time, chain.Hash) (node.Outcome, error)) error {
	out, err := b.d.call(ctx, func(now chain.Time, _ node.Player) (node.Outcome, error) {
		n := b.d.loop.node
		out, err := f(n, now, id)
		if err == nil && out.Why == nil {
			err = b.d.rememberRuledOut(n.RuledOut())
		}
		return out, err
	})
	if err != nil {
		return err
	}
	if out.Why != nil {
		return fmt.Errorf("block %v: %w", id, out.Why)
	}
	return nil
}
