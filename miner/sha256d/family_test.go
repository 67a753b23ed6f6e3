package sha256d

import (
	"cmp"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// relatives draws headers that end alike.
func relatives(r *rand.Rand, n int) []Header {
	headers := make([]Header, n)
	for i := range headers {
		fill(r, headers[i][:])
		copy(headers[i][64:76], headers[0][64:])
	}
	return headers
}

// sorted orders hits by header and then as the search goes.
func sorted(hits []Hit, first uint32) []Hit {
	slices.SortFunc(hits, func(x, y Hit) int {
		return cmp.Or(cmp.Compare(x.Header, y.Header), cmp.Compare(x.Nonce-first, y.Nonce-first))
	})
	return hits
}

func naiveFamily(headers []Header, target Target, first uint32, n uint64) (hits []Hit) {
	for i, h := range headers {
		for _, nonce := range naive(h, target, first, n) {
			hits = append(hits, Hit{i, nonce})
		}
	}
	return hits
}

func mustFamily(t testing.TB, headers []Header, target *Target) *Family {
	t.Helper()
	f, err := NewFamily(headers, target)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFamilyFindsWhatNaiveSearchFinds(t *testing.T) {
	tops := []uint32{0, 0x00ffffff, 0x0fffffff, 0x7fffff00, 0x80000000, math.MaxUint32}
	eachKernel(t, func(t *testing.T, k Kernel) {
		r := chance(t)
		for range 30 {
			headers := relatives(r, 1+r.IntN(9))
			var target Target
			fill(r, target[:])
			binary.LittleEndian.PutUint32(target[28:], tops[r.IntN(len(tops))])
			n := r.Uint64N(200)
			first := uint32(r.Int64N(400) - 200) // often over the greatest nonce
			got := sorted(mustFamily(t, headers, &target).searchWith(k, first, n, nil), first)
			if want := naiveFamily(headers, target, first, n); !slices.Equal(got, want) {
				t.Fatalf("headers %x, target %x, %d from %d: found %v, want %v", headers, target, n, first, got, want)
			}
		}
	})
}

func TestFamilyFindsEveryNonceUnderTheGreatestTarget(t *testing.T) {
	var target Target
	for i := range target {
		target[i] = 0xff
	}
	eachKernel(t, func(t *testing.T, k Kernel) {
		f := mustFamily(t, relatives(chance(t), 16), &target)
		for _, r := range []struct {
			first uint32
			n     uint64
			want  []uint32
		}{
			{7, 0, nil},
			{0, 1, []uint32{0}},
			{math.MaxUint32, 1, []uint32{math.MaxUint32}},
			{math.MaxUint32 - 1, 4, []uint32{math.MaxUint32 - 1, math.MaxUint32, 0, 1}},
			{1<<31 - 1, 2, []uint32{1<<31 - 1, 1 << 31}},
		} {
			var want []Hit
			for i := range 16 {
				for _, nonce := range r.want {
					want = append(want, Hit{i, nonce})
				}
			}
			if got := sorted(f.searchWith(k, r.first, r.n, nil), r.first); !slices.Equal(got, want) {
				t.Errorf("%d from %d: found %v, want %v", r.n, r.first, got, want)
			}
		}
	})
}

// Over several portions, for families that do not divide one evenly and for the
// largest, each kernel names what its members' own searches name.
func TestFamilyFindsWhatItsMembersFind(t *testing.T) {
	target := compact(0x207fffff)
	eachKernel(t, func(t *testing.T, k Kernel) {
		r := chance(t)
		for _, size := range []int{1, 3, 8, 100, MaxFamily} {
			headers := relatives(r, size)
			n := uint64(2*portion/size*batch + 21)
			first := uint32(-r.Uint64N(n))
			got := sorted(mustFamily(t, headers, &target).searchWith(k, first, n, nil), first)
			var want []Hit
			for i := range headers {
				for _, nonce := range NewJob(&headers[i], &target).searchWith(portable, first, n, nil) {
					want = append(want, Hit{i, nonce})
				}
			}
			if !slices.Equal(got, want) {
				t.Fatalf("%d headers, first %x, %d from %d: found %d, want %d", size, headers[0], n, first, len(got), len(want))
			}
		}
	})
}

// Bitcoin's genesis beside a header with another version.
func TestFamilyFindsGenesis(t *testing.T) {
	target := compact(0x1d00ffff)
	other := *header(t, genesis)
	other[2] ^= 0x20
	f := mustFamily(t, []Header{other, *header(t, genesis)}, &target)
	eachKernel(t, func(t *testing.T, k Kernel) {
		earlier := Hit{9, 9}
		got := f.searchWith(k, genesisNonce-20_000, 40_000, []Hit{earlier})
		if want := []Hit{earlier, {1, genesisNonce}}; !slices.Equal(got, want) {
			t.Errorf("found %v, want %v", got, want)
		}
	})
}

func TestFamilyBelievesNoLie(t *testing.T) {
	target := compact(0x1d00ffff)
	f := mustFamily(t, slices.Repeat([]Header{*header(t, genesis)}, 2), &target)
	liar := Kernel{SearchFamily: func(_ *Family, first uint32, n uint64, hits []Hit) []Hit {
		for i := range n {
			hits = append(hits, Hit{int(i % 2), first + uint32(i)})
		}
		return hits
	}}
	if got, want := f.searchWith(liar, genesisNonce-4, 8, nil), []Hit{{0, genesisNonce}}; !slices.Equal(got, want) {
		t.Errorf("found %v, want %v", got, want)
	}
}

func TestStrangersAreNoFamily(t *testing.T) {
	var target Target
	h := *header(t, genesis)
	for at := range h {
		stranger := h
		stranger[at] ^= 1
		_, err := NewFamily([]Header{h, stranger}, &target)
		if shared := at >= 64 && at < 76; (err != nil) != shared {
			t.Errorf("headers differ in byte %d: %v", at, err)
		}
	}
	for _, n := range []int{0, MaxFamily + 1} {
		if _, err := NewFamily(make([]Header, n), &target); err == nil {
			t.Errorf("a family of %d", n)
		}
	}
}

func TestSelfTestRejectsWrongFamilies(t *testing.T) {
	bad := map[string]func(*Family, uint32, uint64, []Hit) []Hit{
		"finds nothing": func(_ *Family, _ uint32, _ uint64, hits []Hit) []Hit { return hits },
		"forgets earlier hits": func(f *Family, first uint32, n uint64, hits []Hit) []Hit {
			return f.name(portable, first, n, hits[:0])
		},
		"searches the first header alone": func(f *Family, first uint32, n uint64, hits []Hit) []Hit {
			return (&Family{jobs: f.jobs[:1]}).name(portable, first, n, hits)
		},
		"leaves out the last header": func(f *Family, first uint32, n uint64, hits []Hit) []Hit {
			return (&Family{jobs: f.jobs[:len(f.jobs)-1]}).name(portable, first, n, hits)
		},
		"fills its lanes": func(f *Family, first uint32, n uint64, hits []Hit) []Hit {
			return f.name(portable, first, (n+15)&^15, hits)
		},
	}
	for name, search := range bad {
		k := Kernel{Name: name, Available: everywhere, Search: searchPortable, SearchFamily: search}
		right, wrong := qualify([]Kernel{k})
		if len(right) != 0 || len(wrong) != 1 || !strings.Contains(wrong[0].Error(), name) {
			t.Errorf("right %v, rejected %v, want one that %s", names(right), wrong, name)
		}
	}
}

// fuzzFamily searches the header and two that differ in the version.
func fuzzFamily(t *testing.T, h Header, target Target, first uint32, n uint64) {
	headers := []Header{h, h, h}
	headers[1][0] ^= 1
	headers[2][3] ^= 0x10
	f := mustFamily(t, headers, &target)
	want := naiveFamily(headers, target, first, n)
	for _, k := range Kernels() {
		if got := sorted(f.searchWith(k, first, n, nil), first); !slices.Equal(got, want) {
			t.Errorf("%s found %v, want %v", k.Name, got, want)
		}
	}
}

func TestManySearchOneFamily(t *testing.T) {
	target := compact(0x1f00ffff)
	headers := relatives(chance(t), 4)
	f := mustFamily(t, headers, &target)
	const parts, n = 4, 3000
	var found [parts][]Hit
	var wg sync.WaitGroup
	for i := range found {
		wg.Go(func() { found[i] = f.Search(uint32(i*n), n, nil) })
	}
	wg.Wait()
	got := sorted(slices.Concat(found[:]...), 0)
	if want := naiveFamily(headers, target, 0, parts*n); !slices.Equal(got, want) {
		t.Errorf("together they found %v, want %v", got, want)
	}
}

// BenchmarkFamily is a hash rate as BenchmarkSearch's: of nonces times headers.
func BenchmarkFamily(b *testing.B) {
	for _, k := range Kernels() {
		if k.SearchFamily == nil {
			continue
		}
		for _, size := range []int{4, 8, 16} {
			b.Run(k.Name+"/"+strconv.Itoa(size), func(b *testing.B) {
				b.ReportAllocs()
				f := mustFamily(b, slices.Repeat([]Header{*header(b, second)}, size), new(Target))
				f.searchWith(k, 0, uint64(b.N/size), nil)
				reportRate(b)
			})
		}
	}
}
