package stratum

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cairn/chain"
	"cairn/chain/chaintest"
)

func jsonParams(t testing.TB, v any) (params []any) {
	t.Helper()
	raw, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(raw, &params)
	}
	if err != nil {
		t.Fatal(err)
	}
	return params
}

// A miner logs in with its own address, finds a block with a payment in it, and
// goes on upon the block it found.
func TestMinerFindsBlocks(t *testing.T) {
	w := newWorld()
	p := w.ledger.Params
	busy(w)
	s := open(t, w)
	me := chaintest.Address(4)
	name := p.FormatAddress(me) + ".rig1"
	c := dial(t, s)
	extra1 := c.login(name)
	if got := c.next(); got.Method != "mining.set_difficulty" {
		t.Fatalf("before the first job comes %s", got.line)
	} else if got.Params[0] != easiest.Difficulty() {
		t.Errorf("difficulty %v", got.Params[0])
	}
	for i := range 3 {
		n := c.want("mining.notify")
		if n.Params[8] != true {
			t.Errorf("job %d of a new tip is not clean", i)
		}
		nonce := dig(t, n.Params, extra1, []byte{0, 0, 0, byte(i)}, easiest.Difficulty(), true)
		if ok, why := c.submit(name, n.Params, fmt.Sprintf("%08x", i), nonce); ok != "true" || why != "null" {
			t.Fatalf("share %d is answered with %s, %s", i, ok, why)
		}
	}
	c.want("mining.notify") // of the third block
	blocks := w.found()
	if len(blocks) != 3 || len(blocks[0].Txs) != 1 {
		t.Fatalf("%d blocks were found", len(blocks))
	}
	for _, b := range blocks {
		if b.Coinbase.Outputs[0].To != me {
			t.Error("the block pays another")
		}
	}
	got := workersOf(s, func(list []Worker) bool { return list[0].Blocks == 3 })
	if len(got) != 1 || got[0].Accepted != 3 || got[0].Blocks != 3 || got[0].Name != name || got[0].Connections != 1 ||
		got[0].HashRate <= 0 || got[0].Last.IsZero() || got[0].Difficulty != easiest.Difficulty() {
		t.Errorf("status %+v", got)
	}
	_ = c.conn.Close()
	workersOf(s, func(list []Worker) bool { return list[0].Connections == 0 })
}

// Every refusal has the code and the word that miners know.
func TestRefusals(t *testing.T) {
	w := newWorld()
	s := open(t, w)
	early := dial(t, s)
	if _, why := early.ask(`{"id":9,"method":"mining.submit","params":["rig","1","00000000","00000000","00000000"]}`); why != `[25,"Not subscribed",null]` {
		t.Errorf("before subscribing: %s", why)
	}
	c := dial(t, s)
	extra1 := c.login("rig")
	n := c.want("mining.notify").Params
	good := dig(t, n, extra1, []byte{0, 0, 0, 0}, easiest.Difficulty(), true)
	bad := dig(t, n, extra1, []byte{0, 0, 0, 0}, easiest.Difficulty(), false)
	share := func(name, job, extra2, time, nonce string, more ...string) string {
		line, err := json.Marshal(map[string]any{"id": 4, "method": "mining.submit", "params": append([]string{name, job, extra2, time, nonce}, more...)})
		if err != nil {
			t.Fatal(err)
		}
		_, why := c.ask("%s", line)
		return why
	}
	job, now := n[0].(string), n[7].(string)
	for _, x := range []struct{ what, got, want string }{
		{"another's name", share("rog", job, "00000000", now, good), `[24,"Unauthorized worker",null]`},
		{"a job of nobody", share("rig", "ffffffff", "00000000", now, good), `[21,"Job not found",null]`},
		{"above the target", share("rig", job, "00000000", now, bad), `[23,"Low difficulty share",null]`},
		{"a short extra nonce", share("rig", job, "0000", now, good), `[20,"Invalid extranonce2: send 4 bytes in hex",null]`},
		{"no hex", share("rig", job, "0000000x", now, good), `[20,"Invalid extranonce2: send 4 bytes in hex",null]`},
		{"a long nonce", share("rig", job, "00000000", now, good+"00"), `[20,"Invalid ntime or nonce: send 8 hex digits each",null]`},
		{"too early", share("rig", job, "00000000", "00000001", good), `[20,"Ntime out of range",null]`},
		{"too late", share("rig", job, "00000000", "ffffffff", good), `[20,"Ntime out of range",null]`},
		{"a rolled version", share("rig", job, "00000000", now, good, "00002000"), `[20,"Invalid version bits: 00000000 were agreed on",null]`},
	} {
		if x.got != x.want {
			t.Errorf("%s is refused with %s, want %s", x.what, x.got, x.want)
		}
	}
	if why := share("rig", job, "00000000", now, good); why != "null" {
		t.Fatalf("the good share: %s", why)
	}
	c.want("mining.notify")
	if why := share("rig", job, "00000000", now, good); why != `[22,"Duplicate share",null]` {
		t.Errorf("the same right behind the block that it made: %s", why)
	}
	if why := share("rig", job, "00000000", now, bad); why != `[21,"Job not found",null]` {
		t.Errorf("a bad one then: %s", why)
	}
	w.rival()
	c.want("mining.notify")
	if why := share("rig", job, "00000000", now, good); why != `[21,"Job not found",null]` {
		t.Errorf("the same after another's block: %s", why)
	}
	c.send(`{"id":5,"method":"mining.get_transactions","params":[]}`)
	if h := c.want(""); string(h.Error) != `[20,"Unknown method",null]` || string(h.ID) != "5" {
		t.Errorf("an unknown method: %s", h.line)
	}
	got := s.Status().Workers[0]
	if got.Accepted != 1 || got.Stale != 3 || got.Duplicate != 1 || got.Low != 1 || got.Invalid != 6 {
		t.Errorf("counted: %+v", got)
	}
}

