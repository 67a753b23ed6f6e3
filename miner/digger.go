package miner

import (
	"math/rand/v2"
	"sync/atomic"
	"time"

	"cairn/chain"
	"cairn/miner/sha256d"
)

// rolled is the lowest of chain.RollingBits. From it on the headers of a family
// count up their versions.
const rolled = 13

// digger is the search of one thread and owned by it.
type digger struct {
	m      *Miner
	pace   pace
	counts []*atomic.Uint64 // of hashes
	hits   []sha256d.Hit

	task     *task          // what the following was made from
	headers  []chain.Header // alike but for the version
	coinbase *chain.Coinbase
	family   *sha256d.Family // the headers
	nonce    uint32          // the next to try on all of them
	left     uint64          // nonces not yet tried under this coinbase
}

// newDigger makes one that searches so many headers together. The miner counts its
// hashes, and whoever else is named.
func newDigger(m *Miner, wide int, also ...*atomic.Uint64) *digger {
	return &digger{m: m, pace: newPace(wide), counts: append(also, &m.hashes), headers: make([]chain.Header, wide)}
}

// dig does at most n hashes of t, or one on each header if n is less, and returns
// the block of one that is good, or nil.
func (d *digger) dig(t *task, n uint64) *chain.Block {
	wide := uint64(len(d.headers))
	first, n := d.next(t, max(n/wide, 1))
	start := time.Now()
	d.hits = d.family.Search(first, n, d.hits[:0])
	d.pace.took(n*wide, time.Since(start))
	for _, c := range d.counts {
		c.Add(n * wide)
	}
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
// space for each header.
func (d *digger) turn(t *task) {
	d.task = t
	h, coinbase := t.with(d.m.extra.Add(1))
	d.coinbase = coinbase
	raw := make([]sha256d.Header, len(d.headers))
	for i := range d.headers {
		d.headers[i] = h
		d.headers[i].Version ^= uint32(i) << rolled
		raw[i] = d.headers[i].Bytes()
	}
	family, err := sha256d.NewFamily(raw, &t.target)
	if err != nil {
		panic(err) // the version is far from their end
	}
	d.family = family
	d.nonce, d.left = rand.Uint32(), d.m.space
}

func (d *digger) block(hit sha256d.Hit) *chain.Block {
	h := d.headers[hit.Header]
	h.Nonce = hit.Nonce
	return &chain.Block{Header: h, Coinbase: d.coinbase, Txs: d.task.block.Txs}
}
