package node_test

import (
	"errors"
	"slices"
	"testing"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/mempool"
	"cairn/node"
	"cairn/store"
)

// graph is a drawn tree of named blocks. "0" is the genesis.
type graph struct {
	p      *chain.Params
	blocks map[string]chain.CheckedBlock
	states map[string]chain.State
	names  map[chain.Hash]string
	wrong  map[chain.Hash]bool // blocks that break a rule of their branch
}

func draw(p *chain.Params) *graph {
	s := p.GenesisState()
	return &graph{
		p: p, blocks: map[string]chain.CheckedBlock{}, states: map[string]chain.State{"0": s},
		names: map[chain.Hash]string{s.ID: "0"}, wrong: map[chain.Hash]bool{},
	}
}

// Fork puts blocks on top of parent, one on the other.
func (g *graph) Fork(parent string, names ...string) {
	for _, name := range names {
		g.Block(parent, chaintest.Plan{Name: name, Pay: chaintest.Address(9)})
		parent = name
	}
}

// Block puts the block that plan describes on top of parent.
func (g *graph) Block(parent string, plan chaintest.Plan) {
	g.add(parent, plan.Name, chaintest.Block(g.p, g.states[parent], plan))
}

// Greedy puts a block on top of parent whose coinbase pays a grain too much.
func (g *graph) Greedy(parent, name string) {
	b := chaintest.Block(g.p, g.states[parent], chaintest.Plan{Name: name, Pay: chaintest.Address(9)})
	b.Coinbase.Outputs[0].Value++
	g.add(parent, name, chaintest.Seal(g.p, b))
	g.wrong[b.ID()] = true
}

func (g *graph) add(parent, name string, b *chain.Block) {
	c := chaintest.Check(g.p, b)
	g.blocks[name], g.states[name] = c, chaintest.After(g.p, g.states[parent], b)
	g.names[c.ID()] = name
}

func (g *graph) name(id chain.Hash) string {
	if name, ok := g.names[id]; ok {
		return name
	}
	return id.Short()
}

func (g *graph) list(ids []chain.Hash) (names []string) {
	for _, id := range ids {
		names = append(names, g.name(id))
	}
	return names
}

// headers of the named blocks, "a1" to "a9".
func (g *graph) headers(names ...string) (hs []chain.Header) {
	for _, name := range names {
		hs = append(hs, g.blocks[name].Header())
	}
	return hs
}

func numbered(letter string, from, to int) (names []string) {
	for i := from; i <= to; i++ {
		names = append(names, letter+itoa(i))
	}
	return names
}

func itoa(i int) string {
	if i < 10 {
		return string(rune('0' + i))
	}
	return itoa(i/10) + itoa(i%10)
}

// disk is a store that can fail.
type disk struct {
	*store.Memory
	failReads   error
	failCommit  error // before anything is written
	afterCommit error // although everything was written
	most        int   // steps of a commit that are written, if not 0: then it fails
	commits     int

	coinsAfterCommit error // of reading coins once something was written
	written          bool
}

var errDisk = errors.New("the disk is on fire")

func (d *disk) Commit(steps ...node.Step) error {
	d.commits++
	if d.failCommit != nil {
		return d.failCommit
	}
	for _, step := range steps {
		if len(step.Entries) > 1 || len(step.Bodies) > 1 || len(step.Condemned) > 1 {
			return errors.New("a step of many blocks may not fit one transaction")
		}
	}
	d.written = d.coinsAfterCommit != nil
	if d.most > 0 && len(steps) > d.most {
		if err := d.Memory.Commit(steps[:d.most]...); err != nil {
			return err
		}
		return errDisk
	}
	if err := d.Memory.Commit(steps...); err != nil {
		return err
	}
	return d.afterCommit
}

func (d *disk) Entry(id chain.Hash) (node.Entry, error) {
	if d.failReads != nil {
		return node.Entry{}, d.failReads
	}
	return d.Memory.Entry(id)
}

func (d *disk) Coins(want []chain.OutPoint) (chain.Coins, error) {
	if d.failReads != nil {
		return nil, d.failReads
	}
	if d.written {
		return nil, d.coinsAfterCommit
	}
	return d.Memory.Coins(want)
}

func (d *disk) Body(id chain.Hash) (chain.CheckedBlock, error) {
	if d.failReads != nil {
		return chain.CheckedBlock{}, d.failReads
	}
	return d.Memory.Body(id)
}

// story is one node that lives through a drawn tree.
type story struct {
	*testing.T
	*graph
	disk  *disk
	n     *node.Node
	now   chain.Time
	given []chain.Hash // bodies, in the order in which they came
	best  chain.State  // after the step before
	out   node.Outcome // of the last step
	cfg   node.Config
	slack bool // do not demand the heaviest branch: bodies were refused

	recalled int // coins of the chain that the pool knew, in all checks
}

