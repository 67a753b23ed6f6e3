package store

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"

	"cairn/chain"
)

// An archive is a chain in one file:
//
//	"cairn chain\n", version u8
//	genesis id 32, number of blocks u64, length u8 and name of the network
//	SHA-256 of all that
//	chunk... each: length u32, blocks, SHA-256 of both
//	length 0 u32, SHA-256 of everything before it
//
// A block is its length as a varint and its canonical encoding. Numbers are
// big-endian but for varints. Parents come first, and the genesis is left out.
const (
	archiveMagic   = "cairn chain\n"
	archiveVersion = 1
	chunkSize      = 1 << 20 // bytes, before a chunk's last block
	maxChunk       = 64 << 20
)

// ArchiveError says what is wrong with an archive, and from which byte on.
type ArchiveError struct {
	At   int64 // bytes before what is wrong
	What string
}

// Error says what to do.
func (e *ArchiveError) Error() string {
	return fmt.Sprintf("the file is no sound archive: at byte %d: %s: nothing of it was taken; fetch or export it again", e.At, e.What)
}

// ArchiveHeader is what an archive says of itself.
type ArchiveHeader struct {
	Network string
	Genesis chain.Hash
	Blocks  uint64
}

// WriteArchive writes an archive of so many blocks, in one pass and little memory.
func WriteArchive(w io.Writer, h ArchiveHeader, blocks iter.Seq2[Raw, error]) error {
	a := &archiveWriter{w: bufio.NewWriterSize(w, chunkSize), whole: sha256.New()}
	head := append([]byte(archiveMagic), archiveVersion)
	head = append(head, h.Genesis[:]...)
	head = binary.BigEndian.AppendUint64(head, h.Blocks)
	head = append(append(head, byte(len(h.Network))), h.Network...)
	a.summed(head)
	n := uint64(0)
	for b, err := range blocks {
		if err != nil {
			return err
		}
		n++
		a.chunk = chain.AppendVarint(a.chunk, uint64(len(b.Bytes)))
		if a.chunk = append(a.chunk, b.Bytes...); len(a.chunk) >= chunkSize {
			a.flush()
		}
		if a.err != nil {
			return a.err
		}
	}
	if n != h.Blocks {
		return fmt.Errorf("%d blocks were announced and %d came", h.Blocks, n)
	}
	a.flush()
	a.write(make([]byte, 4))
	a.write(a.whole.Sum(nil))
	return errors.Join(a.err, a.w.Flush())
}

type archiveWriter struct {
	w     *bufio.Writer
	whole hash.Hash
	chunk []byte
	err   error
}

func (a *archiveWriter) write(b []byte) {
	if a.err == nil {
		_, a.err = a.w.Write(b)
		a.whole.Write(b)
	}
}

// summed writes bytes and their checksum.
func (a *archiveWriter) summed(b []byte) {
	sum := sha256.Sum256(b)
	a.write(b)
	a.write(sum[:])
}

func (a *archiveWriter) flush() {
	if len(a.chunk) > 0 {
		a.summed(append(binary.BigEndian.AppendUint32(nil, uint32(len(a.chunk))), a.chunk...))
		a.chunk = a.chunk[:0]
	}
}

// Archive reads an archive from its beginning.
type Archive struct {
	ArchiveHeader
	At int64 // bytes read so far

	r     *bufio.Reader
	whole hash.Hash
}

// OpenArchive reads an archive's header.
func OpenArchive(r io.Reader) (*Archive, error) {
	a := &Archive{r: bufio.NewReaderSize(r, 64<<10), whole: sha256.New()}
	head := make([]byte, len(archiveMagic)+1+32+8+1)
	if err := a.read(head, 0, "its header"); err != nil {
		return nil, err
	}
	rest, ok := bytes.CutPrefix(head, []byte(archiveMagic))
	if !ok {
		return nil, &ArchiveError{0, "it does not begin as an archive does"}
	}
	if rest[0] != archiveVersion {
		return nil, &ArchiveError{int64(len(archiveMagic)), fmt.Sprintf("it is of version %d, and this program knows version %d", rest[0], archiveVersion)}
	}
	a.Genesis, a.Blocks = chain.Hash(rest[1:33]), binary.BigEndian.Uint64(rest[33:])
	name := make([]byte, rest[41])
	if err := a.read(name, 0, "its header"); err != nil {
		return nil, err
	}
	a.Network = string(name)
	return a, a.sum(append(head, name...), 0, "the header's checksum")
}

// read fills b with what belongs to something that begins at a byte.
func (a *Archive) read(b []byte, begin int64, what string) error {
	n, err := io.ReadFull(a.r, b)
	a.At += int64(n)
	a.whole.Write(b[:n])
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &ArchiveError{begin, fmt.Sprintf("%s is cut off; the file ends at byte %d", what, a.At)}
	}
	return err
}

