package p2p

import (
	"sync/atomic"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"

	"cairn/node"
)

// libp2p's own protocols reset a stream that carries what is no message, or too
// long a one, and say no more about it: the sender could begin anew for ever.
// watchful sees the resets and counts them as faults.
type watchful struct {
	host.Host
	blame func(node.Peer)
}

// SetStreamHandler implements host.Host.
func (h watchful) SetStreamHandler(p protocol.ID, handle network.StreamHandler) {
	h.Host.SetStreamHandler(p, h.watch(handle))
}

// SetStreamHandlerMatch implements host.Host.
func (h watchful) SetStreamHandlerMatch(p protocol.ID, match func(protocol.ID) bool, handle network.StreamHandler) {
	h.Host.SetStreamHandlerMatch(p, match, h.watch(handle))
}

func (h watchful) watch(handle network.StreamHandler) network.StreamHandler {
	return func(s network.Stream) { handle(&watched{Stream: s, blame: h.blame}) }
}

// watched is a stream that such a protocol reads.
type watched struct {
	network.Stream
	blame func(node.Peer)
	idle  atomic.Bool // the last read brought something, and no other is under way
}

// Read implements io.Reader.
func (w *watched) Read(b []byte) (int, error) {
	w.idle.Store(false)
	n, err := w.Stream.Read(b)
	w.idle.Store(err == nil)
	return n, err
}

// Write implements io.Writer. Whoever does not wait for an answer is not at fault.
func (w *watched) Write(b []byte) (int, error) {
	n, err := w.Stream.Write(b)
	if err != nil {
		w.idle.Store(false)
	}
	return n, err
}

// Reset implements network.Stream. What was read is at fault, unless nothing was:
// then the stream failed, or another one takes its place.
func (w *watched) Reset() error {
	if w.idle.Load() {
		w.blame(node.Peer(w.Conn().RemotePeer()))
	}
	return w.Stream.Reset()
}
