package chain

import (
	"encoding/hex"
	"fmt"
	"strings"
)

// born is when the four networks began: 2026-11-23 00:00 UTC, in seconds.
const born = 1795392000

// prefunded are the x-only keys at m/86'/1'/0'/0/0…9, untweaked, of the mnemonic
// that developers of local chains know ("test test … junk"). Everybody knows
// their secrets: they exist on dev and regtest only.
var prefunded = [...]string{
	"8c7fc6552af4384a13791e63bac79ff2bcfeedf143a88d6dc4b6080a8829cdc1",
	"94cea1919bdcdefc478f8533a7bf8954867dc227da79754642cb2e41f7e300d8",
	"67428cfe9f4cc0ee625ef2174f203b589500818913c3d6eec0562b49af02cf0d",
	"6f95ab9213ce26b72d4c864e1ae02e1b84af12f08837ab7be5478e370a5487ff",
	"f2401b5b34a3b6db294307287d0b763c2c0f1d62a212d3ad34e7b8e2f1a491e0",
	"32be8bfcc6dab796bf3f8ba8d60f8cd5e2658836663235e1deaefa247a3a8aba",
	"820d40edf14bacf17a9b2f2072bcbd6740abaf167168bd7ba87c099fe8e7402a",
	"c9d07d3c4085979cf2abd577fc1e556867311e0b9061902fefa6eeedee698747",
	"89c9e83f9b915fa9d4a45de38ff5439b090838c169a18c6d2a20b968971106e0",
	"9de0ebb6a42aff7ca02e91627a17697c917055a3ae71263f1b074a6785d5a6fd",
}

// Prefunded are the addresses that the geneses of dev and regtest pay 10,000 CRN
// each.
func Prefunded() []Address {
	list := make([]Address, len(prefunded))
	for i, s := range prefunded {
		if n, err := hex.Decode(list[i][:], []byte(s)); err != nil || n != 32 {
			panic("a prefunded key is no key")
		}
	}
	return list
}

// PrefundedOutputs pays each prefunded address.
func PrefundedOutputs() []Output {
	var outs []Output
	for _, a := range Prefunded() {
		outs = append(outs, Output{Value: 10_000 * CRN, To: a})
	}
	return outs
}

// Networks lists the names that Network knows.
func Networks() []string { return []string{"main", "test", "dev", "regtest"} }

// Network gives the parameters of a network by its name.
func Network(name string) (*Params, error) {
	switch name {
	case "main":
		return Main(), nil
	case "test":
		return Test(), nil
	case "dev":
		return Dev(), nil
	case "regtest":
		return Regtest(), nil
	}
	return nil, fmt.Errorf("no network is called %q: choose one of %s", name, strings.Join(Networks(), ", "))
}

// Main is the network whose coins are meant to last.
func Main() *Params {
	return must(&Params{
		Name: "main", Prefix: "crn",
		Spacing: 15, HalfLife: 1200, Easiest: 0x1e00ffff,
		Maturity: 100, MaxBlock: 1_000_000, Ahead: 12 * 15,
		Ports:   Ports{P2P: 9421, RPC: 9422, Stratum: 9423},
		Genesis: genesis(0x1e00ffff, 3467206, "Strangers agree by piling stones: the main cairn, 2026-11-23", nil),
	})
}

// Test is like Main, for coins without value.
func Test() *Params {
	return must(&Params{
		Name: "test", Prefix: "tcrn",
		Spacing: 15, HalfLife: 1200, Easiest: 0x1e00ffff,
		Maturity: 10, MaxBlock: 1_000_000, Ahead: 12 * 15,
		Ports:   Ports{P2P: 19421, RPC: 19422, Stratum: 19423},
		Genesis: genesis(0x1e00ffff, 20996015, "Strangers agree by piling stones: the test cairn, 2026-11-23", nil),
	})
}

// Dev is a network for one laptop: a block every two seconds at 1 MH/s.
func Dev() *Params {
	return must(DevLike("dev", genesis(0x1e07ffff, 780043, "Strangers agree by piling stones: the dev cairn, 2026-11-23", PrefundedOutputs())))
}

// DevLike gives Dev's rules to a network with another name and genesis, still to
// be checked by NewParams.
func DevLike(name string, genesis *Block) *Params {
	return &Params{
		Name: name, Prefix: "dcrn",
		Spacing: 2, HalfLife: 60, Easiest: 0x207fffff,
		Maturity: 3, MaxBlock: 250_000, Ahead: 12 * 2,
		Ports:   Ports{P2P: 29421, RPC: 29422, Stratum: 29423},
		Genesis: genesis,
	}
}

// Regtest makes blocks on demand.
func Regtest() *Params {
	return must(&Params{
		Name: "regtest", Prefix: "rcrn", OnDemand: true,
		Easiest: 0x207fffff, Maturity: 1, MaxBlock: 1_000_000, Ahead: 7200,
		Ports:   Ports{P2P: 39421, RPC: 39422, Stratum: 39423},
		Genesis: genesis(0x207fffff, 2, "Strangers agree by piling stones: the regtest cairn", PrefundedOutputs()),
	})
}

func genesis(bits Bits, nonce uint32, memo string, outs []Output) *Block {
	g := NewGenesis(born, bits, memo, outs)
	g.Header.Nonce = nonce
	return g
}

func must(p *Params) *Params {
	p, err := NewParams(p)
	if err != nil {
		panic(err) // a network of ours is wrong: nothing can run
	}
	return p
}
