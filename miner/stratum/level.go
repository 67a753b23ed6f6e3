package stratum

import (
	"math"
	"math/big"
	"sort"

	"cairn/chain"
)

// Level is the difficulty of a share as a power of two. Powers of two are exact
// in JSON and in every miner's arithmetic, so miner and server mean one target.
type Level int

const (
	easiest Level = -31 // below it cpuminer-opt's target overflows
	hardest Level = 63
	first   Level = -10 // of a new session: about 4 million hashes a share
)

// slack is how many bits of a target may differ: some miners take difficulty 1
// for 2²²⁴, others for 0xFFFF·2²⁰⁸.
const slack = 15

// Difficulty is the level as set_difficulty says it; 1 is the target
// 0xFFFF·2²⁰⁸, as on Bitcoin.
func (l Level) Difficulty() float64 { return math.Ldexp(1, int(l)) }

// hashes is the expected number of hashes for a share.
func (l Level) hashes() float64 { return math.Ldexp(1/float64(0xFFFF), int(l)+48) }

// target is the number that a share's hash must not exceed.
func (l Level) target() *big.Int {
	return new(big.Int).Lsh(big.NewInt(0xFFFF), uint(208-int(l)))
}

// limit is the target with the slack on top, most significant byte first.
func (l Level) limit() (b [32]byte) {
	t := l.target()
	t.Add(t, new(big.Int).Rsh(t, slack))
	t.FillBytes(b[:])
	return b
}

// levelOf is the hardest level whose shares include every block of this target.
func levelOf(block chain.Target) Level {
	b := block.Bytes()
	most := new(big.Int).SetBytes(b[:])
	harder := sort.Search(int(hardest-easiest)+1, func(i int) bool {
		return (easiest + Level(i)).target().Cmp(most) < 0
	})
	return max(easiest, easiest+Level(harder)-1)
}

// A rule is how a network limits the difficulty of shares.
type rule struct {
	every float64 // seconds between the shares of one worker that vardiff aims at
	easy  bool    // shares may be harder than blocks
}

// ruleOf: on a network for tests, where nearly any hash may be a block, every
// share is a block, and a miner would find more of them than the network can
// carry. On any other a share harder than a block would lose blocks.
func ruleOf(p *chain.Params) rule {
	if p.Easiest.Work().Cmp(chain.NewWork(1<<16)) < 0 {
		return rule{every: 2, easy: true}
	}
	return rule{every: 5}
}

// level is the one to hand out when vardiff wishes for one, and block is the
// hardest that loses no block.
func (r rule) level(wish, block Level) Level {
	if r.easy {
		block = max(block, wish-1)
	}
	return max(easiest, min(wish, block))
}

// start is what vardiff wishes for at first.
func (r rule) start() Level {
	if r.easy {
		return first + 1
	}
	return first
}
