//go:build linux && amd64

package ordeal_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"cairn/chain"
	"cairn/chain/chaintest"
)

// A transaction of the database holds what follows from about two blocks as full of
// outputs as these.
const outputsEach = 24_000

// long is a node that moves between two branches of full blocks: what follows from each
// way takes many transactions of the database.
type long struct {
	t      *testing.T
	p      *chain.Params
	v      *victim
	rnd    *rand.Rand
	light  []chain.State // the branch of two blocks
	heavy  []chain.State // the branch of three
	power  int
	sprung int
	left   map[string]int
}

// TestKillInsideALongReorganisation kills a node at a sync of one reorganisation or of
// the flush that follows it. What is left is a true chain, and the next start finishes
// the way.
func TestKillInsideALongReorganisation(t *testing.T) {
	l := newLong(t)
	rounds := max(1, *roundsFlag/10)
	for n := range rounds {
		l.round(n)
	}
	out := io.MultiWriter(os.Stdout, report(t, "long.txt"))
	fmt.Fprintf(out, "%d kills at a sync of one reorganisation over %d full blocks, or of what follows, %d of them on time; power lost too: %d; tip where it was: %d, between the branches: %d, at the other one's end: %d\n",
		rounds, len(l.light)+len(l.heavy), l.sprung, l.power, l.left["before"], l.left["between"], l.left["after"])
}

func newLong(t *testing.T) *long {
	t.Helper()
	p := chain.Regtest()
	l := &long{t: t, p: p, rnd: rand.New(rand.NewPCG(*seedFlag, 11)), left: map[string]int{}}
	l.v = newVictim(t, filepath.Join(t.TempDir(), "victim"), "regtest")
	l.up()
	l.light = l.branch(2, 1)
	l.heavy = l.branch(3, 2)
	if tip := ask[chain.Hash](l.v.peer, "getbestblockhash"); tip != l.heavy[2].ID {
		t.Fatalf("the tip is %v, want %v", tip, l.heavy[2].ID)
	}
	return l
}

func (l *long) up() {
	l.t.Helper()
	if l.v.start(nil); !l.v.waitUp() {
		l.t.Fatalf("the node did not start: %s", tail(l.v.log()))
	}
}

// branch hands in full blocks, one on the other from the genesis on. They pay an
// owner of their own: nothing that one branch makes is on the other.
func (l *long) branch(n, owner int) (states []chain.State) {
	l.t.Helper()
	at, coin := l.p.GenesisState(), chaintest.Funds(l.p, 9)
	outs := make([]chain.Output, outputsEach)
	for i := range outs {
		outs[i] = chain.Output{Value: 1000, To: chaintest.Address(owner)}
	}
	for range n {
		tx := chaintest.Pay(l.p, coin, chaintest.Key(9), fee, outs...)
		b := chaintest.Block(l.p, at, chaintest.Plan{Pay: chaintest.Address(owner), Txs: []*chain.Tx{tx}})
		if why := ask[*string](l.v.peer, "submitblock", hexOf(b)); why != nil && *why != "inconclusive" {
			l.t.Fatalf("a block was refused: %s", *why)
		}
		at = chaintest.After(l.p, at, b)
		states, coin = append(states, at), chaintest.Outs(tx, at.Height)[outputsEach]
	}
	return states
}

// round sends the node to the light branch and kills it on the way there or back.
func (l *long) round(n int) {
	l.t.Helper()
	way, from, to := "invalidateblock", l.heavy[2], l.light[1]
	if n%2 == 1 {
		ask[any](l.v.peer, way, l.heavy[0].ID)
		way, from, to = "reconsiderblock", to, from
	}
	tp := &trap{on: onSync, nth: 1 + l.rnd.IntN(40), fate: fate{kill: true}}
	l.v.arm(tp)
	_ = l.v.try(way, nil, l.heavy[0].ID) // it may die
	l.v.pause()
	if l.v.slay(); tp.sprung != nil {
		l.sprung++
	}
	if l.rnd.IntN(2) == 0 {
		l.power++
		if err := l.v.image.losePower(l.rnd); err != nil {
			l.t.Fatal(err)
		}
	}
	switch left := audit(l.t, l.p, l.v.dir); left.State {
	case from:
		l.left["before"]++
	case to:
		l.left["after"]++
	default:
		l.left["between"]++
	}
	l.up()
	ask[any](l.v.peer, "reconsiderblock", l.heavy[0].ID)
	if now := replay(l.t, l.v.peer); now.State != l.heavy[2] {
		l.t.Errorf("round %d: the node did not finish the way: it is at %v", n, now.State)
	}
}
