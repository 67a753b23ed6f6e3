package chain

import (
	"fmt"

	"cairn/chain/schnorr"
)

// Sign signs every input of t in place with the key of its owner, for the
// network with this genesis. It fails if a key is missing.
func (t *Tx) Sign(genesis Hash, keys map[Address]schnorr.PrivateKey) error {
	digest := t.SigHash(genesis)
	for i := range t.Inputs {
		in := &t.Inputs[i]
		key, ok := keys[in.Owner]
		if !ok {
			return fmt.Errorf("no key for input %d, owned by %v", i, in.Owner)
		}
		sig, err := key.Sign(digest, [32]byte{})
		if err != nil {
			return fmt.Errorf("sign input %d: %w", i, err)
		}
		in.Sig = sig
	}
	return nil
}
