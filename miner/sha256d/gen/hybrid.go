package main

import (
	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// hybrid writes the kernel that does rounds on the SHA unit while AVX-512 makes
// message words of 16 nonces, each beside the other's other half:
//
//	first hash of batch i       beside  words of the second hash of batch i-1
//	second hash of batch i-1    beside  words of the first hash of batch i+1
func hybrid(c *build.Context) {
	f := open(c, "scanHybrid", "does rounds with the SHA extensions beside 16 nonces' message words at once.")
	f.Attributes(attr.Attribute(0)) // it needs more stack than may go unchecked
	m := newMixer(f)
	f.TESTQ(f.left, f.left)
	f.JZ(operand.LabelRef("done"))
	f.VZEROUPPER()
	m.set.start()
	m.headerWords()
	f.INCQ(f.left)
	f.XORL(reg.R9L, reg.R9L)
	f.Label("batch")
	weave(f, m.apart(m.headerRounds), m.apart(m.outerWords))
	weave(f, m.apart(m.outerRounds), m.apart(m.headerWords))
	m.set.verdict(m.last, f.word(iv[7]), at(f.feed, feedTop))
	f.ADDQ(reg.R9, f.masks.Base) // the first verdict is about nothing: the second takes its place
	f.MOVL(operand.U32(2), reg.R9L)
	f.DECQ(f.left)
	f.JNZ(operand.LabelRef("batch"))
	f.Label("done")
	f.close()
}

// A mixer makes the parts of the hybrid.
//
// Its vectors are the upper 16: if the upper half of one of the lower 16, which
// the SHA instructions use, were touched, each of those would take some hundred
// times as long on Intel.
type mixer struct {
	*frame
	words *lanes
	set   *zmm
	pair  [2]op // message words plus constants of two consecutive rounds

	kw     [2]operand.Mem // such pairs of either hash, by half the round: 8 bytes a nonce
	states [2]operand.Mem // after the first hash: f, e, b, a and h, g, d, c of each nonce
	last   operand.Mem    // what becomes the digest's last word
}

const (
	pairs    = 2 * vector // bytes
	inMemory = 16*vector + 2*32*pairs + 9*vector
)

func newMixer(f *frame) *mixer {
	z := vectors(reg.S512)
	s := &zmm{frame: f, temp: z[16:20], count: z[20], swap: z[21], sum: z[23], xors: true}
	m := &mixer{frame: f, words: &lanes{frame: f, set: s}, set: s, pair: [2]op{z[24], z[25]}}
	base := f.aligned(inMemory)
	take := func(bytes int) operand.Mem {
		was := base
		base = base.Offset(bytes)
		return was
	}
	for i := range m.words.w {
		m.words.w[i] = take(vector)
	}
	m.kw = [2]operand.Mem{take(32 * pairs), take(32 * pairs)}
	m.states = [2]operand.Mem{take(4 * vector), take(4 * vector)}
	m.last = take(vector)
	return m
}

// headerWords makes the pairs of 16 nonces for the header's second block. Of
// rounds 0 and 1 the job knows the state, of 4 to 17 the pairs.
func (m *mixer) headerWords() {
	h := header()
	m.set.nonces(m.words.w[nonceWord])
	m.set.broadcast(at(m.feed, feedKW+2), m.pair[0])
	m.keep(m.kw[0], 3, at(m.feed, feedKW+3))
	for t := firstMoved; t < 64; t++ {
		m.words.schedule(h, t)
		m.keep(m.kw[0], t, at(m.feed, feedKW+t))
	}
}

// outerWords makes the pairs for the hash of the hash, of which 8 to 15 are
// known.
func (m *mixer) outerWords() {
	h := outer()
	for half, order := range [2][4]int{{5, 4, 1, 0}, {7, 6, 3, 2}} {
		for i, x := range m.transposed(m.states[half]) {
			word := order[i]
			m.VPADDD_BCST(at(m.feed, feedMid+word), x, x)
			m.set.move(x, m.words.w[word])
		}
	}
	for t := range lastRound + 2 {
		switch {
		case t < 8:
			m.set.move(m.words.w[t], m.set.sum)
		case t < 16:
			continue
		default:
			m.words.schedule(h, t)
		}
		m.keep(m.kw[1], t, m.word(k[t]))
	}
}

// keep adds its constant to message word t, which is still in its register, and
// after every other stores a pair.
func (m *mixer) keep(to operand.Mem, t int, constant operand.Mem) {
	m.VPADDD_BCST(constant, m.set.sum, m.pair[t%2])
	if t%2 == 0 {
		return
	}
	to = to.Offset(t / 2 * pairs)
	m.VPUNPCKLDQ(m.pair[1], m.pair[0], m.set.temp[0])
	m.VPUNPCKHDQ(m.pair[1], m.pair[0], m.set.temp[1])
	m.set.move(m.set.temp[0], to)
	m.set.move(m.set.temp[1], to.Offset(vector))
}

// pairOf is where keep put a nonce's pair: each quarter of a vector holds four
// nonces, of which two go to either half.
func pairOf(base operand.Mem, t, nonce int) operand.Mem {
	quarter, i := nonce/4, nonce%4
	return base.Offset(t/2*pairs + i/2*vector + quarter*16 + i%2*8)
}

// stateOf is where four words of a nonce's state lie for transposed.
func stateOf(base operand.Mem, nonce int) operand.Mem {
	return base.Offset(nonce%4*vector + nonce/4*16)
}

// transposed returns four vectors of one word of every nonce each.
func (m *mixer) transposed(from operand.Mem) [4]op {
	z := vectors(reg.S512)[24:32]
	r, t := z[:4], z[4:]
	for i := range r {
		m.set.move(from.Offset(i*vector), r[i])
	}
	for i := range 2 {
		m.VPUNPCKLDQ(r[2*i+1], r[2*i], t[2*i])
		m.VPUNPCKHDQ(r[2*i+1], r[2*i], t[2*i+1])
	}
	for i := range 2 {
		m.VPUNPCKLQDQ(t[i+2], t[i], r[2*i])
		m.VPUNPCKHQDQ(t[i+2], t[i], r[2*i+1])
	}
	return [4]op(r)
}

// side is how many nonces the SHA unit works on side by side: enough to hide
// how long one takes.
const side = 4

// headerRounds does rounds 2 to 63 of the first hash of each nonce.
func (m *mixer) headerRounds() {
	m.rounds(at(m.feed, feedEarly), at(m.feed, feedEarly+4), 2, 62, func(t, nonce int) operand.Mem {
		if t >= 4 && t < 18 {
			return at(m.feed, feedKW+t)
		}
		return pairOf(m.kw[0], t, nonce)
	}, func(nonce int, abef, cdgh op) {
		m.VMOVDQU(abef, stateOf(m.states[0], nonce))
		m.VMOVDQU(cdgh, stateOf(m.states[1], nonce))
	})
}

// outerRounds does rounds 0 to 61 of the second, of which 60 decides.
func (m *mixer) outerRounds() {
	known := outer().value
	m.rounds(m.four(iv[5], iv[4], iv[1], iv[0]), m.four(iv[7], iv[6], iv[3], iv[2]), 0, lastRound, func(t, nonce int) operand.Mem {
		if t >= 8 && t < 16 {
			return m.two(k[t]+known[t], k[t+1]+known[t+1])
		}
		return pairOf(m.kw[1], t, nonce)
	}, func(nonce int, abef, _ op) {
		m.VMOVD(abef, m.last.Offset(4*nonce))
	})
}

// rounds does the rounds from the first to the one after the last, two at a
// time, and hands what came out to done.
func (m *mixer) rounds(abef, cdgh operand.Mem, first, last int, kw func(t, nonce int) operand.Mem, done func(nonce int, abef, cdgh op)) {
	x := vectors(reg.S128)[1:]
	for group := 0; group < 16; group += side {
		for i := range side {
			m.VMOVDQU(abef, x[2*i])
			m.VMOVDQU(cdgh, x[2*i+1])
		}
		turn := 0
		for t := first; t <= last; t += 2 {
			for i := range side {
				m.VMOVQ(kw(t, group+i), reg.X0)
				m.SHA256RNDS2(reg.X0, x[2*i+turn], x[2*i+1-turn])
			}
			turn = 1 - turn
		}
		for i := range side {
			done(group+i, x[2*i+turn], x[2*i+1-turn])
		}
	}
}

// apart returns what write would have written here.
func (m *mixer) apart(write func()) []*ir.Instruction {
	here := m.Context
	m.Context = build.NewContext()
	m.Function("part")
	write()
	file, err := m.Result()
	if err != nil {
		panic(err)
	}
	m.Context = here
	return file.Functions()[0].Instructions()
}

// weave writes two streams that do not wait for each other, a few of one and
// then as many of the other as keeps both on the same fraction of their way.
func weave(f *frame, one, other []*ir.Instruction) {
	const few = 2 * side
	done := 0
	for i, instruction := range one {
		f.Instruction(instruction)
		if (i+1)%few != 0 && i+1 != len(one) {
			continue
		}
		for ; done*len(one) < (i+1)*len(other); done++ {
			f.Instruction(other[done])
		}
	}
}
