package store

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"cairn/chain"
	"cairn/node"
)

var update = flag.Bool("update", false, "write the golden file anew; then raise format")

// What a small chain looks like on disk, byte by byte. A change here needs a new
// number of format, or old stores are misread.
func TestFormatIsGolden(t *testing.T) {
	m := smallChain(t)
	var text strings.Builder
	fmt.Fprintf(&text, "format %d\n", format)
	all := dump(t, m.disk)
	for _, key := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&text, "%c %x = %x\n", key[0], key[1:], all[key])
	}
	const name = "testdata/format.golden"
	fmt.Fprintln(&text, "what of it is there while the block's keys are due")
	held := dump(t, heldBack(t, m).disk)
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if value, there := held[key]; !there || value != all[key] {
			fmt.Fprintf(&text, "%c %x is due\n", key[0], key[1:])
		}
	}
	for _, key := range slices.Sorted(maps.Keys(held)) {
		if _, there := all[key]; !there {
			fmt.Fprintf(&text, "%c %x = %x\n", key[0], key[1:], held[key])
		}
	}
	if *update {
		if err := os.WriteFile(name, []byte(text.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if text.String() != strings.ReplaceAll(string(want), "\r\n", "\n") {
		t.Errorf("the format changed:\n%s", text.String())
	}
}

// smallChain holds every kind of key: a genesis that pays one address, and a
// block in which it pays another.
func smallChain(t *testing.T) *Memory {
	t.Helper()
	payer, paid := chain.Address{1}, chain.Address{2}
	genesis := chain.NewGenesis(1_800_000_000, 0x207fffff, "golden", []chain.Output{{Value: 500, To: payer}})
	p := chain.DevLike("golden", genesis)
	p.OnDemand, p.Proof = true, func(chain.Header) bool { return true }
	if _, err := chain.NewParams(p); err != nil {
		t.Fatal(err)
	}
	coin := p.GenesisCoins().Created[0]
	tx := &chain.Tx{
		Inputs:  []chain.Input{{Prev: coin.OutPoint, Value: coin.Value, Owner: payer}},
		Outputs: []chain.Output{{Value: 300, To: paid}, {Value: 190, To: payer}},
	}
	s := childOf(t, p, tx, coin)
	m := NewMemory(p)
	step := node.Step{Tip: s.id(), Diff: s.diff}
	step.Entries, step.Bodies = arrival(s)
	commit(t, m, step)
	if err := m.Put("name", []byte("value")); err != nil {
		t.Fatal(err)
	}
	return m
}

// heldBack is the same chain in a store that has written nothing of what is due.
func heldBack(t *testing.T, m *Memory) *Memory {
	t.Helper()
	h := lagging(t, m.params, &tree{}, idle)
	tip, err := m.Tip()
	if err != nil {
		t.Fatal(err)
	}
	body, err := m.Body(tip.State.ID)
	if err != nil {
		t.Fatal(err)
	}
	diff, err := m.Diff(body)
	if err != nil {
		t.Fatal(err)
	}
	commit(t, h, node.Step{Entries: []node.Entry{tip}, Bodies: []chain.CheckedBlock{body}, Tip: tip.State.ID, Diff: diff})
	if err := h.Put("name", []byte("value")); err != nil {
		t.Fatal(err)
	}
	return h
}

func childOf(t *testing.T, p *chain.Params, tx *chain.Tx, coin chain.Coin) *stone {
	t.Helper()
	parent := p.GenesisState()
	parent.Height += p.Maturity // so that the genesis may be spent at once
	block := &chain.Block{
		Header:   chain.Header{Version: 1, Prev: parent.ID, Time: parent.Time + 300, Bits: parent.Bits},
		Coinbase: &chain.Coinbase{Height: parent.Height + 1, Extra: make([]byte, 32), Outputs: []chain.Output{{Value: 5_000_000_010, To: chain.Address{3}}}},
		Txs:      []*chain.Tx{tx},
	}
	block.Header.Root, _ = chain.MerkleRoot(block.Leaves())
	body, err := chain.Remembered(block.ID(), block.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	state, diff, err := chain.Connect(p, parent, body, chain.Coins{coin.OutPoint: coin})
	if err != nil {
		t.Fatal(err)
	}
	state.Height = 1
	return &stone{entry: node.Entry{Header: body.Header(), State: state, Status: node.Complete}, body: body, diff: diff}
}
