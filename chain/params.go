package chain

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Params are the rules and names of one network. Make them with a function of
// this package or ParseParams: both check them and know the genesis.
type Params struct {
	Name     string `json:"name"`
	Prefix   string `json:"prefix"`    // of addresses
	Spacing  int64  `json:"spacing"`   // seconds between blocks that the difficulty aims at
	HalfLife int64  `json:"half_life"` // seconds of deviation that double or halve the target
	OnDemand bool   `json:"on_demand"` // blocks at the easiest target, whenever somebody asks for one
	Easiest  Bits   `json:"easiest"`   // the easiest target allowed
	Maturity uint64 `json:"maturity"`  // blocks before a coinbase may be spent
	MaxBlock int    `json:"max_block"` // bytes of one block
	Ahead    int64  `json:"ahead"`     // seconds a block may lie ahead of a node's clock; policy, not consensus
	Ports    Ports  `json:"ports"`
	Genesis  *Block `json:"genesis"`

	// Proof tells whether a header carries its work. Nil is SHA-256d, and only
	// imagined networks have another.
	Proof func(Header) bool `json:"-"`

	genesisID Hash
}

// Ports are the TCP and UDP ports that a node of a network listens on by default.
type Ports struct {
	P2P     int `json:"p2p"`
	RPC     int `json:"rpc"`
	Stratum int `json:"stratum"`
}

// The subsidy's schedule.
const (
	firstSubsidy = 50 * CRN
	halving      = 2_102_400 // blocks
	halvings     = 63
)

// Subsidy is what a block at this height may create, in grains.
func (p *Params) Subsidy(height uint64) Amount {
	n := height / halving
	if n >= halvings {
		return 0
	}
	return firstSubsidy >> n
}

// GenesisID is the id of block 0 and the network's identity.
func (p *Params) GenesisID() Hash { return p.genesisID }

// GenesisState is the state after block 0.
func (p *Params) GenesisState() State {
	h := p.Genesis.Header
	return State{ID: p.genesisID, Work: h.Bits.Work(), Bits: h.Bits, Time: h.Time}
}

// GenesisCoins is what block 0 creates: its outputs, exempt from the subsidy
// rule, as a coinbase of height 0.
func (p *Params) GenesisCoins() Diff {
	cb := p.Genesis.Coinbase
	return Diff{Created: coinbaseCoins(cb, cb.ID())}
}

// ParseParams reads a network file: the JSON form of Params, the genesis block
// in hex.
func ParseParams(text []byte) (*Params, error) {
	p := new(Params)
	if err := json.Unmarshal(text, p); err != nil {
		return nil, fmt.Errorf("network file: %w", err)
	}
	return NewParams(p)
}

// NewParams checks p and completes it in place.
func NewParams(p *Params) (*Params, error) {
	if err := p.check(); err != nil {
		return nil, fmt.Errorf("network %q: %w", p.Name, err)
	}
	p.genesisID = p.Genesis.ID()
	return p, nil
}

func (p *Params) check() error {
	_, easiest := p.Easiest.Target()
	switch {
	case p.Name == "":
		return errors.New("it has no name")
	case !validPrefix(p.Prefix):
		return fmt.Errorf("address prefix %q: use one to ten lower-case letters", p.Prefix)
	case !easiest:
		return fmt.Errorf("easiest bits %v are no target", p.Easiest)
	case !p.OnDemand && (p.Spacing < 1 || p.HalfLife < 1 || p.Spacing > 1<<31 || p.HalfLife > 1<<31):
		return errors.New("spacing and half_life must be between 1 and 2³¹ seconds")
	case p.MaxBlock < HeaderSize+1+MaxCoinbase || p.MaxBlock > 1<<22:
		return fmt.Errorf("max_block must be between %d and %d bytes", HeaderSize+1+MaxCoinbase, 1<<22)
	case p.Ahead < 1:
		return errors.New("ahead must be at least 1 second")
	case p.Genesis == nil || p.Genesis.Coinbase == nil:
		return errors.New("it has no genesis block")
	}
	return p.checkGenesis()
}

func (p *Params) checkGenesis() error {
	g := p.Genesis
	if len(g.Txs) > 0 || g.Coinbase.Height != 0 || g.Header.Prev != (Hash{}) {
		return errors.New("its genesis holds more than a coinbase of height 0, or has a parent")
	}
	if err := CheckHeader(p, g.Header); err != nil {
		return fmt.Errorf("genesis: %w", err)
	}
	if err := checkCoinbase(g.Coinbase); err != nil {
		return fmt.Errorf("genesis: %w", err)
	}
	if g.Header.Root != g.Coinbase.ID() {
		return fmt.Errorf("genesis: %w", BadRoot.Err())
	}
	return nil
}

// NewGenesis makes block 0 with these outputs; its nonce is still to be found.
// A memo of up to MaxMemo bytes tells where the network comes from.
func NewGenesis(time uint32, bits Bits, memo string, outputs []Output) *Block {
	cb := &Coinbase{Extra: make([]byte, 32), Outputs: outputs, Memo: []byte(memo)}
	return &Block{
		Header:   Header{Version: HeaderVersion, Root: cb.ID(), Time: time, Bits: bits},
		Coinbase: cb,
	}
}
