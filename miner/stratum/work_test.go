package stratum

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"cairn/chain"
	"cairn/chain/chaintest"
)

func sha256d(b []byte) []byte {
	one := sha256.Sum256(b)
	two := sha256.Sum256(one[:])
	return two[:]
}

// assemble makes a header of what mining.notify says, the way pooler's cpuminer
// does, with a nonce of zero.
func assemble(t testing.TB, params []any, extra1, extra2 []byte) []byte {
	t.Helper()
	root := sha256d(slices.Concat(unhex(t, params[2]), extra1, extra2, unhex(t, params[3])))
	for _, side := range params[4].([]any) {
		root = sha256d(append(root, unhex(t, side)...))
	}
	turned := func(v any) []byte { // each group of four bytes reversed
		b := unhex(t, v)
		for i := 0; i < len(b); i += 4 {
			slices.Reverse(b[i : i+4])
		}
		return b
	}
	return slices.Concat(turned(params[5]), turned(params[1]), root, turned(params[7]), turned(params[6]), make([]byte, 4))
}

func meets(hash []byte, difficulty float64) bool {
	b := slices.Clone(hash)
	slices.Reverse(b)
	target, _ := new(big.Float).Quo(new(big.Float).SetMantExp(big.NewFloat(0xFFFF), 208), big.NewFloat(difficulty)).Int(nil)
	return new(big.Int).SetBytes(b).Cmp(target) <= 0
}

// Bitcoin's block 1 (height 1, mined 2009-01-09) with eight bytes of its coinbase
// taken for the extra nonce.
const (
	oneCoinbase = "01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff0704ffff001d0104ffffffff0100f2052a0100000043410496b538e853519c726a2c91e61ec11600ae1390813a627c66fb8be7947be63c52da7589379515d4e0a604f8141781e62294721166bf621e73a82cbf2342c858eeac00000000"
	onePrev     = "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f"
	oneID       = "00000000839a8e6886ab5951d76f411475428afc90947ee320161bbf18eb6048"
)

func TestBitcoinsFirstBlock(t *testing.T) {
	raw, err := hex.DecodeString(oneCoinbase)
	if err != nil {
		t.Fatal(err)
	}
	prev, err := chain.ParseHash(onePrev)
	if err != nil {
		t.Fatal(err)
	}
	f := form{first: raw[:42], last: raw[50:], version: 1, prev: prev, bits: 0x1d00ffff, time: 0x4966bc61}
	params := f.params("1", true)
	for i, want := range map[int]any{
		1: "0a8ce26f72b3f1b646a2a6c14ff763ae65831e939c085ae10019d66800000000",
		5: "00000001", 6: "1d00ffff", 7: "4966bc61", 8: true,
	} {
		if params[i] != want {
			t.Errorf("notify says %v at %d, want %v", params[i], i, want)
		}
	}
	nonce, ok := readWord("9962e301")
	if !ok {
		t.Fatal("the nonce cannot be read")
	}
	s := share{extra2: [4]byte(raw[46:50]), time: 0x4966bc61, nonce: nonce, version: 1}
	h := f.header([4]byte(raw[42:46]), s)
	if h.ID().String() != oneID {
		t.Errorf("its header hashes to %v, want %s", h.ID(), oneID)
	}
	if !bytes.Equal(f.coinbase([4]byte(raw[42:46]), s), raw) {
		t.Error("the coinbase does not come together again")
	}
	if l := Level(0).limit(); bytes.Compare(l[:], slices.Repeat([]byte{0}, 4)) < 0 || !(&job{limit: l}).met(h.ID()) {
		t.Error("the block is no share of difficulty 1")
	}
	if (&job{limit: Level(12).limit()}).met(h.ID()) { // its difficulty is about 1 990: 0xFFFF·2²⁰⁸ over its hash
		t.Error("the block is a share of difficulty 4096")
	}
}

// What a miner assembles by its own lights and what the server checks are the
// same header, for any shape of block.
func TestMinersAndServerMeanOneHeader(t *testing.T) {
	p := chaintest.Easy()
	ledger := chaintest.Open(p)
	ledger.Grow(300, "x", chaintest.Address(1)) // heights that take one byte, and three
	for txs := range 6 {
		plan := chaintest.Plan{Name: "pool"}
		for i := range txs {
			plan.Txs = append(plan.Txs, chaintest.Pay(p, chaintest.Funds(p, i), chaintest.Key(i), 1000))
		}
		b := chaintest.Block(p, ledger.State, plan)
		w, err := newWork(1, b, nil)
		if err != nil {
			t.Fatal(err)
		}
		j := newJob("1", w, chaintest.Address(7), first)
		s := share{extra2: [4]byte{1, 2, 3, byte(txs)}, time: j.time, nonce: 0x01020304, version: 0x1fffe001}
		params := jsonParams(t, j.params(j.id, true))
		params[5] = "1fffe001" // as a miner that rolls the version has it
		header := assemble(t, params, []byte{9, 8, 7, 6}, s.extra2[:])
		copy(header[76:], []byte{4, 3, 2, 1})
		ours, err := j.block([4]byte{9, 8, 7, 6}, s)
		if err != nil {
			t.Fatal(err)
		}
		if got := ours.Header.Bytes(); !bytes.Equal(got[:], header) {
			t.Errorf("%d transactions: the miner has\n%x, the server\n%x", txs, header, got)
		}
		if root, _ := chain.MerkleRoot(ours.Leaves()); root != ours.Header.Root {
			t.Errorf("%d transactions: the block has another root", txs)
		}
		if ours.Coinbase.Outputs[0].To != chaintest.Address(7) || b.Coinbase.Outputs[0].To == chaintest.Address(7) {
			t.Error("the block pays another, or the template was changed")
		}
		if want := []byte{9, 8, 7, 6, 1, 2, 3, byte(txs)}; !bytes.Equal(ours.Coinbase.Extra[:8], want) {
			t.Errorf("extra nonce %x, want %x", ours.Coinbase.Extra[:8], want)
		}
	}
}

