package rpc

import (
	"encoding/hex"
	"errors"
	"slices"

	"cairn/chain"
	"cairn/node"
)

func proofMethods() []method {
	return []method{
		define("gettxoutproof", "A proof that a block holds some transactions, for whom has headers alone: Bitcoin's merkleblock (BIP37) in hex.", getTxOutProof,
			param{name: "txids", kind: idList, doc: "of one block"},
			param{name: "blockhash", kind: id, optional: true, doc: "that block, on any branch; default: the one of the best chain that holds the first"}),
		define("verifytxoutproof", "The transactions that a proof proves, none if its root is not its header's. Its block must be on the best chain.", verifyTxOutProof,
			param{name: "proof", kind: text, doc: "as gettxoutproof gives it", example: "01000000..."}),
		define("getheaders", "Headers of the best chain in hex, 80 bytes each, behind the first block of a locator that stands on it (or behind the genesis): all that a light client needs, as btcd gives them.", getHeaders,
			param{name: "blocklocators", kind: idList, doc: "blocks that the caller knows, the newest first; may be empty"},
			param{name: "hashstop", kind: text, optional: true, doc: "the last one that is wanted; default and empty: up to 2000"}),
	}
}

func getTxOutProof(c *call) (Hex, error) {
	txs := arg[[]chain.Hash](c, 0)
	if len(txs) == 0 {
		return nil, Errorf(InvalidParameter, "Parameter 'txids' cannot be empty")
	}
	for i, id := range txs {
		if slices.Contains(txs[:i], id) {
			return nil, Errorf(InvalidParameter, "Invalid parameter, duplicated txid: %v", id)
		}
	}
	v, e, err := c.holder(txs[0])
	if err != nil {
		return nil, err
	}
	body, err := v.Body(e.State.ID)
	if errors.Is(err, node.ErrUnknown) {
		return nil, Errorf(Misc, "Block not available (not fully downloaded)")
	}
	if err != nil {
		return nil, err
	}
	held := leaves(body)
	for _, id := range txs {
		if !slices.Contains(held, id) {
			return nil, Errorf(NotFound, "Not all transactions found in specified or retrieved block")
		}
	}
	proof := chain.ProveTxs(body.Header(), held, func(id chain.Hash) bool { return slices.Contains(txs, id) })
	return Hex(proof.Bytes()), nil
}

// holder is the block that the second argument names, or the one of the best chain
// that holds a transaction.
func (c *call) holder(tx chain.Hash) (Snapshot, node.Entry, error) {
	if c.args[1] != nil {
		return c.entry(1)
	}
	v, err := c.view()
	if err != nil {
		return nil, node.Entry{}, err
	}
	blocks, err := v.TxBlocks(tx)
	if err != nil {
		return nil, node.Entry{}, err
	}
	if len(blocks) == 0 {
		return nil, node.Entry{}, Errorf(NotFound, "Transaction not yet in block")
	}
	e, err := preferred(v, blocks)
	if err != nil {
		return nil, e, err
	}
	if depth, err := depthOf(v, e.State); err != nil || depth < 1 {
		return nil, e, errors.Join(err, Errorf(NotFound, "Transaction not in a block of the best chain, but in %v off it: name that block to have the proof", e.State.ID))
	}
	return v, e, nil
}

func verifyTxOutProof(c *call) ([]chain.Hash, error) {
	raw, err := hex.DecodeString(arg[string](c, 0))
	if err != nil {
		return nil, Errorf(Decoding, "proof must be hexadecimal string")
	}
	proof, err := chain.DecodeMerkleProof(raw)
	if err != nil {
		return nil, Errorf(Decoding, "proof: %s", Clean(err.Error()))
	}
	txs, err := proof.Txs()
	if err != nil {
		return []chain.Hash{}, nil
	}
	v, err := c.view()
	if err != nil {
		return nil, err
	}
	e, err := v.Entry(proof.Header.ID())
	if errors.Is(err, node.ErrUnknown) {
		return nil, Errorf(NotFound, "Block not found in chain")
	}
	if err != nil {
		return nil, err
	}
	depth, err := depthOf(v, e.State)
	if err != nil || depth < 1 {
		return nil, errors.Join(err, Errorf(NotFound, "Block not found in chain"))
	}
	// The root says nothing of how many leaves there are: a proof about another number
	// of them takes a node of the tree for a transaction.
	n, err := v.TxCount(e.State.ID)
	if err != nil || uint32(n) != proof.Total {
		return []chain.Hash{}, err
	}
	return list(txs), nil
}

// maxHeaders is the most that one answer of getheaders holds.
const maxHeaders = 2000

func getHeaders(c *call) ([]Hex, error) {
	var stop chain.Hash
	if text := argOr(c, 1, ""); text != "" {
		id, err := readID(c.Params, "hashstop", quote(text))
		if err != nil {
			return nil, err
		}
		stop = id.(chain.Hash)
	}
	v, err := c.view()
	if err != nil {
		return nil, err
	}
	height, err := located(v, arg[[]chain.Hash](c, 0))
	if err != nil {
		return nil, err
	}
	headers := []Hex{}
	for len(headers) < maxHeaders {
		height++
		id, err := v.At(height)
		if errors.Is(err, node.ErrUnknown) {
			break
		}
		if err != nil {
			return nil, err
		}
		e, err := v.Entry(id)
		if err != nil {
			return nil, err
		}
		raw := e.Header.Bytes()
		if headers = append(headers, raw[:]); id == stop {
			break
		}
	}
	return headers, nil
}

// located is the height of the first block of a locator that stands on the best
// chain, 0 if none does.
func located(v Snapshot, locator []chain.Hash) (uint64, error) {
	for _, id := range locator {
		e, err := v.Entry(id)
		if errors.Is(err, node.ErrUnknown) {
			continue
		}
		if err != nil {
			return 0, err
		}
		depth, err := depthOf(v, e.State)
		if err != nil || depth > 0 {
			return e.State.Height, err
		}
	}
	return 0, nil
}
