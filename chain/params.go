package chain

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
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

// Limits of a network's description, so that no sum of them overflows.
const (
	longest = 1 << 31 // seconds or blocks
	maxName = 32      // bytes
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
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields() // a misspelt rule would be left out
	if err := d.Decode(p); err != nil {
		return nil, fmt.Errorf("network file: %w", err)
	}
	if d.More() {
		return nil, errors.New("network file: something stands behind the network")
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
	case !validName(p.Name):
		return fmt.Errorf("its name must be 1 to %d lower-case letters, digits or dashes", maxName)
	case !validPrefix(p.Prefix):
		return fmt.Errorf("address prefix %q: use one to ten lower-case letters", p.Prefix)
	case !easiest:
		return fmt.Errorf("easiest bits %v are no target", p.Easiest)
	case !p.OnDemand && (p.Spacing < 1 || p.HalfLife < 1 || p.Spacing > longest || p.HalfLife > longest):
		return errors.New("spacing and half_life must be between 1 and 2³¹ seconds")
	case p.MaxBlock < HeaderSize+1+MaxCoinbase || p.MaxBlock > 1<<22:
		return fmt.Errorf("max_block must be between %d and %d bytes", HeaderSize+1+MaxCoinbase, 1<<22)
	case p.Maturity > longest:
		return errors.New("maturity must be at most 2³¹ blocks")
	case p.Ahead < 1 || p.Ahead > longest:
		return errors.New("ahead must be between 1 and 2³¹ seconds")
	case !p.Ports.valid():
		return fmt.Errorf("ports %d, %d and %d must be between 0 and 65535", p.Ports.P2P, p.Ports.RPC, p.Ports.Stratum)
	case p.Genesis == nil || p.Genesis.Coinbase == nil:
		return errors.New("it has no genesis block")
	}
	return p.checkGenesis()
}

// validName tells whether a name can be a folder's, on every system.
func validName(s string) bool {
	return len(s) >= 1 && len(s) <= maxName && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

func (p Ports) valid() bool {
	return min(p.P2P, p.RPC, p.Stratum) >= 0 && max(p.P2P, p.RPC, p.Stratum) <= 65535
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
	if short := MinCoinbase - len(cb.Bytes()); short > 0 {
		cb.Extra = append(cb.Extra, make([]byte, short)...)
	}
	return &Block{
		Header:   Header{Version: HeaderVersion, Root: cb.ID(), Time: time, Bits: bits},
		Coinbase: cb,
	}
}
