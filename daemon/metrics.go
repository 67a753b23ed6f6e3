package daemon

import (
	"errors"
	"math/big"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	dto "github.com/prometheus/client_model/go"

	"cairn/chain"
	"cairn/node"
	"cairn/rpc"
	"cairn/store"
)

// meter counts what happens. What is, is asked for when somebody looks (gauges).
type meter struct {
	registry  *prometheus.Registry // of this node alone: a process may run many
	verdicts  *prometheus.CounterVec
	checks    *prometheus.HistogramVec
	commits   prometheus.Histogram
	travel    prometheus.Histogram
	interval  prometheus.Histogram
	agreement *prometheus.HistogramVec
	reorgs    prometheus.Histogram
	pool      *prometheus.CounterVec
	last      rpc.BlockEvent // the block that came last; owned by proclaim
}

var (
	brief = prometheus.ExponentialBuckets(0.0001, 2, 16) // 0.1 ms to 3.3 s
	long  = prometheus.ExponentialBuckets(0.01, 2, 16)   // 10 ms to 5.5 minutes
)

func newMeter() *meter {
	m := &meter{
		registry: prometheus.NewRegistry(),
		verdicts: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "cairn_verdicts_total", Help: "Gossip judged: accepted, ignored (nobody's fault) or rejected (the sender's)."}, []string{"what", "verdict", "reason"}),
		checks:   histogram("cairn_validation_seconds", "Checks that need no context: signatures, sizes, proof of work.", brief, "what"),
		commits:  histogram("cairn_commit_seconds", "Writing steps of the best chain to disk, until they are durable.", brief).WithLabelValues().(prometheus.Histogram),
		travel:   histogram("cairn_block_propagation_seconds", "From the time in a block's header, which is whole seconds, until it was heard of by gossip.", long).WithLabelValues().(prometheus.Histogram),
		interval: histogram("cairn_block_interval_seconds", "Between the times in the headers of a block of the best chain and of its parent.", long).WithLabelValues().(prometheus.Histogram),
		agreement: histogram("cairn_agreement_seconds", "From hearing of a block until all counted nodes, or more than half of them, hold it.",
			long, "who"),
		reorgs: histogram("cairn_reorganisation_depth_blocks", "Blocks undone by each reorganisation.", []float64{1, 2, 3, 4, 6, 10, 20, 50, 100, 288}).WithLabelValues().(prometheus.Histogram),
		pool:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "cairn_mempool_changes_total", Help: "Transactions that came into the pool or left it."}, []string{"reason"}),
	}
	m.registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		m.verdicts, m.checks, m.commits, m.travel, m.interval, m.agreement, m.reorgs, m.pool,
	)
	for _, who := range []string{"all", "quorum"} {
		m.agreement.WithLabelValues(who)
	}
	return m
}

func histogram(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
}

// Metrics is what this node counts, for Prometheus.
func (d *Daemon) Metrics() prometheus.Gatherer {
	return prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		families, err := d.meter.registry.Gather()
		for _, f := range families {
			if name, odd := odd[f.GetName()]; odd {
				f.Name = &name
			}
		}
		return families, err
	})
}

// odd are names of libp2p's that break Prometheus' rules for names, and what they
// should be.
var odd = map[string]string{
	"libp2p_eventbus_subscriber_event_queued": "libp2p_eventbus_subscriber_event_queued_total",
	"libp2p_eventbus_subscribers_total":       "libp2p_eventbus_subscribers",
	"libp2p_identify_addrs_count":             "libp2p_identify_addrs",
	"libp2p_identify_protocols_count":         "libp2p_identify_protocols",
}

// tell counts what watchers are told.
func (m *meter) tell(events []rpc.Event) {
	for _, e := range events {
		switch v := e.Value.(type) {
		case rpc.ReorgEvent:
			m.reorgs.Observe(float64(v.Depth))
		case rpc.TxEvent:
			m.pool.WithLabelValues(v.Reason).Inc()
		case rpc.BlockEvent:
			if e.Name != rpc.EventConnected {
				continue
			}
			if v.Prev == m.last.ID && v.Height > 1 { // the genesis may be years old
				m.interval.Observe(float64(v.Time - m.last.Time))
			}
			m.last = v
		}
	}
}

// agreed hears how long the nodes took for a block, in milliseconds.
func (m *meter) agreed(quorum bool, after chain.Time) {
	m.agreement.WithLabelValues(map[bool]string{true: "quorum", false: "all"}[quorum]).Observe(float64(after) / 1000)
}

