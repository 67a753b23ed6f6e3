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
// Beside the file stands its journal: every payment that was made from it, and
// those seen that may still be undone. The chain forgets what a reorganisation
// undid for good, a pool what was replaced; the journal does not. It is no secret,
// and nothing is lost with it but that memory.
//
// Deriving keys, Build, Replace and Sign are functions of their arguments alone.
// Create, Open and the methods that move a counter or write the journal touch the
// disk, one program at a time.
package wallet
