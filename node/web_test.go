package node_test

import (
	"container/heap"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"testing"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/node"
	"cairn/store"
)

// web is a small network in virtual time: it drives nodes as the contract says,
// over links that are slow, lose messages and break.
type web struct {
	*testing.T
	p      *chain.Params
	r      *rand.Rand
	now    chain.Time
	queue  events
	seq    int
	hosts  []*host
	loss   int // percent of messages and requests that get lost
	slow   int // milliseconds that a message takes at the most
	served map[node.Want]int
	record interface {
		Write([]byte) (int, error)
		Sum64() uint64
	}
}

type host struct {
	*web
	name  node.Peer
	n     *node.Node
	store *store.Memory
	links map[node.Peer]*host
	seen  map[string]bool // by gossip
	ticks int

	pace  chain.Time // milliseconds that a body takes to leave it
	free  chain.Time // when it will have sent all bodies asked for
	given int        // bodies that it sent
}

type event struct {
	at  chain.Time
	seq int
	do  func()
}

type events []event

func (q events) Len() int { return len(q) }
func (q events) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].seq < q[j].seq
}
func (q events) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *events) Push(x any)   { *q = append(*q, x.(event)) }
func (q *events) Pop() any {
	last := len(*q) - 1
	e := (*q)[last]
	*q = (*q)[:last]
	return e
}

func spin(t *testing.T, p *chain.Params, hosts int, seed uint64) *web {
	w := &web{T: t, p: p, r: rand.New(rand.NewPCG(seed, 3)), slow: 20, served: map[node.Want]int{}, record: fnv.New64a()}
	w.now = chain.Time(p.Genesis.Header.Time+1_000_000) * 1000
	for i := range hosts {
		h := &host{web: w, name: node.Peer("host" + itoa(i)), store: store.NewMemory(p), links: map[node.Peer]*host{}, seen: map[string]bool{}}
		n, err := node.New(w.now, node.Config{Params: p, Store: h.store, Peer: h.name, Salt: uint64(i), Window: 300})
		if err != nil {
			t.Fatal(err)
		}
		h.n = n
		w.hosts = append(w.hosts, h)
		w.after(chain.Time(w.r.IntN(1000)), h.tick)
	}
	return w
}

func (w *web) after(wait chain.Time, do func()) {
	w.seq++
	heap.Push(&w.queue, event{w.now + wait, w.seq, do})
}

// soon does something after the time that a message takes, or never if it is lost.
func (w *web) soon(do func()) (lost bool) {
	if w.r.IntN(100) < w.loss {
		return true
	}
	w.after(chain.Time(1+w.r.IntN(w.slow)), do)
	return false
}

// run lets so much time pass, in milliseconds.
func (w *web) run(span chain.Time) {
	w.Helper()
	end := w.now + span
	for len(w.queue) > 0 && w.queue[0].at <= end {
		e := heap.Pop(&w.queue).(event)
		w.now = e.at
		e.do()
	}
	w.now = end
}

func (h *host) tick() {
	h.take(h.n.Tick(h.now))
	if h.ticks++; h.ticks%10 == 0 {
		h.claim()
	}
	h.after(1000, h.tick)
}

// claim publishes our tip: on change, and every ten seconds.
func (h *host) claim() {
	t := h.n.OurTip(h.now)
	h.gossip(fmt.Sprint("tip", h.name, t.Counter), nil, func(o *host) { o.hearTip(h, t) })
}

func (w *web) link(a, b *host) {
	a.links[b.name], b.links[a.name] = b, a
	a.hello(b)
	b.hello(a)
}

func (w *web) cut(a, b *host) {
	delete(a.links, b.name)
	delete(b.links, a.name)
	a.n.Left(w.now, b.name)
	b.n.Left(w.now, a.name)
}

// hello repeats itself until it gets through: a driver would dial again.
func (h *host) hello(to *host) {
	if h.links[to.name] != to {
		return
	}
	q := node.Request{Want: node.WantHello, Hello: h.n.OurHello(h.now)}
	h.request(to, q, func(a node.Answer) { h.take(h.n.Hello(h.now, to.name, a.Hello)) }, func() { h.after(500, func() { h.hello(to) }) })
}

