package chain_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"testing"

	"cairn/chain"
	"cairn/chain/chaintest"
)

func TestBriefExpandsToItsAnnouncement(t *testing.T) {
	_, b := samples()
	a := b.Announce()
	others := []chain.Hash{{1}, {2}, {3}}
	got := a.Brief(5).Expand(slices.Concat(others, a.IDs)).Announcement()
	if got == nil || !bytes.Equal(got.Bytes(), a.Bytes()) {
		t.Errorf("got %+v, want %+v", got, a)
	}
	for i, id := range a.IDs {
		x := a.Brief(5).Expand(slices.Delete(slices.Clone(a.IDs), i, i+1))
		if got, missing := x.Announcement(), x.Missing(); got != nil || !slices.Equal(missing, []uint32{uint32(i)}) {
			t.Errorf("without transaction %d: missing %v, %v", i, missing, got)
		}
		x.Fill(uint32(i), id)
		if got := x.Announcement(); got == nil || !bytes.Equal(got.Bytes(), a.Bytes()) {
			t.Errorf("with transaction %d filled in: %+v", i, got)
		}
	}
	none := &chain.Announcement{Header: a.Header, Coinbase: a.Coinbase}
	if got := none.Brief(0).Expand(nil).Announcement(); got == nil || len(got.IDs) > 0 {
		t.Errorf("a block without payments: %+v", got)
	}
}

// Names that collide in one block do not in another.
func TestBriefsAreSalted(t *testing.T) {
	_, b := samples()
	a := b.Announce()
	before := a.Brief(2).Short
	a.Header.Nonce++
	if after := a.Brief(2).Short; before[0] == after[0] || before[1] == after[1] {
		t.Errorf("%x and %x", before, after)
	}
}

// The more transactions there are, the longer are their names, and a brief is that
// of its announcement however long they are.
func TestBriefsAreAsLongAsNeedBe(t *testing.T) {
	a := crowded(2000)
	for held, width := range map[int]int{0: 3, 2000: 3, 4000: 3, 4500: 4, 1_000_000: 4, 2_000_000: 5, 1 << 40: 6} {
		b := a.Brief(held)
		if b.Width != width {
			t.Errorf("%d bytes each among %d transactions, want %d", b.Width, held, width)
		}
		if !b.Of(a) || b.Of(crowded(2001)) {
			t.Errorf("%d bytes each: whose brief is it?", b.Width)
		}
	}
}

// Where several transactions go by one name, the root tells which is meant; where
// they are too many for that, they count as missing.
func TestAmbiguousBriefs(t *testing.T) {
	a := crowded(200)
	b := a.Brief(200)
	twins := collide(b, 5)
	for n := range 5 {
		x := b.Expand(slices.Concat(twins[:n], a.IDs))
		got := x.Announcement()
		if got == nil || !bytes.Equal(got.Bytes(), a.Bytes()) {
			t.Errorf("%d names are ambiguous: %v", n, got)
		}
	}
	x := b.Expand(slices.Concat(a.IDs, twins))
	if got, missing := x.Announcement(), x.Missing(); got != nil || len(missing) != 1 {
		t.Errorf("5 names are ambiguous: missing %v, %v", missing, got)
	}
	for _, at := range x.Missing() {
		x.Fill(at, a.IDs[at])
	}
	if got := x.Announcement(); got == nil || !bytes.Equal(got.Bytes(), a.Bytes()) {
		t.Errorf("with the last one filled in: %v", got)
	}
	rest := slices.DeleteFunc(slices.Clone(a.IDs), func(id chain.Hash) bool { return name(b, id) == name(b, twins[0]) })
	if got := b.Expand(append(rest, twins[0])).Announcement(); got == nil || slices.Equal(got.IDs, a.IDs) {
		t.Error("only the root can tell a twin whose like is not here")
	}
}

