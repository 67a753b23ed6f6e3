package daemon

import (
	"context"
	"errors"
	"fmt"
	"math"

	"cairn/chain"
	"cairn/node"
)

// source gives the miner templates.
type source struct{ d *Daemon }

// Template makes one in the loop.
func (s source) Template(ctx context.Context) (*chain.Block, error) {
	if !s.d.cfg.HasPay {
		return nil, errors.New("nobody is paid for blocks: start the node with --mine-to ADDRESS")
	}
	return s.d.template(ctx, s.d.cfg.Pay)
}

func (d *Daemon) template(ctx context.Context, pay chain.Address) (*chain.Block, error) {
	if err := d.noRoom(); err != nil {
		return nil, err
	}
	var b *chain.Block
	var fault error
	// With what the clock shows, even where it went back: peers hold our blocks
	// against their clocks.
	err := d.loop.do(ctx, func(chain.Time) { b, fault = d.loop.player.Template(d.loop.time.shown(), pay) })
	return b, errors.Join(err, fault)
}

// found takes a block of our own miner.
func (d *Daemon) found(ctx context.Context, b *chain.Block) error {
	err := d.submit(ctx, b)
	if err == nil {
		d.log.Info("found a block", "height", b.Coinbase.Height, "id", b.ID().Short(), "txs", len(b.Txs))
	}
	return err
}

// submit takes a block made here, by the same door as anyone's, and tells the
// peers.
func (d *Daemon) submit(ctx context.Context, b *chain.Block) error {
	named := chain.Names(b.Txs)
	txs, err := d.recall(ctx, named)
	if err != nil {
		return err
	}
	if err := d.checkStrangers(named, txs); err != nil {
		return err
	}
	checked, err := chain.CheckBlock(d.p, b.Header, b.Coinbase, txs)
	if err != nil {
		return err
	}
	out, err := d.call(ctx, func(now chain.Time, p node.Player) (node.Outcome, error) { return p.Block(now, node.Self, checked) })
	if err != nil {
		return err
	}
	if out.Verdict != node.Accept {
		return fmt.Errorf("our own block was not taken: %w", out.Why)
	}
	if err := d.net.PublishBlock(d.brief(checked.Announce())); err != nil {
		d.log.Warn("a block was not published", "id", checked.ID(), "err", err)
	}
	return nil
}

// Generate finds blocks one after the other, until the tries are used up.
func (m mining) Generate(ctx context.Context, n int, pay chain.Address, tries uint64) ([]chain.Hash, error) {
	ctx, end := m.d.within(ctx)
	defer end()
	var ids []chain.Hash
	left := tries
	for len(ids) < n && (tries == 0 || left > 0) {
		b, err := m.d.template(ctx, pay)
		if err == nil && tries == 0 {
			b, err = m.d.miner.Solve(ctx, b)
		} else if err == nil {
			b, err = try(ctx, b, &left)
		}
		if err == nil && b != nil {
			err = m.d.submit(ctx, b)
		}
		if err != nil {
			return ids, err
		}
		if b != nil {
			ids = append(ids, b.ID())
		}
	}
	return ids, nil
}

// within ends ctx with the node.
func (d *Daemon) within(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(d.life, func() { cancel(ErrStopped) })
	return ctx, func() {
		stop()
		cancel(nil)
	}
}

// try proves a block by so many nonces at most, one by one: a miner's threads do
// not count theirs so exactly. Without a proof it returns nil.
func try(ctx context.Context, b *chain.Block, left *uint64) (*chain.Block, error) {
	const look = 1 << 12 // nonces between two looks at ctx
	target, ok := b.Header.Bits.Target()
	if !ok {
		return nil, fmt.Errorf("bits %v of our own template are no target", b.Header.Bits)
	}
	for nonce := uint64(0); *left > 0 && nonce <= math.MaxUint32; nonce++ {
		if nonce%look == 0 && ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		*left--
		if b.Header.Nonce = uint32(nonce); target.Met(b.ID()) {
			return b, nil
		}
	}
	return nil, nil
}
