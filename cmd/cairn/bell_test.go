package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"cairn/rpc"
)

// crier tells of an event for each word that it is given, and hangs up at "".
func crier(t *testing.T, words <-chan string) func() (*rpc.Client, error) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/events" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "retry: 3000\nid: life--1\n\n")
		for {
			_ = http.NewResponseController(w).Flush()
			select {
			case <-r.Context().Done():
				return
			case name := <-words:
				if name == "" {
					return
				}
				fmt.Fprintf(w, "event: %s\ndata: {}\n\n", name)
			}
		}
	}))
	t.Cleanup(server.Close)
	node := rpc.Dial(strings.TrimPrefix(server.URL, "http://"), rpc.Password("a", "b"))
	return func() (*rpc.Client, error) { return node, nil }
}

const never = time.Hour

func TestBellRingsAtEvents(t *testing.T) {
	words := make(chan string)
	b, down := hang(t.Context(), crier(t, words))
	defer down()
	if !b.wait(t.Context(), never, never) {
		t.Fatal("the greeting does not ring")
	}
	for range 3 {
		words <- rpc.EventTip
		if !b.wait(t.Context(), never, never) || b.heard.Load() != 1 {
			t.Fatal("an event does not ring")
		}
	}
	words <- "" // gone
	if !b.wait(t.Context(), never, never) || b.heard.Load() != 0 {
		t.Error("an end does not ring")
	}
}

// Where a node tells no events, it is looked at often.
func TestBellOfNodesThatTellNothing(t *testing.T) {
	f := tell(t)
	old := through(&f).dial
	words := make(chan string)
	b, down := hang(t.Context(), old, crier(t, words))
	defer down()
	if !b.wait(t.Context(), never, 0) { // the other's greeting
		t.Fatal("nobody is heard")
	}
	if !b.wait(t.Context(), time.Millisecond, never) {
		t.Error("no time is left")
	}
	if (*bell)(nil).wait(t.Context(), time.Millisecond, never) != true {
		t.Error("no bell, and no time")
	}
}
