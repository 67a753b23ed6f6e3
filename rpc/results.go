package rpc

import (
	"math"

	"cairn/chain"
)

// Peer is a connected peer, as getpeerinfo shows it. Strings are the peer's own
// words and are cleaned before they are shown.
type Peer struct {
	Number    int         `json:"id"`      // counts connections since the start
	ID        string      `json:"peer_id"` // libp2p's
	Address   string      `json:"addr"`    // the remote multiaddr
	Bind      string      `json:"addrbind,omitempty"`
	Agent     string      `json:"subver"`
	Inbound   bool        `json:"inbound"`
	Named     bool        `json:"named"`    // asked for by --peer or addnode
	Since     int64       `json:"conntime"` // seconds since 1970
	Ping      Seconds     `json:"pingtime"`
	Sent      uint64      `json:"bytessent"`
	Received  uint64      `json:"bytesrecv"`
	Offset    Seconds     `json:"clock_offset"` // its clock minus ours,
	Whole     int64       `json:"timeoffset"`   // and the same in whole seconds, as Bitcoin Core tells it; filled in by the server
	Tip       *chain.Hash `json:"tip"`          // that it claims to follow; null if it did not say yet
	Height    uint64      `json:"height"`
	Work      chain.Work  `json:"work"`
	Age       Seconds     `json:"age"` // of that claim
	Score     float64     `json:"score"`
	Transport string      `json:"transport_protocol_type"` // tcp, quic
}

// AddedNode is an address that somebody asked for, and who answers there.
type AddedNode struct {
	Address   string         `json:"addednode"` // as it was asked for
	Connected bool           `json:"connected"`
	Addresses []AddedAddress `json:"addresses"`                // one if it is connected
	Until     int64          `json:"kept_out_until,omitempty"` // it broke the rules and is let in again then, in seconds since 1970
	Reason    string         `json:"reason,omitempty"`         // what it did, or why it is of no use
}

// AddedAddress is a connection to an AddedNode.
type AddedAddress struct {
	Address   string `json:"address"`   // the remote multiaddr
	Direction string `json:"connected"` // inbound or outbound
}

// KnownNode is an address of a peer, as far as we know.
type KnownNode struct {
	Time      int64  `json:"time"`     // when we were last connected, seconds since 1970; 0 never
	Services  int    `json:"services"` // none has a number
	Address   string `json:"address"`  // the host alone
	Port      int    `json:"port"`
	Network   string `json:"network"` // ipv4, ipv6 or dns
	Multiaddr string `json:"multiaddr"`
}

// Local is our own side of the network.
type Local struct {
	ID     string   // libp2p peer id
	Agent  string   // name and version of the program, as peers see it
	Listen []string // multiaddrs that peers can dial
	Active bool
	Offset Seconds // the peers' clocks minus ours, their median

	Sent, Received uint64 // bytes since the start, of peers that are gone too
}

// Ban is one entry of listbanned. Times are seconds.
type Ban struct {
	Address   string `json:"address"` // a peer id, or a subnet
	Created   int64  `json:"ban_created"`
	Until     int64  `json:"banned_until"`
	Duration  int64  `json:"ban_duration"`
	Remaining int64  `json:"time_remaining"`
	Reason    string `json:"reason,omitempty"` // what the peer did; empty if a person banned it
}

// PoolInfo is the pool as a whole, as getmempoolinfo shows it.
type PoolInfo struct {
	Loaded    bool   `json:"loaded"` // what was kept over a restart is back
	Count     int    `json:"size"`
	Bytes     int    `json:"bytes"` // of all encodings
	Usage     int    `json:"usage"` // bytes of memory, or of all encodings where that is not known
	Fees      Amount `json:"total_fee"`
	Max       int    `json:"maxmempool"`          // bytes of all encodings
	MinFee    Amount `json:"mempoolminfee"`       // CRN per 1000 bytes to get in now
	RelayFee  Amount `json:"minrelaytxfee"`       // CRN per 1000 bytes to get into an empty pool
	Increment Amount `json:"incrementalrelayfee"` // CRN per 1000 bytes that a replacement adds
}

// MiningStatus is the state of our own search.
type MiningStatus struct {
	On       bool           `json:"on"`
	Hashrate uint64         `json:"hashrate"` // hashes a second, lately
	Threads  int            `json:"threads"`
	Rates    []uint64       `json:"thread_hashrates,omitempty"` // of each thread
	Limit    uint64         `json:"limit,omitempty"`            // hashes a second that it may do; 0 is no limit
	Pay      *chain.Address `json:"-"`                          // who is paid
	Found    uint64         `json:"found"`                      // blocks since the start
	Stale    uint64         `json:"stale"`                      // blocks found too late, or refused
	Hashes   uint64         `json:"hashes"`                     // since the start
	Expected float64        `json:"expected_time,omitempty"`    // seconds to a block on average, at this rate and the next block's difficulty; 0 without a rate
	Why      string         `json:"why,omitempty"`              // why it waits although it is on
}

