package metrics_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/daemon"
	"cairn/p2p"
	"cairn/rpc"
	"cairn/store"
)

// node is a daemon that has counted at least one of everything that it counts.
func node(t *testing.T) prometheus.Gatherer {
	t.Helper()
	key, err := p2p.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	p := chain.Regtest()
	disk, err := store.Open(store.Config{Dir: t.TempDir(), Params: p})
	if err != nil {
		t.Fatal(err)
	}
	d, err := daemon.New(daemon.Config{
		Params: p, Store: disk, Pay: chaintest.Address(9), HasPay: true, Threads: 1,
		Network: p2p.Config{Key: key, Listen: []string{"/ip4/127.0.0.1/tcp/0"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		d.Close()
		if err := disk.Close(); err != nil {
			t.Error(err)
		}
	})
	return d.Metrics()
}

// Of what has labels that only events bring, a quiet node shows nothing yet.
var eventful = map[string]bool{
	"cairn_verdicts_total": true, "cairn_validation_seconds": true, "cairn_mempool_changes_total": true, "cairn_network_bytes_total": true,
}

var named = regexp.MustCompile(`\b(?:cairn|go|process|libp2p)_[a-z0-9_]+`)

// Dashboard and alerts ask for nothing that is not there.
func TestEveryNameExists(t *testing.T) {
	families, err := node(t).Gather()
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for _, f := range families {
		there[f.GetName()] = true
	}
	exprs := append(dashboard(t), rules(t))
	asked := 0
	for _, expr := range exprs {
		for _, name := range named.FindAllString(expr, -1) {
			asked++
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				if base, ok := strings.CutSuffix(name, suffix); ok && (there[base] || eventful[base]) {
					name = base
				}
			}
			if !there[name] && !eventful[name] {
				t.Errorf("nothing is called %s: %s", name, expr)
			}
		}
	}
	if asked < 30 {
		t.Errorf("only %d names were found in %d expressions", asked, len(exprs))
	}
}

func dashboard(t *testing.T) (exprs []string) {
	t.Helper()
	raw, err := os.ReadFile("grafana/cairn.json")
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Panels []struct{ Targets []struct{ Expr string } }
	}
	if err := json.Unmarshal(raw, &d); err != nil {
		t.Fatal(err)
	}
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			exprs = append(exprs, target.Expr)
		}
	}
	return exprs
}

func rules(t *testing.T) string {
	t.Helper()
	raw, err := os.ReadFile("rules/cairn.yml")
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestPromtoolAgrees(t *testing.T) {
	tool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not here: apt-get install prometheus")
	}
	if out, err := exec.Command(tool, "check", "rules", "rules/cairn.yml").CombinedOutput(); err != nil {
		t.Errorf("rules: %v\n%s", err, out)
	}
	if out, err := exec.Command(tool, "test", "rules", "rules/cairn_test.yml").CombinedOutput(); err != nil {
		t.Errorf("stories of the rules: %v\n%s", err, out)
	}
	s, err := rpc.OpenMetrics("127.0.0.1:0", node(t))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	answer, err := http.Get("http://" + s.Addr() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("status %d: %v", answer.StatusCode, err)
	}
	check := exec.Command(tool, "check", "metrics")
	check.Stdin = strings.NewReader(string(text))
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("metrics: %v\n%s", err, out)
	}
}
