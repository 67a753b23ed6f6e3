package rpc

import (
	"net"
	"net/http"
	"sync"
)

// limited is a listener with room for so many connections: more wait in the
// system's queue until one is closed.
type limited struct {
	net.Listener
	room chan struct{} // a token for each open connection
}

// Accept waits for room first. When the listener is closed while it waits, the
// next connection to end frees it, and the server ends every one it has.
func (l *limited) Accept() (net.Conn, error) {
	l.room <- struct{}{}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.room
		return nil, err
	}
	return &counted{Conn: c, room: l.room}, nil
}

type counted struct {
	net.Conn
	room chan struct{}
	once sync.Once
}

// Close gives the room back, once.
func (c *counted) Close() error {
	c.once.Do(func() { <-c.room })
	return c.Conn.Close()
}

// fresh holds the connections on which nobody has said anything yet. A server that
// shuts down waits for them, as if a request were on its way.
type fresh struct {
	mu    sync.Mutex
	conns map[net.Conn]struct{}
	over  bool
}

// watch follows the state of every connection.
func (f *fresh) watch(c net.Conn, state http.ConnState) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case state != http.StateNew:
		delete(f.conns, c)
	case f.over:
		_ = c.Close()
	case f.conns == nil:
		f.conns = map[net.Conn]struct{}{c: {}}
	default:
		f.conns[c] = struct{}{}
	}
}

// close ends them, and those that are still to come.
func (f *fresh) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.over = true
	for c := range f.conns {
		_ = c.Close() // its read fails and the server lets it go
	}
}
