package main

import "github.com/mmcloughlin/avo/operand"

// Where each part of a job's feed begins, in words of 32 bits. Package sha256d
// has the same list as a struct.
const (
	feedKW    = 0             // [64] round constant, plus the message word where no nonce changes it
	feedMid   = feedKW + 64   // [8] state after the header's first block
	feedState = feedMid + 8   // [8] state after round 3, but for the nonce in a and e
	feedABEF  = feedState + 8 // [16] feedState, then feedMid, in the order f, e, b, a, h, g, d, c
	feedEarly = feedABEF + 16 // [8] the state after round 1, in that order
	feedLate  = feedEarly + 8 // [3] h of round 4+i plus its feedKW
	feedTop   = feedLate + 3  // the target's most significant word
	feedFixed = feedTop + 1   // [18] of message word 16+i, the terms that no nonce changes
	feedSize  = feedFixed + 18
)

// The message words of the header's second block that matter here.
const (
	nonceWord  = 3
	firstMoved = 18 // the next that depends on the nonce
	allMoved   = 34 // from here on every term of a message word depends on the nonce
	lastRound  = 60 // of the hash of the hash: its e becomes the digest's last word
)

// A half is one of the two hashes, as far as it is known before any nonce is:
// message words of the header's second block, or of the block made of its hash.
type half struct {
	known [64]bool
	value [64]uint32 // of known words, unless only a job knows them
	job   [64]bool
}

func header() *half {
	h := new(half)
	for _, t := range []int{0, 1, 2, 16, 17} {
		h.known[t], h.job[t] = true, true
	}
	for t := 4; t < 16; t++ {
		h.known[t] = true
	}
	h.value[4], h.value[15] = 1<<31, 640
	return h
}

func outer() *half {
	h := new(half)
	for t := 8; t < 16; t++ {
		h.known[t] = true
	}
	h.value[8], h.value[15] = 1<<31, 256
	return h
}

// A term of a message word is an earlier word, spun or as it is.
type term struct {
	at int
	spin
}

func terms(t int) [4]term {
	return [4]term{{t - 16, none}, {t - 7, none}, {t - 15, sigma0}, {t - 2, sigma1}}
}

// split returns those terms of word t that depend on the nonce, and of the rest
// the sum, or that only the job knows the sum.
func (h *half) split(t int) (moving []term, sum uint32, job bool) {
	for _, term := range terms(t) {
		if !h.known[term.at] {
			moving = append(moving, term)
			continue
		}
		sum += term.of(h.value[term.at])
		job = job || h.job[term.at]
	}
	return moving, sum, job
}

func at(base operand.Mem, word int) operand.Mem { return base.Offset(4 * word) }
