package miner

import (
	"math/rand/v2"
	"time"

	"cairn/chain"
	"cairn/miner/sha256d"
)

// digger is the search of one thread and owned by it.
type digger struct {
	m    *Miner
	pace pace
	hits []uint32

	task     *task // what the following was made from
	header   chain.Header
	coinbase *chain.Coinbase
	job      *sha256d.Job
	nonce    uint32 // the next to try
	left     uint64 // nonces not yet tried under this coinbase
}

func newDigger(m *Miner) *digger { return &digger{m: m, pace: newPace()} }

// dig tries at most n nonces of t and returns the block of the first that is
// good, or nil.
func (d *digger) dig(t *task, n uint64) *chain.Block {
	first, n := d.next(t, n)
	start := time.Now()
	d.hits = d.job.Search(first, n, d.hits[:0])
	d.pace.took(n, time.Since(start))
	d.m.hashes.Add(n)
	if len(d.hits) == 0 {
		return nil
	}
	return d.block(d.hits[0])
}

// next claims up to n nonces that nobody has tried on this task, from first on,
// 0 following the greatest.
func (d *digger) next(t *task, n uint64) (first uint32, claimed uint64) {
	if d.task != t || d.left == 0 {
		d.turn(t)
	}
	first, claimed = d.nonce, min(n, d.left)
	d.nonce += uint32(claimed)
	d.left -= claimed
	return first, claimed
}

// turn takes the next extra nonce of all threads, and with it a whole new nonce
// space.
func (d *digger) turn(t *task) {
	d.task = t
	d.header, d.coinbase = t.with(d.m.extra.Add(1))
	header := d.header.Bytes()
	d.job = sha256d.NewJob(&header, &t.target)
	d.nonce, d.left = rand.Uint32(), d.m.space
}

func (d *digger) block(nonce uint32) *chain.Block {
	h := d.header
	h.Nonce = nonce
	return &chain.Block{Header: h, Coinbase: d.coinbase, Txs: d.task.block.Txs}
}
