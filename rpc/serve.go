package rpc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"time"
)

// calls answers one HTTP request. Reading a slow caller's request and writing to a
// slow reader hold no token: only work in between does.
func (s *Server) calls(w http.ResponseWriter, r *http.Request) {
	s.active.Add(1)
	defer s.active.Add(-1)
	long := r.URL.Path == longPath && s.backend.Work != nil
	if r.URL.Path != "/" && !long {
		refuse(w, http.StatusNotFound, "Nothing is here: calls go to /.")
		return
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		refuse(w, http.StatusMethodNotAllowed, "JSONRPC server handles only POST requests")
		return
	}
	if !s.known(w, r) {
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	if err != nil {
		s.unread(w, err)
		return
	}
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Time{}) // or it would end the call's context
	ctx := visiting(r, w.Header(), long)
	if !s.hasPassword(r) {
		ctx = context.WithValue(ctx, fromPage{}, true)
	}
	status, answer := s.answer(ctx, body)
	deadline(control.SetWriteDeadline, writeTimeout)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(answer) // a caller that is gone misses nothing
}

// known tells whether the caller has the password; who has not is refused.
func (s *Server) known(w http.ResponseWriter, r *http.Request) bool {
	if s.hasPassword(r) || s.session(r) {
		return true
	}
	w.Header().Set("WWW-Authenticate", challenge(r))
	refuse(w, http.StatusUnauthorized, "Send the user and password of --rpc-user, or those in the file .cookie of the node's data directory.")
	return false
}

// challenge asks for a password, but not a browser on behalf of the page whose
// session is over: it would ask whoever sits there, and what he typed would then
// go with every call, so that the page could do all that a password can.
func challenge(r *http.Request) string {
	mode := r.Header.Get("Sec-Fetch-Mode") // not sent by programs; "navigate" if a person opens something
	if r.Header.Get(pageHeader) != "" || mode != "" && mode != "navigate" {
		return pageChallenge
	}
	return `Basic realm="jsonrpc"`
}

func (s *Server) hasPassword(r *http.Request) bool {
	user, password, _ := r.BasicAuth()
	return s.keys.open(user, password)
}

// private is for who has the password.
func (s *Server) private(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.known(w, r) {
			next.ServeHTTP(w, r)
		}
	})
}

// patient gives every request its time to be read and answered. Both deadlines
// belong to the connection, so they are set anew for each request; who waits
// longer sets its own.
func (s *Server) patient(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		deadline(control.SetReadDeadline, orDefault(s.cfg.BodyTimeout, bodyTimeout))
		deadline(control.SetWriteDeadline, writeTimeout)
		next.ServeHTTP(w, r)
	})
}

// deadline sets one; a connection that cannot have one is closing already.
func deadline(set func(time.Time) error, after time.Duration) {
	_ = set(time.Now().Add(after))
}

func (s *Server) unread(w http.ResponseWriter, err error) {
	if large := (*http.MaxBytesError)(nil); errors.As(err, &large) {
		refuse(w, http.StatusRequestEntityTooLarge, "The request is larger than 4 MiB: send several smaller ones.")
		return
	}
	refuse(w, http.StatusRequestTimeout, "The request did not arrive whole in time: send it again.")
}

// answer is the HTTP status and body for a request's body.
func (s *Server) answer(ctx context.Context, body []byte) (int, []byte) {
	failed := func(c Code, why string) (int, []byte) {
		return statusOf(false, c), line(encode(message{}, nil, Errorf(c, "%s", why)))
	}
	if !shallow(body, MaxDepth) {
		return failed(ParseError, fmt.Sprintf("Parse error: nested too deeply, at most %d are allowed", MaxDepth))
	}
	if !json.Valid(body) {
		return failed(ParseError, "Parse error")
	}
	body = bytes.TrimSpace(body)
	if body[0] == '[' {
		return s.batch(ctx, body)
	}
	if body[0] != '{' {
		return failed(ParseError, "Top-level object parse error")
	}
	m, result, failure := s.one(ctx, body)
	switch {
	case m.silent:
		return http.StatusNoContent, nil
	case failure != nil:
		return statusOf(m.two, failure.Code), line(encode(m, nil, failure))
	}
	return http.StatusOK, line(encode(m, result, nil))
}

