package miner

import (
	"context"
	"encoding/binary"
	"os"
	"reflect"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"cairn/chain"
	"cairn/miner/sha256d"
)

// Targets by how many hashes they take on average.
const (
	easy  chain.Bits = 0x207fffff // two
	some  chain.Bits = 0x1f0fffff // 4096
	never chain.Bits = 0x03000001 // as good as all that there are
)

func TestMain(m *testing.M) {
	sha256d.Best() // measured here, where time is real
	code := m.Run()
	if err := goleak.Find(); code == 0 && err != nil {
		os.Stderr.WriteString(err.Error() + "\n")
		code = 1
	}
	os.Exit(code)
}

var regtest = chain.Regtest()

// stone names a parent in the drawn chains of these tests.
func stone(name string) chain.Hash { return chain.SumHash([]byte(name)) }

// template is a block that lacks its proof, with some transactions in it. The
// tag stands behind the extra nonce.
func template(prev chain.Hash, bits chain.Bits, tag string) *chain.Block {
	b := &chain.Block{
		Header: chain.Header{Version: 1, Prev: prev, Time: 1_800_000_000, Bits: bits},
		Coinbase: &chain.Coinbase{
			Height: 7, Extra: append(make([]byte, ExtraNonce), tag...),
			Outputs: []chain.Output{{Value: 50 * chain.CRN, To: chain.Prefunded()[0]}},
		},
	}
	for i := range 4 {
		b.Txs = append(b.Txs, &chain.Tx{
			Inputs:  []chain.Input{{Prev: chain.OutPoint{Tx: stone("coin"), Index: uint32(i)}, Value: 2}},
			Outputs: []chain.Output{{Value: 1}},
		})
	}
	return b
}

func extra(b *chain.Block) uint64 { return binary.LittleEndian.Uint64(b.Coinbase.Extra) }

// mustProve fails the test unless b is tmpl with its proof and nothing else changed.
func mustProve(t *testing.T, tmpl, b *chain.Block) {
	t.Helper()
	if err := chain.CheckHeader(regtest, b.Header); err != nil {
		t.Error(err)
	}
	if err := chain.CheckRoot(b.Header, b.Leaves()); err != nil {
		t.Error(err)
	}
	back := *b
	back.Header.Nonce, back.Header.Root = tmpl.Header.Nonce, tmpl.Header.Root
	back.Header.Version &^= chain.RollingBits
	cb := *b.Coinbase
	cb.Extra = append(append([]byte(nil), tmpl.Coinbase.Extra[:ExtraNonce]...), cb.Extra[ExtraNonce:]...)
	back.Coinbase = &cb
	if !reflect.DeepEqual(&back, tmpl) {
		t.Errorf("found %+v from template %+v", b, tmpl)
	}
}

// world is the rest of a node: it gives templates on its tip and takes blocks.
type world struct {
	mu        sync.Mutex
	tip       chain.Hash
	bits      chain.Bits
	asked     int
	trouble   error                       // of Template
	refuse    error                       // of Found
	gate      chan struct{}               // if there is one, Template waits for a word from it
	onFound   func(b *chain.Block)        // called after the block was taken or refused, mu not held
	templates map[chain.Hash]*chain.Block // by parent
	found     []*chain.Block
}

func newWorld(bits chain.Bits) *world {
	return &world{tip: stone("genesis"), bits: bits, templates: map[chain.Hash]*chain.Block{}}
}

func (w *world) Template(ctx context.Context) (*chain.Block, error) {
	w.mu.Lock()
	w.asked++
	w.mu.Unlock()
	if w.gate != nil {
		select {
		case <-w.gate:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.trouble != nil {
		return nil, w.trouble
	}
	b := template(w.tip, w.bits, "world")
	w.templates[w.tip] = b
	return b, nil
}

func (w *world) take(_ context.Context, b *chain.Block) error {
	w.mu.Lock()
	w.found = append(w.found, b)
	err := w.refuse
	w.mu.Unlock()
	if w.onFound != nil {
		w.onFound(b)
	}
	return err
}

func (w *world) set(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
}

func (w *world) blocks() []*chain.Block {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]*chain.Block(nil), w.found...)
}

func (w *world) times() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.asked
}

// miner makes a miner in this world, closed at the end of the test.
func (w *world) miner(t testing.TB, threads int, cap float64) *Miner {
	t.Helper()
	m, err := New(Config{Params: regtest, Source: w, Found: w.take, Threads: threads, HashRate: cap})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

// grow makes every found block the tip, until enough are found; then done is closed.
func (w *world) grow(m *Miner, enough int) (done chan struct{}) {
	done = make(chan struct{})
	w.onFound = func(b *chain.Block) {
		w.set(func() { w.tip = b.ID() })
		if len(w.blocks()) == enough {
			m.Stop()
			close(done)
			return
		}
		m.Renew()
	}
	return done
}
