package p2p

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/crypto/pb"
)

// NewKey makes a new identity.
func NewKey() (crypto.PrivKey, error) {
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	return key, err
}

// LoadKey reads the host's identity from a file. If there is none it makes a new
// one that only its owner may read.
func LoadKey(path string) (crypto.PrivKey, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return createKey(path)
	}
	if err != nil {
		return nil, fmt.Errorf("host key: %w", err)
	}
	key, err := crypto.UnmarshalPrivateKey(raw)
	if err == nil && key.Type() != pb.KeyType_Ed25519 {
		err = fmt.Errorf("it is of type %v, not Ed25519", key.Type())
	}
	if err != nil {
		return nil, fmt.Errorf("host key %s is damaged (%w): restore it, or move it away to become a new peer", path, err)
	}
	return key, nil
}

func createKey(path string) (crypto.PrivKey, error) {
	key, err := NewKey()
	if err != nil {
		return nil, fmt.Errorf("host key: %w", err)
	}
	raw, err := crypto.MarshalPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("host key: %w", err)
	}
	if err := replace(path, raw); err != nil {
		return nil, fmt.Errorf("host key: %w", err)
	}
	return key, nil
}

// replace writes a file that only its owner may read. A crash leaves the old
// file or the new one, perhaps with a temporary one beside it, never half of it.
func replace(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone by then if all went well
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
