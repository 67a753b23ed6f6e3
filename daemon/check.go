package daemon

import (
	"context"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"cairn/chain"
)

// A verdict on a body: the block in its checked form, or the rule that it breaks.
type checkedBody struct {
	id    chain.Hash
	block chain.CheckedBlock
	err   error
}

// checkBodies checks blocks, all their signatures together on all cores. An error is
// no block's fault.
func (d *Daemon) checkBodies(ctx context.Context, bodies []chain.Body) ([]checkedBody, error) {
	lists := make([][]chain.NamedTx, len(bodies))
	for i, b := range bodies {
		lists[i] = b.Txs()
	}
	all := slices.Concat(lists...)
	known, err := d.recall(ctx, all)
	if err != nil {
		return nil, err
	}
	broken := d.checkStrangers(all, known)
	if broken != nil && chain.KindOf(broken) == "" {
		return nil, broken
	}
	out := make([]checkedBody, len(bodies))
	for i, b := range bodies {
		out[i].id = b.ID()
		mine := known[:len(b.Txs())]
		known = known[len(b.Txs()):]
		if broken != nil { // which block?
			out[i].err = d.checkStrangers(b.Txs(), mine)
		}
		if out[i].err == nil {
			out[i].block, out[i].err = chain.CheckBody(d.p, b, mine)
		}
	}
	return out, nil
}

// recall finds the checked forms of transactions in the pool: no signature is
// verified twice. Those that are not there stay zero.
func (d *Daemon) recall(ctx context.Context, txs []chain.NamedTx) ([]chain.CheckedTx, error) {
	checked := make([]chain.CheckedTx, len(txs))
	err := d.loop.look(ctx, func(chain.Time) {
		pool := d.loop.node.Mempool()
		for i, t := range txs {
			checked[i], _ = pool.Tx(t.ID())
		}
	})
	return checked, err
}

// checkStrangers fills in what recall left zero.
func (d *Daemon) checkStrangers(txs []chain.NamedTx, known []chain.CheckedTx) error {
	strangers, at := make([]chain.NamedTx, 0, len(txs)), make([]int, 0, len(txs))
	for i, t := range txs {
		if known[i].Tx() == nil {
			strangers, at = append(strangers, t), append(at, i)
		}
	}
	checked, err := d.checkNamed(strangers)
	if err != nil {
		return err
	}
	for i, c := range checked {
		known[at[i]] = c
	}
	return nil
}

// Verified counts the transactions in blocks whose signatures this node checked:
// those that its pool did not hold.
func (d *Daemon) Verified() uint64 { return d.verified.Load() }

// leastPiece is the least number of transactions that is worth a core: below it,
// what batches save is lost.
const leastPiece = 16

// checkTxs checks transactions in one piece a core. No more pieces than there are
// cores are checked at a time, in the order in which they came: more would only keep
// each other waiting, and whoever brings the next blocks too.
func (d *Daemon) checkTxs(txs []*chain.Tx) ([]chain.CheckedTx, error) {
	return d.checkNamed(chain.Names(txs))
}

func (d *Daemon) checkNamed(txs []chain.NamedTx) ([]chain.CheckedTx, error) {
	cores := runtime.GOMAXPROCS(0)
	size := max(leastPiece, (len(txs)+cores-1)/cores)
	checked := make([]chain.CheckedTx, len(txs))
	var g errgroup.Group
	for i := 0; i < len(txs); i += size {
		end := min(i+size, len(txs))
		g.Go(func() error {
			part, err := d.checkPiece(txs[i:end])
			copy(checked[i:], part)
			return err
		})
	}
	d.verified.Add(uint64(len(txs)))
	return checked, g.Wait()
}

// checkPiece checks transactions once a core is free for them.
func (d *Daemon) checkPiece(txs []chain.NamedTx) ([]chain.CheckedTx, error) {
	select {
	case d.cores <- struct{}{}:
	case <-d.life.Done():
		return nil, context.Cause(d.life)
	}
	defer func() { <-d.cores }()
	defer d.meter.check("bodies", time.Now())
	return chain.CheckNamed(d.p, txs)
}
