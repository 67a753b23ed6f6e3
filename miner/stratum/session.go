package stratum

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"net"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"cairn/chain"
)

const (
	loginTime = 30 * time.Second // to subscribe and log in
	idleTime  = 10 * time.Minute // between two lines of a miner
	writeTime = 10 * time.Second // for one line to be taken
	grace     = time.Second      // for shares that follow a miner's own block
	maxQueue  = 64               // lines that wait for a slow reader
	maxJobs   = 8                // that a session may still answer
	maxOwn    = 64               // blocks of one tip that a session found
	maxSeen   = 4096             // shares of one job; vardiff keeps honest miners far below
	maxLogins = 16               // names on one connection
	perSecond = 100              // lines a second that are worked on,
	burst     = 1000             // and how many may come at once
)

// session is one connection.
type session struct {
	s      *Server
	conn   net.Conn
	extra1 [sizeOfExtra1]byte
	out    chan []byte   // lines for write,
	taken  chan struct{} // and a word of it when one of them is gone
	begun  time.Time
	once   sync.Once
	gone   chan struct{} // closed when we hung up

	mu         sync.Mutex // guards what follows; work goes out under it, so that lines keep their order
	subscribed bool
	names      map[string]bool // logged in
	pay        chain.Address   // whom its jobs pay, once there is a name
	mask       uint32          // version bits that were agreed on
	pace       pace
	told       *Level       // the last that set_difficulty said
	jobs       []*job       // newest last
	own        []chain.Hash // blocks that were found on them
	past       []*job       // those before the last block, if the session found it itself,
	until      time.Time    // and how long they count
}

func newSession(s *Server, conn net.Conn, extra1 [sizeOfExtra1]byte) *session {
	now := time.Now()
	return &session{
		s: s, conn: conn, extra1: extra1, begun: now, gone: make(chan struct{}),
		out: make(chan []byte, maxQueue), taken: make(chan struct{}, 1),
		names: map[string]bool{}, pace: newPace(s.rule.every, s.rule.start(), now),
	}
}

// hangUp ends both goroutines of the session.
func (c *session) hangUp() {
	c.once.Do(func() {
		close(c.gone)
		_ = c.conn.Close()
	})
}

// read hears the miner until one side hangs up.
func (c *session) read() {
	defer c.leave()
	limit := rate.NewLimiter(perSecond, burst)
	lines := bufio.NewReaderSize(c.conn, maxLine)
	for {
		_ = c.conn.SetReadDeadline(c.deadline())
		line, err := lines.ReadSlice('\n') // a longer line is an error
		if err != nil || limit.Wait(c.s.life) != nil || !c.room() {
			return
		}
		m, err := decode(line)
		if err != nil {
			c.s.log.Debug("a miner said what cannot be read", "from", c.conn.RemoteAddr(), "err", err)
			return
		}
		c.hear(m)
	}
}

// room waits until what was said before is on its way: who asks faster than it
// listens is slowed down. False: we hung up.
func (c *session) room() bool {
	for len(c.out) > maxQueue/2 {
		select {
		case <-c.taken:
		case <-c.gone:
			return false
		}
	}
	return true
}

// leave hangs up and logs the names out.
func (c *session) leave() {
	c.hangUp()
	c.s.leave(c)
	c.mu.Lock()
	defer c.mu.Unlock()
	for name := range c.names {
		c.s.workers.leave(name, time.Now())
	}
}

func (c *session) deadline() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ready() {
		return time.Now().Add(idleTime)
	}
	return c.begun.Add(loginTime)
}

// write sends what was said, and hangs up on who does not listen.
func (c *session) write() {
	defer c.hangUp()
	for {
		select {
		case <-c.gone:
			return
		case line := <-c.out:
			_ = c.conn.SetWriteDeadline(time.Now().Add(writeTime))
			if _, err := c.conn.Write(line); err != nil {
				return
			}
			select {
			case c.taken <- struct{}{}:
			default:
			}
		}
	}
}

// say queues a line and never waits.
func (c *session) say(v any) {
	select {
	case c.out <- encode(v):
	default:
		c.s.log.Debug("a miner does not listen", "at", c.conn.RemoteAddr())
		c.hangUp()
	}
}

