package stratum

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"cairn/chain"
)

// Chain is the node that the miners work for. All of it may be called from many
// goroutines at once.
type Chain interface {
	// Template returns a block on top of the best chain that lacks only its proof.
	// The first eight bytes of its coinbase's Extra are the miners'; whom the
	// coinbase pays does not matter. The block must not change afterwards. An
	// error is a reason to wait.
	Template(ctx context.Context) (*chain.Block, error)
	// Submit takes a block with its proof.
	Submit(ctx context.Context, b *chain.Block) error
	// Moved returns a channel that is closed when the best chain moves next.
	Moved() <-chan struct{}
}

// Config is what a Server is made from.
type Config struct {
	Params   *chain.Params
	Chain    Chain
	Listen   string         // host:port; without a host it is this machine alone, port 0 lets the system choose
	Pay      *chain.Address // whom workers of this node are paid to; nil: a login name must be an address
	MaxConns int            // open connections; 0 is 256
	Log      *slog.Logger   // nil is silence
}

const (
	refresh  = 30 * time.Second // a new job even if nothing happens: miners idle after 120 s of silence
	retry    = time.Second      // when there is no template
	maxConns = 256
)

// Server gives work to miners until it is closed.
type Server struct {
	cfg      Config
	rule     rule
	log      *slog.Logger
	listener net.Listener
	life     context.Context
	end      context.CancelFunc
	all      sync.WaitGroup // every goroutine of ours
	workers  workers
	jobs     atomic.Uint32 // ids are never used again
	sessions atomic.Uint32 // opened so far

	work  atomic.Pointer[work] // the latest; nil before the first template
	finds chan find

	mu   sync.Mutex // guards open; a session's may be held, but is not taken under it
	open map[*session]struct{}
}

// Start listens and serves.
func Start(cfg Config) (*Server, error) {
	if cfg.Params == nil || cfg.Chain == nil {
		return nil, errors.New("stratum: params and a chain are needed")
	}
	address, err := local(cfg.Listen)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen for miners on %s: %w", address, err)
	}
	s := newServer(cfg, listener)
	s.run()
	return s, nil
}

// local keeps a bare port on this machine: whoever means the world writes
// 0.0.0.0.
func local(listen string) (string, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		if _, bad := strconv.ParseUint(listen, 10, 16); bad != nil {
			return "", fmt.Errorf("--stratum %q: write HOST:PORT, or a port of this machine", listen)
		}
		port = listen
	}
	if host == "" {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port), nil
}

func newServer(cfg Config, listener net.Listener) *Server {
	s := &Server{
		cfg: cfg, rule: ruleOf(cfg.Params), log: cfg.Log, listener: listener,
		workers: workers{m: map[string]*record{}}, open: map[*session]struct{}{},
		finds: make(chan find, maxFinds),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.cfg.MaxConns == 0 {
		s.cfg.MaxConns = maxConns
	}
	s.life, s.end = context.WithCancel(context.Background())
	return s
}

func (s *Server) run() {
	s.all.Go(s.accept)
	s.all.Go(s.renew)
	s.all.Go(s.carry)
}

// Addr is where the server listens.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Close hangs up and waits until nothing of the server runs any more.
func (s *Server) Close() error {
	s.end()
	err := s.listener.Close()
	s.mu.Lock()
	for c := range s.open {
		c.hangUp()
	}
	s.mu.Unlock()
	s.all.Wait()
	return err
}

// Status is a server at work.
type Status struct {
	Listen      string
	Connections int // open, logged in or not
	Workers     []Worker
}

// Status tells who works and how well.
func (s *Server) Status() Status {
	s.mu.Lock()
	n := len(s.open)
	s.mu.Unlock()
	return Status{Listen: s.Addr(), Connections: n, Workers: s.workers.list(time.Now())}
}

// accept lets connections in until the listener is closed.
func (s *Server) accept() {
	for {
		conn, err := s.listener.Accept()
		switch {
		case err == nil:
			s.admit(conn)
		case s.life.Err() != nil:
			return
		default: // out of descriptors: it may pass
			s.log.Warn("miners cannot connect", "err", err)
			if !s.pause(retry) {
				return
			}
		}
	}
}

func (s *Server) pause(t time.Duration) bool {
	select {
	case <-s.life.Done():
		return false
	case <-time.After(t):
		return true
	}
}

// admit starts a session if there is room.
func (s *Server) admit(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.life.Err() != nil || len(s.open) >= s.cfg.MaxConns {
		_ = conn.Close()
		return
	}
	c := newSession(s, conn, s.extra1())
	s.open[c] = struct{}{}
	s.all.Go(c.read)
	s.all.Go(c.write)
}

// extra1 is another one for each session. Its top bit keeps it apart from the
// extra nonces that a node's own miner counts up from zero.
func (s *Server) extra1() (b [sizeOfExtra1]byte) {
	binary.LittleEndian.PutUint32(b[:], s.sessions.Add(1)|1<<31)
	return b
}

// leave forgets a session.
func (s *Server) leave(c *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, c)
}

// renew fetches work: on every new tip, and every half minute.
func (s *Server) renew() {
	why := ""
	for number := uint64(1); s.life.Err() == nil; number++ {
		over, wait := s.cfg.Chain.Moved(), refresh
		err := s.fetch(number, over)
		if err != nil {
			wait = retry
			if err.Error() != why && s.life.Err() == nil {
				s.log.Warn("no work for miners", "err", err)
			}
		}
		why = errorText(err)
		again := time.NewTimer(wait)
		select {
		case <-over:
		case <-again.C:
		case <-s.life.Done():
		}
		again.Stop()
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func (s *Server) fetch(number uint64, over <-chan struct{}) error {
	b, err := s.cfg.Chain.Template(s.life)
	if err != nil {
		return err
	}
	w, err := newWork(number, b, over)
	if err != nil {
		return err
	}
	s.show(w)
	return nil
}

// show tells every session of new work.
func (s *Server) show(w *work) {
	s.work.Store(w)
	s.mu.Lock()
	list := make([]*session, 0, len(s.open))
	for c := range s.open {
		list = append(list, c)
	}
	s.mu.Unlock()
	for _, c := range list {
		c.offer(w)
	}
}

// nextJob is an id of at most eight hex digits that was never used.
func (s *Server) nextJob() string { return strconv.FormatUint(uint64(s.jobs.Add(1)), 16) }
