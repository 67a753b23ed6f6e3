package chain

import (
	"encoding/binary"
	"slices"
)

// MerkleProof shows that a block holds some transactions, to whom has its header
// alone: Bitcoin's merkleblock message (BIP37, partial Merkle branch format).
type MerkleProof struct {
	Header Header
	Total  uint32 // transactions of the block, the coinbase included
	Hashes []Hash // of the nodes that cannot be redone, depth first, left before right
	Flags  []byte // one bit for each node visited, the lowest bit first: whether what is proven lies below it
}

// maxLeaves is more transactions than any block can hold.
const maxLeaves = 1 << 17

// ProveTxs makes the proof for those of a block's leaves that proven names. The
// first leaf is the coinbase's id.
func ProveTxs(h Header, leaves []Hash, proven func(Hash) bool) *MerkleProof {
	g := grove{levels: [][]Hash{leaves}, below: [][]bool{make([]bool, len(leaves))}}
	for i, leaf := range leaves {
		g.below[0][i] = proven(leaf)
	}
	for last := leaves; len(last) > 1; {
		marks := make([]bool, (len(last)+1)/2)
		for i, yes := range g.below[len(g.below)-1] {
			marks[i/2] = marks[i/2] || yes
		}
		last = parents(slices.Clone(last))
		g.levels, g.below = append(g.levels, last), append(g.below, marks)
	}
	p := &MerkleProof{Header: h, Total: uint32(len(leaves))}
	g.visit(p, len(g.levels)-1, 0)
	p.Flags = packed(g.bits)
	return p
}

// grove is a whole tree, the leaves at level 0.
type grove struct {
	levels [][]Hash
	below  [][]bool // whether something proven lies below a node
	bits   []bool   // as the nodes are visited
}

func (g *grove) visit(p *MerkleProof, level, i int) {
	yes := g.below[level][i]
	g.bits = append(g.bits, yes)
	if level == 0 || !yes {
		p.Hashes = append(p.Hashes, g.levels[level][i])
		return
	}
	g.visit(p, level-1, 2*i)
	if right := 2*i + 1; right < len(g.levels[level-1]) {
		g.visit(p, level-1, right)
	}
}

func packed(bits []bool) []byte {
	b := make([]byte, (len(bits)+7)/8)
	for i, yes := range bits {
		if yes {
			b[i/8] |= 1 << (i % 8)
		}
	}
	return b
}

// Append appends the encoding: header, total, hashes and flags, each of these
// behind their number.
func (p *MerkleProof) Append(b []byte) []byte {
	b = p.Header.Append(b)
	b = binary.LittleEndian.AppendUint32(b, p.Total)
	b = AppendHashes(b, p.Hashes)
	return AppendBytes(b, p.Flags)
}

// Bytes is the encoding.
func (p *MerkleProof) Bytes() []byte { return p.Append(nil) }

// DecodeMerkleProof reads a proof, strictly to the end. Whether it proves
// anything, Txs tells.
func DecodeMerkleProof(b []byte) (*MerkleProof, error) {
	return decode(b, func(r *Reader) *MerkleProof {
		p := &MerkleProof{Header: ReadHeader(r), Total: r.Uint32()}
		p.Hashes = ReadHashes(r)
		p.Flags = r.Bytes(maxLeaves)
		return p
	})
}

// Txs are the transactions that the proof proves, in the order of the block: those
// under a root that is the header's. Whether the header has work, and stands in a
// chain, is another question. The error is a *RuleError.
func (p *MerkleProof) Txs() ([]Hash, error) {
	c := climb{p: p}
	switch {
	case p.Total == 0 || p.Total > maxLeaves:
		return nil, broken(Malformed, "a block of %d transactions", p.Total)
	case uint64(len(p.Hashes)) > uint64(p.Total):
		return nil, broken(Malformed, "%d hashes for %d transactions", len(p.Hashes), p.Total)
	}
	top := 0
	for width(p.Total, top) > 1 {
		top++
	}
	root := c.visit(top, 0)
	switch {
	case c.err != nil:
		return nil, c.err
	case c.used != len(p.Hashes) || (c.bits+7)/8 != len(p.Flags) || c.padded():
		return nil, broken(Malformed, "something stands behind the end of the tree")
	case root != p.Header.Root:
		return nil, broken(BadRoot, "the proof leads to %v, the header names %v", root, p.Header.Root)
	}
	return c.found, nil
}

// width is how many nodes a level has.
func width(leaves uint32, level int) uint32 { return (leaves + 1<<level - 1) >> level }

// climb redoes a root.
type climb struct {
	p     *MerkleProof
	used  int // hashes
	bits  int // likewise
	found []Hash
	err   error
}

func (c *climb) visit(level int, i uint32) Hash {
	yes := c.bit()
	if level == 0 || !yes {
		h := c.hash()
		if yes {
			c.found = append(c.found, h)
		}
		return h
	}
	left := c.visit(level-1, 2*i)
	right := left
	if 2*i+1 < width(c.p.Total, level-1) {
		if right = c.visit(level-1, 2*i+1); right == left && c.err == nil {
			c.err = broken(Mutated, "equal left and right (CVE-2012-2459)")
		}
	}
	return pair(left, right)
}

func (c *climb) bit() bool {
	if c.bits/8 >= len(c.p.Flags) {
		c.fail()
		return false
	}
	yes := c.p.Flags[c.bits/8]>>(c.bits%8)&1 == 1
	c.bits++
	return yes
}

func (c *climb) hash() (h Hash) {
	if c.used >= len(c.p.Hashes) {
		c.fail()
		return h
	}
	c.used++
	return c.p.Hashes[c.used-1]
}

func (c *climb) fail() {
	if c.err == nil {
		c.err = broken(Malformed, "the proof ends too early")
	}
}

// padded tells whether a bit behind the last one is set: one proof has one
// encoding.
func (c *climb) padded() bool {
	return c.bits%8 != 0 && c.p.Flags[len(c.p.Flags)-1]>>(c.bits%8) != 0
}
