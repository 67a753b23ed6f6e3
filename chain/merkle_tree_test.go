package chain

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"
)

// A tree whose leaves change one by one has the root of a new one at any moment.
func TestMerkleTreeFollowsItsLeaves(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 1))
	for n := 1; n < 70; n++ {
		leaves := make([]Hash, n)
		tree := growMerkle(slices.Clone(leaves))
		for range 50 {
			i := r.IntN(n)
			binary.LittleEndian.PutUint64(leaves[i][:], r.Uint64())
			tree.set(i, leaves[i])
			if want, _ := MerkleRoot(leaves); tree.root() != want || !slices.Equal(tree.levels[0], leaves) {
				t.Fatalf("seed %d: %d leaves, after %d changed: root %v, want %v", seed, n, i, tree.root(), want)
			}
		}
	}
}

// What it costs to read a brief of a full block whose names leave as much open as the
// root may settle, among a large pool.
func BenchmarkAmbiguousBrief(b *testing.B) {
	var held []Hash
	for i := range 20_000 {
		held = append(held, SumHash(binary.LittleEndian.AppendUint64(nil, uint64(i))))
	}
	brief := &Brief{Coinbase: &Coinbase{}, Width: minShort}
	id, of := brief.Header.ID(), map[uint64]int{}
	for _, h := range held {
		of[short(id, h, minShort)]++
	}
	pairs := 0
	for name, n := range of {
		if n == 1 && len(brief.Short) < 5000 || n == 2 && pairs < 4 {
			brief.Short = append(brief.Short, name)
			pairs += n - 1
		}
	}
	for b.Loop() {
		if x := brief.Expand(held); x.Announcement() != nil || len(x.Missing()) > 0 {
			b.Fatal("the names have no meaning that agrees with an empty root, and each has one")
		}
	}
}
