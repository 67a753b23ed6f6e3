package rpc

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"cairn/chain"
	"cairn/mempool"
	"cairn/node"
)

// Backend is the node that a Server speaks for. All of it may be called from
// many goroutines at once. An *Error returned by any of it reaches the caller as
// it is; another error becomes code Misc with its text.
type Backend struct {
	Params      *chain.Params
	Open        func() (Snapshot, error)
	Pool        Pool
	Network     Network
	Book        Book
	Bans        Bans
	Mining      Mining
	Branches    Branches
	Convergence Convergence
	Control     Control
	Upkeep      Upkeep
	Work        Work    // nil: this node hands out no work
	Record      Record  // nil: nothing of the past is told
	Events      *Feed   // what /events tells; nil: there is no such path
	Stratum     Stratum // other people's miners that came over Stratum; nil: that door is closed

	desk   *desk   // of Work, made by the server
	roll   *roll   // of the calls under way, likewise
	counts *counts // of transactions, likewise
	log    *slog.Logger
}

func (b *Backend) check() error {
	switch {
	case b.Params == nil, b.Open == nil, b.Pool == nil, b.Network == nil,
		b.Book == nil, b.Bans == nil, b.Mining == nil, b.Branches == nil, b.Convergence == nil, b.Control == nil, b.Upkeep == nil:
		return errors.New("rpc: a part of the backend is missing")
	}
	return nil
}

// Snapshot is one moment of the chain: all its answers agree with each other,
// whatever the node does meanwhile. Whoever opened it closes it.
type Snapshot interface {
	Chain
	Index
	Close()
}

// Chain tells of blocks.
type Chain interface {
	Tip() (node.Entry, error)                    // of the best chain
	Entry(chain.Hash) (node.Entry, error)        // any header of the tree, else node.ErrUnknown
	At(height uint64) (chain.Hash, error)        // on the best chain, else node.ErrUnknown
	Body(chain.Hash) (chain.CheckedBlock, error) // of a complete entry, the genesis included, else node.ErrUnknown
	Diff(chain.CheckedBlock) (chain.Diff, error) // of a block on the best chain, else node.ErrUnknown
	Tips() ([]Branch, error)                     // every branch, headers without bodies and condemned ones included
}

// Branch is the end of a branch.
type Branch struct {
	node.Entry
	Connected bool // it was our tip, now or before: every rule holds for it
}

// Index finds what blocks hold.
type Index interface {
	TxBlocks(chain.Hash) ([]chain.Hash, error)   // the blocks that hold a transaction, on every branch; none if it is unknown
	Coins([]chain.OutPoint) (chain.Coins, error) // those that are unspent at the tip
	Owned(chain.Address) ([]chain.Coin, error)   // an address's, unspent at the tip, in any order
	// History lists what transactions of the best chain did to an address, newest
	// first, at most most of them, all below a place.
	History(a chain.Address, below Place, most int) ([]Deed, error)
	// TxCount is the number of transactions in a body, the coinbase included.
	TxCount(block chain.Hash) (int, error)
	// SetInfo reads every unspent coin.
	SetInfo(context.Context) (SetInfo, error)
}

// Pool is what waits for a block.
type Pool interface {
	// Submit checks a transaction, takes it into the pool as our own and tells the
	// peers. A refusal is a *chain.RuleError or one of package node's reasons.
	Submit(context.Context, *chain.Tx) error
	// Try tells for each why Submit would refuse it after those before it, or nil.
	// Nothing changes.
	Try(context.Context, []*chain.Tx) []error
	Get(chain.Hash) (mempool.Entry, bool)
	List() []mempool.Entry // in any order
	Info() PoolInfo
	Spender(chain.OutPoint) (tx chain.Hash, spent bool) // the transaction of the pool that spends a coin
}

// Network is who we speak with.
type Network interface {
	Peers() []Peer
	Local() Local
	Connect(ctx context.Context, address string) error // a multiaddr, once
	Disconnect(peer string) error                      // by peer id
	SetActive(context.Context, bool) error             // false closes every connection and opens none
}

// Book is the addresses that we know.
type Book interface {
	Add(address string) error    // and dial it from now on, again and again; code AlreadyAdded if it stands there
	Forget(address string) error // no more redialling; an open connection stays; code NotAdded
	Added() []AddedNode          // those that somebody asked for, in order
	Known() []KnownNode          // those of peers that we remember, the newest first
}

// Bans is who is kept out. Whom is a peer id, an IP address or a subnet. A whom
// that cannot be read, or is not banned, is an *Error with code InvalidSubnet;
// one that is banned already, with AlreadyAdded.
type Bans interface {
	List() []Ban
	Ban(whom string, until time.Time) error
	Lift(whom string) error
	Clear()
}

// Mining is our own search for blocks.
type Mining interface {
	Status() MiningStatus
	Start(ctx context.Context, threads int) error // 0 threads leave their number as it is
	Stop(context.Context) error
	// Generate finds n blocks on top of the best chain, one after the other, that
	// pay to an address, and returns their ids. It gives up after so many tries
	// in all (0: never), with the blocks found until then.
	Generate(ctx context.Context, n int, pay chain.Address, tries uint64) ([]chain.Hash, error)
}

// Branches is which branch we follow.
type Branches interface {
	Moved() <-chan struct{} // closed when the best chain moves next
	// Invalidate follows no branch with this block until Reconsider; whoever knows
	// no such block says node.ErrUnknown.
	Invalidate(context.Context, chain.Hash) error
	Reconsider(context.Context, chain.Hash) error
	Sync() *Sync // how far we are on the way to a heavier branch; nil if we know none
}

// Work is for other people's miners.
type Work interface {
	// Template returns a block on top of the best chain that lacks only its proof
	// and pays this node's address. The first eight bytes of its coinbase's Extra
	// are the miners'. It must not change afterwards.
	Template(context.Context) (*chain.Block, error)
	// Submit takes a block with its proof, by the door of anyone's. A refusal is a
	// *chain.RuleError or one of package node's reasons.
	Submit(context.Context, *chain.Block) error
	// Moved returns a channel that is closed when the best chain moves next.
	Moved() <-chan struct{}
}

// Stratum is the door for other people's miners.
type Stratum interface {
	Status() StratumStatus // Expected is not filled in
}

// Convergence is what we know of our peers' agreement. An id that no branch and
// no pool holds is node.ErrUnknown.
type Convergence interface {
	Tx(chain.Hash) (Agreement, error)
	Block(chain.Hash) (Agreement, error)
}

// Upkeep is for whoever looks after the node.
type Upkeep interface {
	SavePool(context.Context) (path string, err error) // what waits is on disk when it returns
	Refuses() error                                    // why the node takes in neither blocks nor payments; nil while it does
	Due() *Due                                         // what the store has not written yet; nil if it writes all at once
	// Logged tells of each part of the program whether it logs what only a debugger
	// wants.
	Logged() map[string]bool
	SetLogged(part string, on bool) error // a part that Logged names
}

// Control is the running program.
type Control interface {
	Stop() // begins to stop the node and returns at once
	Uptime() time.Duration
	Version() string
	Warnings() []string // what the person who runs the node should know
	Reorgs() Reorgs
	Load() Load
}
