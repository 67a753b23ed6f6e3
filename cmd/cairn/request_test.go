package main

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"cairn/chain"
	"cairn/rpc"
	"cairn/wallet"
)

// Whatever a request says, its reader learns, and no other reader of URIs stumbles.
func TestRequestsAreReadAsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := invoice{
			Address: somebody(),
			Amount:  rpc.Amount(rapid.Uint64Range(0, uint64(chain.MaxAmount)).Draw(t, "amount")),
			Label:   rapid.String().Draw(t, "label"), Message: rapid.String().Draw(t, "message"),
		}
		uri := v.uri()
		got, err := parseURI(uri)
		if err != nil || got != v {
			t.Fatalf("%s reads %+v, %v; want %+v", uri, got, err, v)
		}
		if u, err := url.Parse(uri); err != nil || u.Scheme != "cairn" || strings.ContainsAny(uri, "+ ") {
			t.Fatalf("%q: %v", uri, err)
		}
	})
}

func TestRequestsOfOthers(t *testing.T) {
	a := somebody()
	for uri, want := range map[string]invoice{
		"cairn:" + a:                             {Address: a},
		"CAIRN:" + a + "?amount=50":              {Address: a, Amount: rpc.Amount(50 * chain.CRN)},
		"cairn:" + a + "?label=a+b&somethingnew": {Address: a, Label: "a+b"},
	} {
		if got, err := parseURI(uri); err != nil || got != want {
			t.Errorf("%s: %+v, %v", uri, got, err)
		}
	}
	for uri, says := range map[string]string{
		"cairn:":                             "cannot be read",
		"cairn://" + a:                       "cannot be read",
		"cairn:" + a + "?amount=-1":          "negative",
		"cairn:" + a + "?amount=0":           "pays nobody",
		"cairn:" + a + "?amount=0.123456789": "decimals",
		"cairn:" + a + "?amount=1&amount=2":  "2 times",
		"cairn:" + a + "?req-escrow=1":       "req-escrow",
		"cairn:" + a + "?label=%zz":          "mistyped",
	} {
		if _, err := parseURI(uri); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want it to say %q", uri, err, says)
		}
	}
}

func TestSendPaysARequest(t *testing.T) {
	f, _ := rich(t, coin("a", 20))
	tx := f.takes(t)
	uri := invoice{Address: somebody(), Amount: rpc.Amount(7 * chain.CRN), Label: "Rosa\x1b[2J"}.uri()
	s := f.run(t, "send", uri, "--json")
	s.wants(t, done)
	if got := decode[payment](t, s); got.Amount != rpc.Amount(7*chain.CRN) || got.To != somebody() || got.Label != `Rosa\x1b[2J` {
		t.Errorf("%+v of %+v", got, tx)
	}
	f.run(t, "send", uri, "7", "--dry-run").wants(t, done, "would send")
	f.run(t, "send", uri, "8").wants(t, failed, "asks for 7.00000000 CRN, not for 8.00000000")
	f.run(t, "send", "cairn:"+somebody()).wants(t, failed, "AMOUNT is missing")
	f.run(t, "send", "cairn:"+somebody(), "2", "--dry-run").wants(t, done, "would send")
	f.run(t, "send", "cairn:"+chain.Main().FormatAddress(chain.Prefunded()[0])+"?amount=1").wants(t, failed, "of another network")
}

// Every request names a new address; its code is as wide as a terminal at most.
func TestRequestDrawsACode(t *testing.T) {
	dir := t.TempDir()
	w, err := wallet.Create(filepath.Join(dir, walletFile), "dev", wallet.PrefundedMnemonic, "", wallet.Options{NoPassphrase: true})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(args ...string) said {
		return cairn(t, append([]string{"wallet", "request", "--data-dir", dir}, args...)...)
	}
	first, second := ask("1.5", "--json"), ask("--label", "Rosa", "--json")
	one, two := decode[invoice](t, first), decode[invoice](t, second)
	if one.Address == two.Address || one.Amount != 150_000_000 || two.Amount != 0 || two.Label != "Rosa" {
		t.Errorf("%+v, %+v", one, two)
	}
	ask("1.5").wants(t, done, "cairn:dcrn1", "?amount=1.5")
	long := ask("1", "--qr", "--message", strings.Repeat("x", 350))
	long.wants(t, done, "█▀")
	for line := range strings.Lines(long.out) {
		if n := len([]rune(strings.TrimSpace(line))); n > 80 && !strings.HasPrefix(line, "cairn:") {
			t.Errorf("%d columns", n)
		}
	}
	before := w.Next(wallet.Receive)
	ask("1", "--message", strings.Repeat("x", 400)).wants(t, failed, "too long for a code")
	ask("0").wants(t, failed, "pays nobody")
	ask("1", "2").wants(t, failed, `"2" is too much`)
	if again, err := wallet.Open(w.Path()); err != nil || before != 0 || again.Next(wallet.Receive) != 4 {
		t.Errorf("a refused request used up an address: %v", err)
	}
}

func TestWalletList(t *testing.T) {
	dir := t.TempDir()
	bare := wallet.Options{NoPassphrase: true}
	list := func() said { return cairn(t, "wallet", "list", "--data-dir", dir) }
	list().wants(t, done, "no wallet in")
	for _, name := range []string{"wallet.json", "savings.json"} {
		if _, err := wallet.Create(filepath.Join(dir, name), "dev", wallet.PrefundedMnemonic, "", bare); err != nil {
			t.Fatal(err)
		}
	}
	put(t, filepath.Join(dir, peersFile), `{"peers": []}`)
	text, err := os.ReadFile(filepath.Join(dir, walletFile))
	if err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(dir, "torn.json"), string(text[:len(text)/2]))
	s := list()
	s.wants(t, done, "savings.json", "keys in clear", "torn.json", "wallet file damaged")
	if strings.Contains(s.out, peersFile) {
		t.Error(s.out)
	}
}
