package p2p

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/multiformats/go-varint"

	"cairn/chain"
	"cairn/node"
)

// exchanges are one question of each kind, with its answer.
func exchanges() map[string]struct {
	q node.Request
	a node.Answer
} {
	block := chain.Dev().Genesis
	id := block.ID()
	hello := node.Hello{Genesis: id, Tip: claim(9), Time: 12345, Agent: "cairn/x"}
	two := &chain.Block{Header: block.Header, Coinbase: block.Coinbase, Txs: []*chain.Tx{tx("in a block")}}
	return map[string]struct {
		q node.Request
		a node.Answer
	}{
		"hello":        {node.Request{Want: node.WantHello, Hello: hello}, node.Answer{Hello: hello}},
		"headers":      {node.Request{Want: node.WantHeaders, Locator: []chain.Hash{id}}, node.Answer{Headers: make([]chain.Header, node.MaxHeaders)}},
		"bodies":       {node.Request{Want: node.WantBodies, IDs: []chain.Hash{id, {1}}}, node.Answer{Blocks: []chain.RawBlock{block.Bytes(), two.Bytes()}}},
		"txs":          {node.Request{Want: node.WantTxs, IDs: []chain.Hash{id}, Index: []uint32{0, 7}}, node.Answer{Txs: []*chain.Tx{tx("a"), tx("b")}}},
		"announcement": {node.Request{Want: node.WantAnnouncement, IDs: []chain.Hash{id}}, node.Answer{Announcement: block.Announce()}},
		"no such":      {node.Request{Want: node.WantAnnouncement, IDs: []chain.Hash{{9}}}, node.Answer{}},
		"pool":         {node.Request{Want: node.WantPool}, node.Answer{IDs: make([]chain.Hash, node.MaxPoolIDs)}},
		"pool txs":     {node.Request{Want: node.WantPoolTxs, IDs: make([]chain.Hash, node.MaxPoolTxs)}, node.Answer{Txs: []*chain.Tx{tx("c")}}},
	}
}

func TestEveryQuestionIsAnswered(t *testing.T) {
	a, b := begin(t, dev()), begin(t, dev())
	link(t, a, b)
	for name, e := range exchanges() {
		t.Run(name, func(t *testing.T) {
			b.answers(func(_ context.Context, from node.Peer, q node.Request) (node.Answer, error) {
				if from != a.ID() || !bytes.Equal(q.Append(nil), e.q.Append(nil)) {
					return node.Answer{}, fmt.Errorf("heard %+v from %s", q, Name(from))
				}
				return e.a, nil
			})
			got, err := a.Ask(t.Context(), b.ID(), e.q)
			if err != nil {
				t.Fatal(err)
			}
			if want := e.a.Append(nil, e.q.Want); !bytes.Equal(got.Append(nil, e.q.Want), want) {
				t.Errorf("the answer of %d bytes came as %+v", len(want), got)
			}
		})
	}
}

// All that one question may bring passes every limit on its way.
func TestLargestAnswer(t *testing.T) {
	cfg := dev()
	cfg.MaxBlock = chain.Main().MaxBlock
	a, b := begin(t, cfg), begin(t, cfg)
	link(t, a, b)
	block := &chain.Block{Coinbase: &chain.Coinbase{}, Txs: []*chain.Tx{tx("large")}}
	outs := &block.Txs[0].Outputs
	*outs = make([]chain.Output, (cfg.MaxBlock-len(block.Bytes()))/40)
	if short := cfg.MaxBlock - len(block.Bytes()); short < 0 || short > 100 {
		t.Fatalf("the block is %d bytes short of the largest", short)
	}
	full := node.Answer{Blocks: make([]chain.RawBlock, node.MaxBodyBytes/cfg.MaxBlock+1)}
	for i := range full.Blocks {
		full.Blocks[i] = block.Bytes()
	}
	b.answers(func(context.Context, node.Peer, node.Request) (node.Answer, error) { return full, nil })
	q := node.Request{Want: node.WantBodies, IDs: make([]chain.Hash, node.MaxBodies)}
	for range 3 {
		got, err := a.Ask(t.Context(), b.ID(), q)
		if err != nil || len(got.Blocks) != len(full.Blocks) {
			t.Fatalf("%d blocks came: %v", len(got.Blocks), err)
		}
	}
}

func TestAskingNobody(t *testing.T) {
	a := begin(t, dev())
	_, err := a.Ask(t.Context(), node.Peer(bare(t).ID()), node.Request{Want: node.WantPool})
	if !errors.Is(err, ErrGone) {
		t.Errorf("got %v, want ErrGone", err)
	}
	a.Close()
	if _, err := a.Ask(t.Context(), "", node.Request{}); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v, want ErrClosed", err)
	}
	if err := a.PublishTx(tx("late")); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v, want ErrClosed", err)
	}
}