// A duplicate is told from a stale share, on work that the share does not end.
func TestDuplicates(t *testing.T) {
	w := newWorld()
	s := open(t, w)
	c := dial(t, s)
	extra1 := c.login("rig")
	n := c.want("mining.notify").Params
	j := mainJob(t, s, n[0].(string))
	j.work.target, _ = chain.Bits(0x03000001).Target() // no share is a block
	nonce := dig(t, n, extra1, []byte{0, 0, 0, 0}, easiest.Difficulty(), true)
	if ok, why := c.submit("rig", n, "00000000", nonce); ok != "true" {
		t.Fatal(why)
	}
	if _, why := c.submit("rig", n, "00000000", nonce); why != `[22,"Duplicate share",null]` {
		t.Errorf("a share sent twice: %s", why)
	}
	if got := s.Status().Workers[0]; got.Duplicate != 1 || got.Blocks != 0 {
		t.Errorf("counted: %+v", got)
	}
	w.rival()
	fresh := c.want("mining.notify").Params
	if fresh[1] == n[1] || fresh[8] != true {
		t.Errorf("after another's block the job is %v", fresh)
	}
	if _, why := c.submit("rig", n, "00000000", nonce); why != `[21,"Job not found",null]` {
		t.Errorf("a share of the old tip: %s", why)
	}
}

// mainJob is the job with this id of the only session.
func mainJob(t testing.TB, s *Server, id string) *job {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.open {
		c.mu.Lock()
		defer c.mu.Unlock()
		if j, _ := c.job(id, time.Now()); j != nil {
			own := *j.work
			j.work = &own
			return j
		}
	}
	t.Fatal("no such job")
	return nil
}

// Between the new tip and the word of it a share counts, but its block would only
// be a sibling.
func TestNewTipBeforeAnybodyWasTold(t *testing.T) {
	w := newWorld()
	s := open(t, w)
	c := dial(t, s)
	extra1 := c.login("rig")
	n := c.want("mining.notify").Params
	over := make(chan struct{})
	mainJob(t, s, n[0].(string)).work.over = over
	close(over)
	if ok, why := c.submit("rig", n, "00000000", dig(t, n, extra1, make([]byte, 4), easiest.Difficulty(), true)); ok != "true" {
		t.Errorf("refused with %s", why)
	}
	got := workersOf(s, func(list []Worker) bool { return list[0].Lost == 1 })
	if len(w.found()) != 0 || got[0].Blocks != 0 || got[0].Accepted != 1 {
		t.Errorf("a sibling was handed over: %+v", got)
	}
}

