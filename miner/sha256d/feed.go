package sha256d

// feed is what assembly reads of a job: its words, from first to last. The
// program that writes the assembly has the same list.
type feed struct {
	kw    [64]uint32            // of the header's second block: round constant, plus the message word where no nonce changes it
	mid   [8]uint32             // state after the header's first block
	state [8]uint32             // state after the nonce's round, less the nonce in a and e
	abef  [2][8]uint32          // state, then mid, in the order of Intel's SHA extensions
	early [8]uint32             // state two rounds before the former, in that order
	late  [3]uint32             // h of the three rounds that follow, with their kw
	top   uint32                // the target's most significant word
	fixed [allMoved - 16]uint32 // of message word 16+i, the terms that no nonce changes
}

func newFeed(j *Job) (f feed) {
	f.kw, f.fixed, f.mid, f.top = k, j.fixed, j.mid, j.top
	for t := range f.kw[:firstMoved] {
		if t < 16 {
			f.kw[t] += j.block[t]
		} else {
			f.kw[t] += j.fixed[t-16]
		}
	}
	s := j.state
	f.state = [8]uint32{j.a3, s[0], s[1], s[2], j.e3, s[4], s[5], s[6]}
	for i := range f.late {
		f.late[i] = f.state[7-i] + f.kw[nonceWord+1+i]
	}
	f.abef = [2][8]uint32{paired(f.state), paired(f.mid)}
	early := j.mid
	for t := range nonceWord - 1 {
		round(&early, f.kw[t])
	}
	f.early = paired(early)
	return f
}

// paired orders a state for Intel's SHA extensions: f, e, b, a, and h, g, d, c.
func paired(s [8]uint32) [8]uint32 {
	return [8]uint32{s[5], s[4], s[1], s[0], s[7], s[6], s[3], s[2]}
}