// neighbours by name.
func (h *host) neighbours() (list []*host) {
	for _, o := range h.hosts {
		if h.links[o.name] == o {
			list = append(list, o)
		}
	}
	return list
}

// take does what an outcome asks for.
func (h *host) take(out node.Outcome, err error) node.Outcome {
	if err != nil {
		h.Fatalf("%s: %v", h.name, err)
	}
	fmt.Fprintln(h.record, h.now, h.name, out.Verdict, out.Why, out.Moved, out.Fees, len(out.Announce), len(out.Relay))
	for _, a := range out.Announce {
		h.gossip("block"+a.ID().String(), nil, func(o *host) { o.hearBlock(h, a) })
	}
	for _, tx := range out.Relay {
		h.gossip("tx"+tx.ID().String()+fmt.Sprint(h.now), nil, func(o *host) { o.hearTx(h, tx) })
	}
	for _, a := range out.Ask {
		fmt.Fprintln(h.record, a.From, a.Request.Want, a.Request.IDs, a.Request.Index)
		h.ask(a)
	}
	if out.Moved {
		h.claim()
	}
	return out
}

func (h *host) gossip(key string, from *host, say func(*host)) {
	h.seen[key] = true
	for _, o := range h.neighbours() {
		if o == from {
			continue
		}
		h.soon(func() {
			if h.links[o.name] == o && !o.seen[key] {
				o.seen[key] = true
				say(o)
			}
		})
	}
}

func (h *host) hearBlock(from *host, a chain.CheckedAnnouncement) {
	if h.take(h.n.Announced(h.now, from.name, a)).Verdict == node.Accept {
		h.gossip("block"+a.ID().String(), from, func(o *host) { o.hearBlock(h, a) })
	}
}

func (h *host) hearTx(from *host, tx chain.CheckedTx) {
	if h.take(h.n.Tx(h.now, from.name, tx)).Verdict == node.Accept {
		h.gossip("tx"+tx.ID().String(), from, func(o *host) { o.hearTx(h, tx) })
	}
}

func (h *host) hearTip(from *host, t node.TipClaim) {
	if h.take(h.n.Tip(h.now, from.name, t)).Verdict == node.Accept {
		h.gossip(fmt.Sprint("tip", t.Peer, t.Counter), from, func(o *host) { o.hearTip(h, t) })
	}
}

func (h *host) ask(a node.Ask) {
	to := h.links[a.From]
	if list := h.neighbours(); a.From == node.Self && len(list) > 0 {
		to = list[h.r.IntN(len(list))]
	}
	failed := func() { h.take(h.n.Failed(h.now, a.From, a.Request)) }
	if to == nil {
		h.after(1, failed)
		return
	}
	h.request(to, a.Request, func(got node.Answer) {
		if !h.feed(to.name, a, got) {
			failed()
		}
	}, failed)
}

// request carries a question over and the answer back, encoded as on a wire.
func (h *host) request(to *host, q node.Request, then func(node.Answer), failed func()) {
	lost := h.soon(func() {
		if h.links[to.name] != to {
			h.after(1, failed)
			return
		}
		raw, wait := to.answer(h.name, q)
		if wait >= h.deadline() {
			h.after(h.deadline(), failed)
			return
		}
		if h.late(wait, func() {
			got, err := node.DecodeAnswer(raw, q)
			if err != nil {
				h.Fatal(err)
			}
			then(got)
		}) {
			h.after(5000, failed)
		}
	})
	if lost {
		h.after(5000, failed)
	}
}

// deadline is how long a driver waits for an answer.
func (*host) deadline() chain.Time { return 60_000 }

// late is soon, after a wait.
func (w *web) late(wait chain.Time, do func()) (lost bool) {
	if wait == 0 {
		return w.soon(do)
	}
	w.after(wait, do)
	return false
}

