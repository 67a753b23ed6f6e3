package mempool

import (
	"fmt"
	"math/bits"

	"cairn/chain"
)

// FeeRate is in grains per 1000 bytes.
type FeeRate uint64

const perRate = 1000 // bytes

// Fee is what so many bytes cost at this rate, rounded up.
func (r FeeRate) Fee(bytes int) chain.Amount {
	high, low := bits.Mul64(uint64(r), uint64(bytes))
	low, carry := bits.Add64(low, perRate-1, 0)
	if high += carry; high >= perRate {
		return chain.MaxAmount
	}
	fee, _ := bits.Div64(high, low, perRate)
	return min(chain.Amount(fee), chain.MaxAmount)
}

// Package sums up transactions. The fees of a pool never overflow: they are
// coins of one chain, each spent once.
type Package struct {
	Count int
	Bytes int
	Fee   chain.Amount // grains
}

// String shows count, bytes and fee.
func (k Package) String() string {
	return fmt.Sprintf("%d transactions of %d bytes for %v CRN", k.Count, k.Bytes, k.Fee)
}

// Rate is the fee rate, rounded down.
func (k Package) Rate() FeeRate {
	if k.Bytes == 0 {
		return 0
	}
	high, low := bits.Mul64(uint64(k.Fee), perRate)
	if high >= uint64(k.Bytes) {
		return FeeRate(chain.MaxAmount)
	}
	rate, _ := bits.Div64(high, low, uint64(k.Bytes))
	return FeeRate(rate)
}

// compare orders by exact fee rate.
func (k Package) compare(o Package) int {
	ah, al := bits.Mul64(uint64(k.Fee), uint64(o.Bytes))
	bh, bl := bits.Mul64(uint64(o.Fee), uint64(k.Bytes))
	switch {
	case ah < bh || ah == bh && al < bl:
		return -1
	case ah == bh && al == bl:
		return 0
	}
	return 1
}

func (k Package) plus(o Package) Package {
	return Package{Count: k.Count + o.Count, Bytes: k.Bytes + o.Bytes, Fee: k.Fee + o.Fee}
}

func (k Package) minus(o Package) Package {
	return Package{Count: k.Count - o.Count, Bytes: k.Bytes - o.Bytes, Fee: k.Fee - o.Fee}
}

func single(tx chain.CheckedTx) Package {
	return Package{Count: 1, Bytes: tx.Size(), Fee: tx.Fee()}
}

func sum(list []*entry) (k Package) {
	for _, e := range list {
		k = k.plus(single(e.tx))
	}
	return k
}
