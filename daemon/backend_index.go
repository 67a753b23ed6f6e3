package daemon

import (
	"context"

	"cairn/chain"
	"cairn/rpc"
	"cairn/store"
)

// History lists what transactions of this moment's best chain did to an address.
func (m *moment) History(a chain.Address, below rpc.Place, most int) ([]rpc.Deed, error) {
	items, err := m.Reader.History(a, store.Place(below), most)
	if err != nil {
		return nil, err
	}
	deeds := make([]rpc.Deed, len(items))
	for i, item := range items {
		deeds[i] = rpc.Deed{Place: rpc.Place(item.Place), Tx: item.Tx, Received: item.Received, Spent: item.Spent}
	}
	return deeds, nil
}

// SetInfo reads all unspent coins of this moment.
func (m *moment) SetInfo(ctx context.Context) (rpc.SetInfo, error) {
	info, err := m.Reader.SetInfo(ctx)
	return rpc.SetInfo(info), err
}
