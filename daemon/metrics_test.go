package daemon_test

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"cairn/chain"
	"cairn/rpc"
)

// counts gathers one family, and the value of one of its metrics.
func (p *player) counts(name string, labels ...string) (v float64, found bool) {
	p.t.Helper()
	families, err := p.Metrics().Gather()
	if err != nil {
		p.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			has := map[string]string{}
			for _, l := range m.GetLabel() {
				has[l.GetName()] = l.GetValue()
			}
			match := true
			for i := 0; i < len(labels); i += 2 {
				match = match && has[labels[i]] == labels[i+1]
			}
			if match {
				return m.GetGauge().GetValue() + m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount()), true
			}
		}
	}
	return 0, false
}

// Two nodes in one process count apart, and what they count is what happened.
func TestMetricsTellWhatHappened(t *testing.T) {
	p := chain.Regtest()
	a := start(t, p)
	b := start(t, p, a)
	linked(t, 1, a, b)
	a.generate(3)
	until(t, "both hold it", sameTip(a, b))
	b.online(false)
	a.generate(1)
	b.generate(2)
	b.online(true)
	until(t, "both hold the longer one", sameTip(a, b))
	expect := func(p *player, name string, want float64, labels ...string) {
		t.Helper()
		until(t, name, func() bool { got, ok := p.counts(name, labels...); return ok && got == want })
	}
	expect(a, "cairn_chain_height", 5)
	expect(a, "cairn_reorganisation_depth_blocks", 1)
	expect(b, "cairn_reorganisation_depth_blocks", 0)
	expect(a, "cairn_miner_blocks_total", 0, "outcome", "late")
	expect(b, "cairn_peer_tips", 1, "stance", "same")
	expect(a, "cairn_agreed_height", 5)
	expect(a, "cairn_chain_stale_blocks", 1)
	expect(a, "cairn_chain_tips", 1, "status", "complete")
	for _, name := range []string{"cairn_commit_seconds", "cairn_block_propagation_seconds", "cairn_agreement_seconds", "cairn_block_interval_seconds"} {
		if v, _ := b.counts(name); v == 0 {
			t.Errorf("%s was never observed", name)
		}
	}
	if v, _ := b.counts("cairn_gossip_bytes_total", "topic", "block", "direction", "in"); v == 0 {
		t.Error("blocks came and no bytes were counted")
	}
	a.Meet(otherMiners{})
	expect(a, "cairn_stratum_connections", 2)
	expect(a, "cairn_stratum_shares_total", 5, "outcome", "stale")
	expect(a, "cairn_stratum_blocks_total", 3, "outcome", "taken")
	lintMetrics(t, a)
}

type otherMiners struct{}

func (otherMiners) Status() rpc.StratumStatus {
	return rpc.StratumStatus{Connections: 2, Found: 3, Shares: rpc.Shares{Accepted: 4, Stale: 5}}
}

func lintMetrics(t *testing.T, p *player) {
	t.Helper()
	families, err := p.Metrics().Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range problems {
		t.Errorf("%s: %s", problem.Metric, problem.Text)
	}
}
