// Package wallet says what is mine: keys, coin choice, building and signing a
// payment.
//
// A wallet is one file. Its twelve words (BIP39) are encrypted with a
// passphrase; the public key of its account (BIP32, at BIP86's path) and the
// counters of used addresses stand beside them in clear, so that addresses,
// balance, history and mining need no passphrase. No node ever sees a key: a
// payment is built and signed here, from the coins that a node tells of.
//
// Addresses are the untweaked x-only keys of BIP86's path m/86'/coin'/0': coin
// is 0 on the network "main" and 1 on every other.
//
// Deriving keys, Build and Sign are functions of their arguments alone. Create,
// Open and the methods that move a counter touch the file.
package wallet