// A share stays good for its own job's difficulty, and jobs of one tip for a
// while; ids are of one session.
func TestJobs(t *testing.T) {
	s := open(t, newWorld())
	c, other := dial(t, s), dial(t, s)
	c.login("rig")
	other.login("rig")
	jobs := []string{c.want("mining.notify").Params[0].(string)}
	theirs := other.want("mining.notify").Params[0].(string)
	for i := range maxJobs {
		w, err := newWork(uint64(1000+i), s.work.Load().block, make(chan struct{}))
		if err != nil {
			t.Fatal(err)
		}
		s.show(w)
		n := c.want("mining.notify").Params
		if n[8] != false {
			t.Error("a job of the same tip is clean")
		}
		jobs = append(jobs, n[0].(string))
	}
	for i, id := range jobs {
		_, why := c.submit("rig", []any{id, 0, 0, 0, 0, 0, 0, "00000000"}, "00000000", "00000000")
		if known := strings.Contains(why, "Ntime"); known != (i > 0) {
			t.Errorf("job %d of %d: %s", i, len(jobs), why)
		}
	}
	if _, why := c.submit("rig", []any{theirs, 0, 0, 0, 0, 0, 0, "00000000"}, "00000000", "00000000"); why != `[21,"Job not found",null]` {
		t.Errorf("another session's job: %s", why)
	}
	slices.Sort(jobs)
	if len(slices.Compact(append(jobs, theirs))) != maxJobs+2 {
		t.Error("a job id was given twice")
	}
}

// Rolled version bits count, within what was agreed on.
func TestVersionRolling(t *testing.T) {
	w := newWorld()
	s := open(t, w)
	c := dial(t, s)
	got, _ := c.ask(`{"id":1,"method":"mining.configure","params":[["version-rolling","minimum-difficulty","subscribe-extranonce"],{"version-rolling.mask":"ffffffff","version-rolling.min-bit-count":2}]}`)
	if want := `{"minimum-difficulty":false,"subscribe-extranonce":true,"version-rolling":true,"version-rolling.mask":"1fffe000"}`; got != want {
		t.Errorf("configure: %s", got)
	}
	if got, _ := c.ask(`{"id":1,"method":"mining.configure","params":[["version-rolling"],{"version-rolling.mask":"00006000"}]}`); got != `{"version-rolling":true,"version-rolling.mask":"00006000"}` {
		t.Errorf("a smaller mask: %s", got)
	}
	if _, why := c.ask(`{"id":1,"method":"mining.configure","params":[7]}`); why != `[20,"Invalid parameters",null]` {
		t.Errorf("nonsense: %s", why)
	}
	extra1 := c.login("rig")
	n := c.want("mining.notify").Params
	n[5] = "00002001"
	nonce := dig(t, n, extra1, make([]byte, 4), easiest.Difficulty(), true)
	if ok, why := c.ask(`{"id":4,"method":"mining.submit","params":["rig","%s","00000000","%s","%s","00002000"]}`, n[0], n[7], nonce); ok != "true" {
		t.Fatalf("a rolled share: %s", why)
	}
	c.want("mining.notify")
	if b := w.found(); len(b) != 1 || b[0].Header.Version != 0x2001 {
		t.Errorf("found %+v", b)
	}
}