// hear answers one message.
func (c *session) hear(m message) {
	switch m.Method {
	case "mining.subscribe":
		c.subscribe(m)
	case "mining.authorize":
		c.authorize(m)
	case "mining.submit":
		c.submit(m)
	case "mining.configure":
		c.configure(m)
	case "mining.extranonce.subscribe": // ours never changes
		c.say(reply{ID: m.ID, Result: true})
	case "": // an answer to something; we ask nothing
	default:
		c.say(reply{ID: m.ID, Error: other("Unknown method")})
	}
}

// subscribe gives the extra nonce. Miners start over at difficulty 1 with it.
func (c *session) subscribe(m message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.subscribed, c.told = true, nil
	name := hex.EncodeToString(c.extra1[:])
	c.say(reply{ID: m.ID, Result: []any{
		[][]string{{"mining.set_difficulty", name}, {"mining.notify", name}}, name, sizeOfExtra2,
	}})
	c.start()
}

// authorize logs a name in. Passwords mean nothing here.
func (c *session) authorize(m message) {
	name := m.text(0)
	pay, why := c.s.payee(name)
	c.mu.Lock()
	defer c.mu.Unlock()
	if why == nil {
		why = c.enter(name, pay)
	}
	if why != nil {
		c.say(reply{ID: m.ID, Error: why})
		return
	}
	c.say(reply{ID: m.ID, Result: true})
	if len(c.jobs) == 0 {
		c.start()
	}
}

// enter adds a name to the session. All of them work on the same jobs, so they
// are paid to one address. c.mu is held.
func (c *session) enter(name string, pay chain.Address) *refusal {
	switch {
	case c.names[name]:
		return nil
	case len(c.names) >= maxLogins:
		return &refusal{unauthorized.code, "Unauthorized worker: too many names on one connection"}
	case len(c.names) > 0 && pay != c.pay:
		return &refusal{unauthorized.code, "Unauthorized worker: one connection pays one address"}
	case !c.s.workers.enter(name, pay, time.Now()):
		return &refusal{unauthorized.code, "Unauthorized worker: too many workers"}
	}
	c.names[name], c.pay = true, pay
	return nil
}

// ready tells whether the miner may get work. c.mu is held.
func (c *session) ready() bool { return c.subscribed && len(c.names) > 0 }

// start gives the first job. c.mu is held.
func (c *session) start() {
	if w := c.s.work.Load(); w != nil && c.ready() {
		c.jobs = nil
		c.give(w)
	}
}

// configure agrees on extensions (BIP310).
func (c *session) configure(m message) {
	var names []string
	var options struct {
		Mask string `json:"version-rolling.mask"`
	}
	if len(m.Params) > 0 && json.Unmarshal(m.Params[0], &names) != nil ||
		len(m.Params) > 1 && json.Unmarshal(m.Params[1], &options) != nil {
		c.say(reply{ID: m.ID, Error: other("Invalid parameters")})
		return
	}
	result := map[string]any{}
	for _, name := range names {
		if name != "version-rolling" {
			result[name] = name == "subscribe-extranonce"
			continue
		}
		result[name], result[name+".mask"] = true, word(c.roll(options.Mask))
	}
	c.say(reply{ID: m.ID, Result: result})
}

// roll agrees on version bits: those that the miner asks for and the chain
// allows.
func (c *session) roll(mask string) uint32 {
	wanted, ok := readWord(mask)
	if !ok {
		wanted = chain.RollingBits
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mask = wanted & chain.RollingBits
	return c.mask
}

// offer gives the miner new work, if it wants any.
func (c *session) offer(w *work) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := len(c.jobs); !c.ready() || n > 0 && c.jobs[n-1].work.number >= w.number {
		return // or the miner asked and got it while it was on its way
	}
	c.pace.look(time.Now(), c.level(w))
	c.give(w)
}

// level is what a share of this work is to have. c.mu is held.
func (c *session) level(w *work) Level { return c.s.rule.level(c.pace.wish, w.level) }

// give makes a job of the work and tells of it. A new tip clears what came
// before. c.mu is held.
func (c *session) give(w *work) {
	clean := true
	if n := len(c.jobs); n > 0 {
		last := c.jobs[n-1].work
		clean = last.block.Header.Prev != w.block.Header.Prev
	}
	if clean {
		c.turn(w.block.Header.Prev)
	} else if len(c.jobs) >= maxJobs {
		c.jobs = append([]*job(nil), c.jobs[1:]...)
	}
	j := newJob(c.s.nextJob(), w, c.pay, c.level(w))
	c.jobs = append(c.jobs, j)
	if c.told == nil || *c.told != j.level {
		c.told = &j.level
		c.say(notice{Method: "mining.set_difficulty", Params: []any{j.level.Difficulty()}})
	}
	c.say(notice{Method: "mining.notify", Params: j.params(j.id, clean)})
}

