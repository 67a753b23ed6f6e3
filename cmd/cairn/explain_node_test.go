//go:build unix

package main_test

import (
	"encoding/hex"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/cmd/cairn/cairntest"
)

// side is one side of a split: a node, and how to ask it.
type side struct {
	*user
	dir string
}

func (s side) at(args ...string) []string {
	return append(args, "--data-dir", s.dir, "--network", "regtest")
}

func (s side) explain(what string) string {
	s.Helper()
	return s.run(s.at("explain", what)...)
}

func (s side) height() int {
	s.Helper()
	return ask[int](s.user, s.at("rpc", "getblockcount")...)
}

// find mines blocks and gives them names.
func (s side) find(names map[string]string, called ...string) {
	s.Helper()
	for _, name := range called {
		ids := ask[[]string](s.user, s.at("rpc", "generatetoaddress", "1", chain.Regtest().FormatAddress(chaintest.Address(9)))...)
		names[ids[0]] = name
	}
}

func (s side) pay(tx *chain.Tx) {
	s.Helper()
	s.run(s.at("rpc", "sendrawtransaction", hex.EncodeToString(tx.Bytes()))...)
}

// named puts names in place of ids, times and peers.
func named(text string, names map[string]string) string {
	for id, name := range names {
		text = strings.ReplaceAll(strings.ReplaceAll(text, id, name), "…"+id[len(id)-8:], name)
	}
	text = regexp.MustCompile(`\d\d:\d\d:\d\d\.\d{3} on \d{4}-\d\d-\d\d UTC`).ReplaceAllString(text, "TIME")
	return regexp.MustCompile(`peer …[0-9A-Za-z]{8}`).ReplaceAllString(text, "peer PEER")
}

