//go:build unix

package main_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"cairn/cmd/cairn/cairntest"
)

// purse is one person's wallet on a regtest node.
type purse struct {
	*user
	dir string
}

// purse restores the wallet that regtest prefunds, beside a node's data.
func (u *user) purse(dir string) *purse {
	u.Helper()
	p := &purse{u, dir}
	words := filepath.Join(u.home, "words")
	writeFile(u.TB, words, "test test test test test test test test test test test junk\n")
	p.run(p.on("wallet", "restore", "--mnemonic-file", words, "--no-passphrase")...)
	return p
}

func (p *purse) on(args ...string) []string {
	return append(args, "--data-dir", p.dir, "--network", "regtest")
}

// past is a line of wallet history.
type past struct {
	TxID, Kind, Fate, By string
	Confirmations        int64
	Undone               int
	Memo                 string
}

// fate finds a payment in the wallet's history.
func (p *purse) fate(id string) past {
	p.Helper()
	list := ask[[]past](p.user, p.on("wallet", "history", "--limit", "0")...)
	i := slices.IndexFunc(list, func(d past) bool { return d.TxID == id })
	if i < 0 {
		p.Fatalf("history does not tell of %s: %+v", id, list)
	}
	return list[i]
}

func (p *purse) send(args ...string) string {
	p.Helper()
	return ask[sent](p.user, p.on(append([]string{"send"}, args...)...)...).TxID
}

// stranger is an address of somebody else.
func (p *purse) stranger(name string) string {
	p.Helper()
	file := filepath.Join(p.home, name+".json")
	return ask[struct{ Address string }](p.user, p.on("wallet", "create", "--wallet", file, "--no-passphrase")...).Address
}

func (p *purse) mine(blocks string) { p.Helper(); p.run(p.on("mine", "generate", blocks)...) }

func TestPaymentIsBumped(t *testing.T) {
	u := newUser(t)
	dir := filepath.Join(u.home, "one")
	u.node(dir, cairntest.FreePort(t))
	p := u.purse(dir)
	p.mine("1")
	first := p.send(p.stranger("shop"), "2.5", "--memo", "for the stones")
	if got := p.fate(first); got.Fate != "waiting" || got.Kind != "sent" || got.Memo != "for the stones" {
		t.Errorf("%+v", got)
	}
	second := ask[sent](u, p.on("bump", first)...).TxID
	third := ask[sent](u, p.on("bump", second, "--fee-rate", "50000")...).TxID
	for _, old := range []string{first, second} {
		if got := p.fate(old); got.Fate != "replaced" || got.By != third || got.Confirmations != 0 {
			t.Errorf("before a block: %+v", got)
		}
		if r := u.try(p.on("bump", old)...); r.code != 1 || !strings.Contains(r.err, third) {
			t.Errorf("bumps what is replaced: exit %d, %s", r.code, r.err)
		}
	}
	p.mine("2")
	if got := p.fate(third); got.Fate != "confirmed" || got.Confirmations != 2 {
		t.Errorf("%+v", got)
	}
	if got := p.fate(first); got.Fate != "replaced" || got.By != third || got.Confirmations != -1 {
		t.Errorf("after a block: %+v", got)
	}
	r := u.try(p.on("bump", third)...)
	if r.code != 1 || !strings.Contains(r.err, "confirmed, 2 deep") {
		t.Errorf("bumps what is confirmed: exit %d, %s", r.code, r.err)
	}
	t.Log(p.run(p.on("wallet", "history")...))
}

func TestPaymentIsCanceled(t *testing.T) {
	u := newUser(t)
	dir := filepath.Join(u.home, "one")
	node := u.node(dir, cairntest.FreePort(t))
	p := u.purse(dir)
	p.mine("1")
	type money struct{ Confirmed, Unconfirmed, Total float64 }
	before := ask[money](u, p.on("wallet", "balance")...)
	first := p.send(p.stranger("shop"), "2.5")
	u.run(p.on("send", p.stranger("other"), "--all")...)
	// What comes back of the first is all there is: it is spent, and goes with it.
	heir := p.send(p.stranger("third"), "1")
	r := u.try(p.on("send", p.stranger("fourth"), "100000")...)
	if r.code != 1 || !strings.Contains(r.err, "not enough coins") || !strings.Contains(r.err, "wait for a block") {
		t.Errorf("pays with nothing: exit %d, %s", r.code, r.err)
	}
	second := ask[sent](u, p.on("cancel", first)...).TxID
	if got := p.fate(first); got.Fate != "canceled" || got.By != second {
		t.Errorf("%+v", got)
	}
	if got := p.fate(heir); got.Fate != "undone" || got.By != second {
		t.Errorf("%+v", got)
	}
	p.mine("1")
	// The node forgets what it replaced; the wallet does not.
	stop(u, node)
	u.node(dir, cairntest.FreePort(t))
	if got := p.fate(heir); got.Fate != "undone" || got.By != second || got.Confirmations != -1 {
		t.Errorf("%+v", got)
	}
	if got := p.fate(first); got.Fate != "canceled" || got.By != second || got.Confirmations != -1 {
		t.Errorf("%+v", got)
	}
	if got := p.fate(second); got.Fate != "confirmed" || got.Kind != "moved" {
		t.Errorf("%+v", got)
	}
	after := ask[money](u, p.on("wallet", "balance")...)
	// 90050 were sent on purpose, its fee among them; that, the cancelled payment's and
	// 50 more were mined here.
	if more := after.Total - (before.Total - 90050 + 50); more <= 0 || more > 0.001 || after.Unconfirmed != 0 {
		t.Errorf("before %+v, after %+v", before, after)
	}
	t.Log(p.run(p.on("wallet", "history")...))
}