func TestLogins(t *testing.T) {
	w := newWorld()
	p := w.ledger.Params
	s := open(t, w)
	mine := p.FormatAddress(chaintest.Address(1))
	c := dial(t, s)
	login := func(name string) string {
		_, why := c.ask(`{"id":2,"method":"mining.authorize","params":["%s"]}`, name)
		return why
	}
	if why := login(mine + ".a"); why != "null" {
		t.Fatal(why)
	}
	for name, want := range map[string]string{
		mine + ".b":                      "null",
		mine + ".a":                      "null",
		"rig":                            `[24,"Unauthorized worker: one connection pays one address",null]`,
		chain.Main().FormatAddress(node): `another network`,
		mine[:len(mine)-1] + "q":         `checksum`,
		"ECRN1short":                     `checksum`,
		strings.Repeat("x.", 65):         `128 printable`,
		`rig\u001b[2J`:                   `128 printable`,
	} {
		if why := login(name); why != want && (want[0] == '[' || want == "null" || !strings.Contains(why, want) || !strings.HasPrefix(why, "[24,")) {
			t.Errorf("login of %s: %s, want %s", name, why, want)
		}
	}
	for i := range maxLogins - 2 {
		if why := login(fmt.Sprint(mine, ".", i)); why != "null" {
			t.Fatal(why)
		}
	}
	if why := login(mine + ".more"); !strings.Contains(why, "too many names") {
		t.Errorf("the name too many: %s", why)
	}
	s.cfg.Pay = nil
	if why := login("plain"); !strings.Contains(why, "log in with the address") {
		t.Errorf("a worker of a node without address: %s", why)
	}
}

// Names of strangers do not fill the memory, and whoever is here is not forgotten.
func TestWorkersAreBounded(t *testing.T) {
	s := newServer(Config{Params: chaintest.Easy(), Chain: newWorld()}, nil)
	at := &s.workers
	_ = at.enter("stays", node, start)
	for i := range 3 * maxWorkers {
		name := fmt.Sprint(i)
		if !at.enter(name, node, start) {
			t.Fatalf("no room for worker %d", i)
		}
		at.leave(name, start)
	}
	list := at.list(start)
	if len(list) != maxWorkers || list[len(list)-1].Name != "stays" {
		t.Errorf("%d workers are known", len(list))
	}
	for i := range maxWorkers {
		at.enter(fmt.Sprint("new", i), node, start)
	}
	if at.enter("one more", node, start) {
		t.Error("there is room beside workers who are all here")
	}
}

// The difficulty follows a miner that is too fast, with a job that it counts from.
func TestDifficultyFollows(t *testing.T) {
	w := newWorld()
	s := open(t, w, func(s *Server) { s.rule = rule{every: 5, easy: true} })
	c := dial(t, s)
	c.login("rig")
	if got := c.want("mining.set_difficulty").Params[0]; got != (first-1).Difficulty() && got != first.Difficulty() {
		t.Errorf("starts at %v", got)
	}
	c.want("mining.notify")
	for sess := range s.open {
		sess.mu.Lock()
		j := sess.jobs[0]
		for range enough {
			sess.pace.share(20)
		}
		sess.mu.Unlock()
		sess.follow(j, sess.begun.Add(1))
	}
	d := c.next()
	n := c.next()
	if d.Method != "mining.set_difficulty" || n.Method != "mining.notify" || n.Params[8] != false {
		t.Errorf("%s, then %s", d.line, n.line)
	}
	if got := d.Params[0].(float64); got <= first.Difficulty() {
		t.Errorf("difficulty %v", got)
	}
	c.send(`{"id":1,"method":"mining.subscribe"}`) // resets the miner to difficulty 1
	if again := c.want("mining.set_difficulty"); again.Params[0] != d.Params[0] {
		t.Errorf("after subscribing again: %s", again.line)
	}
}

// Without a template there is no job; with one there is, without a new login.
func TestNoTemplateYet(t *testing.T) {
	w := newWorld()
	w.broken = errors.New("the clock is wrong")
	s := open(t, w)
	c := dial(t, s)
	c.login("rig")
	w.mu.Lock()
	w.broken = nil
	w.move()
	w.mu.Unlock()
	c.want("mining.notify")
	if got := s.Status(); got.Connections != 1 || len(got.Workers) != 1 {
		t.Errorf("status %+v", got)
	}
}

