package rpc

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"cairn/chain"
)

// Where events are told, and to how many.
const (
	eventsPath  = "/events"
	maxWatchers = 1024
	maxTold     = 10_000   // events kept to resume from
	maxToldSize = 8 << 20  // bytes of them, about
	oneWrite    = 64 << 10 // bytes of events written at once, before the last of them
	maxPart     = 1024     // events looked at for it
	takeTimeout = 10 * time.Second
	heartbeat   = 15 * time.Second
)

// The names of events.
const (
	EventConnected    = "block_connected"    // BlockEvent
	EventDisconnected = "block_disconnected" // BlockEvent
	EventReorg        = "reorg"              // ReorgEvent, after its blocks
	EventAccepted     = "tx_accepted"        // TxEvent
	EventRemoved      = "tx_removed"         // TxEvent
	EventTip          = "tip"                // TipEvent
	EventGap          = "gap"                // GapEvent: some events are not told; read again what they would have told
)

// BlockEvent is a block that came onto the best chain, or left it.
type BlockEvent struct {
	ID     chain.Hash `json:"hash"`
	Height uint64     `json:"height"`
	Prev   chain.Hash `json:"previousblockhash"`
	Time   uint32     `json:"time"` // of its header, in seconds since 1970
}

// ReorgEvent is one reorganisation as this node lived it.
type ReorgEvent struct {
	Depth    int          `json:"depth"` // blocks undone
	Ancestor BlockName    `json:"ancestor"`
	Undone   []chain.Hash `json:"undone"`       // newest first
	Applied  []chain.Hash `json:"applied"`      // oldest first
	Txs      []TxFate     `json:"transactions"` // of the blocks undone, oldest first; at most MaxFates
	More     int          `json:"more,omitempty"`
}

// MaxFates is how many transactions one ReorgEvent lists; More counts the others.
const MaxFates = 1000

// BlockName is a block's id and height.
type BlockName struct {
	ID     chain.Hash `json:"hash"`
	Height uint64     `json:"height"`
}

// TxFate is what became of a transaction whose block was undone.
type TxFate struct {
	ID    chain.Hash  `json:"txid"`
	Fate  string      `json:"fate"`            // a reason of package mempool
	By    *chain.Hash `json:"by,omitempty"`    // the transaction that took its place
	Block *chain.Hash `json:"block,omitempty"` // that confirms it, or By
	Why   string      `json:"why,omitempty"`
}

// TxEvent is a transaction that came into the pool, or left it.
type TxEvent struct {
	ID     chain.Hash  `json:"txid"`
	Size   int         `json:"size"`   // bytes
	Fee    Amount      `json:"fee"`    // CRN
	Reason string      `json:"reason"` // of package mempool
	By     *chain.Hash `json:"by,omitempty"`
	Block  *chain.Hash `json:"block,omitempty"`
}

// TipEvent is a peer's claim that it follows another tip than before.
type TipEvent struct {
	Peer   string     `json:"peer"`
	ID     chain.Hash `json:"id"`
	Height uint64     `json:"height"`
}

// GapEvent tells a watcher that it missed events.
type GapEvent struct {
	Why string `json:"why"`
}

const gapText = "these events are not kept any more: read the chain and the pool again"

// Feed keeps the latest events. Each is encoded when the first watcher comes to it,
// once for all of them, and not at all if nobody does. Nobody who tells waits for
// anybody who listens.
type Feed struct {
	life string        // differs for each start of a node: numbers of another life say nothing
	beat time.Duration // between signs of life
	take time.Duration // a watcher has to read

	mu    sync.Mutex
	told  []*told // guarded by mu; the latest, oldest first
	bytes int     // guarded by mu; of told, about
	next  uint64  // guarded by mu; the number of the next event
	more  chan struct{}
}

// NewFeed makes an empty feed.
func NewFeed() *Feed {
	return &Feed{life: strings.ToLower(rand.Text()[:10]), beat: heartbeat, take: takeTimeout, more: make(chan struct{})}
}

// Event is one of the names, and a value of the type that goes with it. Who tells it
// gives it away: nothing that it points to may change any more.
type Event struct {
	Name  string
	Value any
}

// told is an event that may be encoded.
type told struct {
	number uint64
	size   int // bytes of it, about

	once  sync.Once
	event Event // until it is encoded
	text  []byte
}

// encoded is what a watcher reads.
func (t *told) encoded(life string) []byte {
	t.once.Do(func() {
		raw, err := json.Marshal(t.event.Value)
		if err != nil {
			panic(err) // every event is a value of ours
		}
		t.text = fmt.Appendf(nil, "id: %s-%d\nevent: %s\ndata: %s\n\n", life, t.number, t.event.Name, raw)
		t.event = Event{}
	})
	return t.text
}

