package daemon_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/node"
)

// A node hears the brief of a block whose payment it does not hold, from a peer
// whose answers vary.
func TestBriefsThatThePoolDoesNotExpand(t *testing.T) {
	p := chain.Regtest()
	secret := chaintest.Block(p, p.GenesisState(), chaintest.Plan{Pay: chaintest.Address(1), Txs: []*chain.Tx{pay(p, 0, 1000, 1)}})
	other := chaintest.Block(p, p.GenesisState(), chaintest.Plan{Name: "another", Pay: chaintest.Address(3), Txs: []*chain.Tx{pay(p, 1, 1000, 1)}})
	forged := secret.Announce().Brief(1)
	forged.Short[0] ^= 1
	bent := secret.Announce()
	bent.IDs = []chain.Hash{other.Announce().IDs[0]}
	for name, c := range map[string]struct {
		brief   *chain.Brief
		answer  *chain.Announcement // nil: none
		fault   error
		verdict node.Verdict
		follows bool // the whole block is fetched
	}{
		"true":                              {secret.Announce().Brief(1), secret.Announce(), nil, node.Accept, true},
		"no answer":                         {secret.Announce().Brief(1), nil, nil, node.Ignore, true},
		"a refusal":                         {secret.Announce().Brief(1), nil, errors.New("not today"), node.Ignore, true},
		"another block":                     {secret.Announce().Brief(1), other.Announce(), nil, node.Reject, false},
		"a brief of nothing":                {forged, secret.Announce(), nil, node.Reject, false},
		"ids that do not match the root":    {bent.Brief(1), bent, nil, node.Reject, false},
		"a brief of other ids, a true list": {bent.Brief(1), secret.Announce(), nil, node.Reject, false},
	} {
		t.Run(name, func(t *testing.T) {
			sender := &liar{}
			a := begin(t, sender.between(config(t, p)))
			sender.bend(func(_ context.Context, q node.Request, answer node.Answer) (node.Answer, error) {
				switch q.Want {
				case node.WantAnnouncement:
					return node.Answer{Announcement: c.answer}, c.fault
				case node.WantBodies:
					answer.Blocks = []chain.RawBlock{secret.Bytes()}
				case node.WantTxs:
					if sender.count(node.WantAnnouncement) > 0 {
						answer.Txs = secret.Txs
					}
				}
				return answer, nil
			})
			b := start(t, p, a)
			linked(t, 1, a, b)
			if v := b.GossipBlock(t.Context(), a.self, c.brief); v != c.verdict {
				t.Errorf("verdict %v, want %v", v, c.verdict)
			}
			if sender.count(node.WantAnnouncement) != 1 {
				t.Error("b did not ask once")
			}
			if c.follows {
				until(t, "b has the block", func() bool { return b.tip().ID == secret.ID() })
			}
		})
	}
}

// No peer is asked for a block that is here, and none without work.
func TestBriefsThatCostNoQuestion(t *testing.T) {
	p := chain.Regtest()
	sender := &liar{}
	a := begin(t, sender.between(config(t, p)))
	b := start(t, p, a)
	linked(t, 1, a, b)
	a.submit(pay(p, 0, 1000, 1))
	until(t, "both have the payment", func() bool { return b.Pool.Info().Count == 1 })
	a.generate(1)
	until(t, "b follows", sameTip(a, b))
	block := chaintest.Block(p, p.GenesisState(), chaintest.Plan{Name: "idle", Txs: []*chain.Tx{pay(p, 2, 1000, 1)}})
	limit, _ := p.Genesis.Header.Bits.Target()
	for limit.Met(block.ID()) {
		block.Header.Nonce++
	}
	if v := b.GossipBlock(t.Context(), a.self, block.Announce().Brief(1)); v != node.Reject {
		t.Errorf("a block without work: verdict %v", v)
	}
	if n := sender.count(node.WantAnnouncement); n != 0 {
		t.Errorf("asked %d times", n)
	}
}

