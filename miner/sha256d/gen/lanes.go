package main

import (
	"github.com/mmcloughlin/avo/operand"
)

type op = operand.Op

// A set is one processor's way to do SHA-256's steps on many lanes at once.
// Sources may lie in memory; what is said to be a register must be one.
type set interface {
	broadcast(from operand.Mem, to op)    // one word to all lanes of a register
	add(x, y, to op)                      // to a register
	addWord(word operand.Mem, x, to op)   // one word to all lanes
	spin(x op, s spin) op                 // into a register that lasts until the next step
	choose(e, f, g op) op                 // likewise; g may be spoilt
	majority(a, b, c op) op               // likewise; of consecutive rounds, in order
	move(from, to op)                     // one of them a register
	work(slot op) op                      // a register in which to sum up a message word
	begin()                               // a hash: what the last round left is none of its business
	nonces(to op)                         // this batch's nonces as message words
	verdict(last op, iv, top operand.Mem) // the mask of this batch
}

// lanes writes the double hash of as many nonces as a register has lanes.
type lanes struct {
	*frame
	set
	v     [8]op // registers that now play a to h
	spare op
	w     [16]op // where message word t lies, at t mod 16
}

func (l *lanes) first() {
	h := header()
	l.nonces(l.w[nonceWord])
	l.header(l.w[nonceWord], func(t int) {
		l.schedule(h, t)
		l.constant(h, t, at(l.feed, feedKW+t))
	})
}

// header hashes the header's second block. Ready is as in rounds, but for those
// rounds whose h no nonce has reached.
func (l *lanes) header(nonces op, ready func(t int)) {
	l.begin()
	for i := range 7 {
		if i == 0 || i == 4 {
			l.addWord(at(l.feed, feedState+i), nonces, l.v[i])
			continue
		}
		l.broadcast(at(l.feed, feedState+i), l.v[i])
	}
	const lateEnd = nonceWord + 4
	l.rounds(nonceWord+1, 63, 63, func(t int) {
		if t < lateEnd {
			l.broadcast(at(l.feed, feedLate+t-nonceWord-1), l.spare)
			return
		}
		ready(t)
	})
}

// second hashes the hash, up to the round that decides.
func (l *lanes) second() {
	h := outer()
	for i, v := range l.v {
		l.addWord(at(l.feed, feedMid+i), v, l.w[i])
	}
	l.begin()
	l.opening()
	// A word a takes four rounds to come round to e: none made later decides.
	l.rounds(1, lastRound, lastRound-4, func(t int) {
		l.schedule(h, t)
		if t < 4 {
			l.addWord(l.word(iv[7-t]+k[t]), l.w[t], l.spare)
			return
		}
		l.constant(h, t, l.word(k[t]+h.value[t]))
	})
}

// rounds writes rounds first to last, the words a up to lastA. Ready must put
// into the spare register h of round t, still called g, plus all else that the
// round adds without knowing the state.
func (l *lanes) rounds(first, last, lastA int, ready func(t int)) {
	ready(first)
	l.v[7], l.spare = l.spare, l.v[7]
	for t := first; t <= last; t++ {
		if t < last {
			ready(t + 1)
		} else {
			l.move(l.v[6], l.spare)
		}
		l.round(t <= lastA)
	}
}

// opening writes round 0 of the hash of the hash: all but the word is known.
func (l *lanes) opening() {
	a, b, c, d, e, f, g, h := iv[0], iv[1], iv[2], iv[3], iv[4], iv[5], iv[6], iv[7]
	t1 := h + sum1.of(e) + (e&f ^ ^e&g) + k[0]
	t2 := sum0.of(a) + (a&b ^ a&c ^ b&c)
	for i, v := range []uint32{t1 + t2, a, b, c, d + t1, e, f} {
		if i == 0 || i == 4 {
			l.addWord(l.word(v), l.w[0], l.v[i])
			continue
		}
		l.broadcast(l.word(v), l.v[i])
	}
}

// schedule writes message word t, if it is not known.
func (l *lanes) schedule(h *half, t int) {
	if t < 16 || h.known[t] {
		return
	}
	moving, sum, job := h.split(t)
	slot := l.w[t%16]
	to := l.work(slot)
	var total op
	for _, term := range moving {
		x := l.w[term.at%16]
		if term.spin != none {
			x = l.spin(x, term.spin)
		}
		if total == nil {
			total = x
			if term.spin != none { // it lasts only until the next step
				l.move(x, to)
				total = to
			}
			continue
		}
		l.add(x, total, to)
		total = to
	}
	switch {
	case t < allMoved && job:
		l.addWord(at(l.feed, feedFixed+t-16), total, to)
	case sum != 0:
		l.addWord(l.word(sum), total, to)
	}
	if to != slot {
		l.move(to, slot)
	}
}

// constant makes g plus what round t takes besides the state.
func (l *lanes) constant(h *half, t int, kw operand.Mem) {
	l.addWord(kw, l.v[6], l.spare)
	if !h.known[t] {
		l.add(l.w[t%16], l.spare, l.spare)
	}
}

// round writes the rest of a round and renames instead of moving. What becomes
// the next h is made already, so choosing may spoil g. Without a, only e is made.
func (l *lanes) round(withA bool) {
	a, b, c, d, e, f, g, h := l.v[0], l.v[1], l.v[2], l.v[3], l.v[4], l.v[5], l.v[6], l.v[7]
	l.add(l.spin(e, sum1), h, h)
	l.add(l.choose(e, f, g), h, h)
	l.add(h, d, d)
	if withA {
		l.add(l.spin(a, sum0), h, h)
		l.add(l.majority(a, b, c), h, h)
	}
	l.v = [8]op{h, a, b, c, d, e, f, l.spare}
	l.spare = g
}
