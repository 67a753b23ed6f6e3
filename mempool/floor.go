package mempool

import "cairn/chain"

// floor is the fee rate that newcomers must pay while the pool has lately been
// full: who was pushed out must not come back at once at the same price, or the
// network would carry it for nothing (as in Bitcoin Core). It rises with every
// eviction, and falls once a block shows that the pool drains.
type floor struct {
	rate  FeeRate    // 0 is none
	since chain.Time // it fell last
	falls bool       // a block came since it rose
}

const (
	steps = 10 // in which it halves
	fall  = 93_303
	of    = 100_000 // a step keeps fall/of of it: 2^(−1/steps)
)

// MinRate is what a newcomer must pay now.
func (p *Pool) MinRate() FeeRate { return max(p.cfg.MinFeeRate, p.floor.rate) }

// raise follows an eviction: a newcomer must pay more than what was pushed out
// paid, by the least rate at which replacements outbid.
func (p *Pool) raise(evicted FeeRate) {
	if rate := evicted + p.cfg.MinFeeRate; rate > p.floor.rate {
		p.floor = floor{rate: rate}
	}
}

// drained hears of a block.
func (p *Pool) drained() {
	if !p.floor.falls {
		p.floor.falls, p.floor.since = true, p.now
	}
}

// lowered is the floor at a time: it falls the faster the emptier the pool is.
func (p *Pool) lowered(now chain.Time) floor {
	step := max(p.cfg.Halving/steps, 1)
	switch {
	case p.bytes < p.cfg.MaxBytes/4:
		step = max(step/4, 1)
	case p.bytes < p.cfg.MaxBytes/2:
		step = max(step/2, 1)
	}
	f := p.floor
	for f.falls && f.rate > 0 && now-f.since >= step {
		f.since += step
		f.rate = f.rate/of*fall + f.rate%of*fall/of
		if f.rate < p.cfg.MinFeeRate/2 {
			f.rate = 0
		}
	}
	return f
}

// AskLike makes a copy of a part of another pool ask of newcomers what that one
// asks at a time.
func (p *Pool) AskLike(o *Pool, now chain.Time) {
	p.floor = floor{rate: o.lowered(now).rate}
}