func line(b []byte) []byte { return append(b, '\n') }

// statusOf is the HTTP status of a failed call. JSON-RPC 2.0 keeps HTTP's out of
// it; clients of 1.x expect Bitcoin Core's.
func statusOf(two bool, c Code) int {
	switch {
	case two:
		return http.StatusOK
	case c == InvalidRequest:
		return http.StatusBadRequest
	case c == UnknownMethod:
		return http.StatusNotFound
	}
	return http.StatusInternalServerError
}

// batch answers several calls, in order. Its status is 200 whatever becomes of
// them, as in Bitcoin Core.
func (s *Server) batch(ctx context.Context, body []byte) (int, []byte) {
	var calls []json.RawMessage
	if err := json.Unmarshal(body, &calls); err != nil {
		return http.StatusInternalServerError, line(encode(message{}, nil, Errorf(ParseError, "Parse error")))
	}
	if len(calls) > MaxBatch {
		e := Errorf(InvalidRequest, "%d calls in one request, at most %d are allowed: send several requests", len(calls), MaxBatch)
		return http.StatusBadRequest, line(encode(message{}, nil, e))
	}
	out := []byte{'['}
	for _, raw := range calls {
		answer := s.item(ctx, raw, len(out))
		if answer == nil {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(out, answer...)
	}
	if len(calls) > 0 && len(out) == 1 {
		return http.StatusNoContent, nil
	}
	return http.StatusOK, line(append(out, ']'))
}

// item answers one call of a batch, nil if it wants no answer. used is the size of
// the answers before it: one request must not fill the memory.
func (s *Server) item(ctx context.Context, raw json.RawMessage, used int) []byte {
	if used > maxReply {
		m, err := parse(raw)
		if err == nil && m.silent {
			return nil
		}
		return encode(m, nil, Errorf(Misc, "the batch's answers exceed %d bytes: ask for less at once", maxReply))
	}
	m, result, failure := s.one(ctx, raw)
	if m.silent {
		return nil
	}
	return encode(m, result, failure)
}

// one works on one call.
func (s *Server) one(ctx context.Context, raw json.RawMessage) (message, json.RawMessage, *Error) {
	m, err := parse(raw)
	if err != nil {
		return m, nil, asError(err)
	}
	known, ok := byName[m.method]
	if !ok {
		return m, nil, Errorf(UnknownMethod, "Method not found%s", didYouMean(m.method))
	}
	if byPage(ctx) && !pageCalls[m.method] {
		return m, nil, Errorf(Misc, "the page may not ask for %s: use `cairn rpc`", m.method)
	}
	tokens := s.work
	if known.slow {
		tokens = s.slow
	}
	select {
	case tokens <- struct{}{}:
		defer func() { <-tokens }()
	case <-ctx.Done():
		return m, nil, Errorf(Misc, "the node is stopping, or the caller is gone")
	}
	defer s.roll.enter(known.name)()
	result, failure := s.safely(ctx, known, m)
	return m, result, failure
}

// safely turns a handler's panic into an error: a broken invariant of one answer
// must not take the node down.
func (s *Server) safely(ctx context.Context, known *method, m message) (result json.RawMessage, failure *Error) {
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("rpc method panicked", "method", known.name, "panic", p, "stack", string(debug.Stack()))
			result, failure = nil, Errorf(Internal, "Internal error")
		}
	}()
	value, failure := s.backend.invoke(ctx, known, m.params)
	if failure != nil {
		return nil, failure
	}
	result, err := json.Marshal(value)
	if err != nil {
		panic(err) // every result is a value of ours
	}
	return result, nil
}
