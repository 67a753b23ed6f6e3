package rpc

import (
	"errors"

	"cairn/chain"
	"cairn/node"
)

func convergenceMethods() []method {
	return []method{
		define("getconvergence", "How deep a transaction or block lies on every node that we know, computed here from the tips that they claim.", getConvergence,
			param{name: "id", kind: thing, optional: true, doc: "a transaction or block; default: our own tip"}),
	}
}

// What getconvergence may be asked about.
const (
	KindTx    = "tx"
	KindBlock = "block"
)

// ConvergenceInfo is the result of getconvergence.
type ConvergenceInfo struct {
	ID   chain.Hash `json:"id"`
	Kind string     `json:"kind"` // tx or block
	Agreement
}

func getConvergence(c *call) (*ConvergenceInfo, error) {
	if c.args[0] == nil {
		tip, err := c.tip()
		if err != nil {
			return nil, err
		}
		return agreement(tip.ID, KindBlock, c.Convergence.Block)
	}
	id := arg[chain.Hash](c, 0)
	info, err := agreement(id, KindTx, c.Convergence.Tx)
	if errors.Is(err, node.ErrUnknown) {
		info, err = agreement(id, KindBlock, c.Convergence.Block)
	}
	if errors.Is(err, node.ErrUnknown) {
		err = Errorf(NotFound, "No such transaction or block")
	}
	return info, err
}

func agreement(id chain.Hash, kind string, ask func(chain.Hash) (Agreement, error)) (*ConvergenceInfo, error) {
	a, err := ask(id)
	if err != nil {
		return nil, err
	}
	a.Peers = list(a.Peers)
	for i := range a.Peers {
		a.Peers[i].Agent = Clean(a.Peers[i].Agent)
	}
	a.Reason = Clean(a.Reason)
	return &ConvergenceInfo{ID: id, Kind: kind, Agreement: a}, nil
}
