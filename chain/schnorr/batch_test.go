package schnorr

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
)

func secret(i int) [32]byte { return sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(i))) }

func signed(t testing.TB, n int) []Signed {
	t.Helper()
	all := make([]Signed, n)
	for i := range all {
		key, err := NewPrivateKey(secret(i))
		if err != nil {
			t.Fatal(err)
		}
		digest := sha256.Sum256([]byte{byte(i), byte(i >> 8)})
		sig, err := key.Sign(digest, [32]byte{})
		if err != nil {
			t.Fatal(err)
		}
		all[i] = Signed{Key: key.Public(), Digest: digest, Sig: sig}
	}
	return all
}

// agree holds FirstFalse against Verify on one after the other.
func agree(t testing.TB, name string, all []Signed) {
	t.Helper()
	if got, want := FirstFalse(all), firstOneByOne(all, 0); got != want {
		t.Errorf("%s: the first false of %d is %d, one by one it is %d", name, len(all), got, want)
	}
}

func TestABatchHoldsWhateverItsSize(t *testing.T) {
	all := signed(t, 400)
	for _, n := range []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 31, 64, 100, 257, 400} {
		if i := FirstFalse(all[:n]); i != -1 {
			t.Errorf("of %d true signatures the one at %d is false", n, i)
		}
	}
	for n := 1; n <= fewest; n++ {
		if !batch(all[:n]) {
			t.Errorf("a batch of %d fails", n)
		}
	}
}

func TestBIP340VectorsInABatch(t *testing.T) {
	const among = 20
	good := signed(t, among)
	var every []Signed
	for _, v := range vectors(t) {
		raw, err := hex.DecodeString(v.message)
		if err != nil || len(raw) != 32 {
			continue
		}
		s := Signed{Key: bytes32(t, v.key), Digest: [32]byte(raw), Sig: bytes64(t, v.sig)}
		every = append(every, s)
		want := -1
		if v.valid != "TRUE" {
			want = 7
		}
		if got := FirstFalse(slices.Insert(slices.Clone(good), 7, s)); got != want {
			t.Errorf("vector %s at 7: the first false is at %d, want %d (%s)", v.index, got, want, v.comment)
		}
	}
	if len(every) != 15 {
		t.Errorf("tried %d vectors, want 15", len(every))
	}
	agree(t, "all vectors", every)
}

// bends are signatures of key d over a digest that Verify refuses, and how each is made.
var bends = map[string]func(s *Signed, d *btcec.ModNScalar){
	"s + 1":                   func(s *Signed, _ *btcec.ModNScalar) { shift(s, 1) },
	"s = 0":                   func(s *Signed, _ *btcec.ModNScalar) { clear(s.Sig[32:]) },
	"s negated":               func(s *Signed, _ *btcec.ModNScalar) { negate(&s.Sig) },
	"s = n":                   func(s *Signed, _ *btcec.ModNScalar) { order.FillBytes(s.Sig[32:]) },
	"s = 2^256-1":             func(s *Signed, _ *btcec.ModNScalar) { fill(s.Sig[32:]) },
	"r = 0":                   func(s *Signed, _ *btcec.ModNScalar) { clear(s.Sig[:32]) },
	"r = p":                   func(s *Signed, _ *btcec.ModNScalar) { btcec.S256().P.FillBytes(s.Sig[:32]) },
	"r = 5, no point's":       func(s *Signed, _ *btcec.ModNScalar) { clear(s.Sig[:32]); s.Sig[31] = 5 },
	"r of another point":      func(s *Signed, _ *btcec.ModNScalar) { clear(s.Sig[:32]); s.Sig[31] = 1 },
	"key = 5, no point's":     func(s *Signed, _ *btcec.ModNScalar) { s.Key = [32]byte{31: 5} },
	"key = p":                 func(s *Signed, _ *btcec.ModNScalar) { btcec.S256().P.FillBytes(s.Key[:]) },
	"key = 2^256-1":           func(s *Signed, _ *btcec.ModNScalar) { fill(s.Key[:]) },
	"another key":             func(s *Signed, _ *btcec.ModNScalar) { s.Key = [32]byte{31: 1} },
	"another digest":          func(s *Signed, _ *btcec.ModNScalar) { s.Digest[0]++ },
	"R with an odd y":         func(s *Signed, d *btcec.ModNScalar) { sign(s, d, true) },
	"R at infinity":           atInfinity,
	"everything 0":            func(s *Signed, _ *btcec.ModNScalar) { *s = Signed{} },
	"a signature of the negd": func(s *Signed, d *btcec.ModNScalar) { neg := *d; sign(s, neg.Negate(), false) },
}

