package chain

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
)

// How many bytes of an id a Brief names a transaction by.
const (
	minShort = 3
	maxShort = 6
)

// maxGuesses bounds the ways of reading a brief that are held against its root.
const maxGuesses = 16

// short is the first bytes of an id, salted with the block's (as BIP152 salts with
// the header): nobody can prepare transactions whose names collide before the
// block is found.
func short(block, tx Hash, width int) uint64 {
	var salted [2 * len(Hash{})]byte
	copy(salted[:], block[:])
	copy(salted[len(block):], tx[:])
	sum := sha256.Sum256(salted[:])
	return binary.LittleEndian.Uint64(sum[:]) & (1<<(8*width) - 1)
}

// Brief is an announcement for whoever holds the transactions already. It proves
// nothing but its header's work: only the ids that it stands for agree with the
// merkle root. No two of its names are equal.
//
// A block can have several: whoever makes one chooses the width by its own pool. Each
// is passed on for itself, but whoever knows the block's announcement passes on no
// other brief of it, and looks at its header alone.
type Brief struct {
	Header   Header
	Coinbase *Coinbase
	Width    int      // bytes of each short id
	Short    []uint64 // ids of the transactions behind the coinbase
}

// Brief shortens an announcement for nodes that hold so many transactions, the
// block's among them: its ids are so long that no two of theirs are likely to go by
// one name, and no two of the block do. Nodes that hold several times as many can still
// tell them apart by the root.
func (a *Announcement) Brief(held int) *Brief {
	width, pairs := minShort, 2*uint64(len(a.IDs))*uint64(max(held, len(a.IDs)))
	for width < maxShort && pairs > 1<<(8*width) {
		width++
	}
	b := a.brief(width)
	for b.Width < maxShort && b.repeats() {
		b = a.brief(b.Width + 1)
	}
	return b
}

func (a *Announcement) brief(width int) *Brief {
	b := &Brief{Header: a.Header, Coinbase: a.Coinbase, Width: width}
	block := a.Header.ID()
	for _, id := range a.IDs {
		b.Short = append(b.Short, short(block, id, width))
	}
	return b
}

// Of tells whether the brief is that of an announcement.
func (b *Brief) Of(a *Announcement) bool { return bytes.Equal(a.brief(b.Width).Bytes(), b.Bytes()) }

// repeats tells whether two transactions go by one name.
func (b *Brief) repeats() bool {
	names := make(map[uint64]bool, len(b.Short))
	for _, name := range b.Short {
		names[name] = true
	}
	return len(names) < len(b.Short)
}

// LargestBrief is how many bytes a brief has at most where blocks have maxBlock.
func LargestBrief(maxBlock int) int {
	return HeaderSize + MaxCoinbase + 1 + binary.MaxVarintLen64 + maxShort*(maxBlock/minTx)
}

// CheckBrief checks work, that a block can hold so many transactions, and that each has
// a name of its own.
func CheckBrief(p *Params, b *Brief) error {
	if err := CheckHeader(p, b.Header); err != nil {
		return err
	}
	if size := len(b.Short) * minTx; size > p.MaxBlock {
		return broken(BadLength, "%d transactions of %d bytes or more, allowed %d bytes", len(b.Short), minTx, p.MaxBlock)
	}
	if b.repeats() {
		return broken(Malformed, "two transactions go by one name")
	}
	return nil
}

// Expansion is a brief whose transactions are being found.
type Expansion struct {
	b   *Brief
	ids [][]Hash // by position: what its short id may stand for
}

// Expand looks for a brief's transactions among those at hand, each given once.
func (b *Brief) Expand(held []Hash) *Expansion {
	block := b.Header.ID()
	at := make(map[uint64]int, len(b.Short))
	for i, name := range b.Short {
		at[name] = i
	}
	x := &Expansion{b: b, ids: make([][]Hash, len(b.Short))}
	for _, id := range held {
		if i, wanted := at[short(block, id, b.Width)]; wanted {
			x.ids[i] = append(x.ids[i], id)
		}
	}
	return x
}

// Missing lists the positions at which no transaction is known, and those at which
// too many are.
func (x *Expansion) Missing() (at []uint32) {
	guesses := 1
	for i, ids := range x.ids {
		if n := len(ids); n == 0 || guesses*n > maxGuesses {
			at = append(at, uint32(i))
		} else {
			guesses *= n
		}
	}
	return at
}

// Fill says which transaction stands at a position.
func (x *Expansion) Fill(at uint32, id Hash) { x.ids[at] = []Hash{id} }

// Announcement is what the brief stands for, as far as the names tell: only where
// they leave a choice is the root asked. It is nil if transactions are missing, or no
// choice agrees with the root.
func (x *Expansion) Announcement() *Announcement {
	if len(x.Missing()) > 0 {
		return nil
	}
	leaves := append(make([]Hash, 0, 1+len(x.ids)), x.b.Coinbase.ID())
	var open []int // positions that can be read in several ways
	for i, ids := range x.ids {
		leaves = append(leaves, ids[0])
		if len(ids) > 1 {
			open = append(open, i)
		}
	}
	if len(open) > 0 && !x.settle(growMerkle(leaves), open) {
		return nil
	}
	return &Announcement{Header: x.b.Header, Coinbase: x.b.Coinbase, IDs: leaves[1:]}
}

// settle chooses transactions for the open positions until the root is right.
func (x *Expansion) settle(tree merkleTree, open []int) bool {
	if len(open) == 0 {
		return tree.root() == x.b.Header.Root
	}
	for _, id := range x.ids[open[0]] {
		tree.set(1+open[0], id)
		if x.settle(tree, open[1:]) {
			return true
		}
	}
	return false
}

// Append appends the canonical encoding: header, coinbase, width, count, short ids.
func (b *Brief) Append(to []byte) []byte {
	to = b.Coinbase.Append(b.Header.Append(to))
	to = AppendVarint(append(to, byte(b.Width)), uint64(len(b.Short)))
	for _, name := range b.Short {
		to = append(to, binary.LittleEndian.AppendUint64(nil, name)[:b.Width]...)
	}
	return to
}

// Bytes is the canonical encoding.
func (b *Brief) Bytes() []byte { return b.Append(nil) }

// DecodeBrief reads a brief's whole encoding, strictly.
func DecodeBrief(raw []byte) (*Brief, error) { return decode(raw, readBrief) }

func readBrief(r *Reader) *Brief {
	b := &Brief{Header: ReadHeader(r), Coinbase: ReadCoinbase(r), Width: int(r.Byte())}
	if b.Width < minShort || b.Width > maxShort {
		r.Fail("short ids of %d bytes", b.Width)
		return b
	}
	if n := r.Count(b.Width); n > 0 {
		b.Short = make([]uint64, n)
	}
	for i := range b.Short {
		var name [8]byte
		copy(name[:], r.Take(b.Width))
		b.Short[i] = binary.LittleEndian.Uint64(name[:])
	}
	return b
}
