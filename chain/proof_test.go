package chain

import (
	"bytes"
	"encoding/hex"
	"math/rand/v2"
	"slices"
	"testing"
)

// The example of the merkleblock message in Bitcoin's developer reference
// (developer.bitcoin.org/reference/p2p_networking.html#merkleblock): block
// 000000000000b731f2eef9e8c63173adfb07e41bd53eb0ef0a6b720d6cb6dea4 and one of its
// seven transactions.
const bitcoinsMerkleBlock = "0100000082bb869cf3a793432a66e826e05a6fc37469f8efb7421dc88067010000000000" +
	"7f16c5962e8bd963659c793ce370d95f093bc7e367117b3c30c1f8fdd0d9728776381b4d4c86041b554b8529" +
	"07000000" + "04" +
	"3612262624047ee87660be1a707519a443b1c1ce3d248cbfc6c15870f6c5daa2" +
	"019f5b01d4195ecbc9398fbf3c3b1fa9bb3183301d7a1fb3bd174fcfa40a2b65" +
	"41ed70551dd7e841883ab8f0b16bf04176b7d1480e4f0af9f3d4c3595768d068" +
	"20d2a7bc994987302e5b1ac80fc425fe25f8b63169ea78e68fbaaefa59379bbf" +
	"01" + "1d"

func TestBitcoinsMerkleBlock(t *testing.T) {
	raw, err := hex.DecodeString(bitcoinsMerkleBlock)
	if err != nil {
		t.Fatal(err)
	}
	p, err := DecodeMerkleProof(raw)
	if err != nil {
		t.Fatal(err)
	}
	if id := p.Header.ID().String(); id != "000000000000b731f2eef9e8c63173adfb07e41bd53eb0ef0a6b720d6cb6dea4" {
		t.Errorf("the header is that of %s", id)
	}
	txs, err := p.Txs()
	if err != nil || len(txs) != 1 || txs[0] != p.Hashes[1] {
		t.Fatalf("it proves %v, %v", txs, err)
	}
	if got := txs[0].String(); got != "652b0aa4cf4f17bdb31f7a1d308331bba91f3b3cbf8f39c9cb5e19d4015b9f01" {
		t.Errorf("it proves %s", got)
	}
	if !bytes.Equal(p.Bytes(), raw) {
		t.Errorf("it is written as %x", p.Bytes())
	}
}

// Every choice of transactions of every small block is proven, in the order of the
// block, and any other hash, bit or count proves nothing else.
func TestProofsOfEveryChoice(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for n := 1; n <= 9; n++ {
		leaves := make([]Hash, n)
		for i := range leaves {
			leaves[i] = SumHash([]byte{byte(i), byte(n)})
		}
		root, _ := MerkleRoot(leaves)
		for choice := range 1 << n {
			var want []Hash
			for i := range leaves {
				if choice>>i&1 == 1 {
					want = append(want, leaves[i])
				}
			}
			p := ProveTxs(Header{Root: root}, leaves, func(h Hash) bool { return slices.Contains(want, h) })
			back, err := DecodeMerkleProof(p.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			if got, err := back.Txs(); err != nil || !slices.Equal(got, want) {
				t.Fatalf("%d of %b: proves %v, %v", n, choice, got, err)
			}
			bend(t, r, p, want)
		}
	}
}

// bend changes one bit of a proof. It must not prove anything else then.
func bend(t *testing.T, r *rand.Rand, p *MerkleProof, want []Hash) {
	t.Helper()
	raw := p.Bytes()
	i := HeaderSize + r.IntN(len(raw)-HeaderSize)
	raw[i] ^= 1 << r.IntN(8)
	bent, err := DecodeMerkleProof(raw)
	if err != nil {
		return
	}
	got, err := bent.Txs()
	if err != nil {
		return
	}
	for _, h := range got {
		if !slices.Contains(want, h) {
			t.Errorf("byte %d bent: proves %v, which was not asked for", i, h)
		}
	}
}

func TestBadProofs(t *testing.T) {
	leaves := []Hash{{1}, {2}, {3}}
	root, _ := MerkleRoot(leaves)
	good := func() *MerkleProof {
		return ProveTxs(Header{Root: root}, leaves, func(h Hash) bool { return h == leaves[2] })
	}
	twins := []Hash{{1}, {2}, {1}, {2}}
	twinRoot, _ := MerkleRoot(twins)
	for what, c := range map[string]struct {
		kind Kind
		bend func(p *MerkleProof)
	}{
		"no transactions":    {Malformed, func(p *MerkleProof) { p.Total = 0 }},
		"too many":           {Malformed, func(p *MerkleProof) { p.Total = 1 << 20 }},
		"more hashes":        {Malformed, func(p *MerkleProof) { p.Hashes = append(p.Hashes, Hash{9}) }},
		"hashes over hashes": {Malformed, func(p *MerkleProof) { p.Hashes = make([]Hash, 4) }},
		"fewer hashes":       {Malformed, func(p *MerkleProof) { p.Hashes = p.Hashes[1:] }},
		"more flags":         {Malformed, func(p *MerkleProof) { p.Flags = append(p.Flags, 0) }},
		"no flags":           {Malformed, func(p *MerkleProof) { p.Flags = nil }},
		"padding":            {Malformed, func(p *MerkleProof) { p.Flags[0] |= 0x80 }},
		"another root":       {BadRoot, func(p *MerkleProof) { p.Header.Root = Hash{7} }},
		"another hash":       {BadRoot, func(p *MerkleProof) { p.Hashes[0][0] ^= 1 }},
		"twins": {Mutated, func(p *MerkleProof) {
			*p = *ProveTxs(Header{Root: twinRoot}, twins, func(h Hash) bool { return h == twins[0] })
		}},
	} {
		p := good()
		c.bend(p)
		if txs, err := p.Txs(); KindOf(err) != c.kind {
			t.Errorf("%s: proves %v, %v", what, txs, err)
		}
	}
}

func FuzzMerkleProof(f *testing.F) {
	raw, _ := hex.DecodeString(bitcoinsMerkleBlock)
	f.Add(raw)
	f.Fuzz(func(t *testing.T, raw []byte) {
		p, err := DecodeMerkleProof(raw)
		if err != nil {
			return
		}
		if !bytes.Equal(p.Bytes(), raw) {
			t.Errorf("read %x, written %x", raw, p.Bytes())
		}
		_, _ = p.Txs()
	})
}
