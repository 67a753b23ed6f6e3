package node

import (
	"errors"

	"cairn/chain"
)

// Peer names who said something: a libp2p peer id's bytes in a real network. Our
// own miner, wallet and store are Self.
type Peer string

// Self is the peer that we are.
const Self Peer = ""

// Status tells how far a header has come.
type Status uint8

const (
	// Headed has a valid header and no body yet; the store never sees it.
	Headed Status = iota
	// Complete has its body in the store.
	Complete
	// Condemned breaks a rule for good, or builds on a block that does.
	Condemned
)

// Entry is one block in the header tree; the tree is rebuilt from these.
type Entry struct {
	Header chain.Header
	State  chain.State
	Status Status
}

// Step is the smallest change of what is remembered: it leads from one valid
// chain to another.
type Step struct {
	Entries   []Entry              // new or changed; complete or condemned
	Bodies    []chain.CheckedBlock // of entries that this step makes complete, or of the block that it moves, to spare the store a read
	Tip       chain.Hash           // the best chain's end after this step; the old one for a side branch
	Undo      bool                 // takes the old tip off; otherwise a new Tip is put on
	Diff      chain.Diff           // what that does to the coins
	Condemned []chain.Hash         // entries, already stored, that turned out to break a rule
}

// ErrUnknown is returned by a Store that does not hold what was asked for.
var ErrUnknown = errors.New("unknown block")

// Store is what a Node needs to have remembered. Package store implements it.
type Store interface {
	Tip() (Entry, error)                         // of the best chain; the genesis at first
	Entry(chain.Hash) (Entry, error)             // complete or condemned, else ErrUnknown
	At(height uint64) (chain.Hash, error)        // on the best chain, else ErrUnknown
	Recent(n int) ([]Entry, error)               // every stored entry of the highest n heights up to the highest stored, in order of height
	Body(chain.Hash) (chain.CheckedBlock, error) // of a complete entry, else ErrUnknown
	Diff(chain.CheckedBlock) (chain.Diff, error) // of a block on the best chain, else ErrUnknown
	Coins([]chain.OutPoint) (chain.Coins, error) // those that are unspent at the tip
	Commit(...Step) error                        // all or nothing, durable on return
}

// Verdict is what to do with a message.
type Verdict uint8

const (
	// Accept it: pass it on.
	Accept Verdict = iota
	// Ignore it: drop it and blame nobody.
	Ignore
	// Reject it: drop it and blame the sender.
	Reject
)

// Reasons to ignore a message that breaks no rule: our own clock or knowledge
// may be at fault.
var (
	ErrOrphan = errors.New("its parent is unknown here")
	ErrFuture = errors.New("its time is too far ahead of our clock")
	ErrFull   = errors.New("no room to keep it")
	ErrKnown  = errors.New("already known")
	ErrWeak   = errors.New("its branch lies too far behind the best chain")
	ErrClock  = errors.New("the clock is behind its peers'")
	ErrJoins  = errors.New("the chain is still being fetched")
)

var reasons = []error{ErrOrphan, ErrFuture, ErrFull, ErrKnown, ErrWeak, ErrClock, ErrJoins}

// Ask is something to fetch.
type Ask struct {
	From    Peer // whom to ask first; Self means anyone
	Request Request
	Expect  []chain.Hash // for WantTxs: the ids of the transactions asked for, in order
}

// Outcome is what came of a call.
type Outcome struct {
	Verdict  Verdict
	Why      error                       // a *chain.RuleError or one of this package's reasons; nil on Accept
	Ask      []Ask                       // what to fetch, and from whom
	Announce []chain.CheckedAnnouncement // to publish although they arrived earlier: freed orphans, blocks whose time has come
	Relay    []chain.CheckedTx           // to publish although they arrived earlier: our own, unconfirmed
	Moved    bool                        // the best chain changed: wake watchers, renew the template
	Fees     bool                        // the pool changed so that a new template is worth having
}

// A Player is what a driver drives: a *Node, or a traitor around one. An error
// is our own fault (disk, logic): the driver stops the node.
type Player interface {
	Block(now chain.Time, from Peer, bs ...chain.CheckedBlock) (Outcome, error)
	Tx(now chain.Time, from Peer, tx chain.CheckedTx) (Outcome, error)
	Announced(now chain.Time, from Peer, a chain.CheckedAnnouncement) (Outcome, error)
	Filled(now chain.Time, from Peer, id chain.Hash, txs []chain.CheckedTx) (Outcome, error)
	Broken(now chain.Time, from Peer, id chain.Hash, why error) (Outcome, error) // a body under the right root breaks a rule that needs no context
	Failed(now chain.Time, from Peer, q Request) (Outcome, error)                // nobody we could ask answered q
	Headers(now chain.Time, from Peer, hs []chain.Header) (Outcome, error)       // checked by chain.CheckHeader
	Hello(now chain.Time, from Peer, h Hello) (Outcome, error)                   // on every connect, from either side, and again at will
	Tip(now chain.Time, from Peer, t TipClaim) (Outcome, error)
	Pool(now chain.Time, from Peer, ids []chain.Hash) (Outcome, error) // the answer to WantPool
	Left(now chain.Time, peer Peer)
	Answer(now chain.Time, from Peer, q Request) (Answer, error)
	Template(now chain.Time, pay chain.Address) (*chain.Block, error)
	Tick(now chain.Time) (Outcome, error)
}

// Move leads a watcher from the block it last saw to the tip.
type Move struct {
	Undone  []chain.Hash // newest first
	Applied []chain.Hash // oldest first
	Tip     chain.State
	More    bool // the move was cut to the number asked for: call again
}
