package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"cairn/rpc/metrics"
	"cairn/rpc/web"
)

// Config is what a Server is made from.
type Config struct {
	Listen   string       // host:port; port 0 lets the system choose
	Cookie   string       // where to write the cookie; empty for none
	User     string       // a name and a password that open the door as well;
	Password string       // both empty for none
	Log      *slog.Logger // nil for slog.Default

	// Metrics is shown at /metrics to whoever has a password; nil: nothing is.
	Metrics prometheus.Gatherer

	// Handle adds paths of its owner's. They ask for no password; Host and Origin
	// are checked. A request has writeTimeout to be answered unless its handler
	// sets another deadline.
	Handle map[string]http.Handler

	HeaderTimeout time.Duration // for a request's header to arrive; 0 is 10 s
	BodyTimeout   time.Duration // and for its body behind that; 0 is 30 s

	MaxConns int // open connections; 0 is 2048
	MaxCalls int // calls that are worked on at the same time; 0 is 8 a core
}

// Timeouts and sizes of the HTTP server. A handler itself has no time limit:
// blocks may be long in coming.
const (
	headerTimeout = 10 * time.Second
	bodyTimeout   = 30 * time.Second
	writeTimeout  = 60 * time.Second // for one answer to be taken
	idleTimeout   = 2 * time.Minute
	maxHeader     = 16 << 10 // bytes
	maxSlow       = 256      // calls that wait for something
)

// Server answers calls until it is closed.
type Server struct {
	cfg     Config
	backend Backend
	log     *slog.Logger
	keys    keys
	cookie  *cookie  // nil if there is none
	tokens  []string // that open the page, one for each key
	pages   http.Handler
	hosts   hosts
	work    chan struct{} // a token for each call that is worked on
	slow    chan struct{} // a token for each call that waits for something

	roll     *roll
	watchers chan struct{} // a token for each caller that follows events

	listener net.Listener
	http     *http.Server
	stop     context.CancelFunc // ends the context of every call
	served   chan struct{}      // closed when Serve has returned
	active   atomic.Int64       // requests that are worked on
	fresh    fresh
}

// Start listens, writes the cookie and serves.
func Start(cfg Config, b Backend) (*Server, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if err := b.check(); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen for RPC on %s: %w", cfg.Listen, err)
	}
	s := newServer(cfg, b, listener)
	if cfg.Cookie != "" {
		if s.cookie, err = bake(cfg.Cookie); err != nil {
			return nil, errors.Join(err, listener.Close())
		}
		user, password, _ := Cookie(cfg.Cookie).read()
		s.admit(user, password)
	}
	go s.serve()
	return s, nil
}

func (c *Config) check() error {
	if (c.User == "") != (c.Password == "") {
		return errors.New("rpc: a user needs a password, and a password a user")
	}
	if c.Cookie == "" && c.User == "" {
		return errors.New("rpc: without a cookie or a user nobody could call")
	}
	return nil
}

func newServer(cfg Config, b Backend, listener net.Listener) *Server {
	ctx, stop := context.WithCancel(context.Background())
	s := &Server{
		cfg: cfg, backend: b, log: cfg.Log, hosts: newHosts(cfg.Listen), listener: listener, stop: stop,
		work: make(chan struct{}, orDefault(cfg.MaxCalls, 8*runtime.NumCPU())),
		slow: make(chan struct{}, maxSlow),
		roll: newRoll(), pages: web.Handler(),
		served: make(chan struct{}), watchers: make(chan struct{}, maxWatchers),
	}
	if s.log == nil {
		s.log = slog.Default()
	}
	s.backend.roll, s.backend.counts, s.backend.log = s.roll, newCounts(), s.log
	if b.Work != nil {
		s.backend.desk = newDesk(b.Params, b.Work)
	}
	if cfg.User != "" {
		s.admit(cfg.User, cfg.Password)
	}
	s.http = &http.Server{
		Handler:           s.routes(),
		ReadHeaderTimeout: orDefault(cfg.HeaderTimeout, headerTimeout),
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ConnState:         s.fresh.watch,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	return s
}

// admit lets a user in, and the page that was opened in his name.
func (s *Server) admit(user, password string) {
	s.keys = append(s.keys, key(user, password))
	s.tokens = append(s.tokens, pageToken(password))
}

func orDefault[T int | time.Duration](n, otherwise T) T {
	if n == 0 {
		return otherwise
	}
	return n
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", s.health)
	mux.Handle("/", s.hosts.guard(http.HandlerFunc(s.calls)))
	mux.Handle("GET /{$}", s.hosts.guard(http.HandlerFunc(s.page)))
	mux.Handle("GET /assets/", s.hosts.guard(http.HandlerFunc(s.page)))
	if s.backend.Events != nil {
		mux.Handle(eventsPath, s.hosts.guard(http.HandlerFunc(s.events)))
	}
	if s.cfg.Metrics != nil {
		mux.Handle("/metrics", s.hosts.guard(s.private(metrics.Handler(s.cfg.Metrics))))
	}
	for path, h := range s.cfg.Handle {
		mux.Handle(path, s.hosts.guard(h))
	}
	return s.patient(mux)
}

// serve owns the listener until Close.
func (s *Server) serve() {
	defer close(s.served)
	conns := orDefault(s.cfg.MaxConns, 2048)
	err := s.http.Serve(&limited{Listener: s.listener, room: make(chan struct{}, conns)})
	if err != nil && !errors.Is(err, http.ErrServerClosed) {
		s.log.Error("rpc stopped serving", "err", err)
	}
}

// Addr is where the server listens.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Close takes no more calls, tells waiting ones to end and lets all finish until
// ctx ends; then it cuts them off. The cookie is gone when it returns.
func (s *Server) Close(ctx context.Context) error {
	s.stop()
	s.fresh.close()
	err := s.http.Shutdown(ctx)
	if err != nil {
		cut := s.active.Load()
		err = s.http.Close()
		if cut > 0 {
			err = errors.Join(fmt.Errorf("%d rpc calls were cut off: %w", cut, ctx.Err()), err)
		}
	}
	<-s.served
	if s.cookie != nil {
		err = errors.Join(err, s.cookie.remove())
	}
	return err
}