func tell(t *testing.T, p *chain.Params) *story {
	s := &story{T: t, graph: draw(p), disk: &disk{Memory: store.NewMemory(p)}}
	s.now = chain.Time(p.Genesis.Header.Time+1_000_000) * 1000
	s.cfg = node.Config{Params: p, Store: s.disk, Peer: "me", Agent: "story"}
	s.start()
	return s
}

// start starts the node on what the disk remembers.
func (s *story) start() {
	s.Helper()
	n, err := node.New(s.now, s.cfg)
	if err != nil {
		s.Fatal(err)
	}
	s.n = n
	s.best = n.Best()
	s.given = slices.DeleteFunc(s.given, func(id chain.Hash) bool { // what was only in memory is lost
		_, err := s.disk.Memory.Entry(id)
		return err != nil
	})
	s.check()
}

// done takes the outcome of a step, and checks every invariant.
func (s *story) done(out node.Outcome, err error) node.Outcome {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
	s.out = out
	s.check()
	s.best = s.n.Best()
	return out
}

// give hands over whole blocks, as a peer's answers.
func (s *story) give(names ...string) {
	s.Helper()
	for _, name := range names {
		s.given = append(s.given, s.blocks[name].ID())
		s.done(s.n.Block(s.now, "peer", s.blocks[name]))
	}
}

// giveTogether hands over whole blocks, as one answer of a peer.
func (s *story) giveTogether(names ...string) {
	s.Helper()
	var all []chain.CheckedBlock
	for _, name := range names {
		s.given = append(s.given, s.blocks[name].ID())
		all = append(all, s.blocks[name])
	}
	s.done(s.n.Block(s.now, "peer", all...))
}

// hear hands over an announcement; one without payments is a whole block.
func (s *story) hear(from node.Peer, name string) node.Outcome {
	s.Helper()
	if len(s.blocks[name].Txs()) == 0 {
		s.given = append(s.given, s.blocks[name].ID())
	}
	a := s.blocks[name].Announce()
	foreseen := s.n.Foresee(s.now, a.Announcement().Header)
	out := s.done(s.n.Announced(s.now, from, a))
	s.cameAs(foreseen, out)
	return out
}

// cameAs holds what was foreseen of an announcement against what came of it.
func (s *story) cameAs(foreseen error, out node.Outcome) {
	s.Helper()
	same := errors.Is(out.Why, foreseen) || chain.KindOf(foreseen) != "" && chain.KindOf(out.Why) == chain.KindOf(foreseen)
	if foreseen != nil && (out.Verdict == node.Accept || !same) {
		s.Errorf("foreseen: %v; verdict %d, %v", foreseen, out.Verdict, out.Why)
	}
	for _, why := range []error{node.ErrKnown, node.ErrOrphan, node.ErrFuture, node.ErrWeak, chain.BadParent.Err(), chain.BadBits.Err()} {
		if foreseen == nil && errors.Is(out.Why, why) {
			s.Errorf("not foreseen: %v", out.Why)
		}
	}
}

// meet connects a peer that follows the named tip.
func (s *story) meet(peer node.Peer, tip string) node.Outcome {
	s.Helper()
	return s.done(s.n.Hello(s.now, peer, s.helloOf(tip)))
}

func (s *story) helloOf(tip string) node.Hello {
	return node.Hello{Genesis: s.p.GenesisID(), Tip: s.claim("", tip, uint64(s.now)), Time: s.now}
}

func (s *story) claim(peer node.Peer, tip string, counter uint64) node.TipClaim {
	st := s.states[tip]
	h := s.p.Genesis.Header
	if tip != "0" {
		h = s.blocks[tip].Header()
	}
	return node.TipClaim{Peer: peer, Header: h, Height: st.Height, Work: st.Work, Counter: counter}
}

// tip checks where the node stands.
func (s *story) tip(want string) {
	s.Helper()
	if got := s.name(s.n.Best().ID); got != want {
		s.Fatalf("the tip is %s, want %s", got, want)
	}
}

// verdict checks what became of the last step's message.
func (s *story) verdict(want node.Verdict, why error) {
	s.Helper()
	if s.out.Verdict != want || why == nil != (s.out.Why == nil) || why != nil && !errors.Is(s.out.Why, why) {
		s.Fatalf("verdict %d because %v, want %d because %v", s.out.Verdict, s.out.Why, want, why)
	}
}

// reorg checks the last reorganisation.
func (s *story) reorg(undone, applied []string) node.Reorg {
	s.Helper()
	list, _ := s.n.Reorgs(0)
	if len(list) == 0 {
		s.Fatal("there was no reorganisation")
	}
	r := list[len(list)-1]
	if !slices.Equal(s.list(r.Undone), undone) || !slices.Equal(s.list(r.Applied), applied) {
		s.Fatalf("undone %v, applied %v, want %v, %v", s.list(r.Undone), s.list(r.Applied), undone, applied)
	}
	return r
}

