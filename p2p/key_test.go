package p2p

import (
	"bytes"
	"crypto/rand"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/libp2p/go-libp2p/core/crypto"
)

func TestKeyIsMadeOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "host.key")
	first, err := LoadKey(path)
	if err != nil {
		t.Fatal(err)
	}
	second, err := LoadKey(path)
	if err != nil || !first.Equals(second) {
		t.Fatalf("another key the second time: %v", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("its mode is %v", info.Mode())
	}
	if files, _ := os.ReadDir(filepath.Dir(path)); len(files) != 1 {
		t.Errorf("%d files were left", len(files))
	}
}

func TestDamagedKeyIsNotReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "host.key")
	if _, err := LoadKey(path); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := crypto.GenerateSecp256k1Key(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	strange, err := crypto.MarshalPrivateKey(other)
	if err != nil {
		t.Fatal(err)
	}
	for name, raw := range map[string][]byte{"empty": {}, "half": good[:len(good)/2], "another type": strange} {
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := LoadKey(path)
		mustFail(t, err, path, "damaged")
		if now, _ := os.ReadFile(path); !bytes.Equal(now, raw) {
			t.Errorf("%s: the file was changed", name)
		}
	}
	_, err = LoadKey(filepath.Join(path, "below a file"))
	mustFail(t, err, "host key")
}

// brokenBook cannot be read, nor written.
type brokenBook struct{}

func (brokenBook) Load() ([]byte, error) { return nil, errors.New("worm-eaten") }
func (brokenBook) Save([]byte) error     { return errors.New("out of ink") }

func TestBrokenBookStopsNobody(t *testing.T) {
	var log bytes.Buffer
	cfg := dev()
	cfg.Book = brokenBook{}
	cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
	a := begin(t, cfg)
	a.Close()
	for _, word := range []string{"worm-eaten", "out of ink"} {
		if !bytes.Contains(log.Bytes(), []byte(word)) {
			t.Errorf("the log does not mention %q: %s", word, &log)
		}
	}
}
