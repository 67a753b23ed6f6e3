package node_test

import (
	"bytes"
	"runtime"
	"testing"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/node"
)

// questions are one or more requests of every kind.
func questions() []node.Request {
	var ids []chain.Hash
	for i := range byte(70) {
		ids = append(ids, chain.SumHash([]byte{i}))
	}
	p := chaintest.Easy()
	hello := node.Hello{
		Genesis: p.GenesisID(),
		Tip: node.TipClaim{
			Peer: "a peer", Header: p.Genesis.Header, Height: 1 << 20,
			Work: chain.NewWork(1 << 40), Counter: 1<<64 - 1,
		},
		Time:  1_800_000_000_123,
		Agent: "cairn/0 (test)",
		Ends:  ids[:node.MaxEnds],
	}
	return []node.Request{
		{Want: node.WantHello, Hello: hello},
		{Want: node.WantHello},
		{Want: node.WantHeaders, Locator: ids[:node.MaxLocator]},
		{Want: node.WantHeaders},
		{Want: node.WantBodies, IDs: ids[:node.MaxBodies]},
		{Want: node.WantTxs, IDs: ids[:1], Index: []uint32{0, 7, 1<<32 - 1}},
		{Want: node.WantAnnouncement, IDs: ids[:1]},
		{Want: node.WantPool},
		{Want: node.WantPoolTxs, IDs: ids[:5]},
	}
}

// replies answer questions, in their order.
func replies() []node.Answer {
	p := chaintest.Easy()
	tx := chaintest.Pay(p, chaintest.Funds(p, 0), chaintest.Key(0), 5)
	l := chaintest.Open(p)
	l.Grow(3, "", chaintest.Address(0))
	b := chaintest.Next(p, l.State, chaintest.Address(1), tx)
	q := questions()
	return []node.Answer{
		{Hello: q[0].Hello},
		{},
		{Headers: []chain.Header{b.Header, p.Genesis.Header}},
		{},
		{Blocks: []chain.RawBlock{p.Genesis.Bytes(), b.Bytes()}},
		{Txs: []*chain.Tx{tx, tx}},
		{Announcement: b.Announce()},
		{IDs: q[2].Locator},
		{Txs: []*chain.Tx{tx}},
	}
}

func TestEveryMessageComesBack(t *testing.T) {
	answers := replies()
	for i, q := range questions() {
		raw := q.Append(nil)
		got, err := node.DecodeRequest(raw)
		if err != nil || !bytes.Equal(got.Append(nil), raw) {
			t.Errorf("request %d, %d: %v", i, q.Want, err)
		}
		a := answers[i].Append(nil, q.Want)
		reply, err := node.DecodeAnswer(a, q)
		if err != nil || !bytes.Equal(reply.Append(nil, q.Want), a) {
			t.Errorf("answer %d to %d: %v", i, q.Want, err)
		}
		if _, err := node.DecodeRequest(append(raw, 0)); err == nil {
			t.Errorf("request %d with a byte behind is read", i)
		}
		for cut := range raw {
			if _, err := node.DecodeRequest(raw[:cut]); err == nil {
				t.Errorf("request %d cut to %d bytes is read", i, cut)
			}
		}
	}
}