func TestTemplatesThatCannotBeWorkedOn(t *testing.T) {
	b := chaintest.Next(chaintest.Easy(), chaintest.Easy().GenesisState(), node)
	short := *b
	cb := *b.Coinbase
	cb.Extra = cb.Extra[:7]
	short.Coinbase = &cb
	odd := *b
	odd.Header.Bits = 0x01800000
	for _, bad := range []*chain.Block{nil, {}, &short, &odd} {
		if _, err := newWork(1, bad, nil); err == nil {
			t.Errorf("%+v is taken for work", bad)
		}
	}
}

func TestLevels(t *testing.T) {
	for _, c := range []struct {
		bits chain.Bits
		want Level
	}{{0x1d00ffff, 0}, {0x1e00ffff, -8}, {0x1e07ffff, -12}, {0x1f00ffff, -16}, {0x207fffff, -31}, {0x1b0404cb, 13}, {0x03000001, 63}} {
		target, _ := c.bits.Target()
		if got := levelOf(target); got != c.want {
			t.Errorf("levelOf(%v) = %d, want %d", c.bits, got, c.want)
		}
	}
	if d := first.Difficulty(); d != 1.0/1024 {
		t.Errorf("the first level has difficulty %v", d)
	}
	if h := Level(0).hashes(); math.Abs(h-4295032833) > 1 { // 2⁴⁸/0xFFFF
		t.Errorf("difficulty 1 takes %v hashes", h)
	}
}

// No block is lost: whatever the target, a block is also a share, and one level
// harder it would not always be.
func TestEveryBlockIsAShare(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		bits := chain.Bits(uint32(20+r.IntN(13))<<24 | 1 + r.Uint32N(0x7fffff))
		target, ok := bits.Target()
		if !ok {
			continue
		}
		b := target.Bytes()
		block, l := new(big.Int).SetBytes(b[:]), levelOf(target)
		if l > easiest && l.target().Cmp(block) < 0 {
			t.Fatalf("%v: level %d loses blocks", bits, l)
		}
		if l < hardest && (l+1).target().Cmp(block) >= 0 {
			t.Fatalf("%v: level %d is too easy", bits, l)
		}
		j := &job{limit: l.limit()}
		id := target.LittleEndian()
		if l > easiest && !j.met(chain.Hash(id)) {
			t.Fatalf("%v: a block at the very target is no share", bits)
		}
	}
}

// Miners that reckon with difficulty 1 = 2²²⁴ send shares a little above ours.
func TestTolerance(t *testing.T) {
	for l := easiest; l <= hardest; l++ {
		j := &job{limit: l.limit()}
		var theirs, over [32]byte
		new(big.Int).Lsh(big.NewInt(1), uint(224-int(l))).FillBytes(theirs[:]) // fits: at −31 it is 2²⁵⁵
		new(big.Int).Lsh(big.NewInt(0x10001), uint(208-int(l))).FillBytes(over[:])
		slices.Reverse(theirs[:])
		slices.Reverse(over[:])
		if !j.met(chain.Hash(theirs)) || j.met(chain.Hash(over)) {
			t.Errorf("level %d: limit %x", l, j.limit)
		}
	}
}

func TestRules(t *testing.T) {
	for name, easy := range map[string]bool{"main": false, "test": false, "dev": true, "regtest": true} {
		p, err := chain.Network(name)
		if err != nil {
			t.Fatal(err)
		}
		r := ruleOf(p)
		if r.easy != easy {
			t.Errorf("%s is easy: %v", name, r.easy)
		}
		target, _ := p.Easiest.Target()
		if got := r.level(r.start(), levelOf(target)); got != first {
			t.Errorf("%s starts at level %d, want %d", name, got, first)
		}
		for wish := easiest; wish <= hardest; wish++ {
			for block := easiest; block <= hardest; block++ {
				got := r.level(wish, block)
				if got > wish || got < easiest || !easy && got > block || easy && got < min(wish-1, wish) && got < block && got > easiest {
					t.Fatalf("%s: wish %d, block %d gives %d", name, wish, block, got)
				}
			}
		}
	}
}
