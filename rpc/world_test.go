package rpc

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/mempool"
	"cairn/node"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a node without a network, a disk or a loop: a drawn tree of blocks and
// a real pool.
//
//	genesis ── a1 ── a2 ── a3 ── a4 ── a5   best; a3 holds paid
//	     │      └─── c2                     condemned
//	     └── b1 ── b2 ── b3 ── h4           b3 holds rival, which spends the same coin; h4 is a bare header
//
// The pool holds first and its child second.
type world struct {
	p *chain.Params

	mu      sync.Mutex
	entries map[chain.Hash]node.Entry
	bodies  map[chain.Hash]chain.CheckedBlock
	best    []chain.Hash // by height
	ledger  *chaintest.Ledger
	pool    *mempool.Pool
	peers   []Peer
	kept    []string // addresses to redial
	active  bool
	mining  MiningStatus
	door    Stratum
	opened  int // snapshots opened and not closed
	stopped bool
	broken  error                     // what the disk answers, if not nil
	hold    chan struct{}             // Generate waits until it is closed, if not nil
	held    chan struct{}             // closed when Generate waits
	opening func()                    // runs just before the next snapshot is opened, if not nil
	deaf    bool                      // Generate does not hear that the call is over
	moved   chan struct{}             // closed, and replaced, when the best chain moves
	asked   chan struct{}             // told whenever somebody takes moved, if not nil
	whole   []chain.Hash              // the best chain before a block was ruled out, if one is
	work    Work                      // for miners, if not nil
	left    map[chain.Hash]bool       // blocks that were on the best chain and left it
	diffs   map[chain.Hash]chain.Diff // of the best chain
	known   []KnownNode
	saved   error // what the disk says to savemempool
	refuses error
	logged  map[string]bool // parts of the program
	bans    banned

	names                      map[string]chain.CheckedBlock
	paid, rival, first, second *chain.Tx
	fromGenesis                chain.Coin
}

func newWorld(t testing.TB) *world {
	t.Helper()
	p := chaintest.Easy()
	w := &world{
		p: p, entries: map[chain.Hash]node.Entry{}, bodies: map[chain.Hash]chain.CheckedBlock{},
		names: map[string]chain.CheckedBlock{}, diffs: map[chain.Hash]chain.Diff{}, left: map[chain.Hash]bool{},
		logged: map[string]bool{"daemon": false, "p2p": true}, pool: mempool.New(mempool.Config{}), active: true, moved: make(chan struct{}),
		ledger: chaintest.Open(p), mining: MiningStatus{Hashrate: 1234, Threads: 2},
	}
	w.fromGenesis = chaintest.Funds(p, 0)
	w.paid = chaintest.Pay(p, w.fromGenesis, chaintest.Key(0), 5000, chain.Output{Value: 7 * chain.CRN, To: chaintest.Address(5)})
	w.paid.Memo = []byte("thank you\x1b[31m")
	chaintest.Sign(p, w.paid, chaintest.Key(0))
	w.rival = chaintest.Pay(p, w.fromGenesis, chaintest.Key(0), 5000, chain.Output{Value: 8 * chain.CRN, To: chaintest.Address(6)})
	w.draw()
	w.fill()
	w.peers = []Peer{
		{Number: 4, ID: "12D3KooWalice", Address: "/ip4/127.0.0.1/tcp/29421", Agent: "cairn\x1b[2J", Inbound: true},
		{Number: 7, ID: "12D3KooWbob", Address: "/ip4/127.0.0.1/udp/29422/quic-v1", Agent: "cairn/1.2.3", Offset: Seconds(-2500 * time.Millisecond)},
	}
	return w
}