// shift adds n to s.
func shift(s *Signed, n int32) {
	var k, d btcec.ModNScalar
	k.SetByteSlice(s.Sig[32:])
	d.SetInt(uint32(max(n, -n)))
	if n < 0 {
		d.Negate()
	}
	b := k.Add(&d).Bytes()
	copy(s.Sig[32:], b[:])
}

// sign makes a signature whose R has an even y, or an odd one.
func sign(s *Signed, d *btcec.ModNScalar, odd bool) {
	var k btcec.ModNScalar
	k.SetInt(123456)
	r := multiple(&k)
	if r.Y.IsOdd() != odd {
		k.Negate()
	}
	copy(s.Sig[:32], r.X.Bytes()[:])
	complete(s, d, &k)
}

// atInfinity makes one with s·G = e·P.
func atInfinity(s *Signed, d *btcec.ModNScalar) { complete(s, d, new(btcec.ModNScalar)) }

// complete sets s = k + e·d.
func complete(s *Signed, d, k *btcec.ModNScalar) {
	e := challenge(s)
	var n btcec.ModNScalar
	n.SetBytes(&e)
	b := n.Mul(d).Add(k).Bytes()
	copy(s.Sig[32:], b[:])
}

func multiple(k *btcec.ModNScalar) (p btcec.JacobianPoint) {
	btcec.ScalarBaseMultNonConst(k, &p)
	p.ToAffine()
	return p
}

// private is the key's number whose point has an even y.
func private(i int) *btcec.ModNScalar {
	var d btcec.ModNScalar
	b := secret(i)
	d.SetBytes(&b)
	if p := multiple(&d); p.Y.IsOdd() {
		d.Negate()
	}
	return &d
}

func TestTheSignerOfTheTestsSigns(t *testing.T) {
	s := signed(t, 1)[0]
	sign(&s, private(0), false)
	if !s.verify() {
		t.Error("a signature made by hand is false: those that were bent may be false for the same reason")
	}
}

func TestOneBadSignatureIsNamed(t *testing.T) {
	good := signed(t, 130)
	for name, bend := range bends {
		for _, at := range []int{0, 64, 129} {
			all := slices.Clone(good)
			bend(&all[at], private(at))
			if all[at] == good[at] || all[at].verify() {
				t.Fatalf("%s: verifies", name)
			}
			if got := FirstFalse(all); got != at {
				t.Errorf("%s at %d: the first false is %d", name, at, got)
			}
			if batch(all) || batch(all[at:at+1]) {
				t.Errorf("%s at %d: a batch holds it for true", name, at)
			}
		}
	}
}

func TestOneBadAmongThousands(t *testing.T) {
	all := signed(t, 3000)
	if i := FirstFalse(all); i != -1 {
		t.Fatalf("%d is false", i)
	}
	shift(&all[2718], 1)
	if i := FirstFalse(all); i != 2718 {
		t.Errorf("the first false is %d, want 2718", i)
	}
}

// Whoever could foresee the coefficients would let errors cancel each other.
func TestErrorsDoNotCancel(t *testing.T) {
	good := signed(t, 40)
	for i := range 39 {
		pair := slices.Clone(good)
		shift(&pair[i], 1)
		shift(&pair[i+1], -1)
		if got := FirstFalse(pair); got != i {
			t.Errorf("a pair at %d: the first false is %d", i, got)
		}
	}
	three := slices.Clone(good)
	shift(&three[3], 1)
	shift(&three[9], 1)
	shift(&three[30], -2)
	agree(t, "three errors", three)

	// Errors that cancel under the coefficients of the true batch.
	foreseen, a := slices.Clone(good), coefficients(good)
	foreseen[7] = scaled(foreseen[7], &a[8].scalar, false)
	foreseen[8] = scaled(foreseen[8], &a[7].scalar, true)
	if got := FirstFalse(foreseen); got != 7 {
		t.Errorf("a pair made for known coefficients: the first false is %d", got)
	}
}

// scaled adds by to s, or takes it away.
func scaled(s Signed, by *btcec.ModNScalar, minus bool) Signed {
	var k btcec.ModNScalar
	d := *by
	if minus {
		d.Negate()
	}
	k.SetByteSlice(s.Sig[32:])
	b := k.Add(&d).Bytes()
	copy(s.Sig[32:], b[:])
	return s
}

