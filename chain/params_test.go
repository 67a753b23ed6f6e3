package chain_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"cairn/chain"
	"cairn/chain/chaintest"
)

func TestNetworkFilesComeBack(t *testing.T) {
	for _, name := range chain.Networks() {
		p, err := chain.Network(name)
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.MarshalIndent(p, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		got, err := chain.ParseParams(text)
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, text)
		}
		if got.GenesisID() != p.GenesisID() || got.GenesisState() != p.GenesisState() {
			t.Errorf("%s has another genesis: %v", name, got.GenesisID())
		}
		again, err := json.MarshalIndent(got, "", "  ")
		if err != nil || string(again) != string(text) {
			t.Errorf("%s changes:\n%s\n%s", name, text, again)
		}
	}
	if _, err := chain.Network("moon"); err == nil || !strings.Contains(err.Error(), "main, test, dev, regtest") {
		t.Errorf("an unknown network: %v", err)
	}
}

// The numbers of the four networks, as people were told them.
func TestNetworksAreAsAnnounced(t *testing.T) {
	type rules struct {
		prefix            string
		spacing, halfLife int64
		easiest, bits     chain.Bits
		maturity          uint64
		maxBlock          int
		ahead             int64
		port              int
		onDemand          bool
	}
	for name, want := range map[string]rules{
		"main":    {"crn", 15, 1200, 0x1e00ffff, 0x1e00ffff, 100, 1_000_000, 180, 9421, false},
		"test":    {"tcrn", 15, 1200, 0x1e00ffff, 0x1e00ffff, 10, 1_000_000, 180, 19421, false},
		"dev":     {"dcrn", 2, 60, 0x207fffff, 0x1e07ffff, 3, 250_000, 24, 29421, false},
		"regtest": {"rcrn", 0, 0, 0x207fffff, 0x207fffff, 1, 1_000_000, 7200, 39421, true},
	} {
		p, err := chain.Network(name)
		if err != nil {
			t.Fatal(err)
		}
		got := rules{
			p.Prefix, p.Spacing, p.HalfLife, p.Easiest, p.Genesis.Header.Bits,
			p.Maturity, p.MaxBlock, p.Ahead, p.Ports.P2P, p.OnDemand,
		}
		if got != want || p.Name != name || p.Ports.RPC != p.Ports.P2P+1 || p.Ports.Stratum != p.Ports.P2P+2 {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
}

func TestABadNetworkFileTellsWhatIsWrong(t *testing.T) {
	withCoinbase := func(bend func(*chain.Coinbase)) func(*chain.Params) {
		return func(p *chain.Params) {
			bend(p.Genesis.Coinbase)
			p.Genesis.Header.Root = p.Genesis.Coinbase.ID()
			mine(p)
		}
	}
	for says, bend := range map[string]func(*chain.Params){
		"its name":                   func(p *chain.Params) { p.Name = "" },
		"its name must":              func(p *chain.Params) { p.Name = "../../etc" },
		"letters, digits":            func(p *chain.Params) { p.Name = "Upper" },
		"1 to 32 lower-case":         func(p *chain.Params) { p.Name = strings.Repeat("a", 33) },
		`address prefix ""`:          func(p *chain.Params) { p.Prefix = "" },
		`address prefix "CRN"`:       func(p *chain.Params) { p.Prefix = "CRN" },
		`address prefix "c n"`:       func(p *chain.Params) { p.Prefix = "c n" },
		"one to ten":                 func(p *chain.Params) { p.Prefix = "abcdefghijk" },
		"easiest bits 00000000":      func(p *chain.Params) { p.Easiest = 0 },
		"easiest bits ff123456":      func(p *chain.Params) { p.Easiest = 0xff123456 },
		"spacing and half_life":      func(p *chain.Params) { p.Spacing = 0 },
		"between 1 and 2³¹ seconds":  func(p *chain.Params) { p.HalfLife = -1 },
		"half_life must be":          func(p *chain.Params) { p.HalfLife = 1<<31 + 1 },
		"spacing and half_life must": func(p *chain.Params) { p.Spacing = 1 << 62 },
		"max_block":                  func(p *chain.Params) { p.MaxBlock = 10_000 },
		"max_block must":             func(p *chain.Params) { p.MaxBlock = 1<<22 + 1 },
		"maturity":                   func(p *chain.Params) { p.Maturity = 1<<64 - 1 },
		"ahead":                      func(p *chain.Params) { p.Ahead = 0 },
		"ahead must":                 func(p *chain.Params) { p.Ahead = 1 << 60 },
		"ports 65536":                func(p *chain.Params) { p.Ports.P2P = 65_536 },
		"-1 must be":                 func(p *chain.Params) { p.Ports.Stratum = -1 },
		"no genesis":                 func(p *chain.Params) { p.Genesis = nil },
		"more than a coinbase":       func(p *chain.Params) { p.Genesis.Txs = []*chain.Tx{{}} },
		"of height 0":                func(p *chain.Params) { p.Genesis.Coinbase.Height = 1 },
		"has a parent":               func(p *chain.Params) { p.Genesis.Header.Prev[0] = 1 },
		"genesis: bad-version":       func(p *chain.Params) { p.Genesis.Header.Version = 3 },
		"genesis: bad-diffbits":      func(p *chain.Params) { p.Genesis.Header.Bits = 0x2100ffff },
		"genesis: high-hash":         func(p *chain.Params) { p.Genesis.Header.Bits = 0x1d00ffff },
		"genesis: bad-txnmrklroot":   func(p *chain.Params) { p.Genesis.Header.Root[0]++; mine(p) },
		"genesis: bad-cb-length":     withCoinbase(func(c *chain.Coinbase) { c.Outputs, c.Memo = nil, nil }),
		"genesis: malformed":         withCoinbase(func(c *chain.Coinbase) { c.Memo = make([]byte, 81) }),
		"genesis: bad-txns-vout-zer": withCoinbase(func(c *chain.Coinbase) { c.Outputs[0].Value = 0 }),
	} {
		p := chaintest.Easy()
		p.OnDemand = false
		bend(p)
		_, err := chain.NewParams(p)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("want %q: %v", says, err)
		}
	}
}

// mine redoes the proof of a bent genesis.
func mine(p *chain.Params) {
	easiest, _ := p.Easiest.Target()
	for p.Genesis.Header.Nonce = 0; !easiest.Met(p.Genesis.ID()); p.Genesis.Header.Nonce++ {
	}
}

func TestBadJSONTellsWhatIsWrong(t *testing.T) {
	good, err := json.Marshal(chain.Dev())
	if err != nil {
		t.Fatal(err)
	}
	text := string(good)
	for says, bad := range map[string]string{
		"network file: ":             "",
		"unexpected EOF":             text[:len(text)-1],
		"stands behind":              text + "{}",
		`unknown field "halflife"`:   strings.Replace(text, `"half_life"`, `"halflife"`, 1),
		"write eight hex digits":     strings.Replace(text, `"207fffff"`, `"0x207fff"`, 1),
		"into Go struct field":       strings.Replace(text, `"spacing":2`, `"spacing":"2 s"`, 1),
		"block: encoding/hex":        strings.Replace(text, `"genesis":"01`, `"genesis":"0x01`, 1),
		"malformed":                  strings.Replace(text, `"genesis":"01`, `"genesis":"01ff`, 1),
		"cannot unmarshal number -1": strings.Replace(text, `"maturity":3`, `"maturity":-1`, 1),
	} {
		if bad == text {
			t.Errorf("%q: nothing is bent", says)
		}
		if _, err := chain.ParseParams([]byte(bad)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("want %q: %v", says, err)
		}
	}
}

// The rules of a network of one's own are dev's.
func TestDevLike(t *testing.T) {
	p := chain.DevLike("lab-1", chain.Dev().Genesis)
	q, err := chain.NewParams(p)
	if err != nil {
		t.Fatal(err)
	}
	dev := chain.Dev()
	dev.Name = "lab-1"
	if !reflect.DeepEqual(q, dev) {
		t.Errorf("%+v, want %+v", q, dev)
	}
	if got := chain.PrefundedOutputs(); len(got) != 10 || !slices.Equal(got, dev.Genesis.Coinbase.Outputs) {
		t.Error("dev does not pay the prefunded keys")
	}
}
