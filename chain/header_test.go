package chain_test

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"math"
	"math/big"
	"os"
	"strconv"
	"strings"
	"testing"

	"cairn/chain"
)

// mainChain is testdata/bitcoin.txt.
type mainChain struct {
	headers    map[int]chain.Header
	raw        map[int]string
	ids        map[int]string
	txs        map[int][]chain.Hash
	work       map[int]string
	difficulty map[int]string
}

// lines reads a file of testdata without its comments.
func lines(t testing.TB, name string) []string {
	t.Helper()
	f, err := os.Open("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []string
	scan := bufio.NewScanner(f)
	scan.Buffer(nil, 1<<20)
	for scan.Scan() {
		if line := scan.Text(); line != "" && line[0] != '#' {
			all = append(all, line)
		}
	}
	if scan.Err() != nil {
		t.Fatal(scan.Err())
	}
	return all
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func bitcoin(t *testing.T) mainChain {
	t.Helper()
	m := mainChain{
		map[int]chain.Header{},
		map[int]string{},
		map[int]string{},
		map[int][]chain.Hash{},
		map[int]string{},
		map[int]string{},
	}
	for _, line := range lines(t, "bitcoin.txt") {
		c := strings.Fields(line)
		height, err := strconv.Atoi(c[1])
		if err != nil {
			t.Fatal(err)
		}
		switch c[0] {
		case "header":
			h, err := chain.DecodeHeader(unhex(t, c[2]))
			if err != nil {
				t.Fatal(err)
			}
			m.headers[height], m.raw[height], m.ids[height] = h, c[2], c[3]
		case "tx":
			id := chain.SumHash(unhex(t, c[3]))
			if id.String() != c[2] {
				t.Errorf("transaction %s hashes to %v", c[2], id)
			}
			m.txs[height] = append(m.txs[height], id)
		case "work":
			m.work[height] = c[2]
		case "difficulty":
			m.difficulty[height] = c[2]
		}
	}
	return m
}

func TestBitcoinsHeadersHashAndMeetTheirTargets(t *testing.T) {
	data := bitcoin(t)
	if len(data.headers) != 14 {
		t.Fatalf("%d headers, want 14", len(data.headers))
	}
	for height, h := range data.headers {
		if got := h.ID().String(); got != data.ids[height] {
			t.Errorf("header %d hashes to %s, want %s", height, got, data.ids[height])
		}
		if got := hex.EncodeToString(h.Append(nil)); got != data.raw[height] {
			t.Errorf("header %d encodes as %s", height, got)
		}
		target, ok := h.Bits.Target()
		if !ok || !target.Met(h.ID()) || target.Bits() != h.Bits {
			t.Errorf("header %d does not meet its target %v", height, target)
		}
		h.Nonce++
		if target.Met(h.ID()) {
			t.Errorf("header %d meets its target with another nonce", height)
		}
	}
	for height := 1; height <= 10; height++ {
		if h := data.headers[height]; h.Prev.String() != data.ids[height-1] {
			t.Errorf("header %d follows %v", height, h.Prev)
		}
	}
}

func TestBitcoinsHeadersWeighWhatBitcoinSays(t *testing.T) {
	data := bitcoin(t)
	var sum chain.Work
	for height := 0; height <= 10; height++ {
		sum = sum.Plus(data.headers[height].Bits.Work())
		if want, ok := data.work[height]; ok && sum.String() != want {
			t.Errorf("chainwork at %d is %v, want %s", height, sum, want)
		}
	}
	first := new(big.Float).SetInt(data.headers[0].Bits.Work().Big())
	for height, text := range data.difficulty {
		want, err := strconv.ParseFloat(text, 64)
		if err != nil {
			t.Fatal(err)
		}
		work := new(big.Float).SetInt(data.headers[height].Bits.Work().Big())
		got, _ := new(big.Float).Quo(work, first).Float64()
		// Difficulty divides targets and work divides by target + 1: 2⁻³² apart.
		if math.Abs(got/want-1) > 1e-9 {
			t.Errorf("block %d weighs %v times the first, want %v", height, got, want)
		}
	}
}

// The table of Bitcoin Core's src/test/arith_uint256_tests.cpp, bignum_SetCompact.
// A number that is zero, negative or over 256 bits is no target.
func TestCompactForms(t *testing.T) {
	for _, c := range []struct {
		bits   chain.Bits
		target string // "" for none
		back   chain.Bits
	}{
		{0, "", 0},
		{0x00123456, "", 0},
		{0x01003456, "", 0},
		{0x02000056, "", 0},
		{0x03000000, "", 0},
		{0x04000000, "", 0},
		{0x00923456, "", 0},
		{0x01803456, "", 0},
		{0x02800056, "", 0},
		{0x03800000, "", 0},
		{0x04800000, "", 0},
		{0x01123456, "12", 0x01120000},
		{0x02008000, "80", 0x02008000},
		{0x01fedcba, "", 0},
		{0x02123456, "1234", 0x02123400},
		{0x03123456, "123456", 0x03123456},
		{0x04123456, "12345600", 0x04123456},
		{0x04923456, "", 0},
		{0x05009234, "92340000", 0x05009234},
		{0x20123456, "12345600" + strings.Repeat("0", 56), 0x20123456},
		{0xff123456, "", 0},
		// ours: the edge of 256 bits
		{0x207fffff, "7fffff" + strings.Repeat("0", 58), 0x207fffff},
		{0x2100ffff, "ffff" + strings.Repeat("0", 60), 0x2100ffff},
		{0x21010000, "", 0},
		{0x220000ff, "ff" + strings.Repeat("0", 62), 0x2100ff00},
		{0x22000100, "", 0},
		{0x23000001, "", 0},
		{0x04001234, "123400", 0x03123400},
	} {
		target, ok := c.bits.Target()
		if ok != (c.target != "") {
			t.Errorf("%v is a target: %v", c.bits, ok)
			continue
		}
		if want := fmt.Sprintf("%064s", c.target); ok && (target.String() != want || target.Bits() != c.back) {
			t.Errorf("%v is %v and back %v, want %s and %v", c.bits, target, target.Bits(), want, c.back)
		}
		if !ok && c.bits.Work().Cmp(chain.Work{}) != 0 {
			t.Errorf("%v is no target and weighs %v", c.bits, c.bits.Work())
		}
	}
}

// The definition, in big integers.
func TestWorkIsTheExpectedNumberOfHashes(t *testing.T) {
	all := new(big.Int).Lsh(big.NewInt(1), 256)
	for size := chain.Bits(1); size <= 0x22; size++ {
		for _, mantissa := range []chain.Bits{1, 0x7f, 0x80, 0xffff, 0x8000, 0x123456, 0x7fffff} {
			bits := size<<24 | mantissa
			target, ok := bits.Target()
			if !ok {
				continue
			}
			raw := target.Bytes()
			n := new(big.Int).SetBytes(raw[:])
			want := new(big.Int).Div(all, n.Add(n, big.NewInt(1)))
			if got := bits.Work().Big(); got.Cmp(want) != 0 {
				t.Errorf("%v weighs %v, want %v", bits, got, want)
			}
		}
	}
}

func TestMetIsAtMost(t *testing.T) {
	target, _ := chain.Bits(0x03123456).Target()
	for id, want := range map[chain.Hash]bool{
		{0x56, 0x34, 0x12}:              true,
		{0x55, 0x34, 0x12}:              true,
		{0x57, 0x34, 0x12}:              false,
		{31: 1}:                         false,
		{}:                              true,
		{0x56, 0x34, 0x12, 8: 1}:        false,
		{0xff, 0xff, 0x11}:              true,
		{0, 0, 0, 0, 0, 0, 0, 0x80}:     false,
		{0, 0, 0x13}:                    false,
		{0: 0x56, 1: 0x34, 2: 0x12 - 1}: true,
	} {
		if target.Met(id) != want {
			t.Errorf("%v meets %v: %v", id, target, !want)
		}
	}
}

// A target beside a block id, both as numbers with the lowest byte first.
func TestLittleEndianIsAnIDThatIsJustMet(t *testing.T) {
	target, _ := chain.Bits(0x1b04864c).Target()
	id := chain.Hash(target.LittleEndian())
	if id.String() != target.String() || !target.Met(id) {
		t.Errorf("%v, want %v", id, target)
	}
	for i := range id { // one more
		if id[i]++; id[i] != 0 {
			break
		}
	}
	if target.Met(id) {
		t.Errorf("%v meets %v", id, target)
	}
}

func TestWorkNeverWraps(t *testing.T) {
	most := chain.WorkFromBytes([32]byte(unhex(t, strings.Repeat("ff", 32))))
	one, two := chain.NewWork(1), chain.NewWork(2)
	for name, c := range map[string]struct{ got, want chain.Work }{
		"1 + 1":    {one.Plus(one), two},
		"2 - 1":    {two.Minus(one), one},
		"1 - 2":    {one.Minus(two), chain.Work{}},
		"1 - 1":    {one.Minus(one), chain.Work{}},
		"2 × 3":    {two.Times(3), chain.NewWork(6)},
		"max + 1":  {most.Plus(one), most},
		"max × 2":  {most.Times(2), most},
		"max × 1":  {most.Times(1), most},
		"max × 0":  {most.Times(0), chain.Work{}},
		"2⁶⁴−1 +1": {chain.NewWork(1<<64 - 1).Plus(one), chain.WorkFromBytes([32]byte{23: 1})},
	} {
		if c.got.Cmp(c.want) != 0 {
			t.Errorf("%s is %v, want %v", name, c.got, c.want)
		}
	}
}

func TestTextForms(t *testing.T) {
	var bits chain.Bits
	var work chain.Work
	for _, bad := range []string{"", "1e00fff", "1e00ffff0", "0x1e00ff", "1e00fffg"} {
		if bits.UnmarshalText([]byte(bad)) == nil {
			t.Errorf("bits %q are read", bad)
		}
	}
	for _, bad := range []string{"", "1", strings.Repeat("0", 63), strings.Repeat("0", 66), strings.Repeat("g", 64)} {
		if work.UnmarshalText([]byte(bad)) == nil {
			t.Errorf("work %q is read", bad)
		}
		if _, err := chain.ParseHash(bad); err == nil {
			t.Errorf("hash %q is read", bad)
		}
	}
	if err := bits.UnmarshalText([]byte("1d00ffff")); err != nil || bits != 0x1d00ffff {
		t.Errorf("1d00ffff reads as %v, %v", bits, err)
	}
	w := chain.Bits(0x1b04864c).Work()
	text, _ := w.MarshalText()
	if err := work.UnmarshalText(text); err != nil || work != w {
		t.Errorf("%s reads as %v, %v", text, work, err)
	}
	h := chain.SumHash(nil)
	var back chain.Hash
	text, _ = h.MarshalText()
	if err := back.UnmarshalText(text); err != nil || back != h || h.Short() != string(text[56:]) {
		t.Errorf("%s reads as %v, %v, short %s", text, back, err, h.Short())
	}
	if got, err := chain.ParseHash(h.String()); err != nil || got != h {
		t.Errorf("%v reads as %v, %v", h, got, err)
	}
}
