package store

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"slices"

	"cairn/chain"
)

// A diff is stored as what of it the block's body does not say:
//
//	0xff, height and coinbase flag of each coin that is spent, CRC-32C of the block's id and all that
//
// Formats up to 3 wrote both its lists of coins whole: how many as a varint, and of each
// the outpoint, height and flag, value and owner. None begins with that byte: it would
// tell of 2^32 coins.
const (
	ofBirths  = 0xff
	leastCoin = outPointBytes + 1 + 1 + 32 // bytes of a coin in a whole diff
)

func encodeDiff(id chain.Hash, d chain.Diff) []byte {
	b := append(make([]byte, 0, 1+5*len(d.Spent)+crc32.Size), ofBirths)
	for _, c := range d.Spent {
		b = appendBirth(b, c.Birth())
	}
	return binary.BigEndian.AppendUint32(b, sumOf(id, b))
}

// decodeDiff reads what a block did.
func decodeDiff(b chain.CheckedBlock, raw []byte) (d chain.Diff, err error) {
	if !short(raw) {
		return decodeWhole(b.ID(), raw)
	}
	births, err := readBirths(raw, b.ID())
	if err == nil {
		d, err = b.Effect(births)
	}
	if err != nil {
		return chain.Diff{}, damaged("diff", b.ID(), err)
	}
	return d, nil
}

// soundDiff tells what of a stored diff is damaged without its block.
func soundDiff(id chain.Hash, raw []byte) (err error) {
	if !short(raw) {
		_, err = decodeWhole(id, raw)
		return err
	}
	if _, err = readBirths(raw, id); err != nil {
		return damaged("diff", id, err)
	}
	return nil
}

// short tells a diff of births from a whole one.
func short(raw []byte) bool { return len(raw) > 0 && raw[0] == ofBirths }

func readBirths(raw []byte, id chain.Hash) ([]chain.Birth, error) {
	end := len(raw) - crc32.Size
	if end < 1 || binary.BigEndian.Uint32(raw[end:]) != sumOf(id, raw[:end]) {
		return nil, errors.New("its checksum is wrong")
	}
	births := make([]chain.Birth, 0, end-1)
	r := chain.NewReader(raw[1:end])
	for r.Left() > 0 && r.Err() == nil {
		births = append(births, readBirth(r))
	}
	return births, r.Err()
}

// sumOf finds what a disk has bent, and a diff that stands under another block's id.
func sumOf(id chain.Hash, b []byte) uint32 {
	return crc32.Update(crc32.Checksum(id[:], castagnoli), castagnoli, b)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func decodeWhole(id chain.Hash, raw []byte) (chain.Diff, error) {
	r := chain.NewReader(raw)
	d := chain.Diff{Spent: readCoins(r), Created: readCoins(r)}
	if err := r.Close(); err != nil {
		return chain.Diff{}, damaged("diff", id, err)
	}
	return d, nil
}

func readCoins(r *chain.Reader) []chain.Coin {
	list := make([]chain.Coin, r.Count(leastCoin))
	for i := range list {
		raw := r.Take(outPointBytes)
		if raw == nil {
			return nil
		}
		list[i] = readCoin(r)
		list[i].OutPoint, list[i].Owner = readOutPoint(raw), r.Array32()
	}
	return list
}

// sameDiff tells whether two diffs say the same.
func sameDiff(d, e chain.Diff) bool {
	return slices.Equal(d.Spent, e.Spent) && slices.Equal(d.Created, e.Created)
}