// StratumStatus is the door for other people's miners.
type StratumStatus struct {
	Listen      string          `json:"listen"`
	Connections int             `json:"connections"`
	Hashrate    uint64          `json:"hashrate"` // hashes a second of all workers, guessed from their shares
	Shares      Shares          `json:"shares"`
	Found       uint64          `json:"found"`                   // blocks taken
	Lost        uint64          `json:"lost"`                    // blocks found too late, or refused
	Expected    float64         `json:"expected_time,omitempty"` // as of MiningStatus
	Workers     []StratumWorker `json:"workers"`
}

// Shares counts what miners sent.
type Shares struct {
	Accepted  uint64 `json:"accepted"`
	Stale     uint64 `json:"stale"` // refused: their job was over
	Duplicate uint64 `json:"duplicate"`
	Low       uint64 `json:"low"`     // refused: above the share's target
	Invalid   uint64 `json:"invalid"` // refused for another reason
}

// StratumWorker is what one login name did since the start.
type StratumWorker struct {
	Name        string  `json:"name"` // as the miner gave it
	Pay         string  `json:"pay"`  // the address that its blocks pay
	Connections int     `json:"connections"`
	Hashrate    uint64  `json:"hashrate"` // hashes a second, guessed from its shares
	Shares      Shares  `json:"shares"`
	Found       uint64  `json:"found"`
	Lost        uint64  `json:"lost"`
	Difficulty  float64 `json:"difficulty"`     // of its last share; 1 is Bitcoin's easiest
	Last        int64   `json:"last,omitempty"` // when it sent that, seconds since 1970
}

// Add sums up.
func (s *Shares) Add(t Shares) {
	s.Accepted += t.Accepted
	s.Stale += t.Stale
	s.Duplicate += t.Duplicate
	s.Low += t.Low
	s.Invalid += t.Invalid
}

// Reorgs counts reorganisations since the start.
type Reorgs struct {
	Count   int   `json:"count"`
	Deepest int   `json:"deepest"`        // most blocks undone by one
	Last    int64 `json:"last,omitempty"` // seconds since 1970
}

// Opinion is what one node has of a transaction or block, as far as we know.
type Opinion struct {
	Peer      string      `json:"peer"` // libp2p peer id
	Agent     string      `json:"agent,omitempty"`
	Connected bool        `json:"connected"`
	Counted   bool        `json:"counted"` // among those that "all" and "quorum" mean
	Tip       *chain.Hash `json:"tip"`     // null if it is unknown
	Height    uint64      `json:"height"`
	Depth     *int64      `json:"depth"` // confirmations under that tip; 0 still possible there, −1 ruled out there, null unknown
	Age       Seconds     `json:"age"`   // of its claim
}

// Agreement is the depth of a transaction or block on every node that we know.
type Agreement struct {
	Self     Opinion     `json:"self"`
	Peers    []Opinion   `json:"peers"`
	Counted  int         `json:"counted"`            // nodes counted, we among them
	All      *int64      `json:"all"`                // depth that every counted node has at least; null while one is unknown
	Quorum   *int64      `json:"quorum"`             // depth that more than half of them have at least
	Conflict *chain.Hash `json:"conflict,omitempty"` // the transaction that rules it out under our tip
	Reason   string      `json:"reason,omitempty"`   // the same in words

	Seen      *int64      `json:"seen,omitempty"`       // when this node heard of the transaction, milliseconds since 1970
	SinceSeen Seconds     `json:"since_seen,omitempty"` // the time since then
	Reached   []Milestone `json:"reached,omitempty"`    // depths 1, 2, … as far as they are reached
}

// Milestone is when the counted nodes came to have a transaction so deep, in
// seconds after this node heard of it; null where they have not, or not any more.
type Milestone struct {
	Depth  int      `json:"depth"`
	All    *Seconds `json:"all"`
	Quorum *Seconds `json:"quorum"`
}

// Place is where a transaction stands on the best chain.
type Place struct {
	Height   uint64 `json:"height"`
	Position uint32 `json:"position"` // in its block; 0 is the coinbase
}

// Newest is above every place.
var Newest = Place{math.MaxUint64, math.MaxUint32}

// Deed is what one transaction of the best chain did to one address.
type Deed struct {
	Place
	Tx       chain.Hash
	Received chain.Amount // by its outputs, in grains
	Spent    chain.Amount // by its inputs, in grains
}

// SetInfo describes the set of unspent coins.
type SetInfo struct {
	Tip    chain.State
	Coins  int
	Txs    int          // transactions with an unspent output
	Total  chain.Amount // in grains
	Digest chain.Hash   // equal sets have equal ones
}
