package sha256d

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
)

// A trial is a range of nonces to search, and the target's last four bytes as a
// number. Ranges are uneven: kernels that take many nonces at once go wrong at ends.
type trial struct {
	first uint32
	n     uint64
	top   uint32
}

func (t trial) target() *Target {
	target := new(Target)
	binary.LittleEndian.PutUint32(target[28:], t.top)
	return target
}

var trials = []trial{
	{first: 0, n: 0, top: math.MaxUint32},
	{first: 0, n: 1, top: math.MaxUint32},
	{first: math.MaxUint32, n: 1, top: math.MaxUint32},
	{first: math.MaxUint32 - 20, n: 67, top: math.MaxUint32 - 1<<29}, // wraps, and looks signed
	{first: 1<<31 - 5, n: 129, top: 0x7fffff00},
	{first: 0x89abcdef, n: 511, top: 1 << 28},
	{first: 12345, n: 15, top: 1 << 31},
}

// genesis is the header of Bitcoin's first block.
const (
	genesis = "0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd" +
		"7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a29ab5f49ffff001d1dac2b7c"
	genesisNonce = 2083236893
)

// selfTest compares what a kernel names with crypto/sha256, on fixed headers
// and on the block that began it all, and returns where they differ.
func selfTest(k Kernel) error {
	for i, t := range trials {
		seed := sha256.Sum256([]byte{byte(i)})
		header := Header(slices.Repeat(seed[:], 3)[:80])
		if err := try(k, &header, t); err != nil {
			return err
		}
		if k.SearchFamily == nil {
			continue
		}
		if err := tryFamily(k, &header, t); err != nil {
			return err
		}
	}
	header, err := hex.DecodeString(genesis)
	if err != nil {
		return err
	}
	return try(k, (*Header)(header), trial{first: genesisNonce - 99, n: 130, top: 0})
}

// tryFamily searches, behind an earlier hit, an odd number of headers that differ
// in the version: the masks of several headers share the memory that one has.
func tryFamily(k Kernel, header *Header, t trial) error {
	headers := slices.Repeat([]Header{*header}, 5)
	earlier := Hit{Header: 7, Nonce: 42}
	want := []Hit{earlier}
	for i := range headers {
		headers[i][1] ^= byte(i)
		for _, nonce := range expected(&headers[i], t) {
			want = append(want, Hit{i, nonce})
		}
	}
	f, err := NewFamily(headers, t.target())
	if err != nil {
		return err
	}
	got := k.SearchFamily(f, t.first, t.n, []Hit{earlier})
	slices.SortFunc(got[min(1, len(got)):], func(x, y Hit) int {
		return cmp.Or(cmp.Compare(x.Header, y.Header), cmp.Compare(x.Nonce-t.first, y.Nonce-t.first))
	})
	if !slices.Equal(got, want) {
		return fmt.Errorf("kernel %s is wrong: on a family, of %d nonces from %d, target word %#x, header %x", k.Name, t.n, t.first, t.top, *header)
	}
	return nil
}

// try searches behind an earlier hit, which must stay.
func try(k Kernel, header *Header, t trial) error {
	job := NewJob(header, t.target())
	const earlier = 42
	got := k.Search(job, t.first, t.n, []uint32{earlier})
	if want := append([]uint32{earlier}, expected(header, t)...); !slices.Equal(got, want) {
		return fmt.Errorf("kernel %s is wrong: of %d nonces from %d, target word %#x, header %x", k.Name, t.n, t.first, t.top, *header)
	}
	return nil
}

func expected(header *Header, t trial) (nonces []uint32) {
	h := *header
	for i := range t.n {
		nonce := t.first + uint32(i)
		binary.LittleEndian.PutUint32(h[nonceAt:], nonce)
		digest := Hash(&h)
		if binary.LittleEndian.Uint32(digest[28:]) <= t.top {
			nonces = append(nonces, nonce)
		}
	}
	return nonces
}
