package daemon_test

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/x/simlibp2p"
	"github.com/marcopolo/simnet"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/daemon"
	"cairn/p2p"
)

// A virtual world is whole nodes (network, loop, node, a store in memory) on
// imagined links, in imagined time: nothing but mining is left out.
type virtual struct {
	*testing.T
	p     *chain.Params
	r     *rand.Rand
	net   *simnet.Simnet
	nodes []*player
	names int // nodes ever started
}

const (
	linkDelay = 50 * time.Millisecond // one way
	linkRate  = 20 * simlibp2p.OneMbps
	dials     = 4 // nodes that each node dials
)

// virtualNodes is 20, or CAIRN_VIRTUAL_NODES.
func virtualNodes(t *testing.T) int {
	s := cmp.Or(os.Getenv("CAIRN_VIRTUAL_NODES"), "20")
	n, err := strconv.Atoi(s)
	if err != nil || n < 8 {
		t.Fatalf("CAIRN_VIRTUAL_NODES=%q is no number of nodes from 8 on", s)
	}
	return n
}

func newVirtual(t *testing.T, p *chain.Params) *virtual {
	v := &virtual{
		T: t, p: p, r: rand.New(rand.NewPCG(1, 5)),
		net: &simnet.Simnet{LatencyFunc: simnet.StaticLatency(linkDelay), Logger: slog.New(slog.DiscardHandler)},
	}
	v.net.Start()
	t.Cleanup(v.close)
	return v
}

func (v *virtual) close() {
	for _, n := range v.nodes {
		n.Close()
	}
	v.net.Close()
}

// join starts a node that dials some of those that are there.
func (v *virtual) join(between func(daemon.Config) daemon.Config) *player {
	v.Helper()
	cfg := config(v.T, v.p)
	cfg.Network.Listen = []string{fmt.Sprintf("/ip4/%s/udp/8000/quic-v1", simnet.IntToPublicIPv4(v.names))}
	v.names++
	for _, i := range v.r.Perm(len(v.nodes))[:min(dials, len(v.nodes))] {
		cfg.Network.Peers = append(cfg.Network.Peers, v.nodes[i].addr())
	}
	cfg.Open, cfg.Clock = v.open, v.clock
	if between != nil {
		cfg = between(cfg)
	}
	p := begin(v.T, cfg)
	v.nodes = append(v.nodes, p)
	return p
}

// clock is the imagined time, which begins in the year 2000, moved behind the
// genesis.
func (v *virtual) clock() time.Time {
	return time.Now().AddDate(int(v.p.Genesis.Header.Time/(365*24*3600))-29, 0, 0)
}

// open makes a host on links of its own.
func (v *virtual) open(ctx context.Context, c p2p.Config, h p2p.Handler) (*p2p.Network, error) {
	link := simnet.LinkSettings{BitsPerSecond: linkRate}
	host, err := libp2p.New(
		libp2p.Identity(c.Key), libp2p.NoListenAddrs,
		simlibp2p.QUICSimnet(v.net, simnet.NodeBiDiLinkSettings{Downlink: link, Uplink: link}),
		libp2p.DisableIdentifyAddressDiscovery(), libp2p.DisableRelay(), libp2p.DisableMetrics(),
		libp2p.ResourceManager(&network.NullResourceManager{}),
	)
	if err != nil {
		return nil, err
	}
	return p2p.NewOn(ctx, c, host, h)
}

