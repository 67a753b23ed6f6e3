package chain

import "crypto/sha256"

// ShortID is six bytes by which a Brief names a transaction.
type ShortID [6]byte

// short is salted with the block's id (as BIP152 salts with the header): nobody
// can prepare transactions whose names collide before the block is found.
func short(block, tx Hash) ShortID {
	sum := sha256.Sum256(append(block[:], tx[:]...))
	return ShortID(sum[:len(ShortID{})])
}

// Brief is an announcement for whoever holds the transactions already. It proves
// nothing but its header's work: only the ids that it stands for agree with the
// merkle root.
type Brief struct {
	Header   Header
	Coinbase *Coinbase
	IDs      []ShortID // of the transactions behind the coinbase
}

// Brief shortens an announcement. There is one brief for each block.
func (a *Announcement) Brief() *Brief {
	b := &Brief{Header: a.Header, Coinbase: a.Coinbase}
	block := a.Header.ID()
	for _, id := range a.IDs {
		b.IDs = append(b.IDs, short(block, id))
	}
	return b
}

// Expand finds the announcement among the ids of transactions at hand, or tells
// which positions are missing. Where two share a short id the guess may be wrong:
// CheckAnnouncement tells.
func (b *Brief) Expand(held []Hash) (a *Announcement, missing []uint32) {
	block := b.Header.ID()
	names := make(map[ShortID]Hash, len(b.IDs))
	for _, name := range b.IDs {
		names[name] = Hash{}
	}
	for _, id := range held {
		name := short(block, id)
		if _, wanted := names[name]; wanted {
			names[name] = id
		}
	}
	a = &Announcement{Header: b.Header, Coinbase: b.Coinbase}
	for i, name := range b.IDs {
		if names[name] == (Hash{}) {
			missing = append(missing, uint32(i))
		}
		a.IDs = append(a.IDs, names[name])
	}
	if len(missing) > 0 {
		return nil, missing
	}
	return a, nil
}

// Append appends the canonical encoding: header, coinbase, count, short ids.
func (b *Brief) Append(to []byte) []byte {
	to = b.Coinbase.Append(b.Header.Append(to))
	to = AppendVarint(to, uint64(len(b.IDs)))
	for i := range b.IDs {
		to = append(to, b.IDs[i][:]...)
	}
	return to
}

// Bytes is the canonical encoding.
func (b *Brief) Bytes() []byte { return b.Append(nil) }

// DecodeBrief reads a brief's whole encoding, strictly.
func DecodeBrief(raw []byte) (*Brief, error) { return decode(raw, readBrief) }

func readBrief(r *Reader) *Brief {
	b := &Brief{Header: ReadHeader(r), Coinbase: ReadCoinbase(r)}
	if n := r.Count(len(ShortID{})); n > 0 {
		b.IDs = make([]ShortID, n)
	}
	for i := range b.IDs {
		copy(b.IDs[i][:], r.Take(len(ShortID{})))
	}
	return b
}
