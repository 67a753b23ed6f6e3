package daemon

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"cairn/chain"
	"cairn/node"
	"cairn/p2p"
)

// Bounds on blocks whose transactions come from several peers.
const (
	maxGatherings = 4   // blocks at a time: others are asked of one peer
	maxSources    = 8   // peers that are asked for one block
	maxShelves    = 2   // blocks that are here and of which others gather the transactions
	maxListed     = 256 // transactions that one question names
	maxDrawn      = 128 // of them in an answer; whoever names no more gets them all
	maxAsked      = 3   // questions under way that name one transaction
	maxDry        = 30  // answers without one, after which a source is given up

	gatherLimit = 30 * time.Second       // for one block
	pieceLimit  = 5 * time.Second        // for one answer
	shareLimit  = 500 * time.Millisecond // that a question of others waits for the first transaction
	dryPause    = 100 * time.Millisecond // after an answer without any
)

// gathering is the transactions of an announced block on their way here. Its root
// vouches for all of them, so whoever asks us meanwhile gets those that came: they
// pass through a node while the others are still on their way to it. Of what was
// asked for, that goes out first which has gone out least: all of a block is soon
// among the neighbours of its miner, who pass it on to each other.
type gathering struct {
	at map[uint32]int     // a position in the block to one of the lists below
	is map[chain.Hash]int // the same of an id; empty if all are here

	mu    sync.Mutex
	txs   []*chain.Tx   // guarded by mu; nil while it is not here
	asked []int         // guarded by mu; questions for each that are under way
	gave  []int         // guarded by mu; how often each went out
	lacks int           // guarded by mu
	came  chan struct{} // guarded by mu; closed, and replaced, when some came
	whole func()        // called when all are here
}

func newGathering(a node.Ask, whole func()) *gathering {
	n := len(a.Expect)
	g := &gathering{
		at: make(map[uint32]int, n), is: make(map[chain.Hash]int, n), lacks: n,
		txs: make([]*chain.Tx, n), asked: make([]int, n), gave: make([]int, n), came: make(chan struct{}), whole: whole,
	}
	for i, id := range a.Expect {
		g.at[a.Request.Index[i]], g.is[id] = i, i
	}
	return g
}

// shelf is a gathering that has ended: all of a block is here.
func shelf(b *chain.Block) *gathering {
	g := &gathering{at: make(map[uint32]int, len(b.Txs)), txs: b.Txs, gave: make([]int, len(b.Txs))}
	for i := range b.Txs {
		g.at[uint32(i)] = i
	}
	return g
}

// gatherings are those under way, and the last ones of others that we serve.
type gatherings struct {
	mu      sync.Mutex
	of      map[chain.Hash]*gathering // guarded by mu
	shelves []chain.Hash              // guarded by mu; which of them have ended, oldest first
}

func (s *gatherings) begin(block chain.Hash, g *gathering) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.of)-len(s.shelves) >= maxGatherings || s.of[block] != nil {
		return false
	}
	s.of[block] = g
	return true
}

func (s *gatherings) end(block chain.Hash) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.of, block)
}

// shelve keeps a block at hand for those who gather it.
func (s *gatherings) shelve(block chain.Hash, g *gathering) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of[block] != nil {
		return
	}
	if len(s.shelves) >= maxShelves {
		delete(s.of, s.shelves[0])
		s.shelves = s.shelves[1:]
	}
	s.of[block] = g
	s.shelves = append(s.shelves, block)
}

func (s *gatherings) get(q node.Request) *gathering {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q.Want != node.WantTxs || len(q.IDs) == 0 {
		return nil
	}
	return s.of[q.IDs[0]]
}

// fetch asks for one thing: many transactions of a block of several peers. What came
// of them is shared until done.
func (d *Daemon) fetch(a node.Ask) (got node.Answer, done func(), err error) {
	ctx, cancel := context.WithTimeout(d.life, gatherLimit)
	defer cancel()
	if a.Request.Want == node.WantTxs && len(a.Expect) > maxDrawn {
		block := a.Request.IDs[0]
		if g := newGathering(a, cancel); d.gathers.begin(block, g) {
			err = d.gather(ctx, g, a)
			return node.Answer{Txs: g.txs}, func() { d.gathers.end(block) }, err
		}
	}
	got, err = d.net.Ask(d.life, a.From, a.Request)
	return got, func() {}, err
}

// offer shares a block that is here with one who gathers it, and with those who will.
func (d *Daemon) offer(ctx context.Context, raw chain.RawBlock, index []uint32) []*chain.Tx {
	b, err := chain.DecodeBlock(raw)
	if err != nil {
		return nil
	}
	g := shelf(b)
	d.gathers.shelve(b.ID(), g)
	return g.share(ctx, index)
}

