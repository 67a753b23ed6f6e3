package daemon_test

import (
	"testing"

	"cairn/chain"
	"cairn/node"
)

// A newcomer that knows nothing is told of all blocks, also of those that the node does
// not hold in memory after a restart.
func TestOldHeadersComeFromTheDisk(t *testing.T) {
	p := chain.Regtest()
	cfg := config(t, p)
	a := begin(t, cfg)
	ids := a.generate(2016 + 50)
	a.Close()
	a = begin(t, cfg)
	var got []chain.Header
	q := node.Request{Want: node.WantHeaders}
	for range 2 {
		answer, err := a.Answer(t.Context(), "newcomer", q)
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, answer.Headers...); len(got) > 0 {
			q.Locator = []chain.Hash{got[len(got)-1].ID()}
		}
	}
	if len(got) != len(ids) {
		t.Fatalf("%d headers of %d", len(got), len(ids))
	}
	for i, h := range got {
		if h.ID() != ids[i] {
			t.Fatalf("header %d is of another block", i)
		}
	}
}
