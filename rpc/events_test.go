package rpc

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cairn/chain"
)

// serveEvents starts a server that tells of a feed.
func serveEvents(t *testing.T, f *Feed) *Server {
	t.Helper()
	b := newWorld(t).backend()
	b.Events = f
	s, err := Start(Config{Listen: "127.0.0.1:0", Cookie: filepath.Join(t.TempDir(), ".cookie"), User: testUser, Password: testPassword}, b)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

// watcher is one stream of events.
type watcher struct {
	t    *testing.T
	r    *bufio.Reader
	body io.ReadCloser
}

type heard struct{ id, name, data string }

// watch opens a stream and waits until it is greeted: what is told from now on is
// heard.
func watch(t *testing.T, s *Server, last string) *watcher {
	t.Helper()
	answer := follow(t, s, func(r *http.Request) {
		if last != "" {
			r.Header.Set("Last-Event-ID", last)
		}
	})
	if answer.StatusCode != http.StatusOK || answer.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("status %d, %s", answer.StatusCode, answer.Header.Get("Content-Type"))
	}
	w := &watcher{t, bufio.NewReader(answer.Body), answer.Body}
	if e := w.block(); e.name != "" {
		t.Fatalf("greeted with %+v", e)
	}
	return w
}

func follow(t *testing.T, s *Server, change func(*http.Request)) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.Addr()+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth(testUser, testPassword)
	change(r)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { answer.Body.Close() })
	return answer
}

// block reads up to an empty line; a comment is an event named ":".
func (w *watcher) block() (e heard) {
	for {
		line, err := w.r.ReadString('\n')
		if err != nil {
			return heard{name: "end", data: err.Error()}
		}
		line = strings.TrimSuffix(line, "\n")
		key, value, _ := strings.Cut(line, ": ")
		switch key {
		case "":
			return e
		case "id":
			e.id = value
		case "event":
			e.name = value
		case "data":
			e.data = value
		case ":":
			e.name = ":"
		}
	}
}

func (w *watcher) next() heard {
	for {
		if e := w.block(); e.name != ":" && e.name != "" {
			return e
		}
	}
}

func numberOf(t *testing.T, e heard) (n int) {
	t.Helper()
	var tip TipEvent
	if err := json.Unmarshal([]byte(e.data), &tip); err != nil || e.name != EventTip {
		t.Fatalf("%+v: %v", e, err)
	}
	return int(tip.Height)
}

func tell(f *Feed, from, to int) {
	for i := from; i < to; i++ {
		f.Tell(Event{EventTip, TipEvent{Peer: "alice", Height: uint64(i)}})
	}
}

func TestEventsAreGuarded(t *testing.T) {
	s := serveEvents(t, NewFeed())
	for what, c := range map[string]struct {
		status int
		change func(*http.Request)
	}{
		"nobody":       {401, func(r *http.Request) { r.Header.Del("Authorization") }},
		"wrong":        {401, func(r *http.Request) { r.SetBasicAuth(testUser, "guess") }},
		"rebound":      {403, func(r *http.Request) { r.Host = "evil.example" }},
		"POST":         {405, func(r *http.Request) { r.Method = http.MethodPost }},
		"cross-origin": {403, func(r *http.Request) { r.Method = http.MethodPost; r.Header.Set("Origin", "https://evil.example") }},
		"password":     {200, func(*http.Request) {}},
	} {
		if got := follow(t, s, c.change).StatusCode; got != c.status {
			t.Errorf("%s: status %d, want %d", what, got, c.status)
		}
	}
}

func TestEventsResume(t *testing.T) {
	f := NewFeed()
	s := serveEvents(t, f)
	tell(f, 0, 5)
	first := watch(t, s, "")
	tell(f, 5, 10)
	var last heard
	for i := 5; i < 8; i++ {
		if last = first.next(); numberOf(t, last) != i {
			t.Fatalf("heard %+v, want %d", last, i)
		}
	}
	first.body.Close()
	again := watch(t, s, last.id)
	for i := 8; i < 10; i++ {
		if e := again.next(); numberOf(t, e) != i {
			t.Fatalf("heard %+v, want %d", e, i)
		}
	}
	tell(f, 10, 11)
	if e := again.next(); numberOf(t, e) != 10 {
		t.Fatalf("heard %+v, want 10", e)
	}
	begin := watch(t, s, f.life+"--1")
	if e := begin.next(); numberOf(t, e) != 0 {
		t.Fatalf("heard %+v, want the first", e)
	}
}

// Whoever asks for what is not kept hears of a gap once, and then what comes.
func TestEventsGap(t *testing.T) {
	f := NewFeed()
	s := serveEvents(t, f)
	tell(f, 0, maxTold+1)
	for what, id := range map[string]string{
		"forgotten": f.life + "--1", "another life": "other-7", "future": fmt.Sprintf("%s-%d", f.life, 10*maxTold),
		"nonsense": "x", "no number": f.life + "-x", "below": f.life + "--2", "too large": f.life + "-99999999999999999999",
	} {
		w := watch(t, s, id)
		gap := w.next()
		if gap.name != EventGap || gap.id != fmt.Sprintf("%s-%d", f.life, f.next-1) || !strings.Contains(gap.data, "read the chain") {
			t.Errorf("%s: heard %+v", what, gap)
		}
		n := int(f.next)
		tell(f, n, n+1)
		if e := w.next(); numberOf(t, e) != n {
			t.Errorf("%s: heard %+v after the gap, want %d", what, e, n)
		}
	}
}

