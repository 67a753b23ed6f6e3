package sha256d

import (
	"encoding/binary"
	"encoding/hex"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"
)

// Bitcoin's block 1, whose nonce is 2573394689; genesis stands beside the self-test.
const (
	second = "010000006fe28c0ab6f1b372c1a6a246ae63f74f931e8365e15a089c68d6190000000000982051fd" +
		"1e4ba744bbbe680e1fee14677ba1a3c3540bf7b1cdb606e857233e0e61bc6649ffff001d01e36299"
	secondNonce = 2573394689
)

// naive searches as one would explain it: hash twice, compare as numbers.
func naive(header Header, target Target, first uint32, n uint64) (hits []uint32) {
	for i := range n {
		nonce := first + uint32(i)
		binary.LittleEndian.PutUint32(header[76:], nonce)
		if number(Hash(&header)).Cmp(number(target)) <= 0 {
			hits = append(hits, nonce)
		}
	}
	return hits
}

func number(littleEndian [32]byte) *big.Int {
	slices.Reverse(littleEndian[:])
	return new(big.Int).SetBytes(littleEndian[:])
}

// compact decodes a header's bits into the target that they stand for.
func compact(bits uint32) (target Target) {
	n := new(big.Int).Lsh(big.NewInt(int64(bits&0x7fffff)), uint(8*(bits>>24)-24))
	n.FillBytes(target[:])
	slices.Reverse(target[:])
	return target
}

func header(t testing.TB, text string) *Header {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return (*Header)(b)
}