// A block that the node does not take is counted and said, and the miner goes on.
func TestLostBlock(t *testing.T) {
	w := newWorld()
	s := open(t, w)
	c := dial(t, s)
	extra1 := c.login("rig")
	n := c.want("mining.notify").Params
	w.mu.Lock()
	w.ledger.Add(chaintest.Plan{Name: "silent"}) // a tip that nobody was told of
	w.mu.Unlock()
	if ok, _ := c.submit("rig", n, "00000000", dig(t, n, extra1, make([]byte, 4), easiest.Difficulty(), true)); ok != "true" {
		t.Error("a share that was good when it was sent is refused")
	}
	got := workersOf(s, func(list []Worker) bool { return list[0].Lost == 1 })
	if got[0].Blocks != 0 || got[0].Accepted != 1 {
		t.Errorf("counted: %+v", got)
	}
}

func TestListen(t *testing.T) {
	for listen, want := range map[string]string{
		"127.0.0.1:1": "127.0.0.1:1", ":7": "127.0.0.1:7", "7": "127.0.0.1:7", "0.0.0.0:7": "0.0.0.0:7", "[::]:7": "[::]:7", "x": "", "70000": "", "a:b:c": "",
	} {
		got, err := local(listen)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q listens on %q, %v", listen, got, err)
		}
	}
	if _, err := Start(Config{}); err == nil {
		t.Error("a server without a chain starts")
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	w := newWorld()
	if _, err := Start(Config{Params: w.ledger.Params, Chain: w, Listen: taken.Addr().String()}); err == nil || !strings.Contains(err.Error(), "listen for miners on "+taken.Addr().String()) {
		t.Errorf("on a port in use: %v", err)
	}
	s, err := Start(Config{Params: w.ledger.Params, Chain: w, Listen: ":0"})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(s.Addr(), "127.0.0.1:") {
		t.Errorf("listens on %s", s.Addr())
	}
	if err := errors.Join(s.Close(), nil); err != nil {
		t.Error(err)
	}
}

// Two hundred connections, half of them hostile in every way that we know: the
// others go on finding blocks, and what is kept stays bounded.
func TestHalfHostile(t *testing.T) {
	w := newWorld()
	s := open(t, w)
	const each, goal = 100, 40
	hostile := []string{
		"", strings.Repeat("x", maxLine+1), "\x00\xff{]}\n", `{"id":1,"method":"mining.subscribe"}` + "\n{\"id\":", "{}\n", "[]\n", "GET / HTTP/1.1\r\n\r\n",
		`{"id":1,"method":"mining.subscribe","params":{"a":1}}` + "\n",
		strings.Repeat(`{"id":1,"method":"mining.submit","params":["rig","1","00000000","00000000","00000000"]}`+"\n", 500),
		strings.Repeat(`{"id":1,"method":"mining.subscribe"}`+"\n"+`{"id":2,"method":"mining.authorize","params":["rig"]}`+"\n", 200),
	}
	for i := range each {
		conn, err := net.Dial("tcp", s.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close() // it never reads, and stays as long as it may
		if _, err := conn.Write([]byte(hostile[i%len(hostile)])); err != nil {
			t.Logf("hostile connection %d: %v", i, err) // hung up on already
		}
	}
	var crew sync.WaitGroup
	for i := range each {
		c := dial(t, s)
		crew.Go(func() {
			name := fmt.Sprint("good", i)
			extra1 := c.login(name)
			for k := 0; len(w.found()) < goal; k++ {
				n := c.want("mining.notify").Params
				extra2 := []byte{0, 0, byte(k >> 8), byte(k)}
				_, _ = c.submit(name, n, fmt.Sprintf("%x", extra2), dig(t, n, extra1, extra2, easiest.Difficulty(), true))
			}
			_ = c.conn.Close()
		})
	}
	crew.Wait()
	if n := len(w.found()); n < goal {
		t.Errorf("%d blocks", n)
	}
	if got := s.Status(); got.Connections > 2*each {
		t.Errorf("%d connections are open", got.Connections)
	}
}

// Connections beyond the limit are closed at once, and there is room again when
// somebody leaves.
func TestConnectionsAreBounded(t *testing.T) {
	s := open(t, newWorld(), func(s *Server) { s.cfg.MaxConns = 1 })
	c := dial(t, s)
	c.login("rig")
	full := dial(t, s)
	full.hungUp()
	_ = c.conn.Close()
	workersOf(s, func(list []Worker) bool { return list[0].Connections == 0 })
	again := dial(t, s)
	again.login("rig")
}
