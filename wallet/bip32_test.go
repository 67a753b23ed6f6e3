package wallet

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/btcutil/hdkeychain"
)

// indexes reads a path as BIP32 writes it: m/0H/1.
func indexes(t *testing.T, path string) (list []uint32) {
	t.Helper()
	for _, step := range strings.Split(path, "/")[1:] {
		digits, isHard := strings.CutSuffix(step, "H")
		n, err := strconv.ParseUint(digits, 10, 31)
		if err != nil {
			t.Fatal(err)
		}
		if isHard {
			n += hardened
		}
		list = append(list, uint32(n))
	}
	return list
}

func TestBIP32Vectors(t *testing.T) {
	text, err := os.ReadFile("testdata/bip32.txt")
	if err != nil {
		t.Fatal(err)
	}
	rows := strings.Split(strings.TrimSpace(string(text)), "\n")[1:]
	if len(rows) != 14 {
		t.Fatalf("%d rows, want 14", len(rows))
	}
	for _, row := range rows {
		f := strings.Fields(row)
		seed, err := hex.DecodeString(f[0])
		if err != nil {
			t.Fatal(err)
		}
		master, err := hdkeychain.NewMaster(seed, bitcoin(mainNetwork))
		if err != nil {
			t.Fatal(err)
		}
		key, err := descend(master, indexes(t, f[1])...)
		if err != nil {
			t.Fatal(err)
		}
		public, err := key.Neuter()
		if err != nil {
			t.Fatal(err)
		}
		if public.String() != f[2] || key.String() != f[3] {
			t.Errorf("%s: got %v %v", f[1], public, key)
		}
	}
}

// Where a file system has no links, the name is taken first: the result is the
// same, and an existing file is still never overwritten.
func TestCreateWithoutLinks(t *testing.T) {
	dir := t.TempDir()
	temp, path := filepath.Join(dir, "temp"), filepath.Join(dir, "wallet")
	for _, text := range []string{"first", "second"} {
		if err := os.WriteFile(temp, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		err := moveAside(temp, path)
		if (err == nil) != (text == "first") || err != nil && !os.IsExist(err) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "first" {
		t.Errorf("%q, %v", got, err)
	}
}