// check measures a check.
func (m *meter) check(what string, since time.Time) {
	m.checks.WithLabelValues(what).Observe(time.Since(since).Seconds())
}

func (m *meter) judged(what string, out node.Outcome) {
	m.verdicts.WithLabelValues(what, verdictNames[out.Verdict], reasonOf(out.Why)).Inc()
}

var verdictNames = map[node.Verdict]string{node.Accept: "accept", node.Ignore: "ignore", node.Reject: "reject"}

var reasonNames = map[error]string{
	node.ErrKnown: "known", node.ErrOrphan: "orphan", node.ErrFuture: "future", node.ErrFull: "full",
	node.ErrWeak: "weak", node.ErrClock: "clock", node.ErrJoins: "joins",
}

// reasonOf is a label: one of a few words, whatever strangers send.
func reasonOf(err error) string {
	if err == nil {
		return "none"
	}
	if kind := chain.KindOf(err); kind != "" {
		return string(kind)
	}
	for reason, name := range reasonNames {
		if errors.Is(err, reason) {
			return name
		}
	}
	return "other"
}

// timed measures the commits of a store.
type timed struct {
	Store
	commits prometheus.Histogram
}

// Commit implements node.Store.
func (t timed) Commit(steps ...node.Step) error {
	defer func(since time.Time) { t.commits.Observe(time.Since(since).Seconds()) }(time.Now())
	return t.Store.Commit(steps...)
}

// gauges are read when somebody looks.
type gauges struct {
	d     *Daemon
	store interface{ Stats() store.Stats } // nil in memory
}

// Describe implements prometheus.Collector: what is told depends on what there is.
func (g gauges) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (g gauges) Collect(out chan<- prometheus.Metric) {
	tell := teller(func(kind prometheus.ValueType, name, help string, v float64, labels ...string) {
		var names, values []string
		for i := 0; i < len(labels); i += 2 {
			names, values = append(names, labels[i]), append(values, labels[i+1])
		}
		out <- prometheus.MustNewConstMetric(prometheus.NewDesc("cairn_"+name, help, names, nil), kind, v, values...)
	})
	if g.d.ready() {
		g.chain(tell)
		g.peers(tell)
		g.traffic(tell)
	}
	g.mining(tell)
	g.disk(tell)
}

// teller tells one value; labels are names and values in turn.
type teller func(kind prometheus.ValueType, name, help string, v float64, labels ...string)

func (t teller) gauge(name, help string, v float64, labels ...string) {
	t(prometheus.GaugeValue, name, help, v, labels...)
}

func (t teller) counter(name, help string, v float64, labels ...string) {
	t(prometheus.CounterValue, name, help, v, labels...)
}

func (g gauges) chain(tell teller) {
	var best chain.State
	var tips map[string]int
	var headers, waiting, poolBytes uint64
	var fees chain.Amount
	var stale int
	var rate float64
	_ = g.d.loop.look(g.d.life, func(chain.Time) {
		n := g.d.loop.node
		best, headers = n.Best(), n.Best().Height
		if ahead, yes := n.Syncing(); yes {
			headers = max(headers, ahead)
		}
		tips, stale = branchesOf(n)
		rate = hashRate(n)
		waiting, poolBytes, fees = uint64(n.Mempool().Len()), uint64(n.Mempool().Bytes()), n.Mempool().Fees()
	})
	tell.gauge("chain_height", "Height of the best chain.", float64(best.Height))
	tell.gauge("chain_headers_height", "Height of the heaviest branch whose headers are known.", float64(headers))
	tell.gauge("chain_work_hashes", "Work of the best chain: hashes that it took on average.", float(best.Work.Big()))
	tell.gauge("chain_difficulty", "How much harder the tip's target is than Bitcoin's easiest.", rpc.Difficulty(best.Bits))
	tell.gauge("chain_tip_timestamp_seconds", "Time in the tip's header, since 1970.", float64(best.Time))
	tell.gauge("chain_spacing_seconds", "Time between blocks that the difficulty aims at.", float64(g.d.p.Spacing))
	tell.gauge("network_hashes_per_second", "Of all miners, guessed from the last 120 blocks.", rate)
	for _, status := range []string{"active", "complete", "headed", "condemned"} {
		tell.gauge("chain_tips", "Ends of branches: the best one's, others with all bodies, without, and those that break a rule.", float64(tips[status]), "status", status)
	}
	tell.gauge("chain_stale_blocks", "Blocks beside the last thousand of the best chain.", float64(stale))
	tell.gauge("chain_stale_ratio", "The same as a share of all blocks there.", float64(stale)/max(1, float64(stale)+float64(min(best.Height, staleWindow))))
	tell.gauge("mempool_transactions", "Transactions that wait.", float64(waiting))
	tell.gauge("mempool_bytes", "Size of their encodings.", float64(poolBytes))
	tell.gauge("mempool_fees_grains", "What they pay.", float64(fees))
}

