package chaintest

import "cairn/chain"

const born = 1_800_000_000 // seconds since 1970

// Easy is a network with dev's limits and prefunded coins on which every block
// carries the easiest target, whatever its time: a block costs two hashes.
func Easy() *chain.Params {
	p := chain.DevLike("easy", genesis(0x207fffff))
	p.Prefix, p.OnDemand = "ecrn", true
	return whole(p)
}

// Retargeting is a network with all of dev's rules, difficulty included, where
// any nonce is proof enough: branches can be of any weight at no cost.
func Retargeting() *chain.Params {
	p := chain.DevLike("retargeting", genesis(0x1e07ffff))
	p.Prefix = "ecrn"
	p.Proof = func(chain.Header) bool { return true }
	return whole(p)
}

func genesis(bits chain.Bits) *chain.Block {
	g := chain.NewGenesis(born, bits, "a network for tests", chain.PrefundedOutputs())
	for easy, _ := chain.Bits(0x207fffff).Target(); !easy.Met(g.ID()); {
		g.Header.Nonce++
	}
	return g
}

func whole(p *chain.Params) *chain.Params {
	p, err := chain.NewParams(p)
	if err != nil {
		panic(err)
	}
	return p
}
