package wallet_test

import (
	"encoding/hex"
	"testing"

	"cairn/chain"
	"cairn/chain/schnorr"
	"cairn/wallet"
)

func derive(t testing.TB, mnemonic, network string) *wallet.Keys {
	t.Helper()
	keys, err := wallet.Derive(mnemonic, network)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// BIP86, "Test vectors": the account's keys and the internal (untweaked) keys.
func TestBIP86Vectors(t *testing.T) {
	keys := derive(t, about, "main")
	const account = "xpub6BgBgsespWvERF3LHQu6CnqdvfEvtMcQjYrcRzx53QJjSxarj2afYWcLteoGVky7D3UKDP9QyrLprQ3VCECoY49yfdDEHGCtMMj92pReUsQ"
	if got := keys.Account().String(); got != account {
		t.Errorf("account %s, want %s", got, account)
	}
	for _, v := range []struct {
		branch   wallet.Branch
		index    uint32
		internal string
	}{
		{wallet.Receive, 0, "cc8a4bc64d897bddc5fbc2f670f7a8ba0b386779106cf1223c6fc5d7cd6fc115"},
		{wallet.Receive, 1, "83dfe85a3151d2517290da461fe2815591ef69f2b18a2ce63f01697a8b313145"},
		{wallet.Change, 0, "399f1b2f4393f29a18c937859c5dd8a77350103157eb880f02e8c08214277cef"},
	} {
		key, err := keys.Key(v.branch, v.index)
		if err != nil {
			t.Fatal(err)
		}
		public := key.Public()
		if got := hex.EncodeToString(public[:]); got != v.internal {
			t.Errorf("key %d/%d is %s, want %s", v.branch, v.index, got, v.internal)
		}
	}
}

func TestPrefundedAreTheKnownKeys(t *testing.T) {
	want := lines(t, "prefunded.txt")
	got := wallet.Prefunded()
	if len(got) != len(want) {
		t.Fatalf("%d keys, want %d", len(got), len(want))
	}
	for i, key := range got {
		if public := key.Public(); hex.EncodeToString(public[:]) != want[i] {
			t.Errorf("key %d is %x, want %s", i, public, want[i])
		}
	}
}

// The genesis of a local network pays exactly the keys that this package knows.
func TestGenesisPaysPrefunded(t *testing.T) {
	for _, p := range []*chain.Params{chain.Dev(), chain.Regtest()} {
		outs := p.Genesis.Coinbase.Outputs
		keys := wallet.Prefunded()
		if len(outs) != len(keys) {
			t.Fatalf("%s: genesis has %d outputs, want %d", p.Name, len(outs), len(keys))
		}
		for i, key := range keys {
			if outs[i].To != key.Public() {
				t.Errorf("%s: output %d pays %v, key is %x", p.Name, i, outs[i].To, key.Public())
			}
		}
	}
}

// What the public half derives, the private half can sign for; every network
// but main shares one coin type, and main has its own.
func TestAccountDerivesWhatKeysSign(t *testing.T) {
	seen := map[chain.Address]string{}
	for _, network := range []string{"main", "test"} {
		keys := derive(t, zoo, network)
		account, err := wallet.ParseAccount(keys.Account().String(), network)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range []wallet.Branch{wallet.Receive, wallet.Change} {
			for i := range uint32(5) {
				a, err := account.Address(b, i)
				if err != nil {
					t.Fatal(err)
				}
				key, err := keys.Key(b, i)
				if err != nil {
					t.Fatal(err)
				}
				sig, err := key.Sign([32]byte{1}, [32]byte{})
				if err != nil {
					t.Fatal(err)
				}
				if !schnorr.Verify(a, [32]byte{1}, sig) {
					t.Errorf("%s %d/%d: the key does not sign for the address", network, b, i)
				}
				if old, twice := seen[a]; twice {
					t.Errorf("%s %d/%d: address seen on %s", network, b, i, old)
				}
				seen[a] = network
			}
		}
	}
	if derive(t, zoo, "dev").Account().String() != derive(t, zoo, "test").Account().String() {
		t.Error("dev and test differ")
	}
}

func TestParseAccountRefuses(t *testing.T) {
	const xprv = "xprv9xgqHN7yz9MwCkxsBPN5qetuNdQSUttZNKw1dcYTV4mkaAFiBVGQziHs3NRSWMkCzvgjEe3n9xV8oYywvM8at9yRqyaZVz6TYYhX98VjsUk"
	const root = "xpub661MyMwAqRbcFkPHucMnrGNzDwb6teAX1RbKQmqtEF8kK3Z7LZ59qafCjB9eCRLiTVG3uxBxgKvRgbubRhqSKXnGGb1aoaqLrpMBDrVxga8"
	good := derive(t, about, "main").Account().String()
	for _, c := range []struct{ name, key, network string }{
		{"private", xprv, "main"},
		{"the root", root, "main"},
		{"of another network", good, "dev"},
		{"mistyped", good[:20] + "x" + good[21:], "main"},
		{"empty", "", "main"},
	} {
		if _, err := wallet.ParseAccount(c.key, c.network); err == nil {
			t.Errorf("a key that is %s is taken", c.name)
		}
	}
	if _, err := wallet.ParseAccount(good, "main"); err != nil {
		t.Error(err)
	}
}
