package main

import (
	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// family writes the kernel of 16 lanes for headers that end alike. Their second
// blocks have the same message words: those are made once a batch, and the
// rounds of every header take them from memory.
//
// It has one argument more, how many headers there are. Their feeds lie one
// behind the other, and so do their masks of one batch.
func family(c *build.Context) {
	f := open(c, "scanFamily", "tries 16 nonces at once, on each of wide headers.", "wide")
	f.Attributes(attr.Attribute(0)) // it needs more stack than may go unchecked
	l, s := sixteen(f)
	w3 := vectors(reg.S512)[30]
	feeds, wide, headers := reg.R8, f.Load(f.Param("wide"), reg.R9), reg.R10
	f.MOVQ(f.feed.Base, feeds)
	kw := f.aligned(64 * vector)
	s.start()
	f.loop(func() {
		f.MOVQ(feeds, f.feed.Base)
		f.MOVQ(wide, headers)
		l.keepWords(w3, kw)
		f.Label("header")
		l.header(w3, func(t int) {
			if t < firstMoved {
				l.addWord(at(l.feed, feedKW+t), l.v[6], l.spare)
				return
			}
			l.add(kw.Offset(t*vector), l.v[6], l.spare)
		})
		l.second()
		l.verdict(l.v[4], l.word(iv[7]), at(l.feed, feedTop))
		f.ADDQ(operand.U32(4*feedSize), f.feed.Base)
		f.ADDQ(operand.U8(2), f.masks.Base)
		f.DECQ(headers)
		f.JNZ(operand.LabelRef("header"))
	})
	f.VZEROUPPER()
	f.close()
}

// keepWords makes the nonces' message words, and all that follow from them with
// their constants.
func (l *lanes) keepWords(w3 op, kw operand.Mem) {
	h := header()
	l.nonces(l.w[nonceWord])
	l.move(l.w[nonceWord], w3)
	for t := firstMoved; t < 64; t++ {
		l.schedule(h, t)
		l.addWord(at(l.feed, feedKW+t), l.w[t%16], l.spare)
		l.move(l.spare, kw.Offset(t*vector))
	}
}