func TestFeedIsBoundedInBytes(t *testing.T) {
	f := NewFeed()
	large := GapEvent{strings.Repeat("x", 1<<20)}
	for range 20 {
		f.Tell(Event{EventGap, large})
	}
	if len(f.told) != 7 || f.bytes > maxToldSize || f.next != 20 {
		t.Errorf("%d events of %d bytes are kept, of %d", len(f.told), f.bytes, f.next)
	}
}

// countsItself counts how often it is encoded.
type countsItself struct{ encoded *atomic.Int64 }

func (c countsItself) MarshalJSON() ([]byte, error) {
	c.encoded.Add(1)
	return []byte(`{"height":1}`), nil
}

// An event is encoded when somebody comes to it, and once however many do; telling
// it costs no more.
func TestEventsAreEncodedOnce(t *testing.T) {
	f := NewFeed()
	s := serveEvents(t, f)
	var encoded atomic.Int64
	for range 100 {
		f.Tell(Event{EventTip, countsItself{&encoded}})
	}
	if n := encoded.Load(); n != 0 {
		t.Fatalf("nobody listens, and %d were encoded", n)
	}
	var done sync.WaitGroup
	for range 8 {
		w := watch(t, s, f.life+"-59")
		done.Go(func() {
			for range 40 {
				w.next()
			}
		})
	}
	done.Wait()
	if n := encoded.Load(); n != 40 {
		t.Errorf("the last 40 were encoded %d times", n)
	}
}

// What is bounded before it is encoded is bounded behind it.
func TestEventsTakeWhatTheyCount(t *testing.T) {
	id, why := chain.Hash{255}, strings.Repeat("y", 90)
	many := ReorgEvent{Undone: make([]chain.Hash, 500), Applied: make([]chain.Hash, 500)}
	for range MaxFates {
		many.Txs = append(many.Txs, TxFate{ID: id, Fate: "expired in a long word", By: &id, Block: &id, Why: why})
	}
	for _, e := range []Event{
		{EventReorg, many},
		{EventConnected, BlockEvent{ID: id, Height: 1 << 60, Prev: id, Time: 1 << 31}},
		{EventRemoved, TxEvent{ID: id, Size: 1 << 20, Fee: 1 << 60, Reason: "expired in a long word", By: &id, Block: &id}},
		{EventTip, TipEvent{Peer: why, ID: id, Height: 1 << 60}},
		{EventGap, GapEvent{why}},
	} {
		one := told{number: 1 << 60, event: e}
		if n := len(one.encoded("0123456789")); n > e.size() {
			t.Errorf("%s takes %d bytes and counts as %d", e.Name, n, e.size())
		}
	}
}

// One watcher reads nothing: it is dropped, and the other misses nothing.
func TestSlowWatcherIsDropped(t *testing.T) {
	f := NewFeed()
	f.take = 2 * time.Second
	s := serveEvents(t, f)
	slow, quick := watch(t, s, ""), watch(t, s, "")
	peer := strings.Repeat("p", 10_000)
	for n := 0; len(s.watchers) == 2; n += 50 {
		for i := range 50 {
			f.Tell(Event{EventTip, TipEvent{Peer: peer, Height: uint64(n + i)}})
		}
		for i := range 50 {
			if e := quick.next(); numberOf(t, e) != n+i {
				t.Fatalf("heard number %d, want %d", numberOf(t, e), n+i)
			}
		}
	}
	for e := slow.next(); ; e = slow.next() {
		if e.name == "end" {
			if e.data == io.EOF.Error() {
				t.Error("the slow watcher's stream ended as if it were whole")
			}
			break
		}
	}
}

func TestWatchersAreBounded(t *testing.T) {
	s := serveEvents(t, NewFeed())
	for range maxWatchers {
		s.watchers <- struct{}{}
	}
	answer := follow(t, s, func(*http.Request) {})
	if answer.StatusCode != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") == "" {
		t.Errorf("status %d", answer.StatusCode)
	}
	<-s.watchers
	watch(t, s, "")
}

func TestQuietFeedShowsThatItLives(t *testing.T) {
	f := NewFeed()
	f.beat = time.Millisecond
	w := watch(t, serveEvents(t, f), "")
	for range 3 {
		if e := w.block(); e.name != "" && e.name != ":" {
			t.Fatalf("heard %+v", e)
		}
	}
}

func TestTwoHundredWatchers(t *testing.T) {
	const watchers, events = 200, 300
	f := NewFeed()
	s := serveEvents(t, f)
	var all []*watcher
	for range watchers {
		all = append(all, watch(t, s, ""))
	}
	var done sync.WaitGroup
	errs := make([]error, watchers)
	for i, w := range all {
		done.Go(func() {
			for n := range events {
				if e := w.next(); e.id != fmt.Sprintf("%s-%d", f.life, n) {
					errs[i] = fmt.Errorf("watcher %d heard %+v, want number %d", i, e, n)
					return
				}
			}
		})
	}
	tell(f, 0, events)
	done.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkTell is what a payment costs that nobody listens to.
func BenchmarkTell(b *testing.B) {
	f := NewFeed()
	for b.Loop() {
		f.Tell(Event{EventAccepted, TxEvent{Size: 200, Fee: 1000, Reason: "added"}})
	}
}
