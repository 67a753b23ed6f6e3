package chaintest

import (
	"encoding/hex"

	"cairn/chain"
	"cairn/chain/schnorr"
)

// secrets belong to chain.Prefunded, in its order.
var secrets = [...]string{
	"893af8e39dab62e987360f7e2f2556100075b04ee4e6b22a0e1e11e1569de6d1",
	"d02ee2d2828e3844e8b9751da9202d87210fde6e4c350668c19855541d4bc94c",
	"fef0082696611913b3c8507643fc5b169706dadd90269894a1645023791bfdc5",
	"55dcd2aa30f9b2b1d3aac220b5f35a3952796843731632c59298bbb43348d891",
	"679005479f67869bdd0a92dea60e88095fdb59cdc235bf7a5b0768a344ea4dc2",
	"bba17da70498ba5771261de411f44e47a8db8f69535de4e9cba9e4c2c3c7c490",
	"fbd6d642101526155790883c456d7ca2ad004017f949ec1e15c4708ad1c16f80",
	"548444583702de9bfe975e7ae568b8b7348a9ae0a0b2f4460df3c2d61000ee21",
	"1bc09bf154e738540776aaf55d232389215c0d0b438ae9becd2c8d3b092823c4",
	"1a7169a1a8bde4bee892ee6a3424a77532281893a6c9268164a3413f8bbd8d3c",
}

// Key is the key of chain.Prefunded()[i], i from 0 to 9.
func Key(i int) schnorr.PrivateKey {
	raw, err := hex.DecodeString(secrets[i])
	if err != nil {
		panic(err)
	}
	key, err := schnorr.NewPrivateKey([32]byte(raw))
	if err != nil {
		panic(err)
	}
	return key
}

// Address is the address of Key(i).
func Address(i int) chain.Address { return Key(i).Public() }

// Funds is the coin that the genesis pays to Key(i), on a network that prefunds
// as dev does.
func Funds(p *chain.Params, i int) chain.Coin { return p.GenesisCoins().Created[i] }

// Pay spends coin with its owner's key: to the outputs, fee to the miner, and
// what is left back to the owner.
func Pay(p *chain.Params, coin chain.Coin, key schnorr.PrivateKey, fee chain.Amount, to ...chain.Output) *chain.Tx {
	tx := &chain.Tx{
		Inputs:  []chain.Input{{Prev: coin.OutPoint, Value: coin.Value, Owner: coin.Owner}},
		Outputs: append([]chain.Output(nil), to...),
	}
	rest := coin.Value - fee
	for _, o := range to {
		rest -= o.Value
	}
	if rest > coin.Value {
		panic("the coin does not reach")
	}
	if rest > 0 {
		tx.Outputs = append(tx.Outputs, chain.Output{Value: rest, To: coin.Owner})
	}
	return Sign(p, tx, key)
}

// Sign signs every input, in place, and returns tx; there must be a key for each.
func Sign(p *chain.Params, tx *chain.Tx, keys ...schnorr.PrivateKey) *chain.Tx {
	ring := map[chain.Address]schnorr.PrivateKey{}
	for _, k := range keys {
		ring[k.Public()] = k
	}
	if err := tx.Sign(p.GenesisID(), ring); err != nil {
		panic(err)
	}
	return tx
}

// Outs are the coins that a transaction makes at a height.
func Outs(tx *chain.Tx, height uint64) []chain.Coin {
	id := tx.ID()
	coins := make([]chain.Coin, len(tx.Outputs))
	for i := range coins {
		coins[i] = tx.Out(id, i, height)
	}
	return coins
}
