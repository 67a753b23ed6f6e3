package p2p

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"cairn/chain"
	"cairn/node"
)

// service is our streams' name in the resource manager.
const service = "cairn.sync"

func syncProtocol(genesis chain.Hash) string {
	return "/cairn/" + genesis.String()[:8] + "/sync/1"
}

// ErrGone is returned by Ask if the peer is not connected.
var ErrGone = errors.New("the peer is not connected")

// ErrClosed is returned after Close.
var ErrClosed = errors.New("the network is closed")

// BadPeerError says that a peer's answer breaks the protocol: no honest one
// sends it.
type BadPeerError struct {
	Peer node.Peer
	Err  error
}

// Error names the peer and what it did.
func (e *BadPeerError) Error() string { return fmt.Sprintf("peer %s: %v", Name(e.Peer), e.Err) }

// Unwrap returns what the peer did.
func (e *BadPeerError) Unwrap() error { return e.Err }

// Ask puts a question to a connected peer and waits for the answer. The error is
// a *BadPeerError if the answer breaks the protocol, and wraps ErrGone, ErrSlow,
// ErrClosed or ctx's error if that is why; anything else is a broken stream. At
// most 12 questions to one peer are under way, others wait.
func (n *Network) Ask(ctx context.Context, p node.Peer, q node.Request) (node.Answer, error) {
	none := node.Answer{}
	if !n.inside.enter() {
		return none, ErrClosed
	}
	defer n.inside.leave()
	ctx, cancel := n.bound(ctx, n.cfg.Pace.Whole)
	defer cancel()
	id := peer.ID(p)
	if err := n.asks.take(ctx, id); err != nil {
		return none, fmt.Errorf("ask %s: %w", Name(p), err)
	}
	defer n.asks.give(id)
	var room *held
	raw, err := n.exchange(ctx, id, q, func(size int) (err error) {
		room, err = n.receiving.take(ctx, id, n.callerFrom(id), size)
		return err
	})
	if room != nil {
		defer room.free()
	}
	if err != nil && ctx.Err() != nil {
		err = errors.Join(context.Cause(ctx), err)
	}
	if errors.Is(err, errGarbage) {
		return none, &BadPeerError{Peer: p, Err: err}
	}
	if err != nil {
		return none, fmt.Errorf("ask %s: %w", Name(p), err)
	}
	a, err := node.DecodeAnswer(raw, q)
	if err != nil {
		return none, &BadPeerError{Peer: p, Err: err}
	}
	return a, nil
}

// bound ends ctx with the network, and after d.
func (n *Network) bound(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeoutCause(ctx, d, ErrSlow)
	ctx, finish := context.WithCancelCause(ctx)
	stop := context.AfterFunc(n.ctx, func() { finish(ErrClosed) })
	return ctx, func() {
		stop()
		finish(nil)
		cancel()
	}
}

// exchange sends q and receives the encoded answer, for which it asks for room.
func (n *Network) exchange(ctx context.Context, p peer.ID, q node.Request, room func(int) error) ([]byte, error) {
	s, err := n.open(ctx, p)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = s.Reset() })
	defer stop()
	raw, err := n.converse(s, q, room)
	if err != nil {
		_ = s.ResetWithError(code(err))
		return nil, err
	}
	_ = s.Close()
	return raw, nil
}

func (n *Network) open(ctx context.Context, p peer.ID) (network.Stream, error) {
	if n.host.Network().Connectedness(p) != network.Connected {
		return nil, ErrGone
	}
	ctx, cancel := context.WithTimeoutCause(ctx, n.cfg.Pace.First, ErrSlow)
	defer cancel()
	s, err := n.host.NewStream(network.WithNoDial(ctx, "only connected peers are asked"), p, n.protocol)
	switch {
	case errors.Is(err, network.ErrNoConn):
		return nil, ErrGone
	case err != nil && ctx.Err() != nil:
		return nil, errors.Join(context.Cause(ctx), err)
	}
	return s, err
}

func (n *Network) converse(s network.Stream, q node.Request, room func(int) error) ([]byte, error) {
	if err := s.Scope().SetService(service); err != nil {
		return nil, err
	}
	w := n.wire(s)
	if err := w.send(q.Append(newFrame())); err != nil {
		return nil, err
	}
	return w.receive(maxAnswer(q, n.cfg.MaxBlock), room)
}

func (n *Network) wire(s network.Stream) wire {
	return wire{stream: s, pace: n.cfg.Pace, end: time.Now().Add(n.cfg.Pace.Whole)}
}

