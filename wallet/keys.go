package wallet

import (
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/btcutil/hdkeychain"
	"github.com/btcsuite/btcd/chaincfg"

	"cairn/chain"
	"cairn/chain/schnorr"
)

// Branch is one of the two rows of addresses that an account has (BIP44).
type Branch uint32

// The two branches: addresses to be paid at, and addresses for what is left
// over from own payments.
const (
	Receive Branch = 0
	Change  Branch = 1
)

const (
	hardened = hdkeychain.HardenedKeyStart
	purpose  = 86 // BIP86

	accountDepth = 3    // of m / purpose' / coin' / account'
	signReach    = 1000 // indexes beyond the counters where a coin may still be ours

	mainNetwork = "main"
)

// PrefundedMnemonic is the mnemonic that users of local chains know. The
// networks dev and regtest give its first ten keys coins at birth; everyone can
// spend them.
const PrefundedMnemonic = "test test test test test test test test test test test junk"

const prefunded = 10

// Prefunded returns the keys that the geneses of dev and regtest pay:
// m/86'/1'/0'/0/0 to …/9 of PrefundedMnemonic.
func Prefunded() []schnorr.PrivateKey {
	keys, err := Derive(PrefundedMnemonic, "dev")
	if err != nil {
		panic(err) // a constant, tried by every test run
	}
	list := make([]schnorr.PrivateKey, prefunded)
	for i := range list {
		if list[i], err = keys.Key(Receive, uint32(i)); err != nil {
			panic(err)
		}
	}
	return list
}

// Keys derives the private keys of one account, and signs with them.
type Keys struct {
	account *hdkeychain.ExtendedKey
	rows    rows
	reach   uint32 // how many indexes of each branch Sign searches
}

// rows are the parents of the keys of each branch.
type rows [2]*hdkeychain.ExtendedKey

// Derive makes the keys of a mnemonic's first account on a network: BIP86's
// m/86'/0'/0' on "main", m/86'/1'/0' on every other.
func Derive(mnemonic, network string) (*Keys, error) {
	seed, err := Seed(mnemonic, "")
	if err != nil {
		return nil, err
	}
	key, err := hdkeychain.NewMaster(seed, bitcoin(network))
	if err != nil {
		return nil, fmt.Errorf("derive the master key: %w", err)
	}
	key, err = descend(key, hardened+purpose, hardened+coinType(network), hardened)
	if err != nil {
		return nil, err
	}
	r, err := branches(key)
	return &Keys{account: key, rows: r, reach: signReach}, err
}

func branches(account *hdkeychain.ExtendedKey) (r rows, err error) {
	for _, b := range []Branch{Receive, Change} {
		if r[b], err = descend(account, uint32(b)); err != nil {
			return r, err
		}
	}
	return r, nil
}

func descend(key *hdkeychain.ExtendedKey, indexes ...uint32) (*hdkeychain.ExtendedKey, error) {
	for _, i := range indexes {
		child, err := key.Derive(i)
		if err != nil {
			return nil, fmt.Errorf("derive child %d: %w", i, err)
		}
		key = child
	}
	return key, nil
}

// Key derives one key.
func (k *Keys) Key(b Branch, index uint32) (schnorr.PrivateKey, error) {
	child, err := descend(k.rows[b], index)
	if err != nil {
		return schnorr.PrivateKey{}, err
	}
	private, err := child.ECPrivKey()
	if err != nil {
		return schnorr.PrivateKey{}, fmt.Errorf("derive key %d/%d: %w", b, index, err)
	}
	return schnorr.NewPrivateKey([32]byte(private.Serialize()))
}

// Account returns the public half: it derives addresses and cannot sign.
func (k *Keys) Account() *Account {
	public, err := k.account.Neuter()
	if err != nil {
		panic(err) // the account has one of the two versions that are known
	}
	account, err := newAccount(public)
	if err != nil {
		panic(err) // its private twin has the same branches
	}
	return account
}

// Sign signs every input of tx in place, for the network with this genesis. It
// fails if another than this account's keys owns a coin, and leaves tx as it
// was.
func (k *Keys) Sign(tx *chain.Tx, genesis chain.Hash) error {
	ring, err := k.ring(tx)
	if err != nil {
		return err
	}
	return tx.Sign(genesis, ring)
}

// ring finds the keys of the owners of a transaction's inputs. Both branches
// are walked side by side: used addresses stand near the front of each.
func (k *Keys) ring(tx *chain.Tx) (map[chain.Address]schnorr.PrivateKey, error) {
	wanted := map[chain.Address]bool{}
	for i := range tx.Inputs {
		wanted[tx.Inputs[i].Owner] = true
	}
	ring := make(map[chain.Address]schnorr.PrivateKey, len(wanted))
	for index := uint32(0); index < k.reach && len(ring) < len(wanted); index++ {
		for _, b := range []Branch{Receive, Change} {
			key, err := k.Key(b, index)
			if err != nil {
				return nil, err
			}
			if wanted[key.Public()] {
				ring[key.Public()] = key
			}
		}
	}
	for owner := range wanted {
		if _, found := ring[owner]; !found {
			return nil, fmt.Errorf("none of this wallet's first %d addresses is %v, which owns a coin to be spent", k.reach, owner)
		}
	}
	return ring, nil
}

// Account derives an account's addresses from its public key alone.
type Account struct {
	public *hdkeychain.ExtendedKey
	rows   rows
}

func newAccount(public *hdkeychain.ExtendedKey) (*Account, error) {
	r, err := branches(public)
	return &Account{public, r}, err
}

// ParseAccount reads an extended public key of a network, as String writes it.
func ParseAccount(s, network string) (*Account, error) {
	key, err := hdkeychain.NewKeyFromString(s)
	switch {
	case err != nil:
		return nil, fmt.Errorf("account key: %w", err)
	case key.IsPrivate():
		return nil, errors.New("account key: it is private, a public one belongs here")
	case !key.IsForNet(bitcoin(network)):
		return nil, fmt.Errorf("account key: its prefix is not that of network %q", network)
	case key.Depth() != accountDepth || key.ChildIndex() != hardened:
		return nil, fmt.Errorf("account key: it does not stand at m/86'/%d'/0'", coinType(network))
	}
	return newAccount(key)
}

// String is BIP32's encoding: xpub… on "main", tpub… on every other network.
func (a *Account) String() string { return a.public.String() }

// Address derives one address.
func (a *Account) Address(b Branch, index uint32) (chain.Address, error) {
	child, err := descend(a.rows[b], index)
	if err != nil {
		return chain.Address{}, err
	}
	public, err := child.ECPubKey()
	if err != nil {
		return chain.Address{}, fmt.Errorf("derive address %d/%d: %w", b, index, err)
	}
	// BIP340 takes y as even: its sign is dropped.
	return chain.Address(public.SerializeCompressed()[1:]), nil
}

func coinType(network string) uint32 {
	if network == mainNetwork {
		return 0
	}
	return 1 // SLIP-0044: test networks of every coin
}

// bitcoin gives the version bytes of extended keys, for which BIP32 knows two
// kinds of network only.
func bitcoin(network string) *chaincfg.Params {
	if network == mainNetwork {
		return &chaincfg.MainNetParams
	}
	return &chaincfg.TestNet3Params
}