// turn clears the jobs for a new tip. Behind a block of its own a miner may have
// sent more, which it would take badly to be told off for: a good share of then
// still counts. c.mu is held.
func (c *session) turn(tip chain.Hash) {
	c.past = nil
	if slices.Contains(c.own, tip) {
		c.past, c.until = c.jobs, time.Now().Add(grace)
	}
	c.jobs, c.own = nil, nil
}

// submit judges a share.
func (c *session) submit(m message) {
	name, now := m.text(0), time.Now()
	j, s, why := c.judge(m, name, now)
	if why != nil {
		if why != notSubscribed && why != unauthorized { // who is not logged in does not count for a name
			c.s.workers.refused(name, now, why)
		}
		c.say(reply{ID: m.ID, Error: why})
		return
	}
	c.s.workers.accepted(name, now, j.level)
	c.say(reply{ID: m.ID, Result: true})
	if c.found(j, s) {
		c.s.hand(find{name: name, job: j, extra1: c.extra1, share: s})
	}
	c.follow(j, now)
}

// judge finds the share's job and holds the share against it. A job is stale once
// the miner was told of another tip: before, it could not know better.
func (c *session) judge(m message, name string, now time.Time) (*job, share, *refusal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !c.subscribed:
		return nil, share{}, notSubscribed
	case !c.names[name]:
		return nil, share{}, unauthorized
	}
	j, late := c.job(m.text(1), now)
	if j == nil {
		return nil, share{}, jobNotFound
	}
	s, why := c.share(m, j)
	if why == nil {
		why = c.hold(j, s, now)
	}
	if late && why != nil && why != duplicateShare {
		why = jobNotFound
	}
	return j, s, why
}

// job finds one by its id, and tells whether it is over but in its grace. c.mu is
// held.
func (c *session) job(id string, now time.Time) (j *job, late bool) {
	for _, j := range c.jobs {
		if j.id == id {
			return j, false
		}
	}
	for _, j := range c.past {
		if j.id == id && now.Before(c.until) {
			return j, true
		}
	}
	return nil, false
}

// found tells whether an accepted share is a block, and notes it.
func (c *session) found(j *job, s share) bool {
	h := j.header(c.extra1, s)
	id := h.ID()
	if !j.work.target.Met(id) {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.own) < maxOwn {
		c.own = append(c.own, id)
	}
	return true
}

// share reads what a miner found. c.mu is held.
func (c *session) share(m message, j *job) (s share, why *refusal) {
	extra, err := hex.DecodeString(m.text(2))
	if err != nil || len(extra) != sizeOfExtra2 {
		return s, other("Invalid extranonce2: send %d bytes in hex", sizeOfExtra2)
	}
	copy(s.extra2[:], extra)
	var okTime, okNonce bool
	s.time, okTime = readWord(m.text(3))
	s.nonce, okNonce = readWord(m.text(4))
	if !okTime || !okNonce {
		return s, other("Invalid ntime or nonce: send 8 hex digits each")
	}
	s.version = j.version
	if len(m.Params) <= 5 {
		return s, nil
	}
	bits, ok := readWord(m.text(5))
	if !ok || bits&^c.mask != 0 {
		return s, other("Invalid version bits: %s were agreed on", word(c.mask))
	}
	s.version = j.version&^c.mask | bits
	return s, nil
}

// hold holds a share against its job, and remembers it if it is good. c.mu is
// held.
func (c *session) hold(j *job, s share, now time.Time) *refusal {
	late := max(now.Unix(), int64(j.time)) + c.s.cfg.Params.Ahead
	if s.time < j.time || int64(s.time) > late {
		return other("Ntime out of range")
	}
	if _, known := j.seen[s]; known {
		return duplicateShare
	}
	if h := j.header(c.extra1, s); !j.met(h.ID()) {
		return lowDifficulty
	}
	if len(j.seen) >= maxSeen {
		return jobNotFound
	}
	j.seen[s] = struct{}{}
	c.pace.share(j.level)
	return nil
}

// follow lets the difficulty follow the miner. It counts from a job on, so a new
// one goes out at once.
func (c *session) follow(j *job, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.s.work.Load()
	before := c.level(w)
	full := len(j.seen) >= maxSeen
	if c.pace.look(now, before) && c.level(w) != before || full {
		c.give(w)
	}
}
