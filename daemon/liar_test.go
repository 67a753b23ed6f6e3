package daemon_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/daemon"
	"cairn/node"
	"cairn/p2p"
	"cairn/rpc"
)

// liar stands between a network and a node: it bends what the node hears and
// answers. Unset functions bend nothing.
type liar struct {
	p2p.Handler
	deafTx, deafTip bool // gossip that it does not hear

	mu     sync.Mutex
	answer func(ctx context.Context, q node.Request, a node.Answer) (node.Answer, error) // guarded by mu
	asked  map[node.Want]int                                                             // guarded by mu
}

func (l *liar) GossipTx(ctx context.Context, from node.Peer, tx *chain.Tx) node.Verdict {
	if l.deafTx {
		return node.Ignore
	}
	return l.Handler.GossipTx(ctx, from, tx)
}

func (l *liar) GossipTip(ctx context.Context, from node.Peer, c node.TipClaim) node.Verdict {
	if l.deafTip {
		return node.Ignore
	}
	return l.Handler.GossipTip(ctx, from, c)
}

func (l *liar) Answer(ctx context.Context, from node.Peer, q node.Request) (node.Answer, error) {
	a, err := l.Handler.Answer(ctx, from, q)
	l.mu.Lock()
	l.asked[q.Want]++
	bend := l.answer
	l.mu.Unlock()
	if err != nil || bend == nil {
		return a, err
	}
	return bend(ctx, q, a)
}

// bend bends answers from now on, and counts from here.
func (l *liar) bend(f func(ctx context.Context, q node.Request, a node.Answer) (node.Answer, error)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answer = f
	clear(l.asked)
}

func (l *liar) count(w node.Want) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.asked[w]
}

// between puts the liar into a node's network.
func (l *liar) between(cfg daemon.Config) daemon.Config {
	cfg.Open = p2p.New
	return l.amid(cfg)
}

// amid is between in whatever network the config opens.
func (l *liar) amid(cfg daemon.Config) daemon.Config {
	l.asked = map[node.Want]int{}
	open := cfg.Open
	cfg.Open = func(ctx context.Context, c p2p.Config, h p2p.Handler) (*p2p.Network, error) {
		l.Handler = h
		return open(ctx, c, l)
	}
	return cfg
}

// A lie spoils the answer to one request.
type lie struct {
	about  node.Want
	tell   func(ctx context.Context, q node.Request, a node.Answer) (node.Answer, error)
	blamed bool
}

func lies(p *chain.Params) map[string]lie {
	other := chaintest.Block(p, p.GenesisState(), chaintest.Plan{Name: "another", Pay: chaintest.Address(3)})
	return map[string]lie{
		"other blocks": {node.WantBodies, func(_ context.Context, _ node.Request, a node.Answer) (node.Answer, error) {
			a.Blocks[0] = other.Bytes()
			return a, nil
		}, true},
		"other transactions under the header": {node.WantBodies, func(_ context.Context, _ node.Request, a node.Answer) (node.Answer, error) {
			bent, err := chain.DecodeBlock(a.Blocks[0])
			if err == nil {
				bent.Coinbase.Memo = []byte("bent")
				a.Blocks[0] = bent.Bytes()
			}
			return a, err
		}, true},
		"a block that cannot be read": {node.WantBodies, func(_ context.Context, _ node.Request, a node.Answer) (node.Answer, error) {
			a.Blocks[0] = slices.Clone(a.Blocks[0])
			a.Blocks[0][chain.HeaderSize+1]++ // the coinbase's version
			return a, nil
		}, true},
		"the same block twice": {node.WantBodies, func(_ context.Context, q node.Request, a node.Answer) (node.Answer, error) {
			a.Blocks[len(a.Blocks)-1] = a.Blocks[0]
			return a, nil
		}, true},
		"headers without work": {node.WantHeaders, func(_ context.Context, _ node.Request, a node.Answer) (node.Answer, error) {
			limit, _ := chain.Bits(0x207fffff).Target()
			for limit.Met(a.Headers[0].ID()) {
				a.Headers[0].Nonce++
			}
			return a, nil
		}, true},
		"headers that are too early": {node.WantHeaders, func(_ context.Context, _ node.Request, a node.Answer) (node.Answer, error) {
			early := chaintest.Block(p, p.GenesisState(), chaintest.Plan{Name: "early"})
			early.Header.Time = p.GenesisState().Time - 1
			a.Headers = []chain.Header{chaintest.Seal(p, early).Header}
			return a, nil
		}, true},
		"no blocks": {node.WantBodies, func(context.Context, node.Request, node.Answer) (node.Answer, error) {
			return node.Answer{}, nil
		}, false},
		"only one block": {node.WantBodies, func(_ context.Context, _ node.Request, a node.Answer) (node.Answer, error) {
			a.Blocks = a.Blocks[:1]
			return a, nil
		}, false},
		"no headers": {node.WantHeaders, func(context.Context, node.Request, node.Answer) (node.Answer, error) {
			return node.Answer{}, nil
		}, false},
		"a refusal": {node.WantBodies, func(context.Context, node.Request, node.Answer) (node.Answer, error) {
			return node.Answer{}, errors.New("not today")
		}, false},
		"silence": {node.WantBodies, func(ctx context.Context, _ node.Request, _ node.Answer) (node.Answer, error) {
			<-ctx.Done()
			return node.Answer{}, ctx.Err()
		}, false},
		"more transactions than were asked for": {node.WantPoolTxs, func(_ context.Context, _ node.Request, a node.Answer) (node.Answer, error) {
			a.Txs[0] = pay(p, 5, 999, 6)
			return a, nil
		}, true},
		"a transaction that somebody forged": {node.WantPoolTxs, func(_ context.Context, _ node.Request, a node.Answer) (node.Answer, error) {
			bent := *a.Txs[0]
			bent.Memo = []byte("bent")
			a.Txs[0] = &bent
			return a, nil
		}, true},
	}
}

