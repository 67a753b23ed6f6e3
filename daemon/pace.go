package daemon

import (
	"sync"

	"cairn/chain"
	"cairn/rpc"
)

// pace measures how fast the best chain grows.
type pace struct {
	mu      sync.Mutex
	samples []paceSample // guarded by mu; one a tick, the oldest first
}

type paceSample struct {
	at          chain.Time
	blocks, txs uint64 // connected since the start
}

const paceSamples = 11 // over ten ticks

// measure takes a sample.
func (d *Daemon) measure() {
	var s paceSample
	err := d.loop.look(d.life, func(now chain.Time) {
		s.at = now
		s.blocks, s.txs = d.loop.node.Connected()
	})
	if err == nil {
		d.pace.add(s)
	}
}

func (p *pace) add(s paceSample) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.samples = append(p.samples, s); len(p.samples) > paceSamples {
		p.samples = p.samples[1:]
	}
}

// until is the pace in blocks and transactions a second, from the oldest sample to
// s; 0 if there is none before s.
func (p *pace) until(s paceSample) (blocks, txs float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.samples) == 0 || s.at <= p.samples[0].at {
		return 0, 0
	}
	first := p.samples[0]
	seconds := float64(s.at-first.at) / 1000
	return float64(s.blocks-first.blocks) / seconds, float64(s.txs-first.txs) / seconds
}

// Sync tells how far the node is on its way to the heaviest branch that it knows;
// nil if that is its own.
func (d *Daemon) Sync() *rpc.Sync {
	var at rpc.Sync
	var s paceSample
	var behind bool
	err := d.loop.look(d.life, func(now chain.Time) {
		n := d.loop.node
		at.Height, s.at = n.Best().Height, now
		s.blocks, s.txs = n.Connected()
		at.Target, behind = n.Syncing()
	})
	if err != nil || !behind {
		return nil
	}
	at.Blocks, at.Txs = d.pace.until(s)
	if at.Blocks > 0 && at.Target >= at.Height {
		left := int64(float64(at.Target-at.Height) / at.Blocks)
		at.Left = &left
	}
	return &at
}

// Sync is how far the node is on its way to the heaviest branch.
func (b branches) Sync() *rpc.Sync { return b.d.Sync() }
