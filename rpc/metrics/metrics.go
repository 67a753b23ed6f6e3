// Package metrics shows to Prometheus what a node counts.
//
// What is counted is defined where it is known (package daemon). Here is how it
// is told, and what others need to make sense of it: a dashboard for Grafana
// (grafana/cairn.json) and alert rules for Prometheus (rules/cairn.yml).
package metrics

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Handler shows what g gathers. Half of it is shown where the other half fails.
func Handler(g prometheus.Gatherer) http.Handler {
	return promhttp.HandlerFor(g, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: 4, Timeout: 10 * time.Second})
}
