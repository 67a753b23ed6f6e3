package daemon

import (
	"context"

	"cairn/chain"
	"cairn/rpc"
)

// work is the node as other people's miners see it, over RPC and over Stratum.
type work struct{ d *Daemon }

// Work hands out templates and takes found blocks.
func (d *Daemon) Work() interface {
	Template(context.Context) (*chain.Block, error)
	Submit(context.Context, *chain.Block) error
	Moved() <-chan struct{}
} {
	return work{d}
}

// Meet lets the node tell of other people's miners that come over Stratum. It is
// called before Backend.
func (d *Daemon) Meet(s rpc.Stratum) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stratum = s
}

// door is where they come; nil if it is closed.
func (d *Daemon) door() rpc.Stratum {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.stratum
}

// offered is the work that RPC hands out: none if it would pay nobody.
func (d *Daemon) offered() rpc.Work {
	if !d.cfg.HasPay {
		return nil
	}
	return work{d}
}

// Template makes one in the loop. It pays the node's own address, if there is one:
// Stratum pays whom it likes.
func (w work) Template(ctx context.Context) (*chain.Block, error) {
	return w.d.template(ctx, w.d.cfg.Pay)
}

// Submit takes a block by the same door as anyone's.
func (w work) Submit(ctx context.Context, b *chain.Block) error { return w.d.submit(ctx, b) }

// Moved returns a channel that is closed when the best chain moves next.
func (w work) Moved() <-chan struct{} { return w.d.loop.Moved() }