// size is about how many bytes an event takes, encoded or not: nearly all are alike.
func (e Event) size() int {
	const usual, id, fate = 400, 70, 400
	switch v := e.Value.(type) {
	case ReorgEvent:
		n := usual + id*(len(v.Undone)+len(v.Applied))
		for _, f := range v.Txs {
			n += fate + len(f.Why)
		}
		return n
	case GapEvent:
		return usual + len(v.Why)
	case TipEvent:
		return usual + len(v.Peer)
	}
	return usual
}

// Tell adds events.
func (f *Feed) Tell(events ...Event) {
	if len(events) == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range events {
		t := &told{number: f.next, size: e.size(), event: e}
		f.told, f.bytes, f.next = append(f.told, t), f.bytes+t.size, f.next+1
	}
	for len(f.told) > maxTold || f.bytes > maxToldSize {
		f.bytes -= f.told[0].size
		f.told[0] = nil
		f.told = f.told[1:]
	}
	close(f.more)
	f.more = make(chan struct{})
}

// since returns what to write to a watcher that waits for event number seq, and
// the number it waits for then. more is closed when there is more to come.
func (f *Feed) since(seq uint64) (out []byte, next uint64, more <-chan struct{}) {
	list, gap, next, more := f.from(seq)
	if gap != nil {
		return gap, next, more
	}
	next = seq
	for _, t := range list {
		if len(out) >= oneWrite {
			break
		}
		out, next = append(out, t.encoded(f.life)...), next+1
	}
	return out, next, more
}

// from returns the events from number seq on, not more than one write holds by far;
// or, if they are not kept, what tells of the gap and the number behind it.
func (f *Feed) from(seq uint64) (list []*told, gap []byte, next uint64, more <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	first := f.next - uint64(len(f.told))
	if seq < first || seq > f.next {
		raw, _ := json.Marshal(GapEvent{gapText}) // a text can always be encoded
		return nil, fmt.Appendf(nil, "id: %s\nevent: %s\ndata: %s\n\n", f.last(), EventGap, raw), f.next, f.more
	}
	list = f.told[seq-first:]
	return slices.Clone(list[:min(len(list), maxPart)]), nil, f.next, f.more
}

// last is the id of the latest event; the first number of a life is 0, and what
// was before it is -1.
func (f *Feed) last() string { return f.life + "-" + strconv.FormatInt(int64(f.next)-1, 10) }

// begin is the number that a new watcher waits for: behind the event it saw last,
// or the next one. A number that cannot be is a gap.
func (f *Feed) begin(lastID string) (seq uint64, greeting []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if lastID == "" {
		return f.next, fmt.Appendf(nil, "retry: 3000\nid: %s\n\n", f.last())
	}
	greeting = []byte("retry: 3000\n\n")
	number, ok := strings.CutPrefix(lastID, f.life+"-")
	n, err := strconv.ParseInt(number, 10, 64)
	if !ok || err != nil || n < -1 || n >= int64(f.next) {
		return math.MaxUint64, greeting
	}
	return uint64(n + 1), greeting
}

// follow writes to one watcher until it leaves, is too slow, or ctx ends.
func (f *Feed) follow(ctx context.Context, w http.ResponseWriter, lastID string) {
	control := http.NewResponseController(w)
	send := func(b []byte) bool {
		deadline(control.SetWriteDeadline, f.take)
		_, err := w.Write(b)
		return err == nil && control.Flush() == nil
	}
	seq, greeting := f.begin(lastID)
	if !send(greeting) {
		return
	}
	beat := time.NewTicker(f.beat)
	defer beat.Stop()
	for ctx.Err() == nil {
		out, next, more := f.since(seq)
		if len(out) > 0 {
			if !send(out) {
				return
			}
			seq = next
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-more:
		case <-beat.C:
			if !send([]byte(":\n\n")) {
				return
			}
		}
	}
}

// events answers a watcher.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		w.Header().Set("Allow", http.MethodGet)
		refuse(w, http.StatusMethodNotAllowed, "Events are read with GET.")
		return
	}
	if !s.known(w, r) {
		return
	}
	select {
	case s.watchers <- struct{}{}:
		defer func() { <-s.watchers }()
	default:
		w.Header().Set("Retry-After", "10")
		refuse(w, http.StatusServiceUnavailable, "Too many watch events already: end one of them, or try again later.")
		return
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // or it would end the request's context
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	s.backend.Events.follow(r.Context(), w, r.Header.Get("Last-Event-ID"))
}