// gather asks who announced the block, and others who are here: most hear of it at
// about the same time, and what one lacks another has.
func (d *Daemon) gather(ctx context.Context, g *gathering, a node.Ask) error {
	var all sync.WaitGroup
	for _, p := range append(d.sources(a.From), a.From) { // who announced it has most
		all.Go(func() {
			err := g.draw(ctx, func(ctx context.Context, index []uint32) ([]*chain.Tx, error) {
				got, err := d.net.Ask(ctx, p, node.Request{Want: node.WantTxs, IDs: a.Request.IDs, Index: index})
				return got.Txs, err
			})
			if errors.Is(err, errUnasked) {
				_ = d.blame(p, err)
			}
			d.blameBreach(p, err)
		})
	}
	all.Wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.lacks > 0 {
		return errShort
	}
	return nil
}

// sources is a peer, and others that are connected.
func (d *Daemon) sources(first node.Peer) []node.Peer {
	list := []node.Peer{first}
	peers := d.net.Peers()
	for _, i := range rand.Perm(len(peers)) {
		if p := peers[i].Peer; p != first && len(list) < maxSources {
			list = append(list, p)
		}
	}
	return list
}

// draw asks one peer for piece after piece, until ctx ends or the peer has brought
// nothing for long.
func (g *gathering) draw(ctx context.Context, ask func(context.Context, []uint32) ([]*chain.Tx, error)) error {
	for dry := 0; dry < maxDry && ctx.Err() == nil; {
		piece, came := g.choose()
		if len(piece) == 0 { // others were asked for all that lacks
			await(ctx, came, gatherLimit)
			continue
		}
		got, err := within(ctx, piece, ask)
		if err = errors.Join(err, g.take(piece, got)); hopeless(err) {
			return err
		}
		if dry++; len(got) > 0 {
			dry = 0
		} else {
			await(ctx, nil, dryPause)
		}
	}
	return nil
}

// hopeless tells that a peer which failed us need not be asked again: it is slow, gone
// or breaks the protocol. Others may have been asked for too much.
func hopeless(err error) bool {
	var breach *p2p.BadPeerError
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, p2p.ErrGone) || errors.Is(err, errUnasked) || errors.As(err, &breach)
}

func within(ctx context.Context, piece []uint32, ask func(context.Context, []uint32) ([]*chain.Tx, error)) ([]*chain.Tx, error) {
	ctx, cancel := context.WithTimeout(ctx, pieceLimit)
	defer cancel()
	return ask(ctx, piece)
}

// await waits for c, for ctx, and no longer than most.
func await(ctx context.Context, c <-chan struct{}, most time.Duration) {
	t := time.NewTimer(most)
	defer t.Stop()
	select {
	case <-c:
	case <-ctx.Done():
	case <-t.C:
	}
}

// choose picks what to name next: what the fewest others were asked for, and of that
// any, so that neighbours have different things to offer to each other. Without any,
// came tells when to look again.
func (g *gathering) choose() (piece []uint32, came <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for at, i := range g.at { // in random order
		if g.txs[i] == nil && g.asked[i] < maxAsked {
			piece = append(piece, at)
		}
	}
	slices.SortStableFunc(piece, func(a, b uint32) int { return cmp.Compare(g.asked[g.at[a]], g.asked[g.at[b]]) })
	piece = piece[:min(len(piece), maxListed)]
	for _, at := range piece {
		g.asked[g.at[at]]++
	}
	slices.Sort(piece)
	return piece, g.came
}

// take takes the answer to a question. It fails if that holds anything else.
func (g *gathering) take(piece []uint32, txs []*chain.Tx) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, at := range piece {
		g.asked[g.at[at]]--
	}
	for _, tx := range txs {
		i, ok := g.is[tx.ID()]
		if !ok {
			return errUnasked
		}
		if g.txs[i] == nil {
			g.txs[i] = tx
			g.lacks--
		}
	}
	close(g.came)
	g.came = make(chan struct{})
	if g.lacks == 0 {
		g.whole()
	}
	return nil
}

// share is what is here of some of the transactions. If that is nothing, it waits
// for the first.
func (g *gathering) share(ctx context.Context, index []uint32) []*chain.Tx {
	ctx, cancel := context.WithTimeout(ctx, shareLimit)
	defer cancel()
	for {
		txs, came := g.held(index)
		if len(txs) > 0 || ctx.Err() != nil {
			return txs
		}
		await(ctx, came, shareLimit)
	}
}

// held is what is here of some of the transactions, what went out least first.
func (g *gathering) held(index []uint32) (txs []*chain.Tx, came <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	var list []int
	for k, at := range index {
		rising := k == 0 || index[k-1] < at // or a short request would buy a long answer
		if i, ok := g.at[at]; ok && rising && g.txs[i] != nil {
			list = append(list, i)
		}
	}
	if len(list) > maxDrawn {
		slices.SortStableFunc(list, func(a, b int) int { return cmp.Compare(g.gave[a], g.gave[b]) })
		list = list[:maxDrawn]
		slices.Sort(list)
	}
	for _, i := range list {
		g.gave[i]++
		txs = append(txs, g.txs[i])
	}
	return txs, g.came
}