// within lets time pass until the condition holds, and tells how much that was.
func (v *virtual) within(most time.Duration, what string, holds func() bool) time.Duration {
	v.Helper()
	start := time.Now()
	for !holds() {
		if time.Since(start) > most {
			for i, n := range v.nodes {
				v.Logf("node %d: height %d, %d peers, %d payments", i, n.tip().Height, len(n.peers()), n.Pool.Info().Count)
			}
			v.Fatalf("not within %v: %s", most, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
	return time.Since(start)
}

func all(nodes []*player, holds func(*player) bool) func() bool {
	return func() bool {
		return !slices.ContainsFunc(nodes, func(p *player) bool { return !holds(p) })
	}
}

// meet waits until everybody has peers, and gossip its paths.
func (v *virtual) meet() {
	v.Helper()
	v.within(time.Minute, "everybody has peers", all(v.nodes, func(p *player) bool { return p.Gossiping() >= 2 }))
	time.Sleep(5 * time.Second)
}

// spread mines a block at one node, and tells when half and nearly all of the
// nodes have connected it.
func (v *virtual) spread(at *player) (half, most time.Duration) {
	v.Helper()
	return v.reach(at.generate(1)[0])
}

// reach waits for half, and for nearly all of the nodes to follow a block.
func (v *virtual) reach(id chain.Hash) (half, most time.Duration) {
	v.Helper()
	count := func() (n int) {
		for _, p := range v.nodes {
			if p.tip().ID == id {
				n++
			}
		}
		return n
	}
	half = v.within(time.Minute, "half of them have the block", func() bool { return count() >= halfOf(len(v.nodes)) })
	rest := v.within(time.Minute, "nearly all of them have the block", func() bool { return count() >= nearlyAllOf(len(v.nodes)) })
	return half, half + rest
}

// part keeps the nodes before i from those behind, or lets them meet again.
func (v *virtual) part(i int, apart bool) {
	for _, a := range v.nodes[:i] {
		for _, b := range v.nodes[i:] {
			for _, pair := range [][2]*player{{a, b}, {b, a}} {
				if apart {
					pair[0].Daemon.Network().Block(pair[1].self)
				} else {
					pair[0].Daemon.Network().Unblock(pair[1].self)
				}
			}
		}
	}
}

// Blocks and payments reach everybody, a network that was parted agrees when it is
// healed, and so it does with a fifth of liars and while nodes come and go.
func TestVirtualNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVirtual(t, chain.Regtest())
		for n := virtualNodes(t); len(v.nodes) < n; {
			v.join(nil)
		}
		v.meet()
		v.payAndSpread()
		v.partAndHeal()
		v.comeAndGo()
		v.lie()
	})
}

func (v *virtual) payAndSpread() {
	first := v.nodes[0]
	for i := range 8 {
		v.nodes[i].submit(pay(v.p, i, 1000, i+1))
	}
	took := v.within(time.Minute, "everybody has heard the payments", all(v.nodes, func(p *player) bool { return p.Pool.Info().Count == 8 }))
	half, most := v.spread(first)
	v.Logf("8 payments reach everybody in %v, their block half of the nodes in %v and 99 %% in %v", took, half, most)
	if most > 60*linkDelay { // gossip that fails makes up for it once a second
		v.Errorf("a block takes %v over links of %v", most, linkDelay)
	}
	v.within(time.Minute, "no payment waits", all(v.nodes, func(p *player) bool { return p.Pool.Info().Count == 0 }))
}

func (v *virtual) partAndHeal() {
	border := len(v.nodes) / 3
	few, many := v.nodes[:border], v.nodes[border:]
	v.part(border, true)
	time.Sleep(5 * time.Second)
	few[0].generate(2)
	many[0].generate(5)
	v.within(time.Minute, "each side agrees", func() bool { return sameTip(few...)() && sameTip(many...)() })
	if few[0].tip().ID == many[0].tip().ID {
		v.Fatal("a block crossed the border: the test proves nothing")
	}
	heavier := many[0].tip()
	v.part(border, false)
	took := v.within(5*time.Minute, "all agree after the heal", all(v.nodes, func(p *player) bool { return p.tip() == heavier }))
	v.Logf("%v after the heal all agree", took)
}

// comeAndGo replaces every fifth node by a new one, while blocks are found.
func (v *virtual) comeAndGo() {
	for range len(v.nodes) / 5 {
		i := v.r.IntN(len(v.nodes))
		v.nodes[i].Close()
		v.nodes = slices.Delete(v.nodes, i, i+1)
		v.join(nil)
		v.nodes[v.r.IntN(len(v.nodes))].generate(1)
	}
	high := func() (h uint64) {
		for _, p := range v.nodes {
			h = max(h, p.tip().Height)
		}
		return h
	}
	took := v.within(5*time.Minute, "all are equally high while nodes come and go", all(v.nodes, func(p *player) bool { return p.tip().Height == high() }))
	v.nodes[0].generate(1) // two blocks may have tied
	took += v.within(time.Minute, "all agree", sameTip(v.nodes...))
	v.Logf("%v after the last came all agree", took)
}