// answer is encoded; its bodies leave us one by one.
func (h *host) answer(from node.Peer, q node.Request) (raw []byte, wait chain.Time) {
	q, err := node.DecodeRequest(q.Append(nil))
	if err != nil {
		h.Fatal(err)
	}
	a, err := h.n.Answer(h.now, from, q)
	if err != nil {
		h.Fatal(err)
	}
	if err := a.Follow(h.store.Entry); err != nil {
		h.Fatal(err)
	}
	var bodies []chain.RawBlock
	for _, id := range a.Load {
		b, err := h.store.Body(id)
		if err != nil {
			h.Fatal(err)
		}
		bodies = append(bodies, b.Raw())
	}
	if err := a.Fill(q.Want, bodies); err != nil {
		h.Fatal(err)
	}
	h.served[q.Want] += max(1, len(a.Blocks))
	h.given += len(a.Blocks)
	if n := chain.Time(len(a.Blocks)); n*h.pace > 0 {
		h.free = max(h.free, h.now) + n*h.pace
		wait = h.free - h.now
	}
	return a.Append(nil, q.Want), wait
}

// feed hands an answer over; false means that it lacks something.
func (h *host) feed(from node.Peer, a node.Ask, got node.Answer) bool {
	switch a.Request.Want {
	case node.WantHeaders:
		h.take(h.n.Headers(h.now, from, got.Headers))
	case node.WantBodies:
		var all []chain.CheckedBlock
		for _, raw := range got.Blocks {
			b, err := chain.DecodeBlock(raw)
			if err != nil {
				h.Fatal(err)
			}
			all = append(all, chaintest.Check(h.p, b))
		}
		h.take(h.n.Block(h.now, from, all...))
		return len(got.Blocks) == len(a.Request.IDs)
	case node.WantTxs:
		if len(got.Txs) < len(a.Expect) {
			return false
		}
		h.take(h.n.Filled(h.now, from, a.Request.IDs[0], h.checked(got.Txs)))
	case node.WantPool:
		h.take(h.n.Pool(h.now, from, got.IDs))
	case node.WantPoolTxs:
		for _, tx := range h.checked(got.Txs) {
			h.pay(from, tx)
		}
	}
	return true
}

func (h *host) checked(txs []*chain.Tx) (list []chain.CheckedTx) {
	for _, tx := range txs {
		list = append(list, chaintest.CheckTx(h.p, tx))
	}
	return list
}

// pay hands a payment over and publishes it.
func (h *host) pay(from node.Peer, tx chain.CheckedTx) {
	if h.take(h.n.Tx(h.now, from, tx)).Verdict == node.Accept {
		h.gossip("tx"+tx.ID().String(), nil, func(o *host) { o.hearTx(h, tx) })
	}
}

// mine finds a block and publishes it.
func (h *host) mine() {
	b, err := h.n.Template(h.now, chaintest.Address(h.r.IntN(10)))
	if err != nil {
		h.Fatal(err)
	}
	chaintest.Mine(h.p, b)
	c := chaintest.Check(h.p, b)
	if out := h.take(h.n.Block(h.now, node.Self, c)); out.Verdict != node.Accept {
		h.Fatalf("our own block: %v", out.Why)
	}
	a := c.Announce()
	h.gossip("block"+a.ID().String(), nil, func(o *host) { o.hearBlock(h, a) })
}

// check tries every host's insides, and its coins against a replay.
func (w *web) check() {
	w.Helper()
	for _, h := range w.hosts {
		if err := h.n.Sound(); err != nil {
			w.Fatalf("%s: %v", h.name, err)
		}
		s := &story{T: w.T, graph: draw(w.p), disk: &disk{Memory: h.store}, n: h.n}
		l, txs := s.replay()
		s.checkCoins(l)
		s.checkPool(l, txs)
	}
}

func (w *web) agree() bool {
	return !slices.ContainsFunc(w.hosts, func(h *host) bool { return h.n.Best().ID != w.hosts[0].n.Best().ID })
}