// chance returns a source whose seed a failing test prints.
func chance(t *testing.T) *rand.Rand {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

func fill(r *rand.Rand, b []byte) {
	for i := range b {
		b[i] = byte(r.Uint32())
	}
}

// eachKernel runs a test on every kernel that can run here, right or wrong.
func eachKernel(t *testing.T, test func(t *testing.T, k Kernel)) {
	for _, k := range known {
		if k.Available() {
			t.Run(k.Name, func(t *testing.T) { test(t, k) })
		}
	}
}

func TestSearchFindsWhatNaiveSearchFinds(t *testing.T) {
	tops := []uint32{0, 1, 0x00ffffff, 0x0fffffff, 0x7fffff00, 0x80000000, 0xc0000001, math.MaxUint32}
	eachKernel(t, func(t *testing.T, k Kernel) {
		r := chance(t)
		for range 60 {
			var h Header
			var target Target
			fill(r, h[:])
			fill(r, target[:])
			binary.LittleEndian.PutUint32(target[28:], tops[r.IntN(len(tops))])
			first, n := r.Uint32(), r.Uint64N(400)
			got := NewJob(&h, &target).searchWith(k, first, n, nil)
			if want := naive(h, target, first, n); !slices.Equal(got, want) {
				t.Fatalf("header %x, target %x, %d from %d: found %d, want %d", h, target, n, first, got, want)
			}
		}
	})
}

// The target is the very digest of one nonce, then one less: only comparing all
// 256 bits tells these apart.
func TestSearchComparesToTheLastBit(t *testing.T) {
	eachKernel(t, func(t *testing.T, k Kernel) {
		r := chance(t)
		for range 20 {
			var h Header
			fill(r, h[:])
			nonce := binary.LittleEndian.Uint32(h[76:])
			target := Target(Hash(&h))
			if got := NewJob(&h, &target).searchWith(k, nonce, 1, nil); !slices.Equal(got, []uint32{nonce}) {
				t.Fatalf("header %x: its own hash is no hit", h)
			}
			below := new(big.Int).Sub(number(target), big.NewInt(1))
			below.FillBytes(target[:])
			slices.Reverse(target[:])
			if got := NewJob(&h, &target).searchWith(k, nonce, 1, nil); len(got) != 0 {
				t.Fatalf("header %x: a hash above its target hits", h)
			}
		}
	})
}

func TestSearchFindsEveryNonceUnderTheGreatestTarget(t *testing.T) {
	var target Target
	for i := range target {
		target[i] = 0xff
	}
	ranges := []struct {
		first uint32
		n     uint64
		want  []uint32
	}{
		{7, 0, nil},
		{0, 1, []uint32{0}},
		{math.MaxUint32, 1, []uint32{math.MaxUint32}},
		{math.MaxUint32 - 1, 4, []uint32{math.MaxUint32 - 1, math.MaxUint32, 0, 1}},
		{1<<31 - 1, 2, []uint32{1<<31 - 1, 1 << 31}},
	}
	eachKernel(t, func(t *testing.T, k Kernel) {
		job := NewJob(new(Header), &target)
		for _, r := range ranges {
			if got := job.searchWith(k, r.first, r.n, nil); !slices.Equal(got, r.want) {
				t.Errorf("%d from %d: found %d, want %d", r.n, r.first, got, r.want)
			}
		}
	})
}

func TestSearchOnRegtestFindsHalf(t *testing.T) {
	target := compact(0x207fffff)
	h := *header(t, genesis)
	want := naive(h, target, math.MaxUint32-2000, 4000)
	if len(want) < 1800 || len(want) > 2200 {
		t.Fatalf("%d of 4000 nonces hit, want about half", len(want))
	}
	eachKernel(t, func(t *testing.T, k Kernel) {
		if got := NewJob(&h, &target).searchWith(k, math.MaxUint32-2000, 4000, nil); !slices.Equal(got, want) {
			t.Errorf("found %d hits, want %d", len(got), len(want))
		}
	})
}

func TestSearchFindsBitcoinsFirstBlocks(t *testing.T) {
	target := compact(0x1d00ffff)
	eachKernel(t, func(t *testing.T, k Kernel) {
		for _, block := range []struct {
			header string
			nonce  uint32
		}{{genesis, genesisNonce}, {second, secondNonce}} {
			job := NewJob(header(t, block.header), &target)
			windows := []struct {
				first uint32
				n     uint64
				want  []uint32
			}{
				{block.nonce - 1000, 1000, nil}, // ends just before it
				{block.nonce - 1000, 1001, []uint32{block.nonce}},
				{block.nonce, 1, []uint32{block.nonce}},
				{block.nonce, 1000, []uint32{block.nonce}},
				{block.nonce + 1, 1000, nil},
				{block.nonce - 50_000, 100_000, []uint32{block.nonce}},
			}
			for _, w := range windows {
				if got := job.searchWith(k, w.first, w.n, nil); !slices.Equal(got, w.want) {
					t.Errorf("nonce %d, %d from %d: found %d, want %d", block.nonce, w.n, w.first, got, w.want)
				}
			}
		}
	})
}

func TestHashIsBitcoins(t *testing.T) {
	for text, id := range map[string]string{
		genesis: "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f",
		second:  "00000000839a8e6886ab5951d76f411475428afc90947ee320161bbf18eb6048",
	} {
		digest := Hash(header(t, text))
		slices.Reverse(digest[:])
		if got := hex.EncodeToString(digest[:]); got != id {
			t.Errorf("hash %s, want %s", got, id)
		}
	}
}

func TestJobDoesNotKnowTheHeadersNonce(t *testing.T) {
	var target Target
	h := header(t, genesis)
	one := NewJob(h, &target)
	binary.LittleEndian.PutUint32(h[76:], 99)
	if two := NewJob(h, &target); *one != *two {
		t.Error("jobs differ with the header's nonce")
	}
	if got := binary.LittleEndian.Uint32(h[76:]); got != 99 {
		t.Errorf("the caller's header now carries nonce %d", got)
	}
}

// No range is longer than the nonce space, and one of just its length is not
// taken for an empty one.
func TestSearchKeepsWithinTheNonceSpace(t *testing.T) {
	for n, want := range map[uint64]uint64{
		0: 0, 1<<32 - 1: 1<<32 - 1, 1 << 32: 1 << 32, 1<<32 + 1: 1 << 32, math.MaxUint64: 1 << 32,
	} {
		var asked uint64
		scribe := Kernel{Search: func(_ *Job, _ uint32, n uint64, hits []uint32) []uint32 {
			asked = n
			return hits
		}}
		NewJob(new(Header), new(Target)).searchWith(scribe, 5, n, nil)
		if asked != want {
			t.Errorf("of %d nonces the kernel is asked for %d, want %d", n, asked, want)
		}
	}
}

func TestSearchBelievesNoLie(t *testing.T) {
	target := compact(0x1d00ffff)
	liar := Kernel{Search: func(_ *Job, first uint32, n uint64, hits []uint32) []uint32 {
		for i := range n {
			hits = append(hits, first+uint32(i))
		}
		return hits
	}}
	got := NewJob(header(t, genesis), &target).searchWith(liar, genesisNonce-10, 20, []uint32{1, 2})
	if want := []uint32{1, 2, genesisNonce}; !slices.Equal(got, want) {
		t.Errorf("found %d, want %d", got, want)
	}
}

func TestManySearchOneJob(t *testing.T) {
	target := compact(0x1f00ffff)
	job := NewJob(header(t, genesis), &target)
	const parts, n = 4, 5000
	var found [parts][]uint32
	var wg sync.WaitGroup
	for i := range found {
		wg.Go(func() { found[i] = job.Search(uint32(i*n), n, nil) })
	}
	wg.Wait()
	if got, want := slices.Concat(found[:]...), naive(*header(t, genesis), target, 0, parts*n); !slices.Equal(got, want) {
		t.Errorf("together they found %d, want %d", got, want)
	}
}

func FuzzSearch(f *testing.F) {
	easy, hard := compact(0x207fffff), compact(0x1d00ffff)
	f.Add([]byte("cairn"), easy[:], uint32(math.MaxUint32-3), uint16(9))
	f.Add(header(f, genesis)[:], hard[:], uint32(genesisNonce-7), uint16(8))
	f.Fuzz(func(t *testing.T, head, end []byte, first uint32, n uint16) {
		var h Header
		var target Target
		copy(h[:], head)
		copy(target[:], end)
		n %= 300
		job := NewJob(&h, &target)
		want := naive(h, target, first, uint64(n))
		for _, k := range Kernels() {
			if got := job.searchWith(k, first, uint64(n), nil); !slices.Equal(got, want) {
				t.Errorf("%s found %d, want %d", k.Name, got, want)
			}
		}
		fuzzFamily(t, h, target, first, uint64(n))
	})
}
