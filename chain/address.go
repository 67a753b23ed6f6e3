package chain

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/btcsuite/btcd/btcutil/bech32"
)

// addressVersion is the witness-style version that stands before the key.
const addressVersion = 0

// Address is an x-only public key (BIP340): who may spend a coin. People see it
// with their network's prefix, by Params.FormatAddress.
type Address [32]byte

// String is the key in hex; it names no network.
func (a Address) String() string { return hex.EncodeToString(a[:]) }

// FormatAddress is the address in bech32m (BIP350) with the network's prefix.
func (p *Params) FormatAddress(a Address) string {
	data, err := bech32.ConvertBits(a[:], 8, 5, true)
	if err != nil {
		panic(err) // 32 bytes always convert
	}
	s, err := bech32.EncodeM(p.Prefix, append([]byte{addressVersion}, data...))
	if err != nil {
		panic(err) // Params.Check has tried the prefix
	}
	return s
}

// ParseAddress reads an address of this network. Errors tell what is wrong with
// it: another network, a typing error, another format.
func (p *Params) ParseAddress(s string) (a Address, err error) {
	prefix, data, version, err := bech32.DecodeGeneric(s)
	switch {
	case bitcoins(s):
		return a, fmt.Errorf("address %q is Bitcoin's, and nothing here can be paid there: this network's start with %s1", s, p.Prefix)
	case !strings.Contains(s, "1"):
		return a, fmt.Errorf("%q is no address: this network's start with %s1", s, p.Prefix)
	case err != nil || version != bech32.VersionM:
		return a, fmt.Errorf("address %q is mistyped or cut: its checksum does not fit", s)
	}
	if prefix != p.Prefix {
		return a, fmt.Errorf("address %q is of another network (%s…): this one's start with %s1", s, prefix, p.Prefix)
	}
	if len(data) == 0 || data[0] != addressVersion {
		return a, fmt.Errorf("address %q has a version that this program does not know", s)
	}
	key, err := bech32.ConvertBits(data[1:], 5, 8, false)
	if err != nil || len(key) != len(a) {
		return a, fmt.Errorf("address %q does not hold a key of %d bytes", s, len(a))
	}
	copy(a[:], key)
	return a, nil
}

// bitcoins tells whether an address looks like one of Bitcoin's networks: bech32
// with its prefixes, or base58 with the first letters of its versions.
func bitcoins(s string) bool {
	for _, prefix := range []string{"bc1", "tb1", "bcrt1"} {
		if strings.HasPrefix(strings.ToLower(s), prefix) {
			return true
		}
	}
	const base58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
	return len(s) >= 26 && len(s) <= 35 && strings.Trim(s, base58) == "" && strings.ContainsAny(s[:1], "123mn")
}

// validPrefix tells whether bech32 can carry the prefix.
func validPrefix(s string) bool {
	ok := len(s) >= 1 && len(s) <= 10 && s == strings.ToLower(s)
	for _, c := range s {
		ok = ok && c >= 33 && c <= 126
	}
	return ok
}
