package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cairn/chain"
	"cairn/converge"
	"cairn/lab"
	"cairn/rpc"
)

// inALab makes a lab of tellers.
func inALab(t *testing.T, tellers ...*teller) *view {
	t.Helper()
	l := &lab.Lab{Dir: t.TempDir()}
	for i, f := range tellers {
		addr, err := os.ReadFile(filepath.Join(f.dir, rpcAddrFile))
		if err != nil {
			t.Fatal(err)
		}
		l.Nodes = append(l.Nodes, lab.Node{Name: "node" + string(rune('1'+i)), RPC: strings.TrimSpace(string(addr)), Dir: f.dir})
	}
	return newView(l)
}

// A lab's screen believes each node about itself alone, and about its own branch.
func TestLookAtALab(t *testing.T) {
	tree, other := grow("r 1 2 a3 a4"), grow("r 1 2 b3")
	var nodes []*teller
	for _, is := range []struct {
		knows  forkTree
		tip    string
		height uint64
		depth  *int64
	}{{tree, "a4", 104, ref(int64(3))}, {other, "b3", 103, ref(int64(0))}, {tree, "a4", 104, ref(int64(2))}} {
		f := tell(t)
		f.teach(t, stage(0, is.knows, is.tip, "tx: 0"))
		f.always("getstatus", rpc.Status{Tip: id(is.tip), Height: is.height, Peers: 2, Mining: rpc.MiningStatus{Hashrate: 1000, Found: 7}})
		f.answers["getconvergence"] = func(params []json.RawMessage) any {
			return rpc.ConvergenceInfo{ID: id("tx"), Kind: rpc.KindTx, Agreement: rpc.Agreement{Self: rpc.Opinion{Depth: is.depth}}}
		}
		nodes = append(nodes, f)
	}
	nodes[1].always("getrawmempool", []chain.Hash{id("theirs")}) // of which node1 has not heard
	nodes[2].always("getstatus", hangUp)
	nodes[2].always("getconvergence", hangUp)
	l := &labLooker{v: inALab(t, nodes...)}
	s, err := l.look(t.Context(), []chain.Hash{id("tx")})
	if err != nil {
		t.Fatal(err)
	}
	if s.Tip != id("a4") || s.Height != 104 || s.Hashrate != 2000 || len(s.Nodes) != 3 || len(s.Txs) != 2 || s.Txs[0].ID != id("theirs") {
		t.Fatalf("%+v", s)
	}
	for i, want := range []stance{{Word: same}, {forked, 1}, {Word: astray}} {
		if got := s.Tree.stance(s.Nodes[i].Tip); got != want {
			t.Errorf("node%d: %v, want %v", i+1, got, want)
		}
	}
	if rows := s.Tree.branches(); len(rows) != 2 || rows[1].On != 0 || len(rows[1].Blocks) != 1 || rows[1].Blocks[0] != id("b3") {
		t.Errorf("%+v", rows)
	}
	if note := s.Nodes[2].Note; !strings.HasPrefix(note, "does not answer") || s.Nodes[0].Note != "1 kH/s, 7 found, 2 peers" {
		t.Errorf("%q, %q", s.Nodes[0].Note, note)
	}
	for i, want := range []converge.Depth{{N: 3, Known: true}, {Known: true}, {}} {
		if d, fresh := s.Txs[1].on(s.Nodes[i].Key); d != want || fresh != (i < 2) {
			t.Errorf("node%d: depth %v, want %v", i+1, d, want)
		}
	}
	nodes[0].always("getstatus", hangUp)
	nodes[1].always("getstatus", hangUp)
	if _, err := l.look(t.Context(), nil); err == nil {
		t.Error("a lab without nodes was seen")
	}
	look := &screen{title: "lab", width: 80, height: 24}
	look.take(s)
	look.take(stage(time.Second, tree, "a4 b3"))
	whole(t, look)
}
