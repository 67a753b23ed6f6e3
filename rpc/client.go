package rpc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"

	"cairn/chain"
)

// maxAnswer is the most that a client reads of one answer, in bytes.
const maxAnswer = 512 << 20

// Client asks one node. It is safe for concurrent use.
type Client struct {
	addr string // host:port
	auth Auth
	http *http.Client
	last atomic.Uint64 // id of the last call
}

// Dial makes a client of the node at addr (host:port). Nothing is sent yet.
//
// Each call has a connection of its own. A kept one may belong to a node that is
// gone, and a call that fails on it cannot be sent again: it may have been heard.
func Dial(addr string, auth Auth) *Client {
	return &Client{addr: addr, auth: auth, http: &http.Client{Transport: &http.Transport{
		Proxy:             nil, // the node is near
		DisableKeepAlives: true,
	}}}
}

// Addr is the node's address.
func (c *Client) Addr() string { return c.addr }

// ErrNoNode says that nobody listens at the address.
var ErrNoNode = errors.New("no node answers")

// ErrDenied says that the node knows neither our cookie nor our password.
var ErrDenied = errors.New("the node wants to know who asks")

// Call asks for a method with positional parameters and decodes the result into
// out, unless that is nil. What the node refuses is an *Error.
func (c *Client) Call(ctx context.Context, method string, out any, params ...any) error {
	raw, err := json.Marshal(list(params))
	if err != nil {
		return fmt.Errorf("parameters of %s: %w", method, err)
	}
	return c.CallRaw(ctx, method, out, raw)
}

// CallRaw is Call with parameters that are JSON already: an array, or an object of
// named ones.
func (c *Client) CallRaw(ctx context.Context, method string, out any, params json.RawMessage) error {
	body, err := json.Marshal(map[string]any{
		"jsonrpc": "2.0", "id": c.last.Add(1), "method": method, "params": params,
	})
	if err != nil {
		return fmt.Errorf("parameters of %s: %w", method, err)
	}
	answer, err := c.post(ctx, body)
	if err != nil {
		return err
	}
	return decode(method, answer, out)
}

func decode(method string, answer []byte, out any) error {
	var r struct {
		Result json.RawMessage
		Error  *Error
	}
	if err := json.Unmarshal(answer, &r); err != nil {
		return fmt.Errorf("answer to %s: %w", method, err)
	}
	if r.Error != nil {
		return r.Error
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(r.Result, out); err != nil {
		return fmt.Errorf("result of %s: %w", method, err)
	}
	return nil
}

// post sends a body and returns the answer's.
func (c *Client) post(ctx context.Context, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+c.addr+"/", bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("address %q of the node: write HOST:PORT: %w", c.addr, err)
	}
	req.Header.Set("Content-Type", "application/json")
	user, password, unread := c.auth.read()
	if unread == nil {
		req.SetBasicAuth(user, password)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("the node at %s broke off: %w", c.addr, err)
	case len(answer) > maxAnswer:
		return nil, fmt.Errorf("the node at %s answers more than %d bytes", c.addr, maxAnswer)
	case resp.StatusCode == http.StatusUnauthorized:
		return nil, c.denied(unread)
	case !strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json"):
		return nil, fmt.Errorf("the node at %s: %s: %.200s", c.addr, resp.Status, Clean(strings.TrimSpace(string(answer))))
	}
	return answer, nil
}

func (c *Client) unreachable(err error) error {
	var op *net.OpError
	if errors.Is(err, syscall.ECONNREFUSED) || errors.As(err, &op) && op.Op == "dial" && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("%w at %s: start one with `cairn node`, or name another with --rpc (%v)", ErrNoNode, c.addr, cause(err))
	}
	return fmt.Errorf("ask the node at %s: %w", c.addr, cause(err))
}

// cause leaves out the URL that net/http puts before every error.
func cause(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil || !strings.HasPrefix(err.Error(), "Post ") {
			return err
		}
		err = inner
	}
}

func (c *Client) denied(unread error) error {
	switch {
	case errors.Is(unread, fs.ErrNotExist):
		return fmt.Errorf("%w: there is no cookie at %s: give the --data-dir of the node at %s, or --rpc-user", ErrDenied, c.auth.path, c.addr)
	case unread != nil:
		return fmt.Errorf("%w: its cookie cannot be read: %w", ErrDenied, unread)
	case c.auth.path != "":
		return fmt.Errorf("%w: the cookie at %s is another node's than that at %s: give its --data-dir", ErrDenied, c.auth.path, c.addr)
	}
	return fmt.Errorf("%w: the node at %s knows no such user and password", ErrDenied, c.addr)
}

// Network asks for the rules of the node's network. A node that lies about them
// gets transactions that are good for nothing elsewhere: signatures name the
// genesis.
func (c *Client) Network(ctx context.Context) (*chain.Params, error) {
	var raw json.RawMessage
	if err := c.Call(ctx, "getnetworkparams", &raw); err != nil {
		return nil, err
	}
	p, err := chain.ParseParams(raw)
	if err != nil {
		return nil, fmt.Errorf("the node at %s: %w", c.addr, err)
	}
	known, err := chain.Network(p.Name)
	if err == nil && known.GenesisID() != p.GenesisID() {
		return nil, fmt.Errorf("the node at %s says %q with another genesis (%v) than that network's: do not trust it", c.addr, p.Name, p.GenesisID())
	}
	return p, nil
}