func (w *world) draw() {
	genesis := w.p.GenesisState()
	w.entries[genesis.ID] = node.Entry{Header: w.p.Genesis.Header, State: genesis, Status: node.Complete}
	w.bodies[genesis.ID] = must(chain.CheckBlock(w.p, w.p.Genesis.Header, w.p.Genesis.Coinbase, nil))
	w.best = []chain.Hash{genesis.ID}
	side := chaintest.Open(w.p)
	w.grow("a1")
	c2 := chaintest.Check(w.p, chaintest.Block(w.p, w.ledger.State, chaintest.Plan{Name: "c2", Pay: chaintest.Address(9)}))
	w.keep(c2, node.Condemned)
	w.names["c2"] = c2
	w.grow("a2")
	w.grow("a3", w.paid)
	w.grow("a4")
	w.grow("a5")
	for _, name := range []string{"b1", "b2", "b3", "h4"} {
		plan := chaintest.Plan{Name: name, Pay: chaintest.Address(8)}
		if name == "b3" { // no earlier: what the genesis pays matures at height 3
			plan.Txs = []*chain.Tx{w.rival}
		}
		w.names[name] = side.Add(plan)
		w.keep(w.names[name], map[bool]node.Status{true: node.Headed, false: node.Complete}[name == "h4"])
	}
}

// grow puts a block on the best chain.
func (w *world) grow(name string, txs ...*chain.Tx) chain.CheckedBlock {
	b := chaintest.Check(w.p, chaintest.Block(w.p, w.ledger.State, chaintest.Plan{Name: name, Pay: chaintest.Address(9), Txs: txs}))
	w.diffs[b.ID()] = w.ledger.Connect(b)
	w.keep(b, node.Complete)
	w.best = append(w.best, b.ID())
	w.names[name] = b
	return b
}

func (w *world) keep(b chain.CheckedBlock, s node.Status) {
	parent := w.entries[b.Header().Prev]
	w.entries[b.ID()] = node.Entry{Header: b.Header(), State: chaintest.After(w.p, parent.State, b.Block()), Status: s}
	if s == node.Complete {
		w.bodies[b.ID()] = b
	}
}

