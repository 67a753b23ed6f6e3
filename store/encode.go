package store

import (
	"fmt"

	"cairn/chain"
	"cairn/node"
)

// damaged says that what we wrote cannot be read, and what to do. It does not wrap
// the cause: that is a broken rule, and whoever finds a broken rule blames a peer.
func damaged(what string, id any, err error) error {
	return fmt.Errorf("the database is damaged: %s of %v: %v: stop the node and run `cairn db verify`", what, id, err) //nolint:errorlint // see above
}

func encodeEntry(e node.Entry) []byte {
	b := make([]byte, 0, chain.HeaderSize+1+9+5+32)
	b = e.Header.Append(b)
	b = append(b, byte(e.Status))
	b = chain.AppendVarint(b, e.State.Height)
	b = chain.AppendVarint(b, uint64(e.State.Gap))
	work := e.State.Work.Bytes()
	return append(b, work[:]...)
}

func decodeEntry(id chain.Hash, b []byte) (node.Entry, error) {
	r := chain.NewReader(b)
	e := node.Entry{Header: chain.ReadHeader(r), Status: node.Status(r.Byte())}
	e.State = chain.State{
		Height: r.Varint(),
		ID:     id,
		Bits:   e.Header.Bits,
		Time:   e.Header.Time,
		Gap:    uint32(r.Varint()),
		Work:   chain.WorkFromBytes(r.Array32()),
	}
	if err := r.Close(); err != nil {
		return node.Entry{}, damaged("entry", id, err)
	}
	return e, nil
}

func appendBirth(b []byte, at chain.Birth) []byte {
	n := at.Height << 1
	if at.Coinbase {
		n |= 1
	}
	return chain.AppendVarint(b, n)
}

func readBirth(r *chain.Reader) chain.Birth {
	n := r.Varint()
	return chain.Birth{Height: n >> 1, Coinbase: n&1 == 1}
}

// appendCoin appends what a coin is, without its outpoint and its owner.
func appendCoin(b []byte, c chain.Coin) []byte {
	return chain.AppendVarint(appendBirth(b, c.Birth()), uint64(c.Value))
}

func readCoin(r *chain.Reader) chain.Coin {
	born := readBirth(r)
	return chain.Coin{Height: born.Height, Coinbase: born.Coinbase, Value: chain.Amount(r.Varint())}
}

func encodeCoin(c chain.Coin) []byte {
	return append(appendCoin(make([]byte, 0, 5+9+32), c), c.Owner[:]...)
}

func decodeCoin(o chain.OutPoint, b []byte) (chain.Coin, error) {
	r := chain.NewReader(b)
	c := readCoin(r)
	c.OutPoint, c.Owner = o, r.Array32()
	if err := r.Close(); err != nil {
		return chain.Coin{}, damaged("coin", o, err)
	}
	return c, nil
}

func decodeOwned(owner chain.Address, o chain.OutPoint, b []byte) (chain.Coin, error) {
	r := chain.NewReader(b)
	c := readCoin(r)
	c.OutPoint, c.Owner = o, owner
	if err := r.Close(); err != nil {
		return chain.Coin{}, damaged("coin", o, err)
	}
	return c, nil
}

func encodeItem(i HistoryItem) []byte {
	b := append(make([]byte, 0, 32+9+9), i.Tx[:]...)
	b = chain.AppendVarint(b, uint64(i.Received))
	return chain.AppendVarint(b, uint64(i.Spent))
}

func decodeItem(at Place, b []byte) (HistoryItem, error) {
	r := chain.NewReader(b)
	i := HistoryItem{
		Place: at, Tx: r.Array32(),
		Received: chain.Amount(r.Varint()), Spent: chain.Amount(r.Varint()),
	}
	if err := r.Close(); err != nil {
		return HistoryItem{}, damaged("history", i.Tx, err)
	}
	return i, nil
}