// serve answers one request.
func (n *Network) serve(s network.Stream) {
	if !n.inside.enter() {
		_ = s.ResetWithError(network.StreamShutdown)
		return
	}
	defer n.inside.leave()
	p := s.Conn().RemotePeer()
	if !n.served.Take(string(p)) {
		_ = s.ResetWithError(network.StreamRateLimited)
		if n.served.Greedy(string(p)) && !n.meter(p).knocks.Allow() {
			n.Blame(node.Peer(p))
		}
		return
	}
	defer n.served.Give(string(p))
	err := n.reply(s)
	if err == nil {
		_ = s.Close()
		return
	}
	n.log.Debug("a request failed", "peer", p, "error", err)
	_ = s.ResetWithError(code(err))
	if errors.Is(err, errGarbage) {
		n.Blame(node.Peer(p))
	}
}

// ration waits until a peer may have more work of us, and all who came by themselves
// together. Where those have no more, each has a share of its own: nobody waits behind the
// others, who may be many and want much. It comes out of what all may have: or they could
// have twice that.
func (n *Network) ration(ctx context.Context, p peer.ID, cost int) error {
	mine := n.meter(p)
	err := mine.work.WaitN(ctx, cost)
	if err != nil || n.callerFrom(p) == "" || n.crowd.AllowN(time.Now(), cost) {
		return err
	}
	if err := mine.share.WaitN(ctx, min(cost, shareBurst)); err != nil {
		return err
	}
	n.crowdOwes(cost)
	return nil
}

// owe charges a peer, and all who came by themselves if it did, for work that is done
// already: what it wants next waits for it.
func (n *Network) owe(p peer.ID, cost int) {
	n.meter(p).work.ReserveN(time.Now(), cost)
	if n.callerFrom(p) != "" {
		n.crowdOwes(cost)
	}
}

func (n *Network) crowdOwes(cost int) {
	if n.crowd.Tokens() > -crowdBurst { // or the debt of many would close it for long
		n.crowd.ReserveN(time.Now(), cost)
	}
}

// declined is the error code of a stream on which nobody broke the protocol.
const declined network.StreamErrorCode = 1

func code(err error) network.StreamErrorCode {
	if errors.Is(err, errGarbage) {
		return network.StreamProtocolViolation
	}
	return declined
}

func (n *Network) reply(s network.Stream) error {
	if err := s.Scope().SetService(service); err != nil {
		return err
	}
	w := n.wire(s)
	raw, err := w.receive(maxRequest, nil)
	if err != nil {
		return err
	}
	q, err := node.DecodeRequest(raw)
	if err != nil {
		return fmt.Errorf("%w: %w", errGarbage, err)
	}
	ctx, cancel := context.WithDeadlineCause(n.ctx, w.end, ErrSlow)
	defer cancel()
	p := s.Conn().RemotePeer()
	if err := n.ration(ctx, p, cost(q)); err != nil {
		return err
	}
	limit := maxAnswer(q, n.cfg.MaxBlock)
	room, err := n.sending.take(ctx, p, n.callerFrom(p), limit)
	if err != nil {
		return err
	}
	defer room.free()
	a, err := n.handler.Answer(ctx, node.Peer(p), q)
	if err != nil {
		return err
	}
	out := frame(a.Append(newFrame(), q.Want))
	size := len(out.payload())
	if size > limit {
		return fmt.Errorf("our answer of %d bytes is over the limit of %d", size, limit)
	}
	room.keep(size)
	n.owe(p, size/bytesPerWork+a.Read/bytesPerPart)
	if err := s.Scope().ReserveMemory(size, network.ReservationPriorityHigh); err != nil {
		return err
	}
	return w.send(out)
}

// turns makes our own questions to one peer wait for each other.
type turns struct {
	mu    sync.Mutex
	queue map[peer.ID]*turn // guarded by mu
}

type turn struct {
	users int           // under way or waiting; guarded by turns.mu
	slots chan struct{} // one entry for each under way
}

func (t *turns) take(ctx context.Context, p peer.ID) error {
	t.mu.Lock()
	mine := t.queue[p]
	if mine == nil {
		mine = &turn{slots: make(chan struct{}, maxAsksEach)}
		t.queue[p] = mine
	}
	mine.users++
	t.mu.Unlock()
	select {
	case mine.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		t.leave(p, mine)
		return context.Cause(ctx)
	}
}

func (t *turns) give(p peer.ID) {
	t.mu.Lock()
	mine := t.queue[p]
	t.mu.Unlock()
	<-mine.slots
	t.leave(p, mine)
}

func (t *turns) leave(p peer.ID, mine *turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if mine.users--; mine.users == 0 {
		delete(t.queue, p)
	}
}