// The three ways in which a payment may not come to what it was meant for, as the
// wallet's history tells them. go test -v -run TestHistoryTellsWhatBecameOfPayments
// prints every command, for a person to repeat.
func TestHistoryTellsWhatBecameOfPayments(t *testing.T) {
	u := newUser(t)
	t.Chdir(u.home)
	u.node("one", cairntest.FreePort(t))
	p := u.purse("one")
	shop := p.stranger("shop")
	say := func(typed string) string {
		u.Helper()
		out := u.run(append(strings.Fields(typed), "--data-dir", "one")...)
		u.Logf("$ cairn %s --data-dir one\n%s", typed, out)
		return out
	}
	second := func(s string) string { return strings.Fields(s)[1] } // "sent TXID …"
	last := func(s string) string { f := strings.Fields(s); return f[len(f)-1] }
	say("mine generate 1")
	bumped := second(say("send " + shop + " 1 --memo bumped"))
	heir := last(strings.SplitAfter(say("bump "+bumped), "\n")[1])
	canceled := second(say("send " + shop + " 2 --memo canceled"))
	say("cancel " + canceled)
	say("mine generate 1")
	undone := second(say("send " + shop + " 3 --memo undone"))
	block := last(say("mine generate 1"))
	say("mine generate 1")
	say("rpc invalidateblock " + block)
	back := say("wallet history")
	say("mine generate 3")
	history := say("wallet history --limit 0")
	for _, c := range []struct{ told, says string }{
		{back, "-3.00000230 CRN  back in the pool: a reorganisation took its block away\n  " + undone},
		{history, "-3.00000230 CRN  confirmed, 3 deep at height 3, risk 1.7 %, after a reorganisation undid it\n  " + undone},
		{history, "-2.00000232 CRN  canceled, for good\n  " + canceled + "\n  by "},
		{history, "-1.00000230 CRN  replaced, for good\n  " + bumped + "\n  by " + heir},
	} {
		if !strings.Contains(c.told, c.says) {
			t.Errorf("nothing says %q", c.says)
		}
	}
}

// Two nodes part; the wallet pays on one side, and on the other its twin spends the
// same coin. The other side's branch is the longer one.
func TestPaymentsAreUndoneByAReorganisation(t *testing.T) {
	u := newUser(t)
	portA := cairntest.FreePort(t)
	a, b := filepath.Join(u.home, "a"), filepath.Join(u.home, "b")
	u.node(a, portA)
	u.node(b, cairntest.FreePort(t))
	link := func(verb string) { u.run("rpc", "addnode", "/ip4/127.0.0.1/tcp/"+portA, verb, "--data-dir", b) }
	mine, twin := u.purse(a), u.purse(b)
	mine.mine("1")
	link("add")
	u.until("both are on one chain", func() bool { return sameTip(u, a, b) })
	link("remove")
	u.run("rpc", "setnetworkactive", "false", "--data-dir", a)
	u.run("rpc", "setnetworkactive", "false", "--data-dir", b)

	doomed := mine.send(mine.stranger("shop"), "--all", "--memo", "doomed")
	mine.mine("2")
	if got := mine.fate(doomed); got.Fate != "confirmed" || got.Confirmations != 2 {
		t.Fatalf("before the reorganisation: %+v", got)
	}
	winner := twin.send(twin.stranger("rival"), "7", "--memo", "the other side")
	twin.mine("4")

	u.run("rpc", "setnetworkactive", "true", "--data-dir", a)
	u.run("rpc", "setnetworkactive", "true", "--data-dir", b)
	link("add")
	u.until("both follow the longer branch", func() bool { return sameTip(u, a, b) })
	got := mine.fate(doomed)
	if got.Fate != "conflicted" || got.By != winner || got.Confirmations != -1 {
		t.Errorf("after the reorganisation: %+v, want a conflict with %s", got, winner)
	}
	if got := mine.fate(winner); got.Fate != "confirmed" || got.Confirmations != 4 {
		t.Errorf("the other payment: %+v", got)
	}
	r := u.try(mine.on("bump", doomed)...)
	if r.code != 1 || !strings.Contains(r.err, "cannot be confirmed any more") {
		t.Errorf("bumps what is ruled out: exit %d, %s", r.code, r.err)
	}
	t.Log(mine.run(mine.on("wallet", "history", "--limit", "3")...))
}

