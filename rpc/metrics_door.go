package rpc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"cairn/rpc/metrics"
)

// MetricsDoor shows metrics at /metrics without a password, until it is closed.
type MetricsDoor struct {
	listener net.Listener
	http     *http.Server
	done     chan struct{}
}

// OpenMetrics serves what g gathers on an address, which must be one of this
// machine: there is no password. A caller must use that name for us all the same: a
// web page can make a browser on this machine ask.
func OpenMetrics(addr string, g prometheus.Gatherer) (*MetricsDoor, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("--metrics %q: write HOST:PORT: %w", addr, err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, fmt.Errorf("--metrics %s: anyone who reaches it may read: use 127.0.0.1, and a tunnel, or ask /metrics on the RPC port with a password", addr)
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen for metrics on %s: %w: choose another with --metrics", addr, err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics.Handler(g))
	d := &MetricsDoor{listener: l, done: make(chan struct{}), http: &http.Server{
		Handler: newHosts(addr).guard(mux), ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: maxHeader,
	}}
	go func() {
		defer close(d.done)
		_ = d.http.Serve(l) // it ends with Close
	}()
	return d, nil
}

// Addr is where the door is.
func (d *MetricsDoor) Addr() string { return d.listener.Addr().String() }

// Close stops serving, and cuts off who is still reading after a moment.
func (d *MetricsDoor) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	err := d.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = d.http.Close()
	}
	<-d.done
	return err
}
