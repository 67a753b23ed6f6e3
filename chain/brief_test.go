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
	got, ok := a.Brief().Expand(slices.Concat(others, a.IDs, others))
	if !ok || !bytes.Equal(got.Bytes(), a.Bytes()) {
		t.Errorf("got %+v, want %+v", got, a)
	}
	for i := range a.IDs {
		if _, ok := a.Brief().Expand(slices.Delete(slices.Clone(a.IDs), i, i+1)); ok {
			t.Errorf("expanded without transaction %d", i)
		}
	}
	none := &chain.Announcement{Header: a.Header, Coinbase: a.Coinbase}
	if got, ok := none.Brief().Expand(nil); !ok || len(got.IDs) > 0 {
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
