package chain_test

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"strings"
	"testing"

	"cairn/chain"
)

// seeds are the golden encodings of one kind.
func seeds(t testing.TB, kind string) [][]byte {
	t.Helper()
	var all [][]byte
	for _, line := range lines(t, "golden.txt") {
		if text, ok := strings.CutPrefix(line, kind+" "); ok {
			all = append(all, unhex(t, text))
		}
	}
	if len(all) == 0 {
		t.Fatalf("no golden %s", kind)
	}
	return all
}

// fuzz: what decodes encodes as it was, and what does not says why.
func fuzz(f *testing.F, kind string) {
	for _, seed := range seeds(f, kind) {
		f.Add(seed)
		f.Add(seed[:len(seed)/2])
	}
	f.Add(bytes.Repeat([]byte{0xff}, 100))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		again, err := recode(kind, raw)
		switch k := chain.KindOf(err); {
		case err == nil && !bytes.Equal(again, raw):
			t.Errorf("%x encodes as %x", raw, again)
		case err != nil && k != chain.Malformed && k != chain.LooseCoinbase:
			t.Errorf("%x: %v", raw, err)
		}
	})
}

func FuzzDecodeHeader(f *testing.F)       { fuzz(f, "header") }
func FuzzDecodeTx(f *testing.F)           { fuzz(f, "tx") }
func FuzzDecodeCoinbase(f *testing.F)     { fuzz(f, "coinbase") }
func FuzzDecodeBlock(f *testing.F)        { fuzz(f, "block") }
func FuzzDecodeAnnouncement(f *testing.F) { fuzz(f, "announcement") }
func FuzzDecodeBrief(f *testing.F)        { fuzz(f, "brief") }

// Where a block ends is found without reading it, and is where reading it ends.
func FuzzReadRawBlock(f *testing.F) {
	for _, seed := range seeds(f, "block") {
		f.Add(seed)
		f.Add(append(bytes.Clone(seed), seed...))
		f.Add(seed[:len(seed)/2])
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		skipped, read := chain.NewReader(raw), chain.NewReader(raw)
		got := chain.ReadRawBlock(skipped)
		block := chain.ReadBlock(read)
		if read.Err() == nil && (skipped.Err() != nil || !bytes.Equal(got, block.Bytes()) || skipped.Left() != read.Left()) {
			t.Errorf("%x ends with %d bytes left, read with %d: %v", raw, skipped.Left(), read.Left(), skipped.Err())
		}
		if err := skipped.Err(); err != nil && chain.KindOf(err) != chain.Malformed {
			t.Errorf("%x: %v", raw, err)
		}
	})
}