// hashRate is the work of the last blocks over the time that they took.
func hashRate(n *node.Node) float64 {
	best := n.Best()
	id, ok := n.Ancestor(best.ID, max(best.Height, rateWindow+1)-rateWindow) // the genesis may be years old
	first, known := n.Entry(id)
	if !ok || !known || first.State.Time >= best.Time {
		return 0
	}
	return float(best.Work.Minus(first.State.Work).Big()) / float64(best.Time-first.State.Time)
}

const rateWindow = 120 // blocks

const staleWindow = 1000 // heights

// branchesOf counts the ends of branches by their state, and the blocks beside the
// best chain.
func branchesOf(n *node.Node) (tips map[string]int, stale int) {
	tips = map[string]int{"active": 1}
	names := map[node.Status]string{node.Complete: "complete", node.Headed: "headed", node.Condemned: "condemned"}
	off := map[chain.Hash]bool{}
	best := n.Best()
	for _, e := range n.Leaves() {
		if e.State.ID == best.ID {
			continue
		}
		tips[names[e.Status]]++
		if e.Status == node.Condemned {
			continue
		}
		for id := e.State.ID; !off[id] && len(off) < 10*staleWindow; {
			at, ok := n.Entry(id)
			if !ok || at.State.Height+staleWindow < best.Height {
				break
			}
			if on, ok := n.Ancestor(best.ID, at.State.Height); ok && on == id {
				break
			}
			off[id], id = true, at.Header.Prev
		}
	}
	return tips, len(off)
}

func float(n *big.Int) float64 {
	f, _ := new(big.Float).SetInt(n).Float64()
	return f
}

func (g gauges) peers(tell teller) {
	way := map[string]int{}
	for _, p := range g.d.net.Peers() {
		way[map[bool]string{true: "in", false: "out"}[p.Inbound]]++
	}
	for _, direction := range []string{"in", "out"} {
		tell.gauge("peers", "Connected peers, by who dialled.", float64(way[direction]), "direction", direction)
	}
	counted := g.d.counted()
	tell.gauge("nodes_counted", "Nodes that all and quorum mean: this one, the connected peers, and those that were asked for.", float64(1+len(counted)))
	stances, lowest := g.stances(counted)
	for _, s := range []string{"same", "behind", "ahead", "fork", "unknown"} {
		tell.gauge("peer_tips", "Tips that the counted peers follow, beside ours.", float64(stances[s]), "stance", s)
	}
	tell.gauge("agreed_height", "Height up to which every counted node holds our best chain; 0 while one's tip is not known.", float64(lowest))
}

// stances compares the tips of peers with ours.
func (g gauges) stances(counted []node.Peer) (stances map[string]int, agreed uint64) {
	stances = map[string]int{}
	_ = g.d.loop.look(g.d.life, func(now chain.Time) {
		n := g.d.loop.node
		best, tips, known := n.Best(), fresh(n, now), map[chain.Hash]uint64{}
		agreed = best.Height
		for _, who := range counted {
			shared := sharedHeight(n, best, tips[who], known)
			agreed = min(agreed, shared)
			stances[stance(n, best, tips[who], shared)]++
		}
	})
	return stances, agreed
}

func stance(n *node.Node, best chain.State, tip chain.Hash, shared uint64) string {
	e, known := n.Entry(tip)
	switch {
	case !known:
		return "unknown"
	case tip == best.ID:
		return "same"
	case shared == e.State.Height:
		return "behind"
	case shared == best.Height:
		return "ahead"
	}
	return "fork"
}

func (g gauges) traffic(tell teller) {
	for name, t := range g.d.net.ByProtocol() {
		tell.counter("network_bytes_total", "Bytes over streams, by protocol.", float64(t.In), "protocol", name, "direction", "in")
		tell.counter("network_bytes_total", "Bytes over streams, by protocol.", float64(t.Out), "protocol", name, "direction", "out")
	}
	for topic, t := range g.d.net.ByTopic() {
		tell.counter("gossip_bytes_total", "Payload of gossip, what came twice counted twice.", float64(t.In), "topic", topic, "direction", "in")
		tell.counter("gossip_bytes_total", "Payload of gossip, what came twice counted twice.", float64(t.Out), "topic", topic, "direction", "out")
	}
}

