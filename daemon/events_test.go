package daemon_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/mempool"
	"cairn/rpc"
)

// event is one event as a watcher reads it.
type event struct{ id, name, data string }

// stream is what a watcher of a node's /events hears.
type stream struct {
	t     *testing.T
	lines *bufio.Scanner
	heard []event
}

func (p *player) serve() *rpc.Server {
	p.t.Helper()
	s, err := rpc.Start(rpc.Config{Listen: "127.0.0.1:0", User: "me", Password: "secret"}, p.Backend)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			p.t.Error(err)
		}
	})
	return s
}

// listen follows events behind one, or from now on.
func listen(t *testing.T, s *rpc.Server, last string) *stream {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.Addr()+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth("me", "secret")
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { answer.Body.Close() })
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("status %d", answer.StatusCode)
	}
	w := &stream{t: t, lines: bufio.NewScanner(answer.Body)}
	w.lines.Buffer(nil, 1<<20)
	w.read() // the greeting
	return w
}

// read reads up to an empty line.
func (w *stream) read() (e event) {
	w.t.Helper()
	for w.lines.Scan() {
		key, value, _ := strings.Cut(w.lines.Text(), ": ")
		switch key {
		case "":
			return e
		case "id":
			e.id = value
		case "event":
			e.name = value
		case "data":
			e.data = value
		}
	}
	w.t.Fatalf("the stream ended: %v", w.lines.Err())
	return e
}

// until reads on to an event that fits.
func (w *stream) until(fits func(event) bool) event {
	w.t.Helper()
	for {
		e := w.read()
		if e.name != "" {
			w.heard = append(w.heard, e)
		}
		if fits(e) {
			return e
		}
	}
}

// ever finds an event that fits among those that were read, or reads on to it: a
// claim of a tip may be heard before its blocks, or behind them.
func (w *stream) ever(fits func(event) bool) event {
	w.t.Helper()
	if i := slices.IndexFunc(w.heard, fits); i >= 0 {
		return w.heard[i]
	}
	return w.until(fits)
}

func decode[T any](t *testing.T, e event) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(e.data), &v); err != nil {
		t.Fatalf("%+v: %v", e, err)
	}
	return v
}

// about fits an event of a name that mentions an id.
func about(name string, id chain.Hash) func(event) bool {
	return func(e event) bool { return e.name == name && strings.Contains(e.data, id.String()) }
}

// follows replays what was heard of blocks on top of a chain: each event must fit
// the one before it.
func (w *stream) follows(tip chain.Hash) chain.Hash {
	w.t.Helper()
	for _, e := range w.heard {
		b := rpc.BlockEvent{}
		if e.name == rpc.EventConnected || e.name == rpc.EventDisconnected {
			b = decode[rpc.BlockEvent](w.t, e)
		}
		switch {
		case e.name == rpc.EventConnected && b.Prev == tip:
			tip = b.ID
		case e.name == rpc.EventDisconnected && b.ID == tip:
			tip = b.Prev
		case b != rpc.BlockEvent{}, e.name == rpc.EventGap:
			w.t.Errorf("after block %v came %+v", tip, e)
		}
	}
	return tip
}

func TestEventsTellAReorganisation(t *testing.T) {
	p := chain.Regtest()
	a := start(t, p)
	b := start(t, p, a)
	linked(t, 1, a, b)
	server := a.serve()
	w := listen(t, server, "")
	base := a.generate(2)
	until(t, "b follows", sameTip(a, b))
	b.online(false)
	linked(t, 0, a, b)

	left, right, bystander := pay(p, 0, 1000, 1), pay(p, 0, 2000, 2), pay(p, 3, 1000, 4)
	a.submit(left)
	a.submit(bystander)
	b.submit(right)
	lost := a.generate(2)
	middle := w.until(about(rpc.EventRemoved, bystander.ID()))
	if got := decode[rpc.TxEvent](t, middle); got.Reason != string(mempool.Confirmed) || got.Block == nil || *got.Block != lost[0] || got.Fee != 1000 {
		t.Errorf("the confirmed payment is told as %s", middle.data)
	}
	won := b.generate(3)
	b.online(true)
	told := decode[rpc.ReorgEvent](t, w.until(about(rpc.EventReorg, won[2])))
	checkReorg(t, told, base[1], lost, won)
	checkFates(t, told, left.ID(), right.ID(), bystander.ID(), won)
	back := decode[rpc.TxEvent](t, w.until(func(e event) bool {
		return about(rpc.EventAccepted, bystander.ID())(e) && strings.Contains(e.data, "returned")
	}))
	if back.Size != bystander.Size() {
		t.Errorf("the returned payment is told as %+v", back)
	}
	tip := decode[rpc.TipEvent](t, w.ever(about(rpc.EventTip, won[2])))
	if tip.Peer != b.Backend.Network.Local().ID || tip.Height != 5 {
		t.Errorf("b's tip is told as %+v", tip)
	}
	if end := w.follows(p.GenesisID()); end != won[2] {
		t.Errorf("the blocks lead to %v, want %v", end, won[2])
	}
	resumes(t, listen(t, server, middle.id), w, middle)
}

