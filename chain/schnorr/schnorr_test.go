package schnorr

import (
	"encoding/csv"
	"encoding/hex"
	"math/big"
	"os"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
)

type vector struct {
	index, secret, key, aux, message, sig, valid, comment string
}

func vectors(t *testing.T) []vector {
	t.Helper()
	f, err := os.Open("testdata/bip-0340.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.Comment = '#'
	rows, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var all []vector
	for _, c := range rows[1:] {
		all = append(all, vector{c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7]})
	}
	return all
}

func bytes32(t *testing.T, s string) [32]byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != 32 {
		t.Fatalf("%q is not 32 bytes", s)
	}
	return [32]byte(b)
}

func bytes64(t *testing.T, s string) [64]byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != 64 {
		t.Fatalf("%q is not 64 bytes", s)
	}
	return [64]byte(b)
}

func TestBIP340Vectors(t *testing.T) {
	verified, signed, skipped := 0, 0, 0
	for _, v := range vectors(t) {
		if len(v.message) != 64 {
			t.Logf("vector %s skipped: its message has %d bytes, ours have 32", v.index, len(v.message)/2)
			skipped++
			continue
		}
		message, sig := bytes32(t, v.message), bytes64(t, v.sig)
		if got := Verify(bytes32(t, v.key), message, sig); got != (v.valid == "TRUE") {
			t.Errorf("vector %s verifies: %v, want %s (%s)", v.index, got, v.valid, v.comment)
		}
		verified++
		if v.secret == "" {
			continue
		}
		signed++
		key, err := NewPrivateKey(bytes32(t, v.secret))
		if err != nil {
			t.Fatalf("vector %s: %v", v.index, err)
		}
		if key.Public() != bytes32(t, v.key) {
			t.Errorf("vector %s: public key %x", v.index, key.Public())
		}
		if got, err := key.Sign(message, bytes32(t, v.aux)); err != nil || got != sig {
			t.Errorf("vector %s signs %x, %v", v.index, got, err)
		}
	}
	if verified != 15 || signed != 4 || skipped != 4 {
		t.Errorf("verified %d, signed %d, skipped %d: want 15, 4 and 4", verified, signed, skipped)
	}
}

// The library reduces what is too large; each number plus its modulus would be a
// second encoding of one signature, and so a second id of one transaction.
func TestNumbersBeyondTheirModulusFail(t *testing.T) {
	key, err := NewPrivateKey([32]byte{31: 7})
	if err != nil {
		t.Fatal(err)
	}
	p, n := btcec.S256().P, btcec.S256().N
	digest := [32]byte{255}
	good, err := key.Sign(digest, [32]byte{})
	if err != nil || !Verify(key.Public(), digest, good) {
		t.Fatalf("own signature fails: %v", err)
	}
	tooLarge := map[string]func(*[64]byte){
		"r = p":       func(s *[64]byte) { p.FillBytes(s[:32]) },
		"r = 2^256-1": func(s *[64]byte) { fill(s[:32]) },
		"s = n":       func(s *[64]byte) { n.FillBytes(s[32:]) },
		"s = 2^256-1": func(s *[64]byte) { fill(s[32:]) },
		"r = 0":       func(s *[64]byte) { clear(s[:32]) },
		"s = 0":       func(s *[64]byte) { clear(s[32:]) },
		"s negated":   func(s *[64]byte) { negate(s) },
	}
	for name, bend := range tooLarge {
		bad := good
		bend(&bad)
		if bad == good || Verify(key.Public(), digest, bad) {
			t.Errorf("%s verifies", name)
		}
	}
}

// A valid signature whose s has a twin below 2^256 cannot be made at will, so the
// bound itself is tried.
func TestCanonicalEndsAtTheModulus(t *testing.T) {
	p, n := btcec.S256().P, btcec.S256().N
	for _, c := range []struct {
		name string
		r, s *big.Int
		want bool
	}{
		{"r = p - 1", plus(p, -1), big.NewInt(5), true},
		{"r = p", p, big.NewInt(5), false},
		{"r = p + 5", plus(p, 5), big.NewInt(5), false},
		{"s = n - 1", big.NewInt(5), plus(n, -1), true},
		{"s = n", big.NewInt(5), n, false},
		{"s = n + 5", big.NewInt(5), plus(n, 5), false},
	} {
		var sig [64]byte
		c.r.FillBytes(sig[:32])
		c.s.FillBytes(sig[32:])
		if got := canonical(sig); got != c.want {
			t.Errorf("%s is canonical: %v", c.name, got)
		}
	}
}

func plus(n *big.Int, d int64) *big.Int { return new(big.Int).Add(n, big.NewInt(d)) }

func fill(b []byte) {
	for i := range b {
		b[i] = 0xff
	}
}

func negate(s *[64]byte) {
	var n btcec.ModNScalar
	n.SetByteSlice(s[32:])
	b := n.Negate().Bytes()
	copy(s[32:], b[:])
}

func TestSecretsOutOfRangeAreRefused(t *testing.T) {
	var order, all [32]byte
	btcec.S256().N.FillBytes(order[:])
	fill(all[:])
	for _, secret := range [][32]byte{{}, order, all} {
		if _, err := NewPrivateKey(secret); err == nil {
			t.Errorf("%x is a secret", secret)
		}
	}
	order[31]--
	if _, err := NewPrivateKey(order); err != nil {
		t.Errorf("n − 1: %v", err)
	}
}

func TestABentSignatureFails(t *testing.T) {
	key, err := NewPrivateKey([32]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	digest := [32]byte{1, 2, 3}
	sig, err := key.Sign(digest, [32]byte{9})
	if err != nil {
		t.Fatal(err)
	}
	if !Verify(key.Public(), digest, sig) {
		t.Fatal("the own signature fails")
	}
	for bit := range 8 * len(sig) {
		bent := sig
		bent[bit/8] ^= 1 << (bit % 8)
		if Verify(key.Public(), digest, bent) {
			t.Errorf("bit %d does not matter", bit)
		}
	}
	if Verify(key.Public(), [32]byte{1, 2, 4}, sig) {
		t.Error("another digest verifies")
	}
}