func (w *world) fill() {
	coin := chaintest.Funds(w.p, 1)
	w.first = chaintest.Pay(w.p, coin, chaintest.Key(1), 1000, chain.Output{Value: chain.CRN, To: chaintest.Address(2)})
	w.second = chaintest.Pay(w.p, chaintest.Outs(w.first, 0)[0], chaintest.Key(2), 9000)
	for _, tx := range []*chain.Tx{w.first, w.second} {
		if err := w.Submit(context.Background(), tx); err != nil {
			panic(err)
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func (w *world) backend() Backend {
	return Backend{Params: w.p, Open: w.open, Pool: w, Network: wires{w}, Book: wires{w}, Bans: &w.bans, Upkeep: w, Mining: mine{w}, Branches: branches{w}, Convergence: views{w}, Control: w, Work: w.work, Stratum: w.door}
}

// A moment sees the chain as it was when it was opened.
type moment struct {
	*world
	best  []chain.Hash
	coins chain.Coins
}

func (w *world) open() (Snapshot, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken != nil {
		return nil, w.broken
	}
	if w.opening != nil {
		w.opening()
		w.opening = nil
	}
	w.opened++
	coins := chain.Coins{}
	for o, c := range w.ledger.Coins {
		coins[o] = c
	}
	return &moment{world: w, best: slices.Clone(w.best), coins: coins}, nil
}

func (m *moment) Close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.opened--
}

func (m *moment) Tip() (node.Entry, error) { return m.Entry(m.best[len(m.best)-1]) }

func (m *moment) Entry(id chain.Hash) (node.Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.entries[id]
	if !ok {
		return e, node.ErrUnknown
	}
	return e, nil
}

func (m *moment) At(height uint64) (chain.Hash, error) {
	if height >= uint64(len(m.best)) {
		return chain.Hash{}, node.ErrUnknown
	}
	return m.best[height], nil
}

func (m *moment) Body(id chain.Hash) (chain.CheckedBlock, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.bodies[id]
	if !ok {
		return b, node.ErrUnknown
	}
	return b, nil
}

func (m *moment) Tips() (tips []Branch, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	parents := map[chain.Hash]bool{}
	for _, e := range m.entries {
		parents[e.Header.Prev] = true
	}
	for id, e := range m.entries {
		if !parents[id] {
			tips = append(tips, Branch{Entry: e, Connected: m.left[id]})
		}
	}
	return tips, nil
}

func (m *moment) TxBlocks(id chain.Hash) (blocks []chain.Hash, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for at, b := range m.bodies {
		if _, ok := find(m.p, b, id); ok {
			blocks = append(blocks, at)
		}
	}
	return blocks, nil
}

func (m *moment) Coins(want []chain.OutPoint) (chain.Coins, error) {
	found := chain.Coins{}
	for _, o := range want {
		if c, ok := m.coins[o]; ok {
			found[o] = c
		}
	}
	return found, nil
}

func (m *moment) Owned(a chain.Address) (coins []chain.Coin, err error) {
	for _, c := range m.coins {
		if c.Owner == a {
			coins = append(coins, c)
		}
	}
	return coins, nil
}

func (m *moment) History(a chain.Address, below Place, most int) (deeds []Deed, err error) {
	for h := len(m.best) - 1; h >= 0; h-- {
		b, err := m.Body(m.best[h])
		if err != nil {
			return nil, err
		}
		for i, tx := range slices.Backward(describeAll(m.p, b)) {
			at := Place{uint64(h), uint32(i)}
			if at.Height > below.Height || at.Height == below.Height && at.Position >= below.Position || len(deeds) == most {
				continue
			}
			if d, ok := m.deed(a, at, tx); ok {
				deeds = append(deeds, d)
			}
		}
	}
	return deeds, nil
}

func (m *moment) deed(a chain.Address, at Place, tx *Tx) (d Deed, touched bool) {
	d = Deed{Place: at, Tx: tx.ID}
	name := m.p.FormatAddress(a)
	for _, in := range tx.Inputs {
		if in.Address == name {
			d.Spent, touched = d.Spent+chain.Amount(*in.Value), true
		}
	}
	for _, o := range tx.Outputs {
		if o.Script.Address == name {
			d.Received, touched = d.Received+chain.Amount(o.Value), true
		}
	}
	return d, touched
}

func (m *moment) SetInfo(ctx context.Context) (info SetInfo, err error) {
	tip, err := m.Tip()
	txs := map[chain.Hash]bool{}
	for o, c := range m.coins {
		txs[o.Tx] = true
		info.Total += c.Value
	}
	info.Tip, info.Coins, info.Txs, info.Digest = tip.State, len(m.coins), len(txs), chain.Hash{0xd1}
	return info, errors.Join(err, ctx.Err())
}

// branches follows what is not ruled out, as far as that is a part of the best
// chain.
type branches struct{ *world }

func (b branches) Moved() <-chan struct{} {
	b.mu.Lock()
	moved, asked := b.moved, b.asked
	b.mu.Unlock()
	if asked != nil {
		asked <- struct{}{} // not under the lock: the test may need it before it listens
	}
	return moved
}

func (w *world) listen(asked chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = asked
}

func (w *world) move() {
	close(w.moved)
	w.moved = make(chan struct{})
}

func (b branches) Invalidate(_ context.Context, id chain.Hash) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.Index(b.best, id)
	if i < 0 {
		return node.ErrUnknown
	}
	b.whole, b.best = b.best, b.best[:i]
	b.move()
	return nil
}

func (b branches) Reconsider(_ context.Context, id chain.Hash) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !slices.Contains(b.whole, id) {
		return node.ErrUnknown
	}
	b.best = b.whole
	b.move()
	return nil
}

// The pool.

func (w *world) admit(tx *chain.Tx) (chain.CheckedTx, error) {
	checked, err := chain.CheckTx(w.p, tx)
	if err != nil || w.pool.Has(checked.ID()) {
		return checked, err
	}
	found := chain.Coins{}
	for i := range tx.Inputs {
		prev := tx.Inputs[i].Prev
		if c, ok := w.pool.Coin(prev); ok {
			found[prev] = c
		} else if c, ok := w.ledger.Coins[prev]; ok {
			found[prev] = c
		}
	}
	_, err = chain.Admit(w.p, w.ledger.State, checked, found)
	return checked, err
}