// lie adds a liar for every four nodes, whose answers lead nowhere, and one
// newcomer.
func (v *virtual) lie() {
	honest := slices.Clone(v.nodes)
	kinds := []string{"other blocks", "other transactions under the header", "no headers", "silence", "a refusal"}
	for i := range len(honest) / 4 {
		crook := &liar{}
		v.join(func(cfg daemon.Config) daemon.Config {
			cfg = crook.amid(cfg)
			crook.bend(lies(v.p)[kinds[i%len(kinds)]].only())
			return cfg
		})
	}
	honest = append(honest, v.join(nil))
	v.nodes[0].generate(3)
	took := v.within(10*time.Minute, "the honest agree among liars", sameTip(honest...))
	v.Logf("among liars the honest agree in %v", took)
}

// The announcement of a block of 2,000 payments, when everybody has heard them and
// when nobody has. It takes minutes: CAIRN_VIRTUAL_NODES=100 asks for it.
func TestVirtualAnnouncement(t *testing.T) {
	if os.Getenv("CAIRN_VIRTUAL_NODES") == "" {
		t.Skip("CAIRN_VIRTUAL_NODES=100 asks for it")
	}
	synctest.Test(t, func(t *testing.T) {
		v := newVirtual(t, chain.Regtest())
		for n := virtualNodes(t); len(v.nodes) < n; {
			v.join(nil)
		}
		v.meet()
		warm, cold := v.payments(2000)
		for _, tx := range warm {
			v.nodes[0].submit(tx)
		}
		took := v.within(time.Hour, "everybody has heard the payments", all(v.nodes, func(p *player) bool { return p.Pool.Info().Count == len(warm) }))
		v.Logf("%d payments reach %d nodes in %v", len(warm), len(v.nodes), took)
		v.announce("warm", warm)
		v.announce("cold", cold)
	})
}

// announce spreads a block, and tells how that compares with the shortest paths:
// of its brief, and of all of it, which nodes with cold pools need as well.
func (v *virtual) announce(pools string, txs []*chain.Tx) {
	v.Helper()
	time.Sleep(20 * time.Second) // whatever was said before has gone out
	b := chaintest.Block(v.p, v.nodes[0].tip(), chaintest.Plan{Gap: -1, Pay: chaintest.Address(0), Txs: txs})
	size := len(b.Announce().Brief(2 * len(b.Txs)).Bytes())
	whole := size
	if err := v.nodes[0].Backend.Work.Submit(v.Context(), b); err != nil {
		v.Fatal(err)
	}
	half, most := v.reach(b.ID())
	for _, tx := range b.Txs {
		whole += tx.Size()
	}
	var nodes []*p2p.Network
	for _, n := range v.nodes {
		nodes = append(nodes, n.Daemon.Network())
	}
	v.Logf("pools %s: half of the nodes in %v, 99 %% in %v; one way takes %v", pools, half, most, linkDelay)
	for _, bytes := range []int{size, whole} {
		half, most := bound(nodes, 0, bytes)
		v.Logf("pools %s: %d bytes need %v and %v on the shortest paths", pools, bytes, half, most)
	}
}

// payments are two times n, none of which spends another's coin.
func (v *virtual) payments(n int) (warm, cold []*chain.Tx) {
	v.Helper()
	each := 2 * n / 10
	var fan, all []*chain.Tx
	for i, c := range v.p.GenesisCoins().Created {
		var outs []chain.Output
		for range each {
			outs = append(outs, chain.Output{Value: c.Value / chain.Amount(each+1), To: chaintest.Address(i)})
		}
		tx := chaintest.Pay(v.p, c, chaintest.Key(i), c.Value/1000, outs...)
		fan = append(fan, tx)
		for _, coin := range chaintest.Outs(tx, 1)[:each] {
			all = append(all, chaintest.Pay(v.p, coin, chaintest.Key(i), 1000, chain.Output{Value: coin.Value / 2, To: chaintest.Address(i)}))
		}
	}
	b := chaintest.Block(v.p, v.nodes[0].tip(), chaintest.Plan{Gap: -1, Pay: chaintest.Address(0), Txs: fan})
	if err := v.nodes[0].Backend.Work.Submit(v.Context(), b); err != nil {
		v.Fatal(err)
	}
	v.within(time.Hour, "everybody has the coins", sameTip(v.nodes...))
	return all[:n], all[n:]
}
