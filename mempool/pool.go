package mempool

import (
	"cmp"
	"container/heap"
	"fmt"
	"iter"
	"maps"
	"slices"

	"cairn/chain"
)

// Height is the height of a coin whose transaction no block holds yet (Bitcoin
// Core's MEMPOOL_HEIGHT).
const Height uint64 = 1<<31 - 1

// MaxReplaced is how many transactions one may replace, descendants included
// (BIP125, rule 5).
const MaxReplaced = 100

// Config bounds a pool. A zero field takes its default.
type Config struct {
	MaxBytes       int        // of all encodings; default 20,000,000
	MaxTxSize      int        // bytes of one transaction; default 100,000
	MinFeeRate     FeeRate    // default 1000 grains per 1000 bytes
	MaxAncestors   int        // waiting ancestors of one transaction, itself included; default 25
	MaxDescendants int        // waiting descendants of one transaction, itself included; default 25
	MaxFamily      int        // bytes of one transaction with its ancestors, and again with its descendants; default 101,000
	Halving        chain.Time // milliseconds in which the rate that a full pool asks for halves; default 20 min, Bitcoin Core's 72 blocks at 15 s
	Expiry         chain.Time // milliseconds a transaction may wait that is not ours; default two weeks
	Republish      chain.Time // milliseconds until an own transaction is due again, doubled each time; default 30 s
	RepublishMax   chain.Time // the longest such wait; default 10 min
	Journal        int        // changes kept for Since; default 10,000
	Memory         int        // bytes of confirmed, and again of lost, transactions kept for Fate; default 10,000,000
}

const (
	second chain.Time = 1000
	week              = 7 * 24 * 3600 * second
)

func (c Config) complete() Config {
	return Config{
		MaxBytes:       cmp.Or(c.MaxBytes, 20_000_000),
		MaxTxSize:      cmp.Or(c.MaxTxSize, 100_000),
		MinFeeRate:     cmp.Or(c.MinFeeRate, 1000),
		MaxAncestors:   cmp.Or(c.MaxAncestors, 25),
		MaxDescendants: cmp.Or(c.MaxDescendants, 25),
		MaxFamily:      cmp.Or(c.MaxFamily, 101_000),
		Halving:        cmp.Or(c.Halving, 1200*second),
		Expiry:         cmp.Or(c.Expiry, 2*week),
		Republish:      cmp.Or(c.Republish, 30*second),
		RepublishMax:   cmp.Or(c.RepublishMax, 600*second),
		Journal:        cmp.Or(c.Journal, 10_000),
		Memory:         cmp.Or(c.Memory, 10_000_000),
	}
}

// Check tells which field makes no sense. New has no use for such a Config.
func (c Config) Check() error {
	c = c.complete()
	lowest := min(c.MaxBytes, c.MaxTxSize, c.MaxAncestors, c.MaxDescendants, c.MaxFamily, c.Journal, c.Memory,
		int(c.Halving), int(c.Expiry), int(c.Republish), int(c.RepublishMax))
	if lowest < 0 {
		return fmt.Errorf("mempool: %d is negative: leave a field 0 for its default", lowest)
	}
	if c.MaxBytes < c.MaxTxSize {
		return fmt.Errorf("mempool: %d bytes in all hold no transaction of %d bytes", c.MaxBytes, c.MaxTxSize)
	}
	return nil
}

// Pool holds what is waiting. No two of its transactions spend one coin.
type Pool struct {
	cfg     Config
	now     chain.Time // the latest time heard of
	entries map[chain.Hash]*entry
	spends  map[chain.OutPoint]spend
	out     int          // entries that left and still stand in queues
	bytes   int          // of all entries
	fees    chain.Amount // of all entries
	walk    uint64       // number of the last walk over the graph
	floor   floor

	cheapest queue // by what leaves first
	oldest   queue // by age
	duest    queue // own ones, by when to publish them again

	adrift  adrift  // while a reorganisation is going on
	journal journal //
	done    memory  // confirmed
	lost    memory  // all others that left
}

// New makes an empty pool. It panics if cfg.Check fails.
func New(cfg Config) *Pool {
	if err := cfg.Check(); err != nil {
		panic(err)
	}
	cfg = cfg.complete()
	return &Pool{
		cfg:      cfg,
		entries:  map[chain.Hash]*entry{},
		spends:   map[chain.OutPoint]spend{},
		cheapest: queue{which: byCheapest, before: cheaper},
		oldest:   queue{which: byAge, before: older},
		duest:    queue{which: byDue, before: sooner},
		journal:  journal{most: cfg.Journal},
		done:     newMemory(cfg.Memory),
		lost:     newMemory(cfg.Memory),
	}
}

// Config is the pool's, defaults filled in.
func (p *Pool) Config() Config { return p.cfg }

// Len is how many transactions wait.
func (p *Pool) Len() int { return len(p.entries) }

// Bytes is the size of all of them.
func (p *Pool) Bytes() int { return p.bytes }

// Fees is what all of them pay, in grains.
func (p *Pool) Fees() chain.Amount { return p.fees }