// allocated is how many bytes f takes from the heap.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// Announced counts cost nothing until the bytes are there: a hostile count at any
// place takes no more memory than the message is long.
func TestHostileCountsTakeNoMemory(t *testing.T) {
	hostile := [][]byte{
		bytes.Repeat([]byte{0xff}, 9),
		{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
		{0xff, 0, 0, 0, 0, 1, 0, 0, 0},
		{0xfe, 0xff, 0xff, 0xff, 0xff},
		{0xfe, 0xff, 0xff, 0xff, 0x7f},
		{0xfd, 0xff, 0xff},
		{0xfd, 0xff, 0}, // fewer than the bytes left, but too many for items of their size
		{0xfc},
	}
	for _, kind := range []string{"tx", "coinbase", "block", "announcement", "brief"} {
		var worst uint64
		for _, seed := range seeds(t, kind) {
			for at := range seed {
				for _, count := range hostile {
					raw := append([]byte(nil), seed...)
					copy(raw[at:], count)
					took := allocated(func() { _, _ = recode(kind, raw) })
					if allowed := uint64(8*len(raw) + 4096); took > allowed {
						t.Fatalf("%s of %d bytes with %x at %d takes %d bytes", kind, len(raw), count, at, took)
					}
					worst = max(worst, took)
				}
			}
		}
		t.Logf("%s: at most %d bytes", kind, worst)
	}
}

// What fits the count of the smallest items must not grow when read: items in
// memory are about as large as on the wire.
func TestFullMessagesTakeTheirOwnSize(t *testing.T) {
	const n = 5000
	tx := &chain.Tx{Inputs: make([]chain.Input, n), Outputs: make([]chain.Output, n)}
	a := &chain.Announcement{Coinbase: &chain.Coinbase{}, IDs: make([]chain.Hash, n)}
	b := &chain.Block{Coinbase: &chain.Coinbase{}}
	for range n {
		b.Txs = append(b.Txs, &chain.Tx{Inputs: make([]chain.Input, 1), Outputs: make([]chain.Output, 1)})
	}
	for kind, raw := range map[string][]byte{"tx": tx.Bytes(), "announcement": a.Bytes(), "block": b.Bytes()} {
		decode := map[string]func(){
			"tx":           func() { _, _ = chain.DecodeTx(raw) },
			"announcement": func() { _, _ = chain.DecodeAnnouncement(raw) },
			"block":        func() { _, _ = chain.DecodeBlock(raw) },
		}[kind]
		if took := allocated(decode); took > uint64(2*len(raw)) {
			t.Errorf("%s of %d bytes takes %d", kind, len(raw), took)
		}
	}
}

func TestCompactSize(t *testing.T) {
	for _, c := range []struct {
		n    uint64
		text string
	}{
		{0, "00"},
		{1, "01"},
		{0xfc, "fc"},
		{0xfd, "fdfd00"},
		{0xff, "fdff00"},
		{0x100, "fd0001"},
		{0xffff, "fdffff"},
		{0x10000, "fe00000100"},
		{0xffffffff, "feffffffff"},
		{0x100000000, "ff0000000001000000"},
		{1<<63 - 1, "ffffffffffffffff7f"},
		{1<<64 - 1, "ffffffffffffffffff"},
	} {
		raw := unhex(t, c.text)
		if got := chain.AppendVarint(nil, c.n); !bytes.Equal(got, raw) {
			t.Errorf("%d encodes as %x, want %s", c.n, got, c.text)
		}
		if got := chain.VarintSize(c.n); got != len(raw) {
			t.Errorf("%d takes %d bytes, want %d", c.n, got, len(raw))
		}
		r := chain.NewReader(raw)
		if got := r.Varint(); got != c.n || r.Close() != nil {
			t.Errorf("%s reads as %d, %v", c.text, got, r.Err())
		}
		for cut := range raw {
			r := chain.NewReader(raw[:cut])
			if got := r.Varint(); got != 0 || chain.KindOf(r.Err()) != chain.Malformed {
				t.Errorf("%x reads as %d, %v", raw[:cut], got, r.Err())
			}
		}
	}
}

func TestOnlyTheShortestFormIsRead(t *testing.T) {
	longer := func(n uint64) [][]byte {
		return [][]byte{
			binary.LittleEndian.AppendUint16([]byte{0xfd}, uint16(n)),
			binary.LittleEndian.AppendUint32([]byte{0xfe}, uint32(n)),
			binary.LittleEndian.AppendUint64([]byte{0xff}, n),
		}
	}
	for _, n := range []uint64{0, 1, 0xfc, 0xfd, 0xffff, 0x10000, 0xffffffff, 1 << 32} {
		for i, raw := range longer(n) {
			fits := n < 1<<(16<<i) || i == 2
			least := []uint64{0xfd, 1 << 16, 1 << 32}[i]
			if !fits {
				continue
			}
			r := chain.NewReader(raw)
			got := r.Varint()
			if ok := r.Close() == nil; ok != (n >= least) || ok && got != n {
				t.Errorf("%x reads as %d, %v", raw, got, r.Err())
			}
		}
	}
}

func TestReaderKeepsItsFirstError(t *testing.T) {
	r := chain.NewReader([]byte{1, 2, 3})
	if r.Uint32() != 0 || r.Left() != 0 {
		t.Error("read beyond the end")
	}
	first := r.Err()
	if r.Byte() != 0 || r.Array32() != ([32]byte{}) || r.Take(-1) != nil || r.Bytes(5) != nil {
		t.Error("read on after an error")
	}
	r.Fail("another")
	if r.Err() != first || r.Close() != first {
		t.Errorf("the first error %v became %v", first, r.Err())
	}
	if r := chain.NewReader([]byte{3, 1, 2, 3}); r.Bytes(2) != nil || r.Err() == nil {
		t.Error("3 bytes where 2 are allowed")
	}
}
