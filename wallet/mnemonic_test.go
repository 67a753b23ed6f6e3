package wallet_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"cairn/wallet"
)

const (
	about = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about"
	zoo   = "zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo wrong"
)

// lines reads a file of testdata without its comments.
func lines(t *testing.T, name string) []string {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			list = append(list, line)
		}
	}
	return list
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestWordListIsBIP39s(t *testing.T) {
	text, err := os.ReadFile("english.txt")
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(text)
	const published = "2f5eed53a4727b4bf8880d8f3f199efc90e58503646d9ff8eff3a2ed3b24dbda"
	if got := hex.EncodeToString(sum[:]); got != published {
		t.Errorf("english.txt has SHA-256 %s, BIP39's has %s", got, published)
	}
}

func TestBIP39Vectors(t *testing.T) {
	vectors := lines(t, "bip39.txt")
	if len(vectors) != 24*3 {
		t.Fatalf("%d lines, want 24 vectors of 3", len(vectors))
	}
	for v := vectors; len(v) > 0; v = v[3:] {
		entropy, words, seed := unhex(t, v[0]), v[1], unhex(t, v[2])
		if got, err := wallet.Mnemonic(entropy); err != nil || got != words {
			t.Errorf("%x gives %q, %v; want %q", entropy, got, err, words)
		}
		if got, err := wallet.Entropy(words); err != nil || !bytes.Equal(got, entropy) {
			t.Errorf("%q gives %x, %v; want %x", words, got, err, entropy)
		}
		if got, err := wallet.Seed(words, "TREZOR"); err != nil || !bytes.Equal(got, seed) {
			t.Errorf("%q gives seed %x, %v; want %x", words, got, err, seed)
		}
	}
}

// The same letters typed on two keyboards, composed and decomposed, are one
// passphrase: BIP39 asks for NFKD.
func TestSeedNormalizes(t *testing.T) {
	composed, err := wallet.Seed(about, "caf\u00e9")
	if err != nil {
		t.Fatal(err)
	}
	decomposed, err := wallet.Seed("  ABANDON"+strings.ToUpper(about[7:])+"\n", "cafe\u0301")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(composed, decomposed) {
		t.Errorf("%x and %x", composed, decomposed)
	}
}

func TestMnemonicErrorsNameTheFault(t *testing.T) {
	for _, c := range []struct{ name, words, says string }{
		{"empty", "", "0 words"},
		{"one word", "zoo", "1 word;"},
		{"eleven words", strings.TrimSuffix(about, " about"), "11 words"},
		{"too many", about + " " + about + " " + about, "36 words"},
		{"unknown word", strings.Replace(about, "about", "cairn", 1), `word 12, "cairn", is not in the English list`},
		{"slip of the pen", strings.Replace(zoo, "wrong", "wrongly", 1), `did you mean "wrong"`},
		{"wrong checksum", strings.Replace(about, "about", "abandon", 1), "checksum does not fit"},
		{"swapped words", "wrong " + strings.TrimSuffix(zoo, " wrong"), "checksum does not fit"},
	} {
		_, err := wallet.Entropy(c.words)
		if !errors.Is(err, wallet.ErrMnemonic) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want it to say %q", c.name, err, c.says)
		}
		if _, err := wallet.Seed(c.words, ""); !errors.Is(err, wallet.ErrMnemonic) {
			t.Errorf("%s: Seed takes it: %v", c.name, err)
		}
	}
	for _, size := range []int{0, 15, 17, 36} {
		if words, err := wallet.Mnemonic(make([]byte, size)); err == nil {
			t.Errorf("%d bytes of entropy give %q", size, words)
		}
	}
}

func TestNewMnemonic(t *testing.T) {
	one, err := wallet.NewMnemonic(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	two, err := wallet.NewMnemonic(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if len(strings.Fields(one)) != 12 || one == two {
		t.Errorf("%q and %q: want two different ones of twelve words", one, two)
	}
	if _, err := wallet.NewMnemonic(bytes.NewReader(make([]byte, 15))); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a source that runs dry: %v", err)
	}
}

func TestEntropyUndoesMnemonic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := 4 * rapid.IntRange(4, 8).Draw(t, "words of 32 bits")
		entropy := rapid.SliceOfN(rapid.Byte(), size, size).Draw(t, "entropy")
		words, err := wallet.Mnemonic(entropy)
		if err != nil {
			t.Fatal(err)
		}
		back, err := wallet.Entropy(words)
		if err != nil || !bytes.Equal(back, entropy) {
			t.Fatalf("%q gives %x, %v", words, back, err)
		}
	})
}

func FuzzEntropy(f *testing.F) {
	f.Add(about)
	f.Add(zoo)
	f.Add("zoo \xff")
	f.Fuzz(func(t *testing.T, words string) {
		entropy, err := wallet.Entropy(words)
		if err != nil {
			return
		}
		again, err := wallet.Mnemonic(entropy)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := wallet.Entropy(again); err != nil || !bytes.Equal(back, entropy) {
			t.Fatalf("%q: %x, then %x, %v", words, entropy, back, err)
		}
	})
}
