package chain_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/btcutil/bech32"

	"cairn/chain"
)

// The checksum level: what the library below ParseAddress takes for bech32m.
func TestBIP350Vectors(t *testing.T) {
	valid, invalid := 0, 0
	for _, line := range lines(t, "bip-0350.txt") {
		kind, rest, _ := strings.Cut(line, " ")
		quoted, err := strconv.QuotedPrefix(rest)
		if err != nil {
			t.Fatal(err)
		}
		s, err := strconv.Unquote(quoted)
		if err != nil {
			t.Fatal(err)
		}
		_, _, version, err := bech32.DecodeGeneric(s)
		isM := err == nil && version == bech32.VersionM
		if isM != (kind == "valid") {
			t.Errorf("%s %q: version %v, %v", kind, s, version, err)
		}
		if _, err := chain.Main().ParseAddress(s); err == nil {
			t.Errorf("%q is read as an address", s)
		}
		if kind == "valid" {
			valid++
		} else {
			invalid++
		}
	}
	if valid != 7 || invalid != 14 {
		t.Errorf("%d valid and %d invalid vectors, want 7 and 14", valid, invalid)
	}
}

func TestAddressesComeBack(t *testing.T) {
	for _, name := range chain.Networks() {
		p, err := chain.Network(name)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 300 {
			a := chain.Address(chain.SumHash([]byte{byte(i), byte(i >> 8)}))
			s := p.FormatAddress(a)
			if !strings.HasPrefix(s, p.Prefix+"1") || s != strings.ToLower(s) {
				t.Fatalf("%s: %s", name, s)
			}
			for _, form := range []string{s, strings.ToUpper(s)} {
				if got, err := p.ParseAddress(form); err != nil || got != a {
					t.Errorf("%s reads as %v, %v", form, got, err)
				}
			}
		}
	}
}

// One address, for ever.
func TestGoldenAddress(t *testing.T) {
	a := chain.Prefunded()[0]
	for name, want := range map[string]string{
		"main": "crn1q33luv4f27suy5ymere3m43ul7270am03gw5g6mwykcyq4zpfehqs3qcsqk",
		"dev":  "dcrn1q33luv4f27suy5ymere3m43ul7270am03gw5g6mwykcyq4zpfehqslzfu8d",
	} {
		p, err := chain.Network(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.FormatAddress(a); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

// encode builds an address-like string of any version, key and checksum.
func encode(t *testing.T, encoder func(string, []byte) (string, error), prefix string, version byte, key []byte, pad bool) string {
	t.Helper()
	data, err := bech32.ConvertBits(key, 8, 5, true)
	if err != nil {
		t.Fatal(err)
	}
	if pad { // the four bits behind the key
		data[len(data)-1] |= 1
	}
	s, err := encoder(prefix, append([]byte{version}, data...))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAWrongAddressTellsWhatIsWrong(t *testing.T) {
	p := chain.Dev()
	a := chain.Prefunded()[3]
	good := p.FormatAddress(a)
	damaged := []byte(good)
	damaged[20] = "qp"[b2i(damaged[20] == 'q')]
	for name, c := range map[string]struct{ s, says string }{
		"empty":             {"", "is no address: this network's start with dcrn1"},
		"a name":            {"Rosa", "is no address"},
		"Bitcoin's bech32":  {"bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "is Bitcoin's"},
		"Bitcoin's base58":  {"1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "is Bitcoin's"},
		"one character bad": {string(damaged), "checksum"},
		"cut":               {good[:len(good)-1], "checksum"},
		"too long":          {good + "q", "checksum"},
		"mixed case":        {strings.ToUpper(good[:10]) + good[10:], "checksum"},
		"bech32, not m":     {encode(t, bech32.Encode, "dcrn", 0, a[:], false), "checksum"},
		"Bitcoin's":         {"bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0", "network"},
		"main's":            {chain.Main().FormatAddress(a), "network (crn…): this one's start with dcrn1"},
		"version 1":         {encode(t, bech32.EncodeM, "dcrn", 1, a[:], false), "version"},
		"no version":        {encodeNothing(t), "version"},
		"31 bytes":          {encode(t, bech32.EncodeM, "dcrn", 0, a[:31], false), "32 bytes"},
		"33 bytes":          {encode(t, bech32.EncodeM, "dcrn", 0, append(a[:], 0), false), "32 bytes"},
		"bits behind":       {encode(t, bech32.EncodeM, "dcrn", 0, a[:], true), "32 bytes"},
		"spaces":            {" " + good, "checksum"},
	} {
		got, err := p.ParseAddress(c.s)
		if err == nil || !strings.Contains(err.Error(), c.says) || got != (chain.Address{}) {
			t.Errorf("%s, %q: %v, %v, want %q", name, c.s, got, err, c.says)
		}
	}
}

func encodeNothing(t *testing.T) string {
	t.Helper()
	s, err := bech32.EncodeM("dcrn", nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// BIP350's promise: no single character changed, wherever, goes unseen.
func TestEveryDamagedCharacterIsSeen(t *testing.T) {
	p := chain.Dev()
	good := p.FormatAddress(chain.Prefunded()[1])
	const letters = "qpzry9x8gf2tvdw0s3jn54khce6mua7l1b"
	tried := 0
	for at := range good {
		for _, c := range letters {
			bad := good[:at] + string(c) + good[at+1:]
			if bad == good {
				continue
			}
			tried++
			if _, err := p.ParseAddress(bad); err == nil {
				t.Errorf("%s passes for %s", bad, good)
			}
		}
	}
	if tried < 2000 {
		t.Errorf("tried only %d", tried)
	}
	if fmt.Sprint(chain.Prefunded()[1]) != "94cea1919bdcdefc478f8533a7bf8954867dc227da79754642cb2e41f7e300d8" {
		t.Error("String is not the key in hex")
	}
}