// asked lists the block ids that the last step asked for, by peer.
func (s *story) asked(w node.Want) map[node.Peer][]string {
	m := map[node.Peer][]string{}
	for _, a := range s.out.Ask {
		if a.Request.Want == w {
			m[a.From] = append(m[a.From], s.list(a.Request.IDs)...)
		}
	}
	return m
}

// check tries every invariant.
func (s *story) check() {
	s.Helper()
	if err := s.n.Sound(); err != nil {
		s.Fatal(err)
	}
	tip, err := s.disk.Tip()
	if err != nil || tip.State != s.n.Best() {
		s.Fatalf("stored tip %+v, %v, the node's is %+v", tip.State, err, s.n.Best())
	}
	ledger, txs := s.replay()
	s.checkCoins(ledger)
	s.checkPool(ledger, txs)
	s.checkBest()
}

// replay connects the stored best chain from the genesis on.
func (s *story) replay() (*chaintest.Ledger, map[chain.Hash]bool) {
	s.Helper()
	l, txs := chaintest.Open(s.p), map[chain.Hash]bool{}
	for h := uint64(1); h <= s.n.Best().Height; h++ {
		id, err := s.disk.At(h)
		if err != nil {
			s.Fatal(err)
		}
		b, err := s.disk.Memory.Body(id)
		if err != nil {
			s.Fatal(err)
		}
		l.Connect(b)
		for _, tx := range b.Txs() {
			txs[tx.ID()] = true
		}
	}
	if l.State != s.n.Best() {
		s.Fatalf("replay ends at %+v, the tip is %+v", l.State, s.n.Best())
	}
	return l, txs
}

func (s *story) checkCoins(l *chaintest.Ledger) {
	s.Helper()
	var ops []chain.OutPoint
	var sum, want chain.Amount
	for op, c := range l.Coins {
		ops = append(ops, op)
		sum += c.Value
	}
	for _, c := range s.p.GenesisCoins().Created {
		want += c.Value
	}
	for h := uint64(1); h <= l.State.Height; h++ {
		want += s.p.Subsidy(h)
	}
	if sum != want {
		s.Fatalf("coins are worth %v, mined and granted were %v", sum, want)
	}
	got, err := s.disk.Memory.Coins(ops)
	if err != nil {
		s.Fatal(err)
	}
	for op, c := range l.Coins {
		if got[op] != c {
			s.Fatalf("coin %v is %v, replay says %v", op, got[op], c)
		}
	}
	if n, err := s.disk.CoinCount(); err != nil || n != len(l.Coins) {
		s.Fatalf("%d coins, %v, replay has %d", n, err, len(l.Coins))
	}
}

func (s *story) checkPool(l *chaintest.Ledger, confirmed map[chain.Hash]bool) {
	s.Helper()
	spent := map[chain.OutPoint]bool{}
	coins := chain.Coins{}
	for op, c := range l.Coins {
		coins[op] = c
	}
	for _, e := range s.n.Mempool().All() {
		id := e.Tx.ID()
		if confirmed[id] {
			s.Fatalf("%v is confirmed and waits", id)
		}
		for _, in := range e.Tx.Tx().Inputs {
			if _, ok := coins[in.Prev]; !ok || spent[in.Prev] {
				s.Fatalf("%v waits and spends %v, which is gone", id, in.Prev)
			}
			spent[in.Prev] = true
			if c, ok := s.n.Mempool().Recall(in.Prev); ok {
				if s.recalled++; c != l.Coins[in.Prev] {
					s.Fatalf("the pool recalls %v, replay says %v", c, l.Coins[in.Prev])
				}
			}
		}
		for i := range e.Tx.Tx().Outputs {
			c := e.Tx.Tx().Out(id, i, mempool.Height)
			coins[c.OutPoint] = c
		}
	}
}

// checkBest is fork choice by brute force: of the branches whose blocks were all
// given and break no rule, the heaviest; and no change without more work.
func (s *story) checkBest() {
	s.Helper()
	most := s.p.GenesisState().Work
	given := map[chain.Hash]bool{}
	for _, id := range s.given {
		given[id] = true
	}
	for _, id := range s.given {
		if s.connected(id, given) {
			if w := s.states[s.names[id]].Work; w.Cmp(most) > 0 {
				most = w
			}
		}
	}
	got := s.n.Best()
	if c := got.Work.Cmp(most); c > 0 || c < 0 && !s.slack {
		s.Fatalf("the tip %s weighs %v, the heaviest valid branch %v", s.name(got.ID), got.Work, most)
	}
	if got.ID != s.best.ID && got.Work.Cmp(s.best.Work) <= 0 {
		s.Fatalf("moved from %s to %s without more work", s.name(s.best.ID), s.name(got.ID))
	}
}

func (s *story) connected(id chain.Hash, given map[chain.Hash]bool) bool {
	for id != s.p.GenesisID() {
		if !given[id] || s.wrong[id] {
			return false
		}
		id = s.blocks[s.names[id]].Header().Prev
	}
	return true
}
