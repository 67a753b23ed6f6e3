package chain_test

import (
	"bytes"
	"slices"
	"testing"

	"cairn/chain"
)

func TestBriefExpandsToItsAnnouncement(t *testing.T) {
	_, b := samples()
	a := b.Announce()
	others := []chain.Hash{{1}, {2}, {3}}
	got, missing := a.Brief().Expand(slices.Concat(others, a.IDs, others))
	if len(missing) > 0 || !bytes.Equal(got.Bytes(), a.Bytes()) {
		t.Errorf("got %+v, want %+v", got, a)
	}
	for i := range a.IDs {
		if got, missing := a.Brief().Expand(slices.Delete(slices.Clone(a.IDs), i, i+1)); got != nil || !slices.Equal(missing, []uint32{uint32(i)}) {
			t.Errorf("without transaction %d: missing %v, %v", i, missing, got)
		}
	}
	none := &chain.Announcement{Header: a.Header, Coinbase: a.Coinbase}
	if got, missing := none.Brief().Expand(nil); len(missing) > 0 || len(got.IDs) > 0 {
		t.Errorf("a block without payments: %+v", got)
	}
}

// Names that collide in one block do not in another.
func TestBriefsAreSalted(t *testing.T) {
	_, b := samples()
	a := b.Announce()
	before := a.Brief().IDs
	a.Header.Nonce++
	if after := a.Brief().IDs; before[0] == after[0] || before[1] == after[1] {
		t.Errorf("%x and %x", before, after)
	}
}
