package daemon

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"

	"golang.org/x/sync/errgroup"

	"cairn/chain"
	"cairn/node"
	"cairn/store"
)

// Replay checks blocks by every rule that needs no context, on all cores, and
// hands each over in the order in which it came: the block, or why it is not
// sound. It ends with the first error of the source or of take, or with ctx.
func Replay(ctx context.Context, p *chain.Params, blocks iter.Seq2[store.Raw, error],
	take func(raw store.Raw, b chain.CheckedBlock, broken error) error,
) error {
	all, ctx := errgroup.WithContext(ctx)
	line := make(chan *replayed, 4*runtime.GOMAXPROCS(0))
	all.Go(func() error {
		defer close(line)
		return checkInOrder(ctx, p, blocks, line)
	})
	all.Go(func() error {
		for r := range line {
			select {
			case <-r.done:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			if err := take(r.raw, r.block, r.broken); err != nil {
				return err
			}
		}
		return nil
	})
	return all.Wait()
}

// replayed is a block on its way through a Replay.
type replayed struct {
	raw    store.Raw
	block  chain.CheckedBlock
	broken error
	done   chan struct{} // closed when block and broken are set
}

func checkInOrder(ctx context.Context, p *chain.Params, blocks iter.Seq2[store.Raw, error], line chan<- *replayed) error {
	var cores errgroup.Group
	cores.SetLimit(runtime.GOMAXPROCS(0))
	defer func() { _ = cores.Wait() }()
	for raw, err := range blocks {
		if err != nil {
			return err
		}
		r := &replayed{raw: raw, done: make(chan struct{})}
		cores.Go(func() error {
			defer close(r.done)
			r.block, r.broken = checkRaw(p, raw.Bytes)
			return nil
		})
		select {
		case line <- r:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

func checkRaw(p *chain.Params, raw []byte) (chain.CheckedBlock, error) {
	b, err := chain.ReadBody(raw)
	if err != nil {
		return chain.CheckedBlock{}, err
	}
	txs, err := chain.CheckNamed(p, b.Txs())
	if err != nil {
		return chain.CheckedBlock{}, err
	}
	return chain.CheckBody(p, b, txs)
}

// A Builder puts checked blocks on a store, parents first, whatever their age:
// those that build on its tip become the best chain, others side branches. Where
// one becomes heavier, it moves there at once, as a node would: later the way would
// be long.
type Builder struct {
	p     *chain.Params
	now   chain.Time
	store node.Store
	tip   node.Entry
	steps []node.Step // not on disk yet, and what they change:
	bytes int
	here  map[chain.Hash]node.Entry
	coins chain.Overlay
	added int
}

// Steps are written together up to so many bytes of bodies.
const buildAtOnce = 4 << 20

// NewBuilder begins on what the store holds.
func NewBuilder(now chain.Time, p *chain.Params, s node.Store) (*Builder, error) {
	b := &Builder{p: p, now: now, store: s}
	b.forget()
	_, err := b.Settle()
	return b, err
}

func (b *Builder) forget() {
	b.steps, b.bytes = nil, 0
	b.here, b.coins = map[chain.Hash]node.Entry{}, chain.Overlay{}
}

// ErrNoParent says that the block before one is not there, or that its branch was
// condemned.
var ErrNoParent = errors.New("a block before it is missing or breaks a rule")

// Add puts a block on, unless it is there. A *chain.RuleError or ErrNoParent means
// that the block cannot stand here; another error is the store's.
func (b *Builder) Add(c chain.CheckedBlock) error {
	if _, err := b.entry(c.ID()); !errors.Is(err, node.ErrUnknown) {
		return err
	}
	parent, err := b.entry(c.Header().Prev)
	if errors.Is(err, node.ErrUnknown) || err == nil && parent.Status != node.Complete {
		return ErrNoParent
	}
	if err != nil {
		return err
	}
	step := node.Step{Bodies: []chain.CheckedBlock{c}, Tip: b.tip.State.ID}
	var state chain.State
	if parent.State.ID == b.tip.State.ID {
		state, step.Diff, err = b.connect(parent.State, c)
		step.Tip = c.ID()
	} else {
		state, err = chain.ConnectHeader(b.p, parent.State, c.Header())
	}
	if err != nil {
		return err
	}
	e := node.Entry{Header: c.Header(), State: state, Status: node.Complete}
	step.Entries = []node.Entry{e}
	return b.take(step, e, c.Size())
}

func (b *Builder) take(s node.Step, e node.Entry, size int) error {
	if s.Tip == e.State.ID {
		b.tip = e
	}
	b.coins.Apply(s.Diff)
	b.here[e.State.ID] = e
	b.steps = append(b.steps, s)
	b.added++
	if e.State.Work.Cmp(b.tip.State.Work) > 0 {
		return b.moveTo(e.State.ID)
	}
	if b.bytes += size; b.bytes < buildAtOnce {
		return nil
	}
	return b.Flush()
}

// moveTo settles because a block became the heaviest; if its branch does not
// connect, it is condemned instead.
func (b *Builder) moveTo(id chain.Hash) error {
	if _, err := b.Settle(); err != nil {
		return err
	}
	e, err := b.store.Entry(id)
	if err == nil && e.Status != node.Complete {
		err = ErrNoParent
	}
	return err
}

func (b *Builder) entry(id chain.Hash) (node.Entry, error) {
	if e, ok := b.here[id]; ok {
		return e, nil
	}
	return b.store.Entry(id)
}

func (b *Builder) connect(parent chain.State, c chain.CheckedBlock) (chain.State, chain.Diff, error) {
	found, err := b.coins.Find(c.Needs(), b.store.Coins)
	if err != nil {
		return chain.State{}, chain.Diff{}, err
	}
	return chain.Connect(b.p, parent, c, found)
}

// Added is how many blocks were put on.
func (b *Builder) Added() int { return b.added }

// Flush writes what is not on disk yet.
func (b *Builder) Flush() error {
	if len(b.steps) == 0 {
		return nil
	}
	if err := b.store.Commit(b.steps...); err != nil {
		return err
	}
	b.forget()
	return nil
}

// Settle writes the rest and moves the tip to the heaviest branch, as a node does
// when it starts.
func (b *Builder) Settle() (chain.State, error) {
	if err := b.Flush(); err != nil {
		return chain.State{}, err
	}
	if _, err := node.New(b.now, node.Config{Params: b.p, Store: b.store}); err != nil {
		return chain.State{}, fmt.Errorf("move to the heaviest branch: %w", err)
	}
	tip, err := b.store.Tip()
	b.tip = tip
	return tip.State, err
}
