package store

import "cairn/chain"

// TxCount is the number of transactions in a complete entry's body, the coinbase
// included, else node.ErrUnknown. It reads nothing behind the number.
func (r reads) TxCount(id chain.Hash) (n int, err error) {
	err = r.view(func(s snapshot) error {
		raw, err := find(s, keyBody(id))
		if err != nil {
			return err
		}
		head := chain.NewReader(raw)
		head.Take(chain.HeaderSize)
		n = int(head.Varint())
		if head.Err() != nil {
			return damaged("body", id, head.Err())
		}
		return nil
	})
	return n, err
}