// hasty does not wait for those who dawdle.
func hasty() Config {
	cfg := dev()
	cfg.Pace.First = 300 * time.Millisecond
	cfg.Pace.Rate = 1 << 30
	cfg.Pace.Settle = time.Millisecond // nobody gossips here
	return cfg
}

func framed(payload []byte) []byte {
	return append(varint.ToUvarint(uint64(len(payload))), payload...)
}

// A liar speaks our protocol and answers with these bytes.
func TestWhatLiarsAnswer(t *testing.T) {
	pool := node.Request{Want: node.WantPool}
	long := framed(chain.AppendHashes(nil, make([]chain.Hash, node.MaxPoolIDs)))
	for name, liar := range map[string]struct {
		say  func(network.Stream)
		want error // nil: not the peer's fault, and not slow
		bad  bool  // blames the peer
	}{
		"garbage":            {say(framed([]byte{1}), true), nil, true},
		"too long":           {say(varint.ToUvarint(1<<30), true), errGarbage, true},
		"length overflows":   {say(bytes.Repeat([]byte{0xff}, 12), true), errGarbage, true},
		"length not minimal": {say([]byte{0x81, 0x00}, true), errGarbage, true},
		"cut short":          {say(long[:len(long)/2], true), errGarbage, true},
		"nothing":            {say(nil, true), errGarbage, true},
		"silence":            {say(nil, false), ErrSlow, false},
		"half and silence":   {say(long[:len(long)/2], false), ErrSlow, false},
		"reset":              {func(s network.Stream) { _ = s.Reset() }, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := hasty()
			a, h := begin(t, cfg), bare(t)
			h.SetStreamHandler(protocol.ID(syncProtocol(cfg.Genesis)), liar.say)
			if err := a.Connect(t.Context(), full(h.Addrs()[0], h.ID())); err != nil {
				t.Fatal(err)
			}
			expect(t, a.joined, node.Peer(h.ID()))
			_, err := a.Ask(t.Context(), node.Peer(h.ID()), pool)
			mustFail(t, err, h.ID().String())
			var bad *BadPeerError
			if errors.As(err, &bad) != liar.bad {
				t.Errorf("blames the peer: %v, want %v: %v", !liar.bad, liar.bad, err)
			}
			if liar.want != nil && !errors.Is(err, liar.want) {
				t.Errorf("got %v, want %v", err, liar.want)
			}
		})
	}
}

func say(bytes []byte, end bool) func(network.Stream) {
	return func(s network.Stream) {
		_, _ = s.Write(bytes)
		if end {
			_ = s.Close()
		}
	}
}

// A rude asker opens a stream, sends these bytes and waits.
func TestWhatRudeAskersGet(t *testing.T) {
	pool := (&node.Request{Want: node.WantPool}).Append(nil)
	for name, rude := range map[string]struct {
		bytes []byte
		end   bool
		fault bool
	}{
		"too long":        {varint.ToUvarint(maxRequest + 1), true, true},
		"unknown":         {framed([]byte{99}), true, true},
		"cut short":       {framed(pool)[:1], true, true},
		"no byte":         {nil, false, false},
		"one byte":        {framed(pool)[:1], false, false},
		"never goes on":   {framed(make([]byte, 300))[:100], false, false},
		"long, and never": {varint.ToUvarint(maxRequest), false, false},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := hasty()
			b, h := begin(t, cfg), bare(t)
			b.answers(func(context.Context, node.Peer, node.Request) (node.Answer, error) {
				t.Error("the handler was asked")
				return node.Answer{}, nil
			})
			s := rawStream(t, h, b)
			if _, err := s.Write(rude.bytes); err != nil {
				t.Fatal(err)
			}
			if rude.end {
				_ = s.CloseWrite()
			}
			wantReset(t, s, rude.fault)
			if rude.fault {
				eventually(t, "the fault is noted", func() bool { return b.ledger.score(h.ID()) < 0 })
			}
		})
	}
}

func rawStream(t *testing.T, from interface {
	Connect(context.Context, peer.AddrInfo) error
	NewStream(context.Context, peer.ID, ...protocol.ID) (network.Stream, error)
}, to player,
) network.Stream {
	t.Helper()
	if err := from.Connect(t.Context(), infoOf(to.host)); err != nil {
		t.Fatal(err)
	}
	s, err := from.NewStream(t.Context(), to.host.ID(), to.protocol)
	if err != nil {
		t.Fatal(err)
	}
	_ = s.SetReadDeadline(time.Now().Add(patience))
	return s
}

