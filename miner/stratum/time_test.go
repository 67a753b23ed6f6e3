package stratum

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cairn/chain"
	"cairn/chain/chaintest"
)

var update = flag.Bool("update", false, "write the golden transcript anew")

// pipes is a listener in virtual time.
type pipes struct {
	conns chan net.Conn
	over  chan struct{}
	once  sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), over: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.over:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.over) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// dial connects; the caller reads and writes as it likes.
func (p *pipes) dial() net.Conn {
	ours, theirs := net.Pipe()
	p.conns <- theirs
	return ours
}

// imagine runs f with a server in virtual time, on a world that is prepared first.
func imagine(t *testing.T, prepare func(*world), f func(t *testing.T, w *world, s *Server, p *pipes)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w, p := newWorld(), newPipes()
		prepare(w)
		s := newServer(Config{Params: w.ledger.Params, Chain: w, Pay: &node}, p)
		s.run()
		f(t, w, s, p)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

func empty(*world) {}

// busy has a payment waiting.
func busy(w *world) {
	w.ledger.Grow(5, "old", chaintest.Address(1)) // what the genesis pays is mature
	w.txs = []*chain.Tx{chaintest.Pay(w.ledger.Params, chaintest.Funds(w.ledger.Params, 0), chaintest.Key(0), 5000)}
}

// A whole conversation, byte by byte.
func TestTranscript(t *testing.T) {
	imagine(t, busy, func(t *testing.T, w *world, _ *Server, p *pipes) {
		var mu sync.Mutex
		var script []byte
		note := func(text string) {
			mu.Lock()
			defer mu.Unlock()
			script = append(script, text...)
		}
		c := p.dial()
		heard := make(chan struct{})
		go func() {
			defer close(heard)
			for b := make([]byte, 1); ; {
				if _, err := c.Read(b); err != nil {
					return
				}
				note(string(b))
			}
		}()
		for _, line := range []string{
			`{"id":1,"method":"mining.configure","params":[["version-rolling"],{"version-rolling.mask":"1fffe000","version-rolling.min-bit-count":2}]}`,
			`{"id": 1, "method": "mining.subscribe", "params": ["cpuminer/2.5.1"]}`,
			`{"id": 2, "method": "mining.authorize", "params": ["rig", "x"]}`,
			`{"id": 3, "method": "mining.extranonce.subscribe", "params": []}`,
			`{"method": "mining.submit", "params": ["rig", "1", "00000000", "6b49d211", "00000007"], "id":4}`,
			`{"method": "mining.submit", "params": ["rig", "2", "00000000", "6b49d211", "00000007"], "id":4}`,
			`{"method": "mining.submit", "params": ["rog", "1", "00000000", "6b49d211", "00000007"], "id":4}`,
			`{"id":5,"method":"mining.suggest_difficulty","params":[1]}`,
		} {
			note("> " + line + "\n")
			fmt.Fprintln(c, line)
			synctest.Wait()
		}
		note("-- half a minute later\n")
		time.Sleep(31 * time.Second)
		synctest.Wait()
		note("-- another's block\n")
		w.rival()
		synctest.Wait()
		_ = c.Close()
		<-heard
		golden(t, "testdata/transcript.txt", script)
	})
}

func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; if that is meant, run with -update. Got:\n%s", path, got)
	}
}

// collect reads lines until the connection ends, with the time of each.
func collect(c net.Conn) (lines func() []string) {
	var mu sync.Mutex
	var all []string
	begun := time.Now()
	go func() {
		var rest []byte
		for b := make([]byte, 4096); ; {
			n, err := c.Read(b)
			if err != nil {
				return
			}
			rest = append(rest, b[:n]...)
			for {
				line, more, ok := bytes.Cut(rest, []byte("\n"))
				if !ok {
					break
				}
				var m struct{ Method string }
				_ = json.Unmarshal(line, &m)
				mu.Lock()
				all = append(all, fmt.Sprintf("%v %s", time.Since(begun), m.Method))
				mu.Unlock()
				rest = more
			}
		}
	}()
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string(nil), all...)
	}
}

const hello = `{"id":1,"method":"mining.subscribe"}` + "\n" + `{"id":2,"method":"mining.authorize","params":["rig"]}` + "\n"

// A quiet miner gets a job every half minute, and is kept for ten minutes; each
// word of it counts.
func TestQuietMiner(t *testing.T) {
	imagine(t, empty, func(t *testing.T, _ *world, s *Server, p *pipes) {
		c := p.dial()
		lines := collect(c)
		_, _ = c.Write([]byte(hello))
		time.Sleep(9*time.Minute + time.Second)
		_, _ = c.Write([]byte("{}\n"))
		synctest.Wait()
		jobs := 0
		for _, l := range lines() {
			if strings.HasSuffix(l, "mining.notify") {
				jobs++
			}
		}
		if jobs != 19 {
			t.Errorf("%d jobs in nine minutes: %q", jobs, lines())
		}
		time.Sleep(9 * time.Minute)
		if n := s.Status().Connections; n != 1 {
			t.Error("hung up on a miner that spoke nine minutes ago")
		}
		time.Sleep(2 * time.Minute)
		if n := s.Status().Connections; n != 0 {
			t.Error("a dead miner is kept")
		}
		_ = c.Close()
	})
}

