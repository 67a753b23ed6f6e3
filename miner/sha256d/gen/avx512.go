package main

import (
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// What VPTERNLOGD makes of each combination of three bits.
const (
	xor3   = operand.U8(0x96)
	ifElse = operand.U8(0xb8) // of f, e and g
	most   = operand.U8(0xe8)
)

// avx512 writes the kernel of 16 lanes. All of a batch stays in registers.
func avx512(c *build.Context) {
	f := open(c, "scanAVX512", "tries 16 nonces at once.")
	l, s := sixteen(f)
	s.start()
	f.loop(func() {
		l.first()
		l.second()
		l.verdict(l.v[4], l.word(iv[7]), at(l.feed, feedTop))
		f.ADDQ(operand.U8(2), f.masks.Base)
	})
	f.VZEROUPPER()
	f.close()
}

// sixteen is 16 lanes in registers, of which Z30 stays free.
func sixteen(f *frame) (*lanes, *zmm) {
	z := vectors(reg.S512)
	s := &zmm{frame: f, temp: z[24:28], count: z[28], swap: z[29]}
	l := &lanes{frame: f, set: s, spare: z[31]}
	copy(l.v[:], z[:8])
	copy(l.w[:], z[8:24])
	return l, s
}

// vector is how many bytes a whole register has.
const vector = 64

func vectors(size reg.Spec) (all []op) {
	for i := range 32 {
		if r := reg.Vector.Lookup(reg.Index(i), size); r != nil {
			all = append(all, r)
		}
	}
	return all
}

// zmm does SHA-256's steps with AVX-512.
type zmm struct {
	*frame
	temp  []op
	count op // the batch's nonces as numbers
	swap  op // turns the bytes of each word around

	sum  op   // a message word in the making, where words lie in memory
	xors bool // do without VPTERNLOGD, which would wait for the SHA unit
}

func (s *zmm) start() {
	lanes := make([]uint32, 16)
	for i := range lanes {
		lanes[i] = uint32(i)
	}
	s.VBROADCASTI32X4(s.literals.swap(), s.swap)
	s.VPBROADCASTD(s.first, s.count)
	s.VPADDD(s.vector(lanes...), s.count, s.count)
}

func (s *zmm) broadcast(from operand.Mem, to op) { s.VPBROADCASTD(from, to) }

func (s *zmm) add(x, y, to op) { s.VPADDD(x, s.loaded(y, to), to) }

func (s *zmm) addWord(word operand.Mem, x, to op) { s.VPADDD_BCST(word, s.loaded(x, to), to) }

// loaded is x, or where it has been moved to if it was in memory.
func (s *zmm) loaded(x, to op) op {
	if operand.IsMem(x) {
		s.move(x, to)
		return to
	}
	return x
}

func (s *zmm) move(from, to op) { s.VMOVDQA32(from, to) }

func (s *zmm) spin(x op, how spin) op {
	t := s.temp
	x = s.loaded(x, t[3])
	s.VPRORD(operand.U8(how.by[0]), x, t[0])
	s.VPRORD(operand.U8(how.by[1]), x, t[1])
	if how.shift {
		s.VPSRLD(operand.U8(how.by[2]), x, t[2])
	} else {
		s.VPRORD(operand.U8(how.by[2]), x, t[2])
	}
	if s.xors {
		s.VPXORD(t[2], t[1], t[1])
		s.VPXORD(t[1], t[0], t[0])
	} else {
		s.VPTERNLOGD(xor3, t[2], t[1], t[0])
	}
	return t[0]
}

func (s *zmm) choose(e, f, g op) op {
	s.VPTERNLOGD(ifElse, f, e, g)
	return g
}

func (s *zmm) majority(a, b, c op) op {
	s.move(a, s.temp[0])
	s.VPTERNLOGD(most, c, b, s.temp[0])
	return s.temp[0]
}

func (s *zmm) work(slot op) op {
	if s.sum != nil {
		return s.sum
	}
	return slot
}

func (s *zmm) begin() {}

func (s *zmm) nonces(to op) {
	words := s.work(to)
	s.VPSHUFB(s.swap, s.count, words)
	if words != to {
		s.move(words, to)
	}
	s.addWord(s.word(16), s.count, s.count)
}

// verdict compares what the digest would show: its words are big-endian, the
// target's number is not.
func (s *zmm) verdict(last op, iv, top operand.Mem) {
	t := s.temp[0]
	s.addWord(iv, last, t)
	s.VPSHUFB(s.swap, t, t)
	const atMost = operand.U8(2)
	s.VPCMPUD_BCST(atMost, top, t, reg.K1)
	s.KMOVW(reg.K1, s.masks)
}