// Has tells whether the transaction waits here.
func (p *Pool) Has(id chain.Hash) bool { return p.entries[id] != nil }

// Held yields the ids of all that waits, in no order.
func (p *Pool) Held() iter.Seq[chain.Hash] { return maps.Keys(p.entries) }

// Entry is what the pool knows about one waiting transaction.
type Entry struct {
	Tx          chain.CheckedTx
	Time        chain.Time   // when it came
	Own         bool         // this node publishes it again until it is confirmed
	Parents     []chain.Hash // whose outputs it spends, if they wait too
	Children    []chain.Hash // that spend its outputs
	Ancestors   Package      // itself and all waiting ancestors
	Descendants Package      // itself and all descendants
}

// Get returns a waiting transaction.
func (p *Pool) Get(id chain.Hash) (Entry, bool) {
	e, ok := p.entries[id]
	if !ok {
		return Entry{}, false
	}
	return e.show(), true
}

// Tx is Get for whoever needs no more than the transaction.
func (p *Pool) Tx(id chain.Hash) (chain.CheckedTx, bool) {
	e, ok := p.entries[id]
	if !ok {
		return chain.CheckedTx{}, false
	}
	return e.tx, true
}

func (e *entry) show() Entry {
	return Entry{
		Tx: e.tx, Time: e.added, Own: e.own,
		Parents: ids(e.parents), Children: ids(e.children),
		Ancestors: e.up, Descendants: e.down,
	}
}

func ids(list []*entry) (hs []chain.Hash) {
	for _, e := range list {
		hs = append(hs, e.tx.ID())
	}
	return hs
}

func txs(list []*entry) (out []chain.CheckedTx) {
	for _, e := range list {
		out = append(out, e.tx)
	}
	return out
}

// All lists everything that waits, parents before children.
func (p *Pool) All() []Entry {
	out := make([]Entry, 0, len(p.entries))
	for _, e := range p.sorted() {
		out = append(out, e.show())
	}
	return out
}

func (p *Pool) sorted() []*entry {
	list := make([]*entry, 0, len(p.entries))
	for _, e := range p.entries {
		list = append(list, e)
	}
	slices.SortFunc(list, parentsFirst)
	return list
}

// Coin returns the output of a waiting transaction, at Height and spent or not:
// Spender tells that.
func (p *Pool) Coin(op chain.OutPoint) (chain.Coin, bool) {
	e, ok := p.entries[op.Tx]
	if !ok || uint64(op.Index) >= uint64(len(e.tx.Tx().Outputs)) {
		return chain.Coin{}, false
	}
	return e.tx.Tx().Out(op.Tx, int(op.Index), Height), true
}

// Spender tells which waiting transaction spends the coin.
func (p *Pool) Spender(op chain.OutPoint) (chain.Hash, bool) {
	s, ok := p.spends[op]
	if !ok {
		return chain.Hash{}, false
	}
	return s.by.tx.ID(), true
}

// Remove takes a transaction out, with all its descendants, and returns them
// parents first.
func (p *Pool) Remove(id chain.Hash, why Reason) []chain.CheckedTx {
	e, ok := p.entries[id]
	if !ok {
		return nil
	}
	return p.drop(p.families(e), Fate{Reason: why})
}

// drop takes out entries, listed parents first and complete with descendants.
func (p *Pool) drop(list []*entry, f Fate) []chain.CheckedTx {
	for _, e := range slices.Backward(list) {
		p.unlink(e)
	}
	for _, e := range list {
		p.note(e.tx, e.own, f)
	}
	return txs(list)
}

// Expire takes out what has waited longer than Config.Expiry, with descendants;
// our own, and what they build on, wait for as long as they are valid.
func (p *Pool) Expire(now chain.Time) (out []chain.CheckedTx) {
	p.hear(now)
	for e := p.oldest.top(); e != nil && !e.held() && e.added+p.cfg.Expiry < now; e = p.oldest.top() {
		out = append(out, p.drop(p.families(e), Fate{Reason: Expired})...)
	}
	return out
}

// Due lists own transactions that should be published again now, parents first,
// and sets when each is due next.
func (p *Pool) Due(now chain.Time) []chain.CheckedTx {
	p.hear(now)
	var due []*entry
	for e := p.duest.top(); e != nil && e.due <= now; e = p.duest.top() {
		e.wait = min(2*e.wait, p.cfg.RepublishMax)
		e.due = now + e.wait
		p.duest.fix(e)
		due = append(due, e)
	}
	slices.SortFunc(due, parentsFirst)
	return txs(due)
}

// adopt makes a waiting transaction our own.
func (p *Pool) adopt(e *entry) {
	if e.own {
		return
	}
	e.own = true
	for _, a := range p.reach([]*entry{e}, up) {
		p.hold(a, 1)
	}
	p.schedule(e)
	heap.Push(&p.duest, e)
}

func (p *Pool) schedule(e *entry) {
	e.wait = p.cfg.Republish
	e.due = p.now + e.wait
}

func (p *Pool) hear(now chain.Time) {
	p.now = max(p.now, now)
	p.sweep()
	p.floor = p.lowered(p.now)
}
