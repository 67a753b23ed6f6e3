package wallet

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"cairn/chain"
)

// Gap is how many addresses in a row may stay unused before a search for used
// ones ends (BIP44, "Address gap limit").
const Gap = 20

// Options says how a wallet is made. The zero value is right for people.
type Options struct {
	NoPassphrase bool // allow an empty passphrase: the mnemonic is then kept in clear
	WorkFactor   int  // log₂ of scrypt's cost, 1 to 22; 0 is age's own, about a second
}

// maxWorkFactor is the most that age undertakes when it decrypts.
const maxWorkFactor = 22

// Wallet is an open wallet file. It is not safe for concurrent use; several
// programs may use the file at once.
type Wallet struct {
	path    string
	file    file
	account *Account
	held    bool // the lock
}

// Create makes a wallet file for a mnemonic on a network and opens it. It never
// overwrites a file (ErrExists), refuses words that are no mnemonic
// (ErrMnemonic), and an empty passphrase unless the options allow it.
func Create(path, network, mnemonic, passphrase string, o Options) (*Wallet, error) {
	if network == "" {
		return nil, errors.New("create wallet: name the network it is for")
	}
	if o.WorkFactor < 0 || o.WorkFactor > maxWorkFactor {
		return nil, fmt.Errorf("create wallet: work factor %d, allowed are 0 to %d", o.WorkFactor, maxWorkFactor)
	}
	keys, err := Derive(mnemonic, network)
	if err != nil {
		return nil, err
	}
	f := file{Format: format, Version: version, Network: network, Account: keys.Account().String()}
	if err := f.keep(mnemonic, passphrase, o); err != nil {
		return nil, err
	}
	if err := f.create(path); err != nil {
		return nil, err
	}
	return Open(path)
}

// keep stores the mnemonic, sealed or in clear.
func (f *file) keep(mnemonic, passphrase string, o Options) error {
	mnemonic = strings.Join(strings.Fields(normal(mnemonic)), " ")
	if passphrase == "" && !o.NoPassphrase {
		return errors.New("create wallet: the passphrase is empty; choose one, or say that the words may be kept in clear")
	}
	if passphrase == "" {
		f.Sealed, f.Mnemonic = sealedNot, mnemonic
		return nil
	}
	sealed, err := seal(mnemonic, passphrase, o.WorkFactor)
	if err != nil {
		return fmt.Errorf("create wallet: encrypt the words: %w", err)
	}
	f.Sealed, f.Mnemonic = sealedByAge, sealed
	return nil
}

// Open reads a wallet file; no passphrase is needed. Errors wrap ErrMissing,
// ErrForeign, ErrDamaged or ErrNewer.
func Open(path string) (*Wallet, error) {
	// A rename would replace a link, not what it points to.
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	f, err := readFile(path)
	if err != nil {
		return nil, err
	}
	account, err := ParseAccount(f.Account, f.Network)
	if err != nil {
		return nil, damaged(path, err)
	}
	return &Wallet{path: path, file: f, account: account}, nil
}

// Path is where the file stands.
func (w *Wallet) Path() string { return w.path }

// Network is the name of the network that the wallet is for.
func (w *Wallet) Network() string { return w.file.Network }

// Account is the public half of the wallet's keys.
func (w *Wallet) Account() *Account { return w.account }

// Sealed tells whether Unlock needs a passphrase.
func (w *Wallet) Sealed() bool { return w.file.Sealed != sealedNot }

// For returns ErrNetwork unless the wallet is for this network.
func (w *Wallet) For(network string) error {
	if w.file.Network != network {
		return fmt.Errorf("%w: %s is for %q, this is %q; name a wallet of this network, or make one with `cairn wallet create`", ErrNetwork, w.path, w.file.Network, network)
	}
	return nil
}

// Mnemonic decrypts the wallet's words. Errors wrap ErrPassphrase or ErrDamaged.
func (w *Wallet) Mnemonic(passphrase string) (string, error) {
	if !w.Sealed() {
		return w.file.Mnemonic, nil
	}
	words, err := unseal(w.file.Mnemonic, passphrase)
	if err != nil {
		return "", fmt.Errorf("open %s: %w", w.path, err)
	}
	return words, nil
}