func checkReorg(t *testing.T, got rpc.ReorgEvent, ancestor chain.Hash, lost, won []chain.Hash) {
	t.Helper()
	undone := slices.Clone(lost)
	slices.Reverse(undone)
	if got.Depth != 2 || got.Ancestor != (rpc.BlockName{ID: ancestor, Height: 2}) || !slices.Equal(got.Undone, undone) || !slices.Equal(got.Applied, won) {
		t.Errorf("the reorganisation is told as %+v", got)
	}
}

func checkFates(t *testing.T, got rpc.ReorgEvent, loser, winner, bystander chain.Hash, won []chain.Hash) {
	t.Helper()
	fates := map[chain.Hash]rpc.TxFate{}
	for _, f := range got.Txs {
		fates[f.ID] = f
	}
	f := fates[loser]
	if len(fates) != 2 || f.Fate != string(mempool.Conflicted) || f.By == nil || *f.By != winner || f.Block == nil || !slices.Contains(won, *f.Block) {
		t.Errorf("the loser's fate is told as %+v", got.Txs)
	}
	if f := fates[bystander]; f.Fate != string(mempool.Returned) {
		t.Errorf("the bystander's fate is told as %+v", f)
	}
}

// resumes checks that a watcher that comes back hears what the other one did.
func resumes(t *testing.T, again, w *stream, from event) {
	t.Helper()
	last := w.heard[len(w.heard)-1]
	again.until(func(e event) bool { return e == last })
	i := slices.Index(w.heard, from)
	if !reflect.DeepEqual(again.heard, w.heard[i+1:]) {
		t.Errorf("resumed it hears %d events, want %d", len(again.heard), len(w.heard[i+1:]))
	}
}

// A branch that a person rules out, and takes back, and a chain that comes faster
// than it is told: the blocks always fit each other.
func TestEventsFollowEveryTurn(t *testing.T) {
	p := chain.Regtest()
	a := start(t, p)
	w := listen(t, a.serve(), "")
	ids := a.generate(600) // more than one look tells
	if err := a.Branches.Invalidate(t.Context(), ids[590]); err != nil {
		t.Fatal(err)
	}
	tx := pay(p, 0, 1000, 1)
	a.submit(tx)
	other := payAll(p, chaintest.Funds(p, 0), 0, 90_000, 2)
	a.submit(other)
	gone := decode[rpc.TxEvent](t, w.until(about(rpc.EventRemoved, tx.ID())))
	if gone.Reason != string(mempool.Replaced) || gone.By == nil || *gone.By != other.ID() {
		t.Errorf("the replaced payment is told as %+v", gone)
	}
	side := a.generate(1)
	if err := a.Branches.Reconsider(t.Context(), ids[590]); err != nil {
		t.Fatal(err)
	}
	end := a.generate(1)
	w.until(about(rpc.EventConnected, end[0]))
	if tip := w.follows(p.GenesisID()); tip != a.tip().ID {
		t.Errorf("the blocks lead to %v, want %v", tip, a.tip().ID)
	}
	left := w.heard[slices.IndexFunc(w.heard, about(rpc.EventReorg, side[0])):]
	if r := decode[rpc.ReorgEvent](t, left[0]); r.Depth != 1 || len(r.Applied) != 10 || r.Ancestor.Height != 590 {
		t.Errorf("back to the old branch is told as %+v", r)
	}
}
