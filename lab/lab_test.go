package lab

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cairn/chain"
	"cairn/wallet"
)

func plan(t *testing.T, dir string, nodes int) *Lab {
	t.Helper()
	l, err := Plan(context.Background(), Config{Dir: dir, Nodes: nodes, Program: []string{"cairn"}})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestAPlanIsANetworkOfItsOwn(t *testing.T) {
	l, other := plan(t, t.TempDir(), 3), plan(t, t.TempDir(), 3)
	p, q := network(t, l), network(t, other)
	if p.GenesisID() == q.GenesisID() || p.GenesisID() == chain.Dev().GenesisID() {
		t.Error("two labs share a genesis")
	}
	funds := p.GenesisCoins().Created
	if len(funds) != 3 {
		t.Fatalf("the genesis pays %d wallets", len(funds))
	}
	for i, n := range l.Nodes {
		w, err := wallet.Open(n.Wallet)
		if err != nil {
			t.Fatal(err)
		}
		own, err := w.Address(wallet.Receive, 0)
		if err != nil {
			t.Fatal(err)
		}
		if funds[i].Owner != own || funds[i].Value != prize || n.Address != p.FormatAddress(own) {
			t.Errorf("%s's wallet is not funded: %v", n.Name, funds[i])
		}
	}
}

func network(t *testing.T, l *Lab) *chain.Params {
	t.Helper()
	raw, err := os.ReadFile(l.Network)
	if err != nil {
		t.Fatal(err)
	}
	p, err := chain.ParseParams(raw)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPortsAreDistinct(t *testing.T) {
	ports, err := FreePorts(40)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(ports)
	if len(slices.Compact(ports)) != 40 {
		t.Errorf("40 ports, and some twice: %v", ports)
	}
}

func TestEveryNodeIsLinked(t *testing.T) {
	for n := 1; n <= MaxNodes; n++ {
		r := &Running{Lab: &Lab{Nodes: make([]Node, n)}}
		for i := range n {
			links := r.links(i)
			if i > 0 && !slices.Contains(links, i-1) {
				t.Fatalf("of %d nodes, node %d is not linked to the one before it", n, i)
			}
			if slices.Contains(links, i) || slices.ContainsFunc(links, func(j int) bool { return j < 0 || j >= n }) {
				t.Fatalf("of %d nodes, node %d dials %v", n, i, links)
			}
			if n <= meshed && len(links) != n-1 {
				t.Fatalf("of %d nodes, node %d dials only %v", n, i, links)
			}
			if n > meshed && len(links) > 4 {
				t.Fatalf("of %d nodes, node %d dials %d", n, i, len(links))
			}
		}
	}
}

func TestALabTakesTheOldOnesPlaceAndNothingElses(t *testing.T) {
	dir := t.TempDir()
	first := network(t, plan(t, dir, 3)).GenesisID()
	second := plan(t, dir, 2)
	if network(t, second).GenesisID() == first {
		t.Error("the second lab goes on with the first one's genesis")
	}
	if _, err := os.Stat(filepath.Join(dir, "node3")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the first lab's third node is still there: %v", err)
	}
	foreign := t.TempDir()
	letter := filepath.Join(foreign, "letter.txt")
	if err := os.WriteFile(letter, []byte("dear"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Plan(context.Background(), Config{Dir: foreign, Nodes: 1})
	if err == nil || !strings.Contains(err.Error(), "--dir") {
		t.Errorf("a lab in a folder of something else: %v", err)
	}
	if _, err := os.Stat(letter); err != nil {
		t.Error("what stood there is gone")
	}
}

func TestOnlyOneLabInAFolder(t *testing.T) {
	dir := t.TempDir()
	l := plan(t, dir, 1) // kept by this very process, which is alive
	if err := l.save(); err != nil {
		t.Fatal(err)
	}
	if _, err := Plan(context.Background(), Config{Dir: dir, Nodes: 1}); err == nil || !strings.Contains(err.Error(), "up") {
		t.Errorf("a second lab in the folder: %v", err)
	}
	found, err := Open(dir)
	if err != nil || found.Nodes[0] != l.Nodes[0] {
		t.Errorf("found %+v, %v", found, err)
	}
	if _, err := found.Find("node7"); err == nil {
		t.Error("found a node that is not there")
	}
	if err := l.forget(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); !errors.Is(err, ErrNone) {
		t.Errorf("a lab that ended is still found: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, stateFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("a damaged description: %v", err)
	}
}

func TestBadSizesAreRefused(t *testing.T) {
	for _, n := range []int{-1, 0, MaxNodes + 1} {
		if _, err := Plan(context.Background(), Config{Dir: t.TempDir(), Nodes: n}); err == nil {
			t.Errorf("a lab of %d nodes", n)
		}
	}
}

func TestAGivenUpPlanEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Plan(ctx, Config{Dir: t.TempDir(), Nodes: 1}); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled plan: %v", err)
	}
}