func (w *world) Submit(_ context.Context, tx *chain.Tx) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken != nil {
		return w.broken
	}
	checked, err := w.admit(tx)
	if err != nil {
		return err
	}
	_, err = w.pool.Add(1_800_000_000_000, checked, false)
	return err
}

func (w *world) Try(_ context.Context, txs []*chain.Tx) []error {
	w.mu.Lock()
	defer w.mu.Unlock()
	errs := make([]error, len(txs))
	for i, tx := range txs {
		var checked chain.CheckedTx
		checked, errs[i] = w.admit(tx)
		if errs[i] == nil && w.pool.Has(checked.ID()) {
			errs[i] = node.ErrKnown
		}
		if errs[i] == nil && w.broken != nil {
			errs[i] = w.broken
		}
	}
	return errs
}

func (w *world) Get(id chain.Hash) (mempool.Entry, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.pool.Get(id)
}

func (w *world) List() []mempool.Entry {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.pool.All()
}

func (w *world) Info() PoolInfo {
	w.mu.Lock()
	defer w.mu.Unlock()
	return PoolInfo{
		Loaded: true, Count: w.pool.Len(), Bytes: w.pool.Bytes(), Fees: Amount(w.pool.Fees()),
		Max: w.pool.Config().MaxBytes, RelayFee: Amount(w.pool.Config().MinFeeRate),
	}
}

func (w *world) Spender(o chain.OutPoint) (chain.Hash, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.pool.Spender(o)
}

// wires is the network.
type wires struct{ *world }

func (w wires) Peers() []Peer {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.peers)
}

func (w wires) Local() Local {
	w.mu.Lock()
	defer w.mu.Unlock()
	return Local{ID: "12D3KooWself", Agent: "cairn/1.2.3", Listen: []string{"/ip4/127.0.0.1/tcp/29421", "/dns4/example.org/tcp/1"}, Active: w.active, Offset: Seconds(2 * time.Second), Sent: 7, Received: 5}
}

func (w wires) Connect(_ context.Context, address string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.peers = append(w.peers, Peer{Number: 9, ID: "12D3KooWnew", Address: address})
	return nil
}

func (w wires) Add(address string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if address == "nonsense" {
		return errors.New("\"nonsense\" is no multiaddr")
	}
	if slices.Contains(w.kept, address) {
		return Errorf(AlreadyAdded, "Error: Node already added")
	}
	w.kept = append(w.kept, address)
	return nil
}

func (w wires) Added() (list []AddedNode) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, address := range w.kept {
		a := AddedNode{Address: address, Connected: i == 0}
		if a.Connected {
			a.Addresses = []AddedAddress{{address + "/p2p/12D3KooWnew", "outbound"}}
		}
		list = append(list, a)
	}
	return list
}

func (w wires) Known() []KnownNode { return slices.Clone(w.known) }

func (w wires) Forget(address string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Contains(w.kept, address) {
		return Errorf(NotAdded, "Node could not be removed: it has not been added")
	}
	w.kept = slices.DeleteFunc(w.kept, func(s string) bool { return s == address })
	return nil
}

func (w wires) Disconnect(id string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.peers = slices.DeleteFunc(w.peers, func(p Peer) bool { return p.ID == id })
	return nil
}

func (w wires) SetActive(_ context.Context, on bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.active = on
	return nil
}

// mine is our own search.
type mine struct{ *world }

func (m mine) Status() MiningStatus {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, pay := m.mining, chaintest.Address(9)
	s.Pay = &pay
	return s
}

func (m mine) Start(_ context.Context, threads int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mining.On = true
	if threads > 0 {
		m.mining.Threads = threads
	}
	return nil
}

func (m mine) Stop(context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mining.On = false
	return nil
}