func wantReset(t *testing.T, s network.Stream, fault bool) {
	t.Helper()
	_, err := io.ReadAll(s)
	var reset *network.StreamError
	if !errors.As(err, &reset) {
		t.Fatalf("the stream ended with %v, not with a reset", err)
	}
	if want := map[bool]network.StreamErrorCode{true: network.StreamProtocolViolation, false: declined}[fault]; reset.ErrorCode != want {
		t.Errorf("reset with code %d, want %d", reset.ErrorCode, want)
	}
}

func TestFailingAnswersAreNobodysFault(t *testing.T) {
	a, b := begin(t, dev()), begin(t, dev())
	link(t, a, b)
	for name, answer := range map[string]func(context.Context, node.Peer, node.Request) (node.Answer, error){
		"refused": func(context.Context, node.Peer, node.Request) (node.Answer, error) {
			return node.Answer{}, errors.New("not now")
		},
		"too long": func(context.Context, node.Peer, node.Request) (node.Answer, error) {
			return node.Answer{IDs: make([]chain.Hash, node.MaxPoolIDs+9)}, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			b.answers(answer)
			_, err := a.Ask(t.Context(), b.ID(), node.Request{Want: node.WantPool})
			mustFail(t, err)
			var bad *BadPeerError
			if errors.As(err, &bad) {
				t.Errorf("blames the peer: %v", err)
			}
		})
	}
}

// Whoever asks more at a time than we serve is turned away; our own questions
// wait for their turn instead.
func TestTooManyQuestionsAtATime(t *testing.T) {
	a, b := begin(t, dev()), begin(t, dev())
	link(t, a, b)
	hold := make(chan struct{})
	var now, most atomic.Int32
	b.answers(func(ctx context.Context, _ node.Peer, _ node.Request) (node.Answer, error) {
		if n := now.Add(1); n > most.Load() {
			most.Store(n)
		}
		defer now.Add(-1)
		select {
		case <-hold:
		case <-ctx.Done():
		}
		return node.Answer{}, nil
	})
	const questions = 3 * maxAsksEach
	done := make(chan error, questions)
	for range questions {
		go func() {
			_, err := a.Ask(t.Context(), b.ID(), node.Request{Want: node.WantPool})
			done <- err
		}()
	}
	eventually(t, "b is as busy as a may make it", func() bool { return now.Load() == maxAsksEach })

	h := bare(t)
	pool := framed((&node.Request{Want: node.WantPool}).Append(nil))
	for range maxServedEach {
		if _, err := rawStream(t, h, b).Write(pool); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "b serves the other as well", func() bool { return now.Load() == maxAsksEach+maxServedEach })
	one := rawStream(t, h, b)
	_, _ = one.Write(pool)
	if _, err := io.ReadAll(one); err == nil {
		t.Error("one question too many was answered")
	}
	close(hold)
	for range questions {
		if err := next(t, done); err != nil {
			t.Error(err)
		}
	}
	if most.Load() != maxAsksEach+maxServedEach {
		t.Errorf("%d questions at a time", most.Load())
	}
}

func TestAskEndsWithItsContextAndWithTheNetwork(t *testing.T) {
	a, b := begin(t, dev()), begin(t, dev())
	link(t, a, b)
	asked := make(chan struct{}, 8)
	b.answers(func(ctx context.Context, _ node.Peer, _ node.Request) (node.Answer, error) {
		asked <- struct{}{}
		<-ctx.Done()
		return node.Answer{}, ctx.Err()
	})
	why := errors.New("changed my mind")
	ctx, cancel := context.WithCancelCause(t.Context())
	done := make(chan error, 1)
	ask := func(ctx context.Context) {
		_, err := a.Ask(ctx, b.ID(), node.Request{Want: node.WantPool})
		done <- err
	}
	go ask(ctx)
	next(t, asked)
	cancel(why)
	if err := next(t, done); !errors.Is(err, why) {
		t.Errorf("got %v, want %v", err, why)
	}
	go ask(t.Context())
	next(t, asked)
	a.Close()
	if err := next(t, done); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v, want ErrClosed", err)
	}
}

func TestManyFaultsAndAPeerIsBanned(t *testing.T) {
	a, b := begin(t, dev()), begin(t, dev())
	link(t, a, b)
	for range maxFaults - 1 {
		b.Blame(a.ID())
	}
	if b.gate.welcome(peer.ID(a.ID()), nil) != nil {
		t.Error("banned too early")
	}
	b.Blame(a.ID())
	expect(t, b.left, a.ID())
	if why := b.gate.welcome(peer.ID(a.ID()), nil); why != ErrBanned {
		t.Errorf("a may come back: %v", why)
	}
}
