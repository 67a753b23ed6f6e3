package stratum

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"cairn/chain"
	"cairn/chain/chaintest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a node on which a block costs two hashes, with a payment waiting.
type world struct {
	mu     sync.Mutex
	ledger *chaintest.Ledger
	moved  chan struct{}
	blocks []*chain.Block
	txs    []*chain.Tx // for the next template
	broken error       // what Template answers
	asked  int
}

func newWorld() *world {
	return &world{ledger: chaintest.Open(chaintest.Easy()), moved: make(chan struct{})}
}

func (w *world) Template(context.Context) (*chain.Block, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.asked++; w.broken != nil {
		return nil, w.broken
	}
	b := chaintest.Block(w.ledger.Params, w.ledger.State, chaintest.Plan{Name: "pool", Gap: 1, Txs: w.txs})
	b.Header.Nonce = 0
	return b, nil
}

func (w *world) Submit(_ context.Context, b *chain.Block) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if b.Header.Prev != w.ledger.State.ID {
		return errors.New("it builds on an old block")
	}
	w.ledger.Connect(chaintest.Check(w.ledger.Params, b))
	w.blocks = append(w.blocks, b)
	w.txs = nil
	w.move()
	return nil
}

func (w *world) move() {
	close(w.moved)
	w.moved = make(chan struct{})
}

func (w *world) Moved() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.moved
}

// rival puts a block of somebody else on top.
func (w *world) rival() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ledger.Add(chaintest.Plan{Name: "rival", Gap: 1})
	w.move()
}

func (w *world) found() []*chain.Block {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.blocks)
}

var node = chaintest.Address(9)

var start = time.Unix(1_800_000_000, 0)

// open starts a server whose every share is a block, so that a test's miner needs
// no patience.
func open(t testing.TB, w *world, change ...func(*Server)) *Server {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(Config{Params: w.ledger.Params, Chain: w, Pay: &node}, listener)
	s.rule = rule{every: 5}
	for _, f := range change {
		f(s)
	}
	s.run()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

// client is a miner's end of a connection.
type client struct {
	t     testing.TB
	conn  net.Conn
	lines *bufio.Scanner
	aside []heard // lines that nobody asked for yet
}

func dial(t testing.TB, s *Server) *client {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	return talk(t, conn)
}

func talk(t testing.TB, conn net.Conn) *client {
	t.Cleanup(func() { _ = conn.Close() })
	return &client{t: t, conn: conn, lines: bufio.NewScanner(conn)}
}

func (c *client) send(format string, args ...any) {
	c.t.Helper()
	if _, err := fmt.Fprintf(c.conn, format+"\n", args...); err != nil {
		c.t.Fatal(err)
	}
}

// heard is a line of the server.
type heard struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params []any           `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  json.RawMessage `json:"error"`
	line   string
}

// next waits for a line. A test that waits in vain is ended by the test's own
// time limit.
func (c *client) next() (h heard) {
	c.t.Helper()
	if !c.lines.Scan() {
		c.t.Fatalf("the server hung up: %v", c.lines.Err())
	}
	h.line = c.lines.Text()
	if err := json.Unmarshal([]byte(h.line), &h); err != nil {
		c.t.Fatalf("%v in %s", err, h.line)
	}
	return h
}

// want waits for the line of a method, or for an answer if it is "". Others stay
// for whoever wants them.
func (c *client) want(method string) heard {
	c.t.Helper()
	for i, h := range c.aside {
		if h.Method == method {
			c.aside = slices.Delete(c.aside, i, i+1)
			return h
		}
	}
	for {
		h := c.next()
		if h.Method == method {
			return h
		}
		c.aside = append(c.aside, h)
	}
}

// hungUp waits until the server has closed the connection.
func (c *client) hungUp() {
	for c.lines.Scan() {
	}
}

// ask sends a line and returns its answer as result and error.
func (c *client) ask(format string, args ...any) (string, string) {
	c.t.Helper()
	c.send(format, args...)
	h := c.want("")
	return string(h.Result), string(h.Error)
}

// login subscribes and logs in, and returns extranonce1.
func (c *client) login(name string) []byte {
	c.t.Helper()
	c.send(`{"id": 1, "method": "mining.subscribe", "params": ["test/1"]}`)
	h := c.next()
	var result []any
	if err := json.Unmarshal(h.Result, &result); err != nil || len(result) != 3 || result[2] != 4.0 {
		c.t.Fatalf("subscribe is answered with %s", h.line)
	}
	if _, why := c.ask(`{"id": 2, "method": "mining.authorize", "params": ["%s", "x"]}`, name); why != "null" {
		c.t.Fatalf("login of %s: %s", name, why)
	}
	return unhex(c.t, result[1])
}

func unhex(t testing.TB, v any) []byte {
	t.Helper()
	b, err := hex.DecodeString(v.(string))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// dig searches as miners do: from what notify said, in nobody's types but its
// own. It returns the nonce that meets (or misses) 0xFFFF·2²⁰⁸ over difficulty.
func dig(t testing.TB, params []any, extra1, extra2 []byte, difficulty float64, good bool) string {
	t.Helper()
	header := assemble(t, params, extra1, extra2)
	for nonce := uint32(0); ; nonce++ {
		header[76], header[77], header[78], header[79] = byte(nonce), byte(nonce>>8), byte(nonce>>16), byte(nonce>>24)
		if meets(sha256d(header), difficulty) == good {
			return fmt.Sprintf("%08x", nonce)
		}
	}
}

// submit sends a share of the job.
func (c *client) submit(name string, params []any, extra2, nonce string) (string, string) {
	c.t.Helper()
	return c.ask(`{"method": "mining.submit", "params": ["%s", "%s", "%s", "%s", "%s"], "id":4}`, name, params[0], extra2, params[7], nonce)
}

// workersOf waits until the server's workers are as a test wants them.
func workersOf(s *Server, done func([]Worker) bool) []Worker {
	for {
		if list := s.Status().Workers; done(list) {
			return list
		}
		time.Sleep(time.Millisecond)
	}
}
