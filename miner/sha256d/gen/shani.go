package main

import (
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// shani writes the kernel of Intel's SHA extensions. It hashes two nonces side
// by side: one chain of rounds alone waits for its own results.
func shani(c *build.Context) {
	f := open(c, "scanSHANI", "tries 2 nonces side by side.")
	x := vectors(reg.S128)
	var chains [2]*chain
	for i := range chains {
		r := x[1+7*i:]
		chains[i] = &chain{frame: f, abef: r[0], cdgh: r[1], m: [4]op(r[2:6]), temp: r[6]}
	}
	f.VZEROUPPER() // else instructions that know no upper halves have to keep them
	f.MOVL(at(f.feed, feedTop), reg.R8L)
	f.loop(func() {
		f.MOVL(operand.U32(16/len(chains)), reg.R10L)
		f.Label("pair")
		for step := range chainSteps {
			for _, c := range chains {
				c.step(step)
			}
		}
		f.DECL(reg.R10L)
		f.JNZ(operand.LabelRef("pair"))
		f.MOVW(reg.DI, f.masks)
		f.ADDQ(operand.U8(2), f.masks.Base)
	})
	f.close()
}

// A chain is the double hash of one nonce, its state and words in the order that
// the SHA extensions want. A group is four message words.
type chain struct {
	*frame
	abef, cdgh op
	m          [4]op // the last four groups, at group mod 4
	temp       op
}

// In steps from chainOuter on, the hash is hashed.
const (
	chainOuter = 16
	chainSteps = chainOuter + 17
)

// step writes a small part of the double hash, so that chains can take turns.
func (c *chain) step(i int) {
	switch {
	case i == 0:
		c.nonce()
	case i < chainOuter:
		c.headerGroup(i)
		c.rounds()
	case i == chainOuter:
		c.outer()
	case i < chainSteps-1:
		c.outerGroup(i - chainOuter - 1)
		c.rounds()
	default:
		c.outerGroup(15)
		c.SHA256RNDS2(reg.X0, c.abef, c.cdgh)
		c.verdict(c.cdgh)
	}
}

// nonce makes the state after the nonce's round, and the first words after the
// header's sixteen.
func (c *chain) nonce() {
	w3, w := c.m[1], c.m[0]
	c.MOVL(c.first, reg.R9L)
	c.BSWAPL(reg.R9L)
	c.VMOVD(reg.R9L, w3)
	c.INCL(c.first)
	c.VPSHUFD(operand.U8(0x11), w3, c.abef) // it enters a and e
	c.VPADDD(at(c.feed, feedABEF), c.abef, c.abef)
	c.VMOVDQU(at(c.feed, feedABEF+4), c.cdgh)
	c.VPSHUFD(operand.U8(0x15), w3, w)
	c.VPXOR(w3, w3, w3)
	c.SHA256MSG1(w3, w) // σ0 of it, and itself
	c.VPADDD(at(c.feed, feedFixed), w, w)
}

// headerGroup prepares rounds 4g to 4g+3 of the header's second block.
func (c *chain) headerGroup(g int) {
	if g < 4 {
		c.VMOVDQU(at(c.feed, feedKW+4*g), reg.X0)
		return
	}
	switch g {
	case 4:
	case 5:
		c.VMOVDQU(at(c.feed, feedFixed+4), c.m[1])
		c.SHA256MSG2(c.m[0], c.m[1])
	case 6: // W17, known, is the first that it needs of group 4
		c.VPALIGNR(operand.U8(4), c.m[0], c.m[1], c.m[2])
		c.SHA256MSG2(c.m[1], c.m[2])
	case 7:
		c.VPALIGNR(operand.U8(4), c.m[1], c.m[2], c.m[3])
		c.VPADDD(at(c.feed, feedFixed+12), c.m[3], c.m[3])
		c.SHA256MSG2(c.m[2], c.m[3])
	default:
		c.group(g)
	}
	c.kw(g)
}

// outer makes the message and the state of the hash of the hash.
func (c *chain) outer() {
	c.VPADDD(at(c.feed, feedABEF+8), c.abef, c.abef)
	c.VPADDD(at(c.feed, feedABEF+12), c.cdgh, c.cdgh)
	c.VSHUFPS(operand.U8(0xbb), c.cdgh, c.abef, c.m[0])
	c.VSHUFPS(operand.U8(0x11), c.cdgh, c.abef, c.m[1])
	c.VMOVDQU(c.four(iv[5], iv[4], iv[1], iv[0]), c.abef)
	c.VMOVDQU(c.four(iv[7], iv[6], iv[3], iv[2]), c.cdgh)
}

// outerGroup prepares rounds 4g to 4g+3 of the hash of the hash.
func (c *chain) outerGroup(g int) {
	pad := [2][4]uint32{{1 << 31, 0, 0, 0}, {0, 0, 0, 256}}
	switch g {
	case 2, 3:
		w := pad[g-2]
		c.VMOVDQU(c.four(w[0], w[1], w[2], w[3]), c.m[g])
		c.VMOVDQU(c.four(k[4*g]+w[0], k[4*g+1]+w[1], k[4*g+2]+w[2], k[4*g+3]+w[3]), reg.X0)
		return
	case 0, 1:
	case 4: // W9 to W12 are zero
		c.SHA256MSG1(c.m[1], c.m[0])
		c.SHA256MSG2(c.m[3], c.m[0])
	case 6: // σ0 of W9 to W12 are zero
		c.VPALIGNR(operand.U8(4), c.m[0], c.m[1], c.temp)
		c.VPADDD(c.temp, c.m[2], c.m[2])
		c.SHA256MSG2(c.m[1], c.m[2])
	default:
		c.group(g)
	}
	c.kw(g)
}

// group makes message words 4g to 4g+3.
func (c *chain) group(g int) {
	m, m1, m2, m3 := c.m[g%4], c.m[(g-3)%4], c.m[(g-2)%4], c.m[(g-1)%4]
	c.VPALIGNR(operand.U8(4), m2, m3, c.temp)
	c.SHA256MSG1(m1, m)
	c.VPADDD(c.temp, m, m)
	c.SHA256MSG2(m3, m)
}

func (c *chain) kw(g int) {
	c.VPADDD(c.four(k[4*g], k[4*g+1], k[4*g+2], k[4*g+3]), c.m[g%4], reg.X0)
}

// rounds does four rounds; the words plus constants are in X0.
func (c *chain) rounds() {
	c.SHA256RNDS2(reg.X0, c.abef, c.cdgh)
	c.VPSHUFD(operand.U8(0x0e), reg.X0, reg.X0)
	c.SHA256RNDS2(reg.X0, c.cdgh, c.abef)
}

// verdict shifts into the mask, from above, whether the digest's last word is
// at most the target's; its lane is where f came to lie one round later.
func (c *chain) verdict(abef op) {
	c.VMOVD(abef, reg.R9L)
	c.ADDL(operand.U32(iv[7]), reg.R9L)
	c.BSWAPL(reg.R9L)
	c.CMPL(reg.R8L, reg.R9L)
	c.CMC()
	c.RCRW(operand.U8(1), reg.DI)
}
