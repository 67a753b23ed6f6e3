package wallet

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// What can be wrong with a wallet file. Errors of this package wrap one of
// these and say what to do.
var (
	ErrMissing    = errors.New("no wallet there")
	ErrExists     = errors.New("there is a file already")
	ErrForeign    = errors.New("not a Cairn wallet")
	ErrDamaged    = errors.New("wallet file damaged")
	ErrNewer      = errors.New("wallet file of a newer version")
	ErrNetwork    = errors.New("wallet of another network")
	ErrPassphrase = errors.New("wrong passphrase")
)

const (
	format  = "cairn-wallet"
	version = 1
	maxFile = 1 << 16 // bytes; a real one has about a thousand

	lastIndex = hardened - 1<<20 // of a counter: leaves room to look beyond it

	sealedByAge = "age"  // armored, to a passphrase (scrypt)
	sealedNot   = "none" // in clear, because its owner said so
)

// opening is how every wallet file begins: what begins otherwise and is not
// JSON of ours was never one, what begins so and goes wrong later is damaged.
const opening = "{\n  \"format\": \"" + format + "\""

// file is the wallet as it stands on disk, in JSON.
type file struct {
	Format   string   `json:"format"`
	Version  int      `json:"version"`
	Network  string   `json:"network"`
	Account  string   `json:"account"` // extended public key: derives every address, signs nothing
	Next     counters `json:"next"`
	Sealed   string   `json:"sealed"`   // how the mnemonic is kept
	Mnemonic string   `json:"mnemonic"` // the secret
}

// counters are the indexes of the next unused address of each branch.
type counters struct {
	Receive uint32 `json:"receive"`
	Change  uint32 `json:"change"`
}

func readFile(path string) (file, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return file{}, fmt.Errorf("%w: %s; make one with `cairn wallet create`, or `cairn wallet restore` from your words", ErrMissing, path)
	}
	if err != nil {
		return file{}, fmt.Errorf("open wallet: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return file{}, fmt.Errorf("read wallet %s: %w", path, err)
	}
	return parseFile(path, text)
}

func parseFile(path string, text []byte) (file, error) {
	var head struct {
		Format  string
		Version int
	}
	if len(text) > maxFile {
		return file{}, foreign(path)
	}
	if err := json.Unmarshal(text, &head); err != nil && !oursOnce(text) {
		return file{}, foreign(path)
	} else if err != nil {
		return file{}, damaged(path, err)
	}
	switch {
	case head.Format != format:
		return file{}, foreign(path)
	case head.Version > version:
		return file{}, fmt.Errorf("%w: %s has version %d, this program knows %d; update the program", ErrNewer, path, head.Version, version)
	case head.Version != version:
		return file{}, damaged(path, fmt.Errorf("version %d never was", head.Version))
	}
	var w file
	if err := json.Unmarshal(text, &w); err != nil {
		return file{}, damaged(path, err)
	}
	return w, w.check(path)
}

func (f *file) check(path string) error {
	switch {
	case f.Network == "":
		return damaged(path, errors.New("its network is missing"))
	case f.Mnemonic == "":
		return damaged(path, errors.New("its mnemonic is missing"))
	case f.Sealed != sealedByAge && f.Sealed != sealedNot:
		return damaged(path, fmt.Errorf("its mnemonic is kept in an unknown way, %q", f.Sealed))
	case max(f.Next.Receive, f.Next.Change) > lastIndex:
		return damaged(path, errors.New("a counter is beyond the last address"))
	}
	return nil
}

func oursOnce(text []byte) bool {
	n := min(len(text), len(opening))
	return string(text[:n]) == opening[:n]
}

func foreign(path string) error {
	return fmt.Errorf("%w: %s; it was left alone, name another file", ErrForeign, path)
}

func damaged(path string, why error) error {
	return fmt.Errorf("%w: %s (%w); it was left alone: `cairn wallet restore` makes a new one, in another file, from your words", ErrDamaged, path, why)
}

// create writes a file that must not exist yet. A crash leaves no file under
// this name, or the whole one.
func (f *file) create(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("create wallet: %w", err)
	}
	temp, err := f.writeTemp(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("create wallet: %w", err)
	}
	defer os.Remove(temp)
	err = os.Link(temp, path) // unlike a rename, never overwrites
	if err != nil && !errors.Is(err, fs.ErrExist) {
		err = moveAside(temp, path)
	}
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w: %s; it was left alone, name another file", ErrExists, path)
	}
	if err != nil {
		return fmt.Errorf("create wallet: %w", err)
	}
	return syncDir(filepath.Dir(path))
}

// moveAside is for file systems without links: it takes the name first. A crash
// between the two leaves an empty file, which opens as damaged.
func moveAside(temp, path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(temp, path)
}

// replace writes over an existing wallet. A crash leaves the old file or the
// new one, whole.
func (f *file) replace(path string) error {
	temp, err := f.writeTemp(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("save wallet: %w", err)
	}
	defer os.Remove(temp)
	if err := os.Rename(temp, path); err != nil {
		return fmt.Errorf("save wallet: %w", err)
	}
	return syncDir(filepath.Dir(path))
}

// writeTemp leaves the file under a name of its own, readable by its owner
// only, on disk for good.
func (f *file) writeTemp(dir string) (name string, err error) {
	text, err := f.encode()
	if err != nil {
		return "", err
	}
	temp, err := os.CreateTemp(dir, ".wallet-*") // mode 0600
	if err != nil {
		return "", err
	}
	_, err = temp.Write(text)
	err = errors.Join(err, temp.Sync(), temp.Close())
	if err != nil {
		return "", errors.Join(err, os.Remove(temp.Name()))
	}
	return temp.Name(), nil
}

func (f *file) encode() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(f); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// syncDir makes a new name last. Some systems cannot sync a folder (Windows
// refuses to): the name is then as safe as the system makes it.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return nil
	}
	_ = d.Sync()
	return d.Close()
}