// Who does not log in, does not end a line, or does not read is hung up on.
func TestHangUps(t *testing.T) {
	for name, x := range map[string]struct {
		says  string
		reads bool
		after time.Duration
	}{
		"silent":        {"", true, loginTime},
		"half a login":  {`{"id":1,"method":"mining.subscribe"}` + "\n", true, loginTime},
		"half a line":   {`{"id":1,"method":"mining.subs`, true, loginTime},
		"garbage":       {"\x16\x03\x01\n", true, 0},
		"oversize":      {strings.Repeat(" ", maxLine) + "\n", true, 0},
		"long id":       {`{"id":"` + strings.Repeat("x", maxID) + `","method":"x"}` + "\n", true, 0},
		"does not read": {hello, false, writeTime},
		"floods, deaf":  {hello + strings.Repeat(`{"id":1,"method":"mining.nothing"}`+"\n", 2*maxQueue), false, writeTime},
	} {
		t.Run(name, func(t *testing.T) {
			imagine(t, empty, func(t *testing.T, _ *world, s *Server, p *pipes) {
				c := p.dial()
				if x.reads {
					collect(c)
				}
				go func() { _, _ = c.Write([]byte(x.says)) }() // a pipe holds nothing: it may never be taken
				if x.after > 0 {
					time.Sleep(x.after - time.Millisecond)
					synctest.Wait()
					if s.Status().Connections != 1 {
						t.Fatal("hung up too early")
					}
					time.Sleep(2 * time.Millisecond)
				}
				synctest.Wait()
				if s.Status().Connections != 0 {
					t.Error("still connected")
				}
				_ = c.Close()
			})
		})
	}
}

// A hundred lines a second are worked on, after a first rush.
func TestFloodIsSlowedDown(t *testing.T) {
	imagine(t, empty, func(t *testing.T, _ *world, _ *Server, p *pipes) {
		c := p.dial()
		answers := collect(c)
		go func() {
			line := []byte(`{"id":1,"method":"mining.nothing"}` + "\n")
			for {
				if _, err := c.Write(line); err != nil {
					return
				}
			}
		}()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if n, most := len(answers()), burst+10*perSecond; n > most+2 || n < most-2 {
			t.Errorf("%d lines were answered, want %d", n, most)
		}
		_ = c.Close()
	})
}

// Every tip is told of at once, and trouble with templates is tried again.
func TestTroubleWithTemplates(t *testing.T) {
	imagine(t, empty, func(t *testing.T, w *world, s *Server, p *pipes) {
		c := p.dial()
		lines := collect(c)
		_, _ = c.Write([]byte(hello))
		synctest.Wait()
		before := len(lines())
		w.mu.Lock()
		w.broken = fmt.Errorf("no clock")
		w.move()
		asked := w.asked
		w.mu.Unlock()
		time.Sleep(5*time.Second + time.Millisecond)
		synctest.Wait()
		w.mu.Lock()
		if tries := w.asked - asked; tries != 6 {
			t.Errorf("asked %d times in five seconds", tries)
		}
		w.broken = nil
		w.mu.Unlock()
		if n := len(lines()); n != before {
			t.Errorf("%d lines without a template", n-before)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if n := len(lines()); n != before+1 {
			t.Errorf("%d lines after the trouble", n-before)
		}
		if s.work.Load().stale() {
			t.Error("its work is stale")
		}
		_ = c.Close()
	})
}

// What a miner sends right behind its own block still counts, but only for a
// second, and only what is good; behind another's block nothing does.
func TestGraceBehindOnesOwnBlock(t *testing.T) {
	imagine(t, empty, func(t *testing.T, w *world, s *Server, _ *pipes) {
		c := newSession(s, nil, s.extra1())
		c.names, c.subscribed = map[string]bool{"rig": true}, true
		give := func(tip chain.Hash, number uint64) *job {
			b := chaintest.Block(w.ledger.Params, w.ledger.State, chaintest.Plan{})
			b.Header.Prev = tip
			next, err := newWork(number, b, nil)
			if err != nil {
				t.Fatal(err)
			}
			c.give(next)
			return c.jobs[len(c.jobs)-1]
		}
		knows := func(j *job) (known, late bool) {
			got, late := c.job(j.id, time.Now())
			return got == j, late
		}
		first := give(chain.Hash{1}, 1)
		hit := share{time: first.time, version: 1}
		for !c.found(first, hit) {
			hit.nonce++
		}
		h := first.header(c.extra1, hit)
		second := give(h.ID(), 2)
		if known, late := knows(first); !known || !late {
			t.Errorf("behind its own block: known %v, late %v", known, late)
		}
		if known, late := knows(second); !known || late {
			t.Errorf("the new job: known %v, late %v", known, late)
		}
		time.Sleep(grace)
		if known, _ := knows(first); known {
			t.Error("the grace does not end")
		}
		give(chain.Hash{2}, 3)
		if known, _ := knows(second); known {
			t.Error("a job counts behind another's block")
		}
	})
}
