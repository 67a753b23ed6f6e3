package chain

import "slices"

// nodeSize is the length in bytes of what an inner node of the tree hashes.
const nodeSize = 64

// MerkleRoot hashes leaves pairwise up to one root, as Bitcoin does: a level of
// odd length repeats its last node. ok is false if the tree has a twin, that is
// another list of leaves with the same root: equal left and right where the
// right one is not that repetition (CVE-2012-2459).
func MerkleRoot(leaves []Hash) (root Hash, ok bool) {
	if len(leaves) == 0 {
		return Hash{}, true
	}
	ok = true
	level := append([]Hash(nil), leaves...)
	for len(level) > 1 {
		for i := 0; i+1 < len(level); i += 2 {
			ok = ok && level[i] != level[i+1]
		}
		level = parents(level)
	}
	return level[0], ok
}

func parents(level []Hash) []Hash {
	if len(level)%2 == 1 {
		level = append(level, level[len(level)-1])
	}
	up := level[:0]
	for i := 0; i < len(level); i += 2 {
		up = append(up, pair(level[i], level[i+1]))
	}
	return up
}

// merkleTree keeps every level, the leaves first: another leaf costs one hash a level.
type merkleTree struct{ levels [][]Hash }

// growMerkle expects one leaf or more, and keeps them.
func growMerkle(leaves []Hash) (t merkleTree) {
	level := leaves
	for ; len(level) > 1; level = parents(slices.Clone(level)) {
		t.levels = append(t.levels, level)
	}
	t.levels = append(t.levels, level)
	return t
}

func (t merkleTree) root() Hash { return t.levels[len(t.levels)-1][0] }

func (t merkleTree) set(i int, leaf Hash) {
	for _, level := range t.levels[:len(t.levels)-1] {
		level[i] = leaf
		leaf = pair(level[i&^1], level[min(i|1, len(level)-1)])
		i /= 2
	}
	t.levels[len(t.levels)-1][0] = leaf
}

func pair(left, right Hash) Hash {
	var b [nodeSize]byte
	copy(b[:32], left[:])
	copy(b[32:], right[:])
	return SumHash(b[:])
}

// MerkleBranch returns the nodes beside the path from leaf i to the root, from
// the bottom up: what a miner or a light client needs to redo the root.
func MerkleBranch(leaves []Hash, i int) []Hash {
	var branch []Hash
	level := append([]Hash(nil), leaves...)
	for len(level) > 1 {
		branch = append(branch, level[min(i^1, len(level)-1)])
		level = parents(level)
		i /= 2
	}
	return branch
}

// MerkleFromBranch is the root above leaf i with this branch.
func MerkleFromBranch(leaf Hash, i int, branch []Hash) Hash {
	for _, side := range branch {
		if i%2 == 0 {
			leaf = pair(leaf, side)
		} else {
			leaf = pair(side, leaf)
		}
		i /= 2
	}
	return leaf
}
