package rpc

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Told is one event as a client hears it. The first has no name: from then on all
// is told.
type Told struct {
	ID   string          // to go on behind it
	Name string          // EventConnected, EventReorg, …
	Data json.RawMessage // of the type that goes with the name
}

const (
	maxEvent = 4 << 20       // bytes of one event's line: over what the largest reorganisation takes
	silence  = 3 * heartbeat // after which a node that beats is gone
)

// Follow hands over every event of the node until ctx ends or the node breaks off,
// which it says. It goes on behind the event that is called last; "" begins with
// what comes next.
func (c *Client) Follow(ctx context.Context, last string, tell func(Told)) error {
	ctx, leave := context.WithCancelCause(ctx)
	defer leave(nil)
	resp, err := c.events(ctx, last)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	gone := time.AfterFunc(silence, func() { leave(fmt.Errorf("the node at %s fell silent", c.addr)) })
	defer gone.Stop()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, maxEvent)
	var next Told
	greeted := false
	for lines.Scan() {
		gone.Reset(silence)
		if lines.Text() != "" {
			next.read(lines.Text())
			continue
		}
		if next.Name != "" || !greeted {
			tell(next)
			greeted = true
		}
		next = Told{}
	}
	return errors.Join(context.Cause(ctx), lines.Err(), fmt.Errorf("the node at %s tells no more", c.addr))
}

// events opens the stream.
func (c *Client) events(ctx context.Context, last string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.addr+eventsPath, nil)
	if err != nil {
		return nil, fmt.Errorf("address %q of the node: write HOST:PORT: %w", c.addr, err)
	}
	user, password, unread := c.auth.read()
	if unread == nil {
		req.SetBasicAuth(user, password)
	}
	if last != "" {
		req.Header.Set("Last-Event-ID", last)
	}
	resp, err := c.http.Do(req)
	switch {
	case err != nil:
		return nil, c.unreachable(err)
	case resp.StatusCode == http.StatusUnauthorized:
		err = c.denied(unread)
	case resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream":
		err = fmt.Errorf("the node at %s tells no events: %s", c.addr, resp.Status)
	default:
		return resp, nil
	}
	return nil, errors.Join(err, resp.Body.Close())
}

// read takes up one line of an event.
func (t *Told) read(line string) {
	key, value, _ := strings.Cut(line, ":")
	value = strings.TrimPrefix(value, " ")
	switch key {
	case "id":
		t.ID = value
	case "event":
		t.Name = value
	case "data":
		t.Data = json.RawMessage(value)
	}
}
