package chain

import "math/big"

// NextBits is the target that a child of parent must carry, by relative ASERT.
//
// The schedule is the parent's own: the target moves by the time that the
// parent took, half or double for a half-life too fast or too slow. Relative
// and capped, because a network that slept a night must recover in minutes
// instead of racing after an absolute schedule.
func NextBits(p *Params, parent State) Bits {
	if p.OnDemand {
		return p.Easiest
	}
	if parent.Height < 2 { // the genesis may be years old: its gap says nothing
		return parent.Bits
	}
	gap := min(int64(parent.Gap), p.Spacing+p.HalfLife)
	exponent := (gap - p.Spacing) * 65536 / p.HalfLife // truncated toward zero
	ref, _ := parent.Bits.Target()
	limit, _ := p.Easiest.Target()
	return asert(ref, exponent, limit).Bits()
}

// asert is ref·2^(exponent/65536), at most limit and at least 1: the kernel of
// aserti3-2d (Bitcoin Cash, "2020-NOV-15 ASERT difficulty adjustment
// algorithm"), a cubic in fixed point whose error is below 0.013 %.
func asert(ref Target, exponent int64, limit Target) Target {
	shifts := exponent >> 16 // arithmetic: toward minus infinity
	frac := uint64(exponent & 0xffff)
	factor := (195766423245049*frac+971821376*frac*frac+5127*frac*frac*frac+1<<47)>>48 + 65536

	next := ref.n.ToBig()
	next.Mul(next, new(big.Int).SetUint64(factor))
	if shifts -= 16; shifts < 0 {
		next.Rsh(next, uint(-shifts))
	} else if next.BitLen()+int(min(shifts, 512)) > 512 {
		return limit
	} else {
		next.Lsh(next, uint(shifts))
	}
	if next.Sign() == 0 {
		next.SetUint64(1)
	}
	if next.Cmp(limit.n.ToBig()) > 0 {
		return limit
	}
	var t Target
	t.n.SetFromBig(next)
	return t
}
