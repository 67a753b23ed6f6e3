package daemon_test

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/marcopolo/simnet"

	"cairn/chain"
	"cairn/node"
	"cairn/p2p"
)

// The forms in which a block of 2,000 payments can be announced, and how long they
// take through gossip, from anywhere in any of five worlds. Everybody is imagined to
// check at once, and to have whatever the form leaves out. It measures and proves
// nothing: CAIRN_VIRTUAL_NODES=100 asks for it.
func TestVirtualForms(t *testing.T) {
	if os.Getenv("CAIRN_VIRTUAL_NODES") == "" {
		t.Skip("CAIRN_VIRTUAL_NODES=100 asks for it")
	}
	const payments, worlds = 2000, 5
	for _, form := range []struct {
		name string
		each int // bytes of one payment
	}{{"ids of 3 bytes", 3}, {"ids of 6 bytes", 6}, {"full ids", 32}, {"whole payments", 224}} {
		t.Run(form.name, func(t *testing.T) {
			var all spreads
			for world := range uint64(worlds) {
				synctest.Test(t, func(t *testing.T) { all.measure(t, world, payments*form.each) })
			}
			all.tell(t)
		})
	}
}

// spreads is how long blocks took to be heard of.
type spreads struct {
	half, most           []time.Duration
	boundHalf, boundMost []time.Duration // the least that the shortest paths allow
	sent                 []int           // bytes that a node sent on average
}

// measure announces blocks of that size, one after the other as a chain does, each
// from another node of a world.
func (s *spreads) measure(t *testing.T, world uint64, size int) {
	v := newVirtual(t, chain.Regtest())
	v.r = rand.New(rand.NewPCG(world, 5))
	nodes, ears := v.ears()
	for i := range 3 {
		first := v.r.IntN(len(nodes))
		b := &chain.Brief{Coinbase: &chain.Coinbase{Height: uint64(i), Extra: make([]byte, 60)}, Width: 6, Short: make([]uint64, size/6)}
		start, before := time.Now(), sentOnBlocks(nodes)
		if err := nodes[first].PublishBlock(b); err != nil {
			t.Fatal(err)
		}
		took := []time.Duration{0}
		for k, e := range ears {
			if k != first {
				took = append(took, e.wait(t).Sub(start))
			}
		}
		slices.Sort(took)
		time.Sleep(15 * time.Second)
		half, most := bound(nodes, first, size)
		s.half, s.boundHalf = append(s.half, took[halfOf(len(took))-1]), append(s.boundHalf, half)
		s.most, s.boundMost = append(s.most, took[nearlyAllOf(len(took))-1]), append(s.boundMost, most)
		s.sent = append(s.sent, (sentOnBlocks(nodes)-before)/len(nodes))
	}
}

func (s *spreads) tell(t *testing.T) {
	for _, of := range []struct {
		what        string
		took, bound []time.Duration
	}{{"half", s.half, s.boundHalf}, {"99 %", s.most, s.boundMost}} {
		t.Logf("%s of the nodes in %v, at worst %v; the shortest paths take %v, at worst %v (medians of %d)",
			of.what, median(of.took), slices.Max(of.took), median(of.bound), slices.Max(of.bound), len(of.took))
	}
	t.Logf("a node sends %d bytes for a block", median(s.sent))
}

func sentOnBlocks(nodes []*p2p.Network) (sum int) {
	for _, n := range nodes {
		sum += int(n.ByTopic()["block"].Out)
	}
	return sum
}

func median[T cmp.Ordered](all []T) T {
	slices.Sort(all)
	return all[len(all)/2]
}

// ears starts networks without nodes, each of which dials some of the others.
func (v *virtual) ears() (nodes []*p2p.Network, ears []bystander) {
	v.Helper()
	for i := range virtualNodes(v.T) {
		cfg := config(v.T, v.p).Network
		cfg.Listen = []string{fmt.Sprintf("/ip4/%s/udp/8000/quic-v1", simnet.IntToPublicIPv4(i))}
		cfg.Genesis, cfg.MaxBlock = v.p.GenesisID(), 16*v.p.MaxBlock // so many names as make up for whole payments
		for _, other := range v.r.Perm(len(nodes))[:min(dials, len(nodes))] {
			cfg.Peers = append(cfg.Peers, nodes[other].Addrs()[0])
		}
		e := bystander{make(chan time.Time, 16)}
		n, err := v.open(v.Context(), cfg, e)
		if err != nil {
			v.Fatal(err)
		}
		v.Cleanup(n.Close)
		nodes, ears = append(nodes, n), append(ears, e)
	}
	time.Sleep(20 * time.Second) // connections, and the paths of gossip
	return nodes, ears
}

// bystander passes on whatever it hears, and tells when it heard of a block.
type bystander struct{ heard chan time.Time }

func (b bystander) GossipBlock(context.Context, node.Peer, *chain.Brief) node.Verdict {
	b.heard <- time.Now()
	return node.Accept
}

// wait returns when the next block was heard of.
func (b bystander) wait(t *testing.T) time.Time {
	t.Helper()
	select {
	case at := <-b.heard:
		return at
	case <-time.After(time.Minute):
		t.Fatal("a node hears nothing of the block")
		return time.Time{}
	}
}

func (bystander) GossipTx(context.Context, node.Peer, *chain.Tx) node.Verdict {
	return node.Accept
}

func (bystander) GossipTip(context.Context, node.Peer, node.TipClaim) node.Verdict {
	return node.Accept
}

func (bystander) Answer(context.Context, node.Peer, node.Request) (node.Answer, error) {
	return node.Answer{}, nil
}
func (bystander) Joined(node.Peer)  {}
func (bystander) Settled(node.Peer) {}
func (bystander) Left(node.Peer)    {}
func (bystander) Missed(node.Peer)  {}

// bound is the least time until half and nearly all of the nodes can hold so many
// bytes of one of them: whoever passes them on has them all, and nothing else fills
// its links.
func bound(nodes []*p2p.Network, origin, size int) (half, most time.Duration) {
	of := map[node.Peer]*p2p.Network{}
	for _, n := range nodes {
		of[n.ID()] = n
	}
	hop := linkDelay + time.Duration(size)*8*time.Second/linkRate
	first := nodes[origin].ID()
	far := map[node.Peer]time.Duration{first: 0}
	queue := []node.Peer{first} // nearest first
	for i := 0; i < len(queue); i++ {
		for _, next := range of[queue[i]].Peers() {
			if _, seen := far[next.Peer]; !seen {
				far[next.Peer] = far[queue[i]] + hop
				queue = append(queue, next.Peer)
			}
		}
	}
	return far[queue[halfOf(len(queue))-1]], far[queue[nearlyAllOf(len(queue))-1]]
}

// halfOf and nearlyAllOf are how many of n nodes count as half, and as 99 %.
func halfOf(n int) int { return n / 2 }

func nearlyAllOf(n int) int { return (n*99 + 99) / 100 }
