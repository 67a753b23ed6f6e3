package main

import (
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// avx2 writes the kernel of 8 lanes. Message words live on the stack.
func avx2(c *build.Context) {
	f := open(c, "scanAVX2", "tries 8 nonces at once.")
	y := vectors(reg.S256)
	s := &ymm{frame: f, temp: y[8:12], sum: y[12], xors: [2]op{y[13], y[14]}, count: f.AllocLocal(32)}
	l := &lanes{frame: f, set: s}
	copy(l.v[:], y[:8])
	l.spare = y[15]
	words := f.AllocLocal(16 * 32)
	for i := range l.w {
		l.w[i] = words.Offset(32 * i)
	}
	s.start()
	f.loop(func() {
		v := l.v
		f.MOVL(operand.U32(2), reg.R10L)
		f.Label("half")
		l.first()
		l.second()
		l.verdict(l.v[4], l.word(iv[7]), at(l.feed, feedTop))
		l.v = v
		f.DECL(reg.R10L)
		f.JNZ(operand.LabelRef("half"))
		f.MOVW(reg.DI, f.masks)
		f.ADDQ(operand.U8(2), f.masks.Base)
	})
	f.VZEROUPPER()
	f.close()
}

// ymm does SHA-256's steps with AVX2.
type ymm struct {
	*frame
	temp   []op
	sum    op    // of a message word in the making
	xors   [2]op // for the majority: b^c, which was a^b one round ago, and room for a^b
	count  op    // the batch's nonces as numbers
	swap   op
	step   op
	follow bool // the last round's a^b is there
}

func (s *ymm) start() {
	s.swap = s.vector(0x00010203, 0x04050607, 0x08090a0b, 0x0c0d0e0f, 0x00010203, 0x04050607, 0x08090a0b, 0x0c0d0e0f)
	s.step = s.vector(8, 8, 8, 8, 8, 8, 8, 8)
	s.VMOVD(s.first, reg.X15)
	s.VPBROADCASTD(reg.X15, reg.Y15)
	s.VPADDD(s.vector(0, 1, 2, 3, 4, 5, 6, 7), reg.Y15, reg.Y15)
	s.move(reg.Y15, s.count)
}

func (s *ymm) broadcast(from operand.Mem, to op) { s.VPBROADCASTD(from, to) }

func (s *ymm) add(x, y, to op) {
	if operand.IsMem(y) {
		x, y = y, x
	}
	if operand.IsMem(y) {
		s.VMOVDQU(y, to)
		y = to
	}
	s.VPADDD(x, y, to)
}

func (s *ymm) addWord(word operand.Mem, x, to op) {
	t := s.temp[3]
	s.broadcast(word, t)
	if operand.IsMem(to) {
		s.VPADDD(x, t, t)
		s.move(t, to)
		return
	}
	s.VPADDD(x, t, to)
}

func (s *ymm) move(from, to op) { s.VMOVDQU(from, to) }

// spin has no rotation: it xors what both shifts leave.
func (s *ymm) spin(x op, how spin) op {
	t := s.temp
	if operand.IsMem(x) {
		s.move(x, t[2])
		x = t[2]
	}
	s.VPSRLD(operand.U8(how.by[0]), x, t[0])
	for i, by := range how.by {
		if i > 0 {
			s.VPSRLD(operand.U8(by), x, t[1])
			s.VPXOR(t[1], t[0], t[0])
		}
		if i < 2 || !how.shift {
			s.VPSLLD(operand.U8(32-by), x, t[1])
			s.VPXOR(t[1], t[0], t[0])
		}
	}
	return t[0]
}

func (s *ymm) choose(e, f, g op) op {
	t := s.temp[0]
	s.VPXOR(f, g, t)
	s.VPAND(e, t, t)
	s.VPXOR(g, t, t)
	return t
}

// majority is b where a and b agree or b and c do, else c: b ^ (a^b & b^c).
func (s *ymm) majority(a, b, c op) op {
	before, now := s.xors[0], s.xors[1]
	if !s.follow {
		s.VPXOR(b, c, before)
		s.follow = true
	}
	s.VPXOR(a, b, now)
	s.VPAND(now, before, before)
	s.VPXOR(b, before, before)
	s.xors = [2]op{now, before}
	return before
}

func (s *ymm) work(op) op { return s.sum }

func (s *ymm) begin() { s.follow = false }

func (s *ymm) nonces(to op) {
	t, next := s.temp[0], s.temp[1]
	s.move(s.count, t)
	s.VPADDD(s.step, t, next)
	s.move(next, s.count)
	s.VPSHUFB(s.swap, t, t)
	s.move(t, to)
}

// verdict has no unsigned comparison: what is at most top is the lesser of both.
func (s *ymm) verdict(last op, iv, top operand.Mem) {
	t, limit := s.temp[0], s.temp[1]
	s.addWord(iv, last, t)
	s.VPSHUFB(s.swap, t, t)
	s.broadcast(top, limit)
	s.VPMINUD(limit, t, limit)
	s.VPCMPEQD(limit, t, t)
	s.VMOVMSKPS(t, reg.R9L)
	s.SHLL(operand.U8(8), reg.R9L)
	s.SHRW(operand.U8(8), reg.DI)
	s.ORL(reg.R9L, reg.EDI)
}