// A node knows one peer, who lies once asked, and then an honest one. It blames
// the liar for what no honest peer says, and for nothing else, and ends on the
// honest chain. Time is imagined: whoever brings nothing is asked later each time.
func TestLiars(t *testing.T) {
	p := chain.Regtest()
	for name, l := range lies(p) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { hearLies(newVirtual(t, p), l) })
		})
	}
}

func hearLies(v *virtual, l lie) {
	honest := v.join(nil)
	crook := &liar{}
	bent := v.join(crook.amid) // knows who is there: the honest one
	linked(v.T, 1, honest, bent)
	honest.submit(pay(v.p, 0, 1000, 1))
	until(v.T, "the liar has the payment", func() bool { return bent.Pool.Info().Count == 1 })
	honest.generate(40)
	honest.submit(pay(v.p, 1, 1000, 2))
	until(v.T, "the liar has the chain and a payment", func() bool { return sameTip(honest, bent)() && bent.Pool.Info().Count == 1 })
	crook.bend(l.only())

	victim := v.join(func(cfg daemon.Config) daemon.Config {
		cfg.Network.Peers = []string{bent.addr()}
		return cfg
	})
	until(v.T, "the liar lied", func() bool { return crook.count(l.about) > 0 })
	if err := victim.Daemon.Network().Connect(v.Context(), honest.addr()); err != nil {
		v.Fatal(err)
	}
	until(v.T, "the victim has the honest chain", sameTip(honest, victim))
	until(v.T, "and the honest pool", func() bool { return victim.Pool.Info().Count == 1 })
	if l.blamed {
		until(v.T, "the liar is blamed", func() bool { return victim.faults.Load() > 0 })
	} else if n := victim.faults.Load(); n > 0 {
		v.Errorf("the liar was blamed %d times", n)
	}
	if victim.Err() != nil {
		v.Errorf("the victim stopped: %v", victim.Err())
	}
}

func TestLiarIsBanned(t *testing.T) {
	p := chain.Regtest()
	crook := &liar{}
	bent := begin(t, crook.between(config(t, p)))
	bent.generate(200)
	crook.bend(lies(p)["other blocks"].only())
	victim := start(t, p)
	if err := bent.Daemon.Network().Connect(t.Context(), victim.addr()); err != nil {
		t.Fatal(err)
	}
	until(t, "the liar is blamed often enough", func() bool { return victim.faults.Load() >= 5 })
	until(t, "and cut off", func() bool { return len(victim.peers()) == 0 })
	list := victim.Bans.List()
	if len(list) != 1 || list[0].Address != p2p.Name(bent.self) || list[0].Reason == "" {
		t.Fatalf("bans: %+v", list)
	}
	for whom, code := range map[string]rpc.Code{list[0].Address: rpc.AlreadyAdded, "nobody": rpc.InvalidSubnet} {
		if err := victim.Bans.Ban(whom, time.Now().Add(time.Hour)); !errors.Is(err, code.Err()) {
			t.Errorf("ban %s: %v", whom, err)
		}
	}
	if err := victim.Bans.Lift("192.0.2.1"); !errors.Is(err, rpc.InvalidSubnet.Err()) {
		t.Errorf("lifted what nobody said: %v", err)
	}
	crook.bend(nil)
	if err := victim.Bans.Lift(list[0].Address); err != nil {
		t.Fatal(err)
	}
	until(t, "forgiven, it is a peer again", func() bool { return len(victim.peers()) == 1 })
}

func (l lie) only() func(ctx context.Context, q node.Request, a node.Answer) (node.Answer, error) {
	return func(ctx context.Context, q node.Request, a node.Answer) (node.Answer, error) {
		if q.Want != l.about || len(a.Blocks)+len(a.Headers)+len(a.Txs) == 0 {
			return a, nil
		}
		return l.tell(ctx, q, a)
	}
}

// A hello that fails is said again.
func TestHelloIsRepeated(t *testing.T) {
	p := chain.Regtest()
	crook := &liar{}
	a := begin(t, crook.between(config(t, p)))
	a.generate(3)
	crook.bend(func(_ context.Context, q node.Request, answer node.Answer) (node.Answer, error) {
		if q.Want == node.WantHello && crook.count(node.WantHello) == 1 {
			return node.Answer{}, errors.New("too early in the morning")
		}
		return answer, nil
	})
	b := start(t, p, a)
	until(t, "b has a's chain", sameTip(a, b))
	if crook.count(node.WantHello) < 2 {
		t.Error("one hello sufficed: the test proves nothing")
	}
}