func TestLimitsOfMessages(t *testing.T) {
	ids := make([]chain.Hash, 2*node.MaxPoolIDs)
	for _, q := range []node.Request{
		{Want: node.WantHeaders, Locator: ids[:node.MaxLocator+1]},
		{Want: node.WantBodies, IDs: ids[:node.MaxBodies+1]},
		{Want: node.WantTxs, IDs: ids[:2]},
		{Want: node.WantAnnouncement, IDs: ids[:2]},
		{Want: node.WantPool, IDs: ids[:1]},
		{Want: node.WantPoolTxs, IDs: ids[:node.MaxPoolTxs+1]},
		{Want: node.WantHello, Hello: node.Hello{Agent: string(make([]byte, node.MaxAgent+1))}},
		{Want: node.WantHello, Hello: node.Hello{Ends: ids[:node.MaxEnds+1]}},
		{Want: 0},
		{Want: node.WantPoolTxs + 1},
	} {
		if _, err := node.DecodeRequest(q.Append(nil)); chain.KindOf(err) != chain.Malformed {
			t.Errorf("request %d beyond its limit: %v", q.Want, err)
		}
	}
	tx := &chain.Tx{}
	for _, c := range []struct {
		q node.Request
		a node.Answer
	}{
		{node.Request{Want: node.WantHeaders}, node.Answer{Headers: make([]chain.Header, node.MaxHeaders+1)}},
		{node.Request{Want: node.WantBodies, IDs: ids[:1]}, node.Answer{Blocks: replies()[4].Blocks}},
		{node.Request{Want: node.WantTxs, IDs: ids[:1], Index: []uint32{1}}, node.Answer{Txs: []*chain.Tx{tx, tx}}},
		{node.Request{Want: node.WantPoolTxs, IDs: ids[:1]}, node.Answer{Txs: []*chain.Tx{tx, tx}}},
		{node.Request{Want: node.WantPool}, node.Answer{IDs: ids[:node.MaxPoolIDs+1]}},
		{node.Request{Want: 99}, node.Answer{}},
	} {
		if _, err := node.DecodeAnswer(c.a.Append(nil, c.q.Want), c.q); chain.KindOf(err) != chain.Malformed {
			t.Errorf("answer to %d beyond its limit: %v", c.q.Want, err)
		}
	}
}

// What was read outlives the bytes that it was read from.
func TestBlocksAreCutOutOfTheirAnswer(t *testing.T) {
	a := replies()[4]
	raw := a.Append(nil, node.WantBodies)
	got, err := node.DecodeAnswer(raw, node.Request{Want: node.WantBodies, IDs: make([]chain.Hash, len(a.Blocks))})
	if err != nil {
		t.Fatal(err)
	}
	clear(raw)
	for i, b := range got.Blocks {
		if !bytes.Equal(b, a.Blocks[i]) {
			t.Errorf("block %d changed with the answer", i)
		}
	}
}

func FuzzDecodeRequest(f *testing.F) {
	for _, q := range questions() {
		f.Add(q.Append(nil))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		q, err := node.DecodeRequest(raw)
		if err == nil && !bytes.Equal(q.Append(nil), raw) {
			t.Errorf("%x encodes as %x", raw, q.Append(nil))
		}
		malformed(t, err)
	})
}

// FuzzDecodeAnswer answers the question of that number.
func FuzzDecodeAnswer(f *testing.F) {
	all := questions()
	for i, a := range replies() {
		f.Add(byte(i), a.Append(nil, all[i].Want))
	}
	f.Fuzz(func(t *testing.T, which byte, raw []byte) {
		q := all[int(which)%len(all)]
		a, err := node.DecodeAnswer(raw, q)
		if err == nil && !bytes.Equal(a.Append(nil, q.Want), raw) {
			t.Errorf("%x encodes as %x", raw, a.Append(nil, q.Want))
		}
		malformed(t, err)
	})
}

func malformed(t *testing.T, err error) {
	t.Helper()
	if k := chain.KindOf(err); err != nil && k != chain.Malformed && k != chain.LooseCoinbase {
		t.Error(err)
	}
}

// A count that lies takes no more memory than the message is long.
func TestHostileCountsInMessagesTakeNoMemory(t *testing.T) {
	hostile := [][]byte{
		bytes.Repeat([]byte{0xff}, 9),
		{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
		{0xfe, 0xff, 0xff, 0xff, 0x7f},
		{0xfd, 0xff, 0xff},
	}
	all := questions()
	for i, a := range replies() {
		decoders := map[string]struct {
			raw  []byte
			read func([]byte)
		}{
			"request": {all[i].Append(nil), func(b []byte) { _, _ = node.DecodeRequest(b) }},
			"answer":  {a.Append(nil, all[i].Want), func(b []byte) { _, _ = node.DecodeAnswer(b, all[i]) }},
		}
		for name, d := range decoders {
			for at := range d.raw {
				for _, count := range hostile {
					raw := append([]byte(nil), d.raw...)
					copy(raw[at:], count)
					if took := allocated(func() { d.read(raw) }); took > uint64(8*len(raw)+4096) {
						t.Fatalf("%s %d of %d bytes with %x at %d takes %d bytes", name, i, len(raw), count, at, took)
					}
				}
			}
		}
	}
}

func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}