// Briefs of one true header whose names stand for nothing cost their sender what he has,
// and nobody else: then they are neither read nor asked about, and nobody is blamed.
// A header that breaks a rule where it stands, and one whose announcement is here, cost
// no question at all.
func TestBriefsInVainAreBorne(t *testing.T) {
	p := chain.Regtest()
	crook, honest := &liar{}, &liar{}
	a := begin(t, crook.between(config(t, p)))
	c := begin(t, honest.between(config(t, p)))
	block := chaintest.Block(p, p.GenesisState(), chaintest.Plan{Pay: chaintest.Address(1), Txs: []*chain.Tx{pay(p, 0, 1000, 1)}})
	crook.bend(silentOn(node.WantAnnouncement, node.WantBodies, node.WantTxs))
	honest.bend(func(_ context.Context, q node.Request, answer node.Answer) (node.Answer, error) {
		if q.Want == node.WantAnnouncement {
			answer.Announcement = block.Announce()
		}
		return answer, nil
	})
	b := start(t, p, a, c)
	linked(t, 2, b)
	forged := block.Announce().Brief(1)
	forged.Width, forged.Short = 6, make([]uint64, 5000)
	const sent = 200
	for i := range sent {
		for j := range forged.Short {
			forged.Short[j] = uint64(i*len(forged.Short) + j)
		}
		if v := b.GossipBlock(t.Context(), a.self, forged); v != node.Ignore {
			t.Fatalf("brief %d of nothing: verdict %v", i, v)
		}
	}
	if n := crook.count(node.WantAnnouncement); n == 0 || n > sent/2 {
		t.Errorf("asked about %d of %d briefs of nothing", n, sent)
	}
	if n := b.faults.Load(); n != 0 {
		t.Errorf("blamed %d times", n)
	}
	bent := bend(p, block)
	if v := b.GossipBlock(t.Context(), c.self, bent.Announce().Brief(1)); v != node.Reject || honest.count(node.WantAnnouncement) != 0 {
		t.Errorf("a brief of other bits: verdict %v, asked %d times", v, honest.count(node.WantAnnouncement))
	}
	if v := b.GossipBlock(t.Context(), c.self, block.Announce().Brief(1)); v != node.Accept {
		t.Errorf("the true brief, from another: verdict %v", v)
	}
	wider := block.Announce().Brief(1 << 40)
	if v := b.GossipBlock(t.Context(), c.self, wider); v != node.Ignore || honest.count(node.WantAnnouncement) != 1 {
		t.Errorf("its second brief: verdict %v, asked %d times", v, honest.count(node.WantAnnouncement))
	}
}

// silentOn answers some questions with nothing.
func silentOn(wants ...node.Want) func(context.Context, node.Request, node.Answer) (node.Answer, error) {
	return func(_ context.Context, q node.Request, a node.Answer) (node.Answer, error) {
		if slices.Contains(wants, q.Want) {
			return node.Answer{}, errors.New("not today")
		}
		return a, nil
	}
}

// bend is a block with work for bits that the rules do not ask for.
func bend(p *chain.Params, of *chain.Block) *chain.Block {
	bent := *of
	bent.Header.Bits--
	for chain.CheckHeader(p, bent.Header) != nil {
		bent.Header.Nonce++
	}
	return &bent
}

// Somebody claims blocks that nobody has, under three hundred names: few of those claims
// wait for a brief, so that others' are heard.
func TestClaimsOfNothingHoldFewPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVirtual(t, chain.Regtest())
		crook, b, honest := v.join(nil), v.join(nil), v.join(nil)
		v.meet()
		var waiting atomic.Int32
		claim := func(from *player, i int) {
			h := chain.Header{Version: 1, Nonce: uint32(i)}
			waiting.Add(1)
			go func() {
				b.GossipTip(t.Context(), from.self, node.TipClaim{Peer: node.Peer(fmt.Sprint("name ", i)), Header: h, Counter: 1})
				waiting.Add(-1)
			}()
		}
		for i := range 300 {
			claim(crook, i)
		}
		synctest.Wait() // until nothing moves: time has not passed
		held := waiting.Load()
		if held == 0 || held > 16 {
			t.Errorf("%d claims of one peer wait", held)
		}
		claim(honest, 300)
		synctest.Wait()
		if n := waiting.Load(); n != held+1 {
			t.Errorf("another's claim does not wait: %d do, %d before", n, held)
		}
		v.within(time.Minute, "all are judged", func() bool { return waiting.Load() == 0 })
	})
}