// No two transactions of a brief go by one name, or the root would have to tell them
// apart everywhere: where they would, all names are longer, and whoever repeats one is
// refused.
func TestBriefsRepeatNoName(t *testing.T) {
	a := crowded(2000)
	for {
		short := map[uint64]bool{}
		for _, id := range a.IDs {
			short[name(&chain.Brief{Header: a.Header}, id)] = true
		}
		if len(short) < len(a.IDs) {
			break
		}
		a.Header.Nonce++
	}
	b := a.Brief(2000)
	if names := slices.Compact(slices.Sorted(slices.Values(b.Short))); len(names) != len(a.IDs) || b.Width != 4 {
		t.Errorf("%d names of %d bytes for %d transactions", len(names), b.Width, len(a.IDs))
	}
	_, block := samples()
	forged := block.Announce().Brief(2)
	forged.Short[1] = forged.Short[0]
	if err := chain.CheckBrief(chaintest.Easy(), forged); chain.KindOf(err) != chain.Malformed {
		t.Errorf("a name that is repeated: %v", err)
	}
}

// What gossip takes for a brief holds that of every block, and little more.
func TestLargestBrief(t *testing.T) {
	p := chain.Main()
	tx, _ := samples()
	tx.Inputs, tx.Outputs, tx.Memo = tx.Inputs[:1], tx.Outputs[:1], nil
	b := &chain.Brief{Coinbase: &chain.Coinbase{Extra: make([]byte, 9_800)}, Width: 6, Short: make([]uint64, p.MaxBlock/len(tx.Bytes()))}
	if n, most := len(b.Bytes()), chain.LargestBrief(p.MaxBlock); n > most || n < most-500 {
		t.Errorf("a brief has %d bytes, allowed are %d", n, most)
	}
}

// Nobody is kept busy by a brief of more transactions than a block can hold.
func TestBriefOfTooMany(t *testing.T) {
	p := chaintest.Easy()
	_, b := samples()
	brief := b.Announce().Brief(2)
	if err := chain.CheckBrief(p, brief); err != nil {
		t.Errorf("a block's own: %v", err)
	}
	brief.Short = make([]uint64, p.MaxBlock/100)
	if err := chain.CheckBrief(p, brief); !chain.KindOf(err).Everywhere() {
		t.Errorf("%d transactions in %d bytes: %v", len(brief.Short), p.MaxBlock, err)
	}
	brief.Header.Bits = 0
	if err := chain.CheckBrief(p, brief); chain.KindOf(err) != chain.BadBits {
		t.Errorf("without work: %v", err)
	}
}

// crowded announces a block of so many made-up transactions.
func crowded(n int) *chain.Announcement {
	a := &chain.Announcement{Coinbase: &chain.Coinbase{Extra: make([]byte, 60)}}
	leaves := []chain.Hash{a.Coinbase.ID()}
	for i := range n {
		leaves = append(leaves, chain.SumHash(binary.LittleEndian.AppendUint64(nil, uint64(i))))
	}
	a.IDs = leaves[1:]
	a.Header.Root, _ = chain.MerkleRoot(leaves)
	return a
}

// collide finds made-up transactions that go by names of the block's, each by
// another one.
func collide(b *chain.Brief, n int) (twins []chain.Hash) {
	free := map[uint64]bool{}
	for _, short := range b.Short {
		free[short] = true
	}
	for i := uint64(1 << 32); len(twins) < n; i++ {
		id := chain.SumHash(binary.LittleEndian.AppendUint64(nil, i))
		if short := name(b, id); free[short] {
			free[short] = false
			twins = append(twins, id)
		}
	}
	return twins
}

// name is the first three bytes of the hash of the block's id and a transaction's.
func name(b *chain.Brief, id chain.Hash) uint64 {
	block := b.Header.ID()
	sum := sha256.Sum256(slices.Concat(block[:], id[:]))
	return uint64(sum[0]) | uint64(sum[1])<<8 | uint64(sum[2])<<16
}