// lateEar hears no gossip, and of nobody that he settled, until that is released.
type lateEar struct {
	p2p.Handler
	settled chan node.Peer
}

func (lateEar) GossipTx(context.Context, node.Peer, *chain.Tx) node.Verdict { return node.Ignore }

func (lateEar) GossipBlock(context.Context, node.Peer, *chain.Brief) node.Verdict {
	return node.Ignore
}

func (lateEar) GossipTip(context.Context, node.Peer, node.TipClaim) node.Verdict {
	return node.Ignore
}

func (l lateEar) Settled(p node.Peer) { l.settled <- p }

// A newcomer catches up before gossip finds its way to it, and hears then what was new
// in between.
func TestGossipIsNotWaitedForAndNothingOfItMissed(t *testing.T) {
	p := chain.Regtest()
	a := start(t, p)
	a.generate(3)
	l := lateEar{settled: make(chan node.Peer, 1)}
	cfg := config(t, p, a)
	cfg.Open = func(ctx context.Context, c p2p.Config, h p2p.Handler) (*p2p.Network, error) {
		l.Handler = h
		return p2p.New(ctx, c, l)
	}
	b := begin(t, cfg)
	until(t, "b has a's chain", sameTip(a, b))
	if b.Gossiping() != 0 {
		t.Error("gossip was waited for: the test proves nothing")
	}
	a.generate(1)
	l.Handler.Settled(<-l.settled)
	until(t, "b has a's block", sameTip(a, b))
}

// The announcement of a block reaches a node whose pool lacks a transaction of
// it. The node asks for what is missing, and not for the block.
func TestAnnouncedBlockIsFilledByStream(t *testing.T) {
	p := chain.Regtest()
	miser := &liar{}
	a := begin(t, miser.between(config(t, p)))
	miser.bend(func(_ context.Context, q node.Request, answer node.Answer) (node.Answer, error) {
		if q.Want == node.WantPool {
			answer.IDs = nil
		}
		return answer, nil
	})
	deaf := &liar{deafTx: true, deafTip: true}
	b := begin(t, deaf.between(config(t, p, a)))
	linked(t, 1, a, b)
	until(t, "both said hello", func() bool { return miser.count(node.WantPool) > 0 && deaf.count(node.WantPool) > 0 })
	both := []*chain.Tx{pay(p, 0, 1000, 1), pay(p, 1, 1000, 2)}
	a.submit(both[0])
	b.submit(both[0])
	a.submit(both[1])
	a.generate(1)
	until(t, "b follows", func() bool { return b.tip().Height == 1 && sameTip(a, b)() })
	for want, times := range map[node.Want]int{node.WantAnnouncement: 0, node.WantTxs: 1, node.WantBodies: 0} {
		if n := miser.count(want); n != times {
			t.Errorf("b made request %d %d times, %d expected", want, n, times)
		}
	}
}

// A miner seals a block whose payment carries a bad signature, and announces it.
// The block is condemned. Who announced it, and who served it, said nothing but
// what its root vouches for.
func TestBodyBrokenUnderItsRootIsCondemnedAndNobodyBlamed(t *testing.T) {
	p := chain.Regtest()
	forged := pay(p, 0, 1000, 1)
	forged.Inputs[0].Sig[3] ^= 1
	bad := chaintest.Block(p, p.GenesisState(), chaintest.Plan{Name: "bad", Pay: chaintest.Address(1), Txs: []*chain.Tx{forged}})
	crook := &liar{}
	a := begin(t, crook.between(config(t, p)))
	crook.bend(func(_ context.Context, q node.Request, answer node.Answer) (node.Answer, error) {
		switch {
		case q.Want == node.WantTxs && q.IDs[0] == bad.ID():
			answer.Txs = []*chain.Tx{forged}
		case q.Want == node.WantAnnouncement && q.IDs[0] == bad.ID():
			answer.Announcement = bad.Announce()
		}
		return answer, nil
	})
	b := start(t, p, a)
	linked(t, 1, a, b)
	if err := a.Daemon.Network().PublishBlock(bad.Announce().Brief(1)); err != nil {
		t.Fatal(err)
	}
	until(t, "b condemns the block", func() bool { return status(b, bad.ID()) == node.Condemned })
	a.generate(1)
	until(t, "b follows the good block", func() bool { return b.tip().Height == 1 && sameTip(a, b)() })
	if n := b.faults.Load(); n != 0 {
		t.Errorf("b blamed %d times", n)
	}
}

// status is what a node makes of a block; Headed if it does not know it.
func status(n *player, id chain.Hash) node.Status {
	s, err := n.Open()
	if err != nil {
		n.t.Fatal(err)
	}
	defer s.Close()
	tips, err := s.Tips()
	if err != nil {
		n.t.Fatal(err)
	}
	for _, tip := range tips {
		if tip.State.ID == id {
			return tip.Status
		}
	}
	return node.Headed
}