func TestAFirstSyncOfFiveThousandBlocks(t *testing.T) {
	const blocks = 5000
	w := spin(t, chaintest.Easy(), 2, 1)
	old, fresh := w.hosts[0], w.hosts[1]
	for range blocks {
		old.mine()
	}
	w.slow = 100
	w.link(old, fresh)
	for range 600 {
		w.run(1000)
		if w.agree() {
			break
		}
	}
	w.check()
	if fresh.n.Best().Height != blocks || !w.agree() {
		t.Fatalf("the newcomer stands at %d", fresh.n.Best().Height)
	}
	if w.served[node.WantBodies] > blocks+node.MaxInFlight || w.served[node.WantHeaders] > blocks/node.MaxHeaders+3 {
		t.Errorf("served: %v", w.served)
	}
	if n := fresh.n.InMemory(); n > 2*300+200 {
		t.Errorf("%d entries in memory", n)
	}
	if _, yes := fresh.n.Syncing(); yes {
		t.Error("it still syncs")
	}
}

func TestANewcomerCatchesUpOverABadLine(t *testing.T) {
	w := spin(t, chaintest.Easy(), 3, 2)
	for range 700 {
		w.hosts[0].mine()
	}
	w.loss, w.slow = 25, 3000
	w.link(w.hosts[0], w.hosts[1])
	w.link(w.hosts[1], w.hosts[2])
	for range 3600 {
		w.run(1000)
		if w.agree() {
			break
		}
	}
	if w.check(); !w.agree() {
		t.Fatalf("heights %d, %d, %d", w.hosts[0].n.Best().Height, w.hosts[1].n.Best().Height, w.hosts[2].n.Best().Height)
	}
}

// storm is a random life: mining, payments, double spends, links that come and go,
// losses; then all is healed.
func storm(t *testing.T, seed uint64) *web {
	p := chaintest.Easy()
	if seed%2 == 1 {
		p = chaintest.Retargeting()
	}
	w := spin(t, p, 5, seed)
	w.loss, w.slow = w.r.IntN(30), 1+w.r.IntN(3000)
	for range 150 {
		a, b := w.hosts[w.r.IntN(len(w.hosts))], w.hosts[w.r.IntN(len(w.hosts))]
		switch k := w.r.IntN(10); {
		case k < 5:
			a.mine()
		case k < 7:
			i := w.r.IntN(10)
			to := chain.Output{Value: chain.CRN, To: chaintest.Address(w.r.IntN(10))}
			a.pay(node.Self, chaintest.CheckTx(p, chaintest.Pay(p, chaintest.Funds(p, i), chaintest.Key(i), chain.Amount(500+w.r.IntN(9)), to)))
		case a == b:
		case a.links[b.name] == b:
			w.cut(a, b)
		default:
			w.link(a, b)
		}
		w.run(chain.Time(w.r.IntN(8000)))
	}
	w.check()
	w.heal()
	return w
}

// heal links everybody over good lines, and lets the tie be broken.
func (w *web) heal() {
	w.loss, w.slow = 0, 100
	for i, a := range w.hosts {
		for _, b := range w.hosts[:i] {
			w.cut(a, b)
			w.link(a, b)
		}
	}
	w.run(200_000)
	w.hosts[0].mine()
	w.run(100_000)
}

func TestEverybodyAgreesAfterAStorm(t *testing.T) {
	for seed := range uint64(30) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			w := storm(t, seed)
			w.check()
			if !w.agree() {
				for _, h := range w.hosts {
					t.Errorf("%s stands at %d, %v", h.name, h.n.Best().Height, h.n.Best().ID.Short())
				}
			}
			for _, h := range w.hosts {
				if h.n.Flying() > 0 {
					t.Errorf("%s still asks for %d bodies", h.name, h.n.Flying())
				}
			}
		})
	}
}

// TestOneLifeTwice: a node does the same when it is told the same.
func TestOneLifeTwice(t *testing.T) {
	for seed := range uint64(6) {
		a, b := storm(t, seed), storm(t, seed)
		if a.record.Sum64() != b.record.Sum64() {
			t.Errorf("seed %d: two lives", seed)
		}
	}
}
