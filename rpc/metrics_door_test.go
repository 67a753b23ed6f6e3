package rpc

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func TestNobodyFromOutsideReads(t *testing.T) {
	for _, addr := range []string{"0.0.0.0:0", ":0", "192.0.2.1:0", "example.org:0", "nonsense"} {
		if s, err := OpenMetrics(addr, prometheus.NewRegistry()); err == nil {
			s.Close()
			t.Errorf("%s was listened on", addr)
		}
	}
}

// A page that was lured here by DNS rebinding, or that simply asks, reads nothing.
func TestMetricsDoorAnswersToItsOwnName(t *testing.T) {
	height := prometheus.NewGauge(prometheus.GaugeOpts{Name: "cairn_height", Help: "A test."})
	g := prometheus.NewRegistry()
	g.MustRegister(height)
	d, err := OpenMetrics("127.0.0.1:0", g)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	_, port, _ := strings.Cut(d.Addr(), ":")
	for _, c := range []struct {
		host   string
		header map[string]string
		status int
	}{
		{d.Addr(), nil, 200},
		{"localhost:" + port, nil, 200},
		{"evil.example:" + port, nil, 403},
		{"192.0.2.1", nil, 403},
		{"localhost", map[string]string{"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"}, 200}, // a browser shows it the answer to nobody
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+d.Addr()+"/metrics", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = c.host
		for k, v := range c.header {
			r.Header.Set(k, v)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		if answer.StatusCode != c.status || strings.Contains(string(body), "cairn_height 0") != (c.status == 200) {
			t.Errorf("host %s: status %d\n%s", c.host, answer.StatusCode, body)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}
