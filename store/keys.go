package store

import (
	"encoding/binary"

	"cairn/chain"
)

// Key table. The first byte tells the kind; heights, positions and indexes are
// big-endian, so that keys sort as numbers do; ids are in internal byte order.
//
//	m                                  the tip: block id
//	e  block                           entry: header, status, height, gap, work
//	s  height block                    that an entry stands at this height, on whatever branch
//	b  block                           body of a complete entry, in its canonical encoding
//	h  height                          block id, best chain only
//	d  block                           diff, of every block that is or was on the best chain: where the coins that it spends were made
//	c  txid index                      unspent coin: height and coinbase flag, value, owner
//	a  owner txid index                the same coin without its owner
//	y  owner height position           what a transaction did to an owner, best chain only: txid, received, spent
//	t  txid block                      that a stored body holds the transaction
//	x  txid index spender block        that a stored body's transaction spends the output
//	u  name                            other packages' values
//	w                                  the block where the tip was when all that follows from it was written; it
//	                                   is there while that is not the tip
//	v                                  the block up to which that is being written
//	i  block                           that t and x of a stored body may be missing
//
// h, c, a and y follow the tip; t and x follow the bodies. Of blocks on the way from w
// by v to the tip, those that are taken off on it included, any c, a and y may be
// missing or stale, and any t and x missing.
const (
	kindTip       = 'm'
	kindEntry     = 'e'
	kindStanding  = 's'
	kindBody      = 'b'
	kindHeight    = 'h'
	kindDiff      = 'd'
	kindCoin      = 'c'
	kindOwned     = 'a'
	kindHistory   = 'y'
	kindTx        = 't'
	kindSpend     = 'x'
	kindNamed     = 'u'
	kindWritten   = 'w'
	kindToward    = 'v'
	kindAside     = 'i'
	outPointBytes = 32 + 4
)

var (
	keyTip     = []byte{kindTip}
	keyWritten = []byte{kindWritten}
	keyToward  = []byte{kindToward}
)

func keyOf(kind byte, id chain.Hash) []byte {
	return append([]byte{kind}, id[:]...)
}

func keyEntry(id chain.Hash) []byte { return keyOf(kindEntry, id) }
func keyBody(id chain.Hash) []byte  { return keyOf(kindBody, id) }
func keyAside(id chain.Hash) []byte { return keyOf(kindAside, id) }
func keyDiff(id chain.Hash) []byte  { return keyOf(kindDiff, id) }

func keyHeight(height uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{kindHeight}, height)
}

func keysStanding(height uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{kindStanding}, height)
}

func keyStanding(height uint64, id chain.Hash) []byte {
	return append(keysStanding(height), id[:]...)
}

func appendOutPoint(b []byte, o chain.OutPoint) []byte {
	return binary.BigEndian.AppendUint32(append(b, o.Tx[:]...), o.Index)
}

// readOutPoint reads what appendOutPoint wrote.
func readOutPoint(b []byte) chain.OutPoint {
	return chain.OutPoint{Tx: chain.Hash(b[:32]), Index: binary.BigEndian.Uint32(b[32:])}
}

func keyCoin(o chain.OutPoint) []byte {
	return appendOutPoint(begin(kindCoin, outPointBytes), o)
}

// begin is a key that begins with its kind, and room for n bytes more.
func begin(kind byte, n int) []byte { return append(make([]byte, 0, 1+n), kind) }

func keysOwned(a chain.Address) []byte {
	return append([]byte{kindOwned}, a[:]...)
}

func keyOwned(a chain.Address, o chain.OutPoint) []byte {
	return appendOutPoint(append(begin(kindOwned, len(a)+outPointBytes), a[:]...), o)
}

func keysHistory(a chain.Address) []byte {
	return append([]byte{kindHistory}, a[:]...)
}

func keyHistory(a chain.Address, at Place) []byte {
	b := append(begin(kindHistory, len(a)+8+4), a[:]...)
	b = binary.BigEndian.AppendUint64(b, at.Height)
	return binary.BigEndian.AppendUint32(b, at.Position)
}

func readPlace(b []byte) Place {
	return Place{Height: binary.BigEndian.Uint64(b), Position: binary.BigEndian.Uint32(b[8:])}
}

func keysTx(tx chain.Hash) []byte { return keyOf(kindTx, tx) }

func keyTx(tx, block chain.Hash) []byte {
	return append(append(begin(kindTx, len(tx)+len(block)), tx[:]...), block[:]...)
}

func keysSpend(o chain.OutPoint) []byte {
	return appendOutPoint([]byte{kindSpend}, o)
}

func keySpend(o chain.OutPoint, spender, block chain.Hash) []byte {
	b := appendOutPoint(begin(kindSpend, outPointBytes+len(spender)+len(block)), o)
	return append(append(b, spender[:]...), block[:]...)
}

func keyNamed(name string) []byte {
	return append([]byte{kindNamed}, name...)
}
