// Package schnorr signs and verifies by BIP340 on 32-byte messages.
package schnorr

import (
	"errors"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
)

// Verify tells whether sig signs digest under the x-only public key (BIP340,
// "Verification"). Every encoding that is not canonical fails: a key that is no
// point, r not below the field size, s not below the group order.
func Verify(key, digest [32]byte, sig [64]byte) bool {
	if !canonical(sig) {
		return false
	}
	pub, err := schnorr.ParsePubKey(key[:])
	if err != nil {
		return false
	}
	s, err := schnorr.ParseSignature(sig[:])
	return err == nil && s.Verify(digest[:], pub)
}

// canonical looks at the 64 bytes itself: the library reduces an s that is too
// large instead of refusing it, which would give one signature two encodings.
func canonical(sig [64]byte) bool {
	var r btcec.FieldVal
	var s btcec.ModNScalar
	return !r.SetByteSlice(sig[:32]) && !s.SetByteSlice(sig[32:])
}

// PrivateKey signs for one x-only public key.
type PrivateKey struct{ key *btcec.PrivateKey }

// NewPrivateKey takes a secret of 32 bytes, most significant first: a number
// from 1 to the group order less one.
func NewPrivateKey(secret [32]byte) (PrivateKey, error) {
	var n btcec.ModNScalar
	if n.SetByteSlice(secret[:]) || n.IsZero() {
		return PrivateKey{}, errors.New("a secret key is a number from 1 to the group order less 1")
	}
	return PrivateKey{btcec.PrivKeyFromScalar(&n)}, nil
}

// Public is the x-only public key.
func (k PrivateKey) Public() [32]byte {
	return [32]byte(schnorr.SerializePubKey(k.key.PubKey()))
}

// Sign signs digest (BIP340, "Default Signing") with aux as auxiliary
// randomness; zeros are allowed and make the signature deterministic.
func (k PrivateKey) Sign(digest, aux [32]byte) ([64]byte, error) {
	sig, err := schnorr.Sign(k.key, digest[:], schnorr.CustomNonce(aux))
	if err != nil {
		return [64]byte{}, err
	}
	return [64]byte(sig.Serialize()), nil
}