func (m mine) Generate(ctx context.Context, n int, pay chain.Address, tries uint64) ([]chain.Hash, error) {
	m.mu.Lock()
	hold := m.hold
	if hold != nil {
		close(m.held)
	}
	m.mu.Unlock()
	if m.deaf {
		ctx = context.Background()
	}
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var ids []chain.Hash
	for range n {
		if tries == 1 {
			break
		}
		b := m.ledger.Add(chaintest.Plan{Name: "found", Pay: pay})
		m.keep(b, node.Complete)
		m.best = append(m.best, b.ID())
		m.move()
		ids = append(ids, b.ID())
	}
	return ids, nil
}

// views is what one peer and we think.
type views struct{ *world }

func (v views) Tx(id chain.Hash) (Agreement, error) {
	var self, other int64
	switch id {
	case v.paid.ID():
		self, other = 3, -1
	case v.rival.ID():
		self, other = -1, 2
	case v.first.ID(), v.names["b2"].CoinbaseID():
		self = 0
	default:
		return Agreement{}, node.ErrUnknown
	}
	paid := v.paid.ID()
	return Agreement{
		Self: Opinion{Peer: "12D3KooWself", Counted: true, Depth: &self}, Counted: 2,
		Peers:    []Opinion{{Peer: "12D3KooWbob", Agent: "\x1b[2Jbob", Connected: true, Counted: true, Depth: &other, Age: Seconds(1500 * time.Millisecond)}},
		Conflict: &paid, Reason: "spent by another",
	}, nil
}

func (v views) Block(id chain.Hash) (Agreement, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, ok := v.entries[id]; !ok {
		return Agreement{}, node.ErrUnknown
	}
	one := int64(1)
	return Agreement{Self: Opinion{Depth: &one}, Counted: 1, All: &one, Quorum: &one}, nil
}

// Control.

func (w *world) Stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopped = true
}

func (w *world) Uptime() time.Duration { return 90 * time.Second }
func (w *world) Version() string       { return "v1.2.3-4-gabcdef" }
func (w *world) Warnings() []string    { return []string{"peer \x1b[31mX says no"} }
func (w *world) Reorgs() Reorgs        { return Reorgs{Count: 1, Deepest: 2} }
func (w *world) Load() Load            { return Load{Goroutines: 7, Heap: 1 << 20, LockWait: 0.5, Longest: 0.025} }

func (w *world) Sync() *Sync { // of Branches
	left := int64(20)
	return &Sync{Height: 5, Target: 105, Blocks: 5, Txs: 12.5, Left: &left}
}

func (w *world) SavePool(context.Context) (string, error) { return "/somewhere", w.saved }

func (w *world) Refuses() error { return w.refuses }
func (w *world) Due() *Due      { return &Due{Blocks: 3, Bytes: 4096} }

func (w *world) Logged() map[string]bool { return maps.Clone(w.logged) }

func (w *world) SetLogged(part string, on bool) error {
	w.logged[part] = on
	return nil
}

func (m *moment) Diff(of chain.CheckedBlock) (chain.Diff, error) {
	d, ok := m.diffs[of.ID()]
	if !ok {
		return d, node.ErrUnknown
	}
	return d, nil
}

func (m *moment) TxCount(id chain.Hash) (int, error) {
	b, err := m.Body(id)
	return 1 + len(b.Txs()), err
}

// banned keeps bans as the node does.
type banned struct {
	mu   sync.Mutex
	list []Ban
}

func (b *banned) List() []Ban {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.list)
}

func (b *banned) Ban(whom string, until time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case whom == "nonsense":
		return Errorf(InvalidSubnet, "Error: Invalid IP/Subnet")
	case slices.ContainsFunc(b.list, func(x Ban) bool { return x.Address == whom }):
		return Errorf(AlreadyAdded, "Error: IP/Subnet already banned")
	}
	b.list = append(b.list, Ban{Address: whom, Created: time.Now().Unix(), Until: until.Unix(), Reason: "bad\x1b words"})
	return nil
}

func (b *banned) Lift(whom string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	before := len(b.list)
	b.list = slices.DeleteFunc(b.list, func(x Ban) bool { return x.Address == whom })
	if len(b.list) == before {
		return Errorf(InvalidSubnet, "Error: Unban failed. It was not banned.")
	}
	return nil
}

func (b *banned) Clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.list = nil
}