// A coin is spent on both sides of a split. Both sides tell what became of it, each
// as it lived it.
func TestHealedSplitExplainedOnBothSides(t *testing.T) {
	u := newUser(t)
	a, b := side{u, filepath.Join(u.home, "a")}, side{u, filepath.Join(u.home, "b")}
	port := cairntest.FreePort(t)
	u.node(a.dir, port)
	u.node(b.dir, cairntest.FreePort(t), "--peer", "/ip4/127.0.0.1/tcp/"+port)
	names := map[string]string{}
	a.find(names, "BASE1", "BASE2")
	u.until("b follows", func() bool { return b.height() == 2 })
	u.run(b.at("peers", "off")...)
	u.until("the link is cut", func() bool { return ask[int](u, a.at("rpc", "getconnectioncount")...) == 0 })

	p := chain.Regtest()
	pay := func(from int, fee chain.Amount, to int) *chain.Tx {
		return chaintest.Pay(p, chaintest.Funds(p, from), chaintest.Key(from), fee, chain.Output{Value: chain.CRN, To: chaintest.Address(to)})
	}
	left, right, both := pay(0, 1000, 1), pay(0, 2000, 2), pay(3, 1000, 4)
	names[left.ID().String()], names[right.ID().String()], names[both.ID().String()] = "LEFT", "RIGHT", "BYSTANDER"
	a.pay(left)
	a.pay(both)
	b.pay(right)
	a.find(names, "A3", "A4")
	b.find(names, "B3", "B4", "B5")
	u.run(b.at("peers", "on")...)
	u.until("both follow b's branch, and b has heard of a's", func() bool {
		return a.height() == 5 && len(ask[[]any](u, b.at("rpc", "getchaintips")...)) == 2 &&
			u.try(b.at("explain", left.ID().String())...).code == 0 && u.try(b.at("rpc", "getmempoolentry", both.ID().String())...).code == 0
	})
	u.until("each knows what the other follows", func() bool {
		for _, s := range []side{a, b} {
			if !strings.Contains(s.explain(left.ID().String()), "2 have ruled it out") {
				return false
			}
		}
		return true
	})

	for _, c := range []struct {
		who  side
		what string
		want []string
	}{
		{a, left.ID().String(), []string{
			"Transaction LEFT.",
			"It was handed to this node by its own user at TIME.",
			"Block A3 at height 3 holds it; that block lies on a side branch that was this node's chain before: behind block BASE2 at height 2, where the two part, the best chain has 3 blocks with 6 hashes of work and the side branch 2 blocks with 4 hashes. More work wins.",
			"At TIME a reorganisation undid 2 blocks behind block BASE2 at height 2: 3 blocks with 6 hashes of work took the place of 2 blocks with 4 hashes, and more work wins.",
			"That took its block off the best chain. It was ruled out: block B3 confirms RIGHT, which spends the same coin or one that it builds on.",
			"Now it cannot be confirmed here: block B3 at height 3 confirms RIGHT, which spends the same coin or one that it builds on.",
			"Of 2 nodes counted, 0 have it at least one block deep and 2 have ruled it out.",
		}},
		{b, left.ID().String(), []string{
			"Transaction LEFT.",
			"This node first met it inside a block, at TIME.",
			"Block A3 at height 3 holds it; that block lies on a side branch that never was this node's chain: behind block BASE2 at height 2, where the two part, the best chain has 3 blocks with 6 hashes of work and the side branch 2 blocks with 4 hashes. More work wins.",
			"Now it cannot be confirmed here: block B3 at height 3 confirms RIGHT, which spends the same coin or one that it builds on.",
			"Of 2 nodes counted, 0 have it at least one block deep and 2 have ruled it out.",
		}},
		{a, both.ID().String(), []string{
			"Transaction BYSTANDER.",
			"It was handed to this node by its own user at TIME.",
			"Block A3 at height 3 holds it; that block lies on a side branch that was this node's chain before: behind block BASE2 at height 2, where the two part, the best chain has 3 blocks with 6 hashes of work and the side branch 2 blocks with 4 hashes. More work wins.",
			"At TIME a reorganisation undid 2 blocks behind block BASE2 at height 2: 3 blocks with 6 hashes of work took the place of 2 blocks with 4 hashes, and more work wins.",
			"That took its block off the best chain. It went back to wait in the pool.",
			"Now it waits in the pool for a block.",
			"Of 2 nodes counted, 0 have it at least one block deep and 0 have ruled it out.",
		}},
		{b, "3", []string{
			"Block B3 at height 3.",
			"This node, or a miner that it gives work to, found it at TIME.",
			"It stands on the best chain, 3 blocks deep.",
			"Of 2 nodes counted, 2 have it at least one block deep and 0 have ruled it out.",
		}},
		{a, "3", []string{
			"Block B3 at height 3.",
			"This node first heard of it at TIME, from its peer PEER.",
			"It stands on the best chain, 3 blocks deep.",
			"At TIME a reorganisation undid 2 blocks behind block BASE2 at height 2: 3 blocks with 6 hashes of work took the place of 2 blocks with 4 hashes, and more work wins.",
			"It was among the blocks that took their place.",
			"Of 2 nodes counted, 2 have it at least one block deep and 0 have ruled it out.",
		}},
		{a, "fork", []string{
			"At TIME a reorganisation undid 2 blocks behind block BASE2 at height 2: 3 blocks with 6 hashes of work took the place of 2 blocks with 4 hashes, and more work wins.",
			"It undid 2 transactions; `cairn explain TXID` tells what became of each.",
			"Block A4 at height 4 lies on a side branch that was this node's chain before: behind block BASE2 at height 2, where the two part, the best chain has 3 blocks with 6 hashes of work and the side branch 2 blocks with 4 hashes. More work wins.",
		}},
		{b, "fork", []string{
			"This node remembers no reorganisation.",
			"Block A4 at height 4 lies on a side branch that never was this node's chain: behind block BASE2 at height 2, where the two part, the best chain has 3 blocks with 6 hashes of work and the side branch 2 blocks with 4 hashes. More work wins.",
		}},
	} {
		got, want := named(c.who.explain(c.what), names), strings.Join(c.want, "\n")+"\n"
		if got != want {
			t.Errorf("%s explains %s:\n%swant:\n%s", filepath.Base(c.who.dir), named(c.what, names), got, want)
		}
	}
	if r := u.try(a.at("explain", strings.Repeat("0", 64))...); r.code != 2 || !strings.Contains(r.err, "never seen") {
		t.Errorf("a stranger: exit %d, %s%s", r.code, r.out, r.err)
	}
	if r := u.try(a.at("explain", "forks")...); r.code != 1 || !strings.Contains(r.err, "neither an id") {
		t.Errorf("a slip: exit %d, %s%s", r.code, r.out, r.err)
	}
}