// A payment whose block is undone waits again, and is confirmed again.
func TestPaymentComesBackAfterAReorganisation(t *testing.T) {
	u := newUser(t)
	portA := cairntest.FreePort(t)
	a, b := filepath.Join(u.home, "a"), filepath.Join(u.home, "b")
	u.node(a, portA)
	u.node(b, cairntest.FreePort(t))
	p := u.purse(a)
	p.mine("1")
	paid := p.send(p.stranger("shop"), "2.5")
	p.mine("1")
	u.run("mine", "generate", "5", "--data-dir", b, "--network", "regtest")
	u.run("peers", "add", "/ip4/127.0.0.1/tcp/"+portA, "--data-dir", b, "--network", "regtest")
	u.until("both follow the longer branch", func() bool { return sameTip(u, a, b) })
	if got := p.fate(paid); got.Fate != "returned" || got.Confirmations != 0 || got.Undone != 1 {
		t.Errorf("after the reorganisation: %+v", got)
	}
	t.Log(p.run(p.on("wallet", "history", "--limit", "2")...))
	p.mine("1")
	if got := p.fate(paid); got.Fate != "confirmed" || got.Confirmations != 1 || got.Undone != 1 {
		t.Errorf("after the next block: %+v", got)
	}
	t.Log(p.run(p.on("wallet", "history", "--limit", "3")...))
}

func sameTip(u *user, a, b string) bool {
	u.Helper()
	tip := func(dir string) string { return ask[string](u, "rpc", "getbestblockhash", "--data-dir", dir) }
	return tip(a) == tip(b)
}

// A request travels as one word, and names what is paid.
func TestRequestIsPaid(t *testing.T) {
	u := newUser(t)
	dir := filepath.Join(u.home, "one")
	u.node(dir, cairntest.FreePort(t))
	p := u.purse(dir)
	p.mine("1")
	shop := filepath.Join(u.home, "shop.json")
	u.run(p.on("wallet", "create", "--wallet", shop, "--no-passphrase")...)
	asked := ask[struct{ URI, Address string }](u, p.on("wallet", "request", "12.5", "--label", "Rosa & Co", "--wallet", shop)...)
	paid := p.send(asked.URI)
	p.mine("1")
	got := ask[struct{ Confirmed float64 }](u, p.on("wallet", "balance", "--wallet", shop)...)
	if got.Confirmed != 12.5 {
		t.Errorf("the shop has %v", got.Confirmed)
	}
	if fate := (&purse{u, dir}).fate(paid); fate.Fate != "confirmed" {
		t.Errorf("%+v", fate)
	}
	t.Log(p.run(p.on("wallet", "request", "12.5", "--label", "Rosa & Co", "--wallet", shop, "--qr")...))
	t.Log(p.run(p.on("wallet", "list")...))
}

func writeFile(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// stop ends a process as a person would, and waits for it.
func stop(u *user, p *process) {
	u.Helper()
	if err := p.Process.Signal(os.Interrupt); err != nil {
		u.Fatal(err)
	}
	<-p.ended
}

// Programs that pay from one wallet at the same moment take turns: every payment
// stands.
func TestProgramsPayAtOnce(t *testing.T) {
	u := newUser(t)
	dir := filepath.Join(u.home, "one")
	u.node(dir, cairntest.FreePort(t))
	p := u.purse(dir)
	p.mine("1")
	to := p.stranger("shop")
	const programs = 5
	var wg sync.WaitGroup
	results := make([]result, programs)
	for i := range programs {
		wg.Go(func() { results[i] = u.try(p.on("send", to, "1", "--json")...) })
	}
	wg.Wait()
	p.mine("1")
	for _, r := range results {
		var s sent
		if err := json.Unmarshal([]byte(r.out), &s); err != nil {
			t.Fatalf("exit %d, %v: %s%s", r.code, err, r.out, r.err)
		}
		if got := p.fate(s.TxID); got.Fate != "confirmed" {
			t.Errorf("%+v", got)
		}
	}
	shop := filepath.Join(u.home, "shop.json")
	if got := ask[struct{ Confirmed float64 }](u, p.on("wallet", "balance", "--wallet", shop)...); got.Confirmed != programs {
		t.Errorf("the shop has %v", got.Confirmed)
	}
}