func (g gauges) mining(tell teller) {
	s := g.d.miner.Status()
	tell.gauge("miner_hashes_per_second", "Our own search, lately.", s.HashRate)
	tell.counter("miner_hashes_total", "Hashes of our own search.", float64(s.Hashes))
	tell.counter("miner_blocks_total", "Blocks that our own search found.", float64(s.Blocks), "outcome", "taken")
	tell.counter("miner_blocks_total", "Blocks that our own search found.", float64(s.Stale), "outcome", "late")
	for i, r := range s.Rates {
		tell.gauge("miner_thread_hashes_per_second", "Of each thread of our own search, lately.", r, "thread", strconv.Itoa(i))
	}
	if door := g.d.door(); door != nil {
		g.stratum(tell, door.Status())
	}
}

// stratum tells of other people's miners, of all together: their names are theirs
// to choose and without end.
func (g gauges) stratum(tell teller, s rpc.StratumStatus) {
	tell.gauge("stratum_connections", "Open connections of other people's miners.", float64(s.Connections))
	tell.gauge("stratum_hashes_per_second", "Other people's miners together, guessed from their shares.", float64(s.Hashrate))
	const blocks, shares = "Blocks that other people's miners found.", "Shares that other people's miners sent."
	tell.counter("stratum_blocks_total", blocks, float64(s.Found), "outcome", "taken")
	tell.counter("stratum_blocks_total", blocks, float64(s.Lost), "outcome", "late")
	tell.counter("stratum_shares_total", shares, float64(s.Shares.Accepted), "outcome", "accepted")
	tell.counter("stratum_shares_total", shares, float64(s.Shares.Stale), "outcome", "stale")
	tell.counter("stratum_shares_total", shares, float64(s.Shares.Duplicate), "outcome", "duplicate")
	tell.counter("stratum_shares_total", shares, float64(s.Shares.Low), "outcome", "low")
	tell.counter("stratum_shares_total", shares, float64(s.Shares.Invalid), "outcome", "invalid")
}

// due is a store that writes indexes behind the tip.
type due interface{ Due() store.Due }

func (g gauges) disk(tell teller) {
	if s, ok := g.d.stored().(due); ok {
		g.due(tell, s.Due())
	}
	if g.store == nil {
		return
	}
	s := g.store.Stats()
	tell.gauge("store_bytes", "Size on disk, measured once a minute.", float64(s.TreeBytes), "part", "tree")
	tell.gauge("store_bytes", "Size on disk, measured once a minute.", float64(s.LogBytes), "part", "log")
	for level, n := range s.Tables {
		tell.gauge("store_tables", "Files of the database's tree.", float64(n), "level", strconv.Itoa(level))
	}
	tell.counter("store_cache_hits_total", "Reads that a cache answered.", float64(s.BlockHits), "cache", "block")
	tell.counter("store_cache_hits_total", "Reads that a cache answered.", float64(s.IndexHits), "cache", "index")
	tell.counter("store_cache_misses_total", "Reads that no cache answered.", float64(s.BlockMiss), "cache", "block")
	tell.counter("store_cache_misses_total", "Reads that no cache answered.", float64(s.IndexMiss), "cache", "index")
	tell.gauge("store_cache_bytes", "What the caches hold.", float64(s.BlockBytes), "cache", "block")
	tell.gauge("store_cache_bytes", "What the caches hold.", float64(s.IndexSize), "cache", "index")
}

func (g gauges) due(tell teller, s store.Due) {
	tell.gauge("store_due_blocks", "Blocks whose indexes are not on disk yet: after a crash they are made again.", float64(s.Blocks))
	tell.gauge("store_due_bytes", "Memory that holds what follows from those.", float64(s.Bytes))
	tell.counter("store_flushes_total", "Runs of blocks whose indexes were written to disk, and tries that failed.", float64(s.Flushes), "outcome", "written")
	tell.counter("store_flushes_total", "Runs of blocks whose indexes were written to disk, and tries that failed.", float64(s.Failures), "outcome", "failed")
	tell.counter("store_flush_seconds_total", "Time that those took.", s.Took.Seconds())
}