// Unlock decrypts the wallet's keys. Errors wrap ErrPassphrase or ErrDamaged. A
// wallet that is not sealed ignores the passphrase.
func (w *Wallet) Unlock(passphrase string) (*Keys, error) {
	words, err := w.Mnemonic(passphrase)
	if err != nil {
		return nil, err
	}
	keys, err := Derive(words, w.file.Network)
	if err != nil {
		return nil, damaged(w.path, err)
	}
	if keys.Account().String() != w.account.String() {
		return nil, damaged(w.path, errors.New("its addresses are not those of its words"))
	}
	keys.reach = max(w.file.Next.Receive, w.file.Next.Change) + signReach
	return keys, nil
}

// Next is the index of the next unused address of a branch.
func (w *Wallet) Next(b Branch) uint32 { return *w.file.Next.of(b) }

func (c *counters) of(b Branch) *uint32 {
	if b == Change {
		return &c.Change
	}
	return &c.Receive
}

// Address derives the address at an index of a branch; it changes nothing.
func (w *Wallet) Address(b Branch, index uint32) (chain.Address, error) {
	return w.account.Address(b, index)
}

// NextAddress hands out the next unused address of a branch. The counter is on
// disk when it returns: the address is never handed out again.
func (w *Wallet) NextAddress(b Branch) (a chain.Address, err error) {
	err = w.under(func() error {
		next := w.file.Next.of(b)
		if a, err = w.account.Address(b, *next); err != nil {
			return err
		}
		*next++
		return w.file.replace(w.path)
	})
	return a, err
}

// Addresses lists both branches' addresses up to their counters and gap beyond:
// all that may own coins of this wallet.
func (w *Wallet) Addresses(gap int) ([]chain.Address, error) {
	var list []chain.Address
	for _, b := range []Branch{Receive, Change} {
		row, err := w.account.row(b, 0, w.Next(b)+uint32(max(gap, 0)))
		if err != nil {
			return nil, err
		}
		list = append(list, row...)
	}
	return list, nil
}

func (a *Account) row(b Branch, from, to uint32) ([]chain.Address, error) {
	list := make([]chain.Address, 0, to-from)
	for i := from; i < to; i++ {
		address, err := a.Address(b, i)
		if err != nil {
			return nil, err
		}
		list = append(list, address)
	}
	return list, nil
}

// Discover moves the counters behind the last address that was ever used, as a
// restored wallet must (BIP44, "Account discovery"). It asks used about Gap
// addresses at a time, and ends where none of them was.
func (w *Wallet) Discover(used func([]chain.Address) (map[chain.Address]bool, error)) error {
	before := w.file.Next
	for _, b := range []Branch{Receive, Change} {
		if err := w.discover(b, used); err != nil {
			return err
		}
	}
	if w.file.Next == before {
		return nil
	}
	return w.under(func() error { return w.file.replace(w.path) })
}

func (w *Wallet) discover(b Branch, used func([]chain.Address) (map[chain.Address]bool, error)) error {
	next := w.file.Next.of(b)
	for seen := true; seen; {
		seen = false
		first := *next
		row, err := w.account.row(b, first, first+Gap)
		if err != nil {
			return err
		}
		hits, err := used(row)
		if err != nil {
			return fmt.Errorf("look for used addresses: %w", err)
		}
		for i, a := range row {
			if hits[a] {
				*next, seen = first+uint32(i)+1, true
			}
		}
	}
	return nil
}

// reload takes over counters that another program moved on, and makes sure that
// what stands on disk is still this wallet before anything is written over it.
func (w *Wallet) reload() error {
	f, err := readFile(w.path)
	if err != nil {
		return err
	}
	if f.Account != w.file.Account || f.Network != w.file.Network {
		return fmt.Errorf("%w: %s was exchanged for another wallet meanwhile; run the command again", ErrForeign, w.path)
	}
	f.Next.Receive = max(f.Next.Receive, w.file.Next.Receive)
	f.Next.Change = max(f.Next.Change, w.file.Next.Change)
	w.file = f
	return nil
}