// Equal points meet in one bucket and are doubled there, opposite ones cancel.
func TestRepeatedSignatures(t *testing.T) {
	some := signed(t, 3)
	for _, n := range []int{4, 50, 700} {
		var all []Signed
		for i := range n {
			all = append(all, some[i%len(some)])
		}
		agree(t, "three over and over", all)
		agree(t, "one over and over", slices.Repeat(some[:1], n))
		shift(&all[n/2], 1)
		agree(t, "and one of them bad", all)
	}
	all := signed(t, 60)
	for i := range all { // one key, many messages
		all[i].Key = all[0].Key
		sign(&all[i], private(0), false)
		agree(t, "one key", all[:i+1])
	}
}

func TestCoefficientsFollowFromTheBatch(t *testing.T) {
	all := signed(t, 5)
	a, again := coefficients(all), coefficients(slices.Clone(all))
	if !slices.Equal(a, again) {
		t.Error("the same batch has other coefficients")
	}
	for _, bend := range []func(*Signed){
		func(s *Signed) { s.Key[0]++ }, func(s *Signed) { s.Digest[31]++ }, func(s *Signed) { s.Sig[63]++ },
	} {
		other := slices.Clone(all)
		bend(&other[4])
		for i, c := range coefficients(other)[1:] {
			if c == a[i+1] {
				t.Errorf("coefficient %d does not depend on the last signature", i+1)
			}
		}
	}
	for i, c := range a[1:] {
		if c.half.hi == 0 || c.half.negative {
			t.Errorf("coefficient %d has no 128 bits: %+v", i+1, c.half)
		}
	}
}

func FuzzFirstFalse(f *testing.F) {
	f.Add([]byte{3, 1, 4, 1, 5, 9, 2, 6}, uint8(9))
	f.Add([]byte{}, uint8(4))
	f.Add([]byte{200, 17, 1, 200, 17, 1}, uint8(60))
	good := signed(f, 64)
	names := slices.Sorted(func(yield func(string) bool) {
		for name := range bends {
			if !yield(name) {
				return
			}
		}
	})
	f.Fuzz(func(t *testing.T, script []byte, n uint8) {
		all := slices.Clone(good[:n%64])
		for ; len(script) > 2 && len(all) > 0; script = script[3:] {
			at := int(script[0]) % len(all)
			switch how := int(script[1]); {
			case how < len(names):
				bends[names[how]](&all[at], private(at))
			case how < 64:
				all[at] = all[int(script[2])%len(all)]
			case how < 128:
				all[at].Sig[how-64] ^= script[2]
			case how < 160:
				all[at].Key[how-128] ^= script[2]
			default:
				shift(&all[at], int32(int8(script[2])))
			}
		}
		agree(t, fmt.Sprint(n), all)
	})
}

func TestRandomlyBentBatches(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	good := signed(t, 64)
	for range 40 {
		all := slices.Clone(good[:1+r.IntN(64)])
		for range r.IntN(3) {
			all[r.IntN(len(all))].Sig[r.IntN(64)] ^= byte(r.Uint32())
		}
		agree(t, fmt.Sprintf("seed %d", seed), all)
	}
}

// BenchmarkFirstFalse measures a batch beside the library's Verify, in turns: what
// else the machine does hits both.
func BenchmarkFirstFalse(b *testing.B) {
	all := signed(b, 2000)
	for _, n := range []int{1, 4, 16, 100, 400, 2000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var batched, single time.Duration
			for range b.N {
				start := time.Now()
				if FirstFalse(all[:n]) != -1 {
					b.Fatal("a true signature is false")
				}
				middle := time.Now()
				if firstOneByOne(all[:n], 0) != -1 {
					b.Fatal("a true signature is false")
				}
				batched += middle.Sub(start)
				single += time.Since(middle)
			}
			b.ReportMetric(float64(batched.Nanoseconds())/float64(b.N*n), "ns/signature")
			b.ReportMetric(float64(single)/float64(batched), "times-Verify")
		})
	}
}

// A batch with one bad signature costs its maker's peers what the search for it costs.
func BenchmarkFirstFalseOfABadBatch(b *testing.B) {
	all := signed(b, 2000)
	shift(&all[1999], 1)
	var bad, good time.Duration
	for range b.N {
		start := time.Now()
		if FirstFalse(all) != 1999 {
			b.Fatal("the bad one was not found")
		}
		middle := time.Now()
		holds(all[:1999])
		bad += middle.Sub(start)
		good += time.Since(middle)
	}
	b.ReportMetric(float64(bad)/float64(good), "times-a-good-batch")
}