// sum holds bytes that begin at a place against the checksum that follows them.
func (a *Archive) sum(b []byte, begin int64, what string) error {
	var have [sha256.Size]byte
	if err := a.read(have[:], begin, what); err != nil {
		return err
	}
	if have != sha256.Sum256(b) {
		return &ArchiveError{begin, what + " is wrong"}
	}
	return nil
}

// Chunks hands out the file chunk by chunk, each held against its checksum, and
// at last holds the whole against its own: a loop to the end without an error has
// seen a sound file.
func (a *Archive) Chunks() iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for {
			chunk, err := a.next()
			if chunk == nil && err == nil || !yield(chunk, err) || err != nil {
				return
			}
		}
	}
}

// next is a chunk; nil at the sound end of the file.
func (a *Archive) next() ([]byte, error) {
	begin, whole := a.At, [sha256.Size]byte{}
	length := make([]byte, 4)
	if err := a.read(length, begin, "a chunk's length"); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(length)
	if n > maxChunk {
		return nil, &ArchiveError{begin, fmt.Sprintf("a chunk of %d bytes, allowed %d", n, maxChunk)}
	}
	if n > 0 {
		raw := append(length, make([]byte, n)...)
		if err := a.read(raw[4:], begin, "a chunk"); err != nil {
			return nil, err
		}
		return raw[4:], a.sum(raw, begin, "a chunk's checksum")
	}
	a.whole.Sum(whole[:0])
	begin = a.At
	var have [sha256.Size]byte
	if err := a.read(have[:], begin, "the file's checksum"); err != nil {
		return nil, err
	}
	if have != whole {
		return nil, &ArchiveError{begin, "the file's checksum is wrong"}
	}
	if _, err := a.r.ReadByte(); err == nil {
		return nil, &ArchiveError{a.At, "something follows its end"}
	}
	return nil, nil
}

// CutBlocks cuts a chunk into blocks, named by the hashes of their headers; they
// are still to be checked.
func CutBlocks(chunk []byte) ([]Raw, error) {
	var list []Raw
	for r := chain.NewReader(chunk); r.Left() > 0; {
		raw := r.Take(int(min(r.Varint(), maxChunk)))
		if r.Err() != nil || len(raw) < chain.HeaderSize {
			return nil, errors.New("a block in a chunk is cut off")
		}
		list = append(list, Raw{chain.SumHash(raw[:chain.HeaderSize]), raw})
	}
	return list, nil
}

// Chain hands out the best chain's blocks in order, and with side also those of
// all other branches, each height's behind the best chain's block there; how many,
// the first call tells. Condemned blocks and the genesis are left out.
func (r reads) Chain(side bool) (n uint64, blocks iter.Seq2[Raw, error], err error) {
	var ids []chain.Hash
	err = r.view(func(s snapshot) error {
		ids, err = r.chain(s, side)
		return err
	})
	return uint64(len(ids)), func(yield func(Raw, error) bool) {
		for _, id := range ids {
			raw, err := r.soundBytes(id)
			if !yield(Raw{id, raw}, err) || err != nil {
				return
			}
		}
	}, err
}

// soundBytes is a body that is still the one that was written.
func (r reads) soundBytes(id chain.Hash) ([]byte, error) {
	raw, err := r.BodyBytes(id)
	if err != nil {
		return nil, err
	}
	if _, err := chain.Remembered(id, raw); err != nil {
		return nil, damaged("body", id, err)
	}
	return raw, nil
}

// chain lists the ids of complete blocks by height, the best chain's first.
func (r reads) chain(s snapshot, side bool) (ids []chain.Hash, err error) {
	if !side {
		err := s.each(span{prefix: []byte{kindHeight}, from: keyHeight(1)}, func(_, id []byte) error {
			ids = append(ids, chain.Hash(id))
			return nil
		})
		return ids, err
	}
	first := 0 // of the height that is being listed
	last := uint64(0)
	err = s.each(span{prefix: []byte{kindStanding}, from: keysStanding(1), keys: true}, func(key, _ []byte) error {
		id, height := chain.Hash(key[1+8:]), binary.BigEndian.Uint64(key[1:])
		if has, err := s.get(keyBody(id)); err != nil || has == nil {
			return err
		}
		if height != last {
			first, last = len(ids), height
		}
		ids = append(ids, id)
		if best, err := s.get(keyHeight(height)); err != nil {
			return err
		} else if string(best) == string(id[:]) {
			ids[first], ids[len(ids)-1] = id, ids[first]
		}
		return nil
	})
	return ids, err
}
