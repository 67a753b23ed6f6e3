package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/dgraph-io/badger/v4/fb"
	"github.com/dgraph-io/badger/v4/y"
)

// A relic is an entry in the files of a database that nobody has opened: what
// Badger would not open, or would end the process over, can still be read this
// way, and nothing is touched.
type relic struct {
	key     []byte
	version uint64 // the newest of a key counts
	meta    byte
	value   []byte // unless meta says that it lies elsewhere
	at      place
}

// place is where a value lies.
type place struct {
	file   string
	offset int64
	size   int
}

func (p place) read(folder string) ([]byte, error) {
	f, err := os.Open(filepath.Join(folder, p.file))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw := make([]byte, p.size)
	_, err = f.ReadAt(raw, p.offset)
	return raw, err
}

// Badger's marks of an entry: deleted, its value is a place in a value log, the
// end of a transaction.
const (
	metaDeleted = 1 << 0
	metaPointer = 1 << 1
	metaEnd     = 1 << 7
)

// readRelics reads every entry of the files in a database's folder, in no order,
// and lists what it could not read. The slices must not be kept.
func readRelics(folder string, visit func(relic) error) (broken []string, err error) {
	files, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		var bad error
		switch _, kind := numbered(f.Name()); kind {
		case ".sst":
			bad, err = tableRelics(folder, f.Name(), visit)
		case ".vlog", ".mem":
			bad, err = logRelics(folder, f.Name(), visit)
		}
		if err != nil {
			return broken, err
		}
		if bad != nil {
			broken = append(broken, fmt.Sprintf("%s: %v", f.Name(), bad))
		}
	}
	return broken, nil
}

// tableRelics reads a table as far as its blocks have their checksums.
func tableRelics(folder, name string, visit func(relic) error) (bad, err error) {
	defer func() {
		if r := recover(); r != nil { // an index or a block that leads nowhere
			bad = errors.Join(bad, fmt.Errorf("%v", r))
		}
	}()
	f, err := os.Open(filepath.Join(folder, name))
	if err != nil {
		return err, nil
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err, nil
	}
	index, err := readIndex(&tail{f, info.Size()})
	if err != nil {
		return fmt.Errorf("its index: %w", err), nil
	}
	for i := range index.OffsetsLength() {
		var at fb.BlockOffset
		index.Offsets(&at, i)
		if err := checkBlock(&tail{f, int64(at.Offset()) + int64(at.Len())}, int64(at.Len())); err != nil {
			bad = errors.Join(bad, fmt.Errorf("block %d: %w", i, err))
			continue
		}
		raw := make([]byte, at.Len())
		if _, err := f.ReadAt(raw, int64(at.Offset())); err != nil {
			return err, nil
		}
		if err := blockRelics(raw, place{file: name, offset: int64(at.Offset())}, visit); err != nil {
			return bad, err
		}
	}
	return bad, nil
}

// blockRelics reads a block of a table.
//
//	entry... where each entry begins, their number, checksum, length of checksum
//	entry: how much of the first key it shares, length of the rest, the rest, value
func blockRelics(raw []byte, at place, visit func(relic) error) error {
	end := len(raw) - 4
	end -= int(binary.BigEndian.Uint32(raw[end:])) + 4
	n := int(binary.BigEndian.Uint32(raw[end:]))
	starts := raw[end-4*n : end]
	var first []byte
	for i := range n {
		from, to := int(binary.NativeEndian.Uint32(starts[4*i:])), end-4*n
		if i+1 < n {
			to = int(binary.NativeEndian.Uint32(starts[4*i+4:]))
		}
		e := raw[from:to]
		shared, rest := int(binary.NativeEndian.Uint16(e)), int(binary.NativeEndian.Uint16(e[2:]))
		key := append(slices.Clone(first[:shared]), e[4:4+rest]...)
		if i == 0 {
			first = key
		}
		_, expires := binary.Uvarint(e[4+rest+2:])
		value := 4 + rest + 2 + expires
		r := relic{meta: e[4+rest], value: e[value:], at: place{at.file, at.offset + int64(from+value), len(e) - value}}
		if r.named(key) {
			if err := visit(r); err != nil {
				return err
			}
		}
	}
	return nil
}

// named cuts the version off a key.
func (r *relic) named(key []byte) bool {
	if len(key) <= 8 || r.meta&metaEnd != 0 {
		return false
	}
	r.key, r.version = key[:len(key)-8], math.MaxUint64-binary.BigEndian.Uint64(key[len(key)-8:])
	return true
}

// errEnd is the end of what was written to a log.
var errEnd = errors.New("the end")

// logRelics reads a log of values or of a memory table. What it cannot read it
// steps over, to the next entry that has its checksum. A crash leaves a torn
// entry at the end, and room that was never written to.
func logRelics(folder, name string, visit func(relic) error) (bad, err error) {
	f, err := os.Open(filepath.Join(folder, name))
	if err != nil {
		return err, nil
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err, nil
	}
	for at := int64(logHeader); at < info.Size(); {
		r, next, wrong := logEntry(f, at, info.Size())
		if wrong == nil {
			r.at.file = name
			if r.key != nil {
				err = visit(r)
			}
			if err != nil {
				return bad, err
			}
			at = next
			continue
		}
		begin := at
		if at = resync(f, at+1, info.Size()); at < info.Size() {
			bad = errors.Join(bad, fmt.Errorf("at byte %d: %w", begin, wrong))
		}
	}
	return bad, nil
}

// maxKey is the most bytes that a key of ours has, its version included.
const maxKey = 1024

var errTorn = errors.New("no whole entry")

// logEntry reads the entry at a byte of a log.
//
//	marks, lengths of key and value, expiry, key, value, CRC-32C of all that
func logEntry(f io.ReaderAt, at, size int64) (r relic, next int64, err error) {
	head := make([]byte, min(22, size-at))
	if _, err := f.ReadAt(head, at); err != nil {
		return r, 0, err
	}
	if len(bytes.Trim(head, "\x00")) == 0 {
		return r, 0, errEnd
	}
	n := 2
	var lengths [3]uint64
	for i := range lengths {
		v, m := binary.Uvarint(head[min(n, len(head)):])
		if m <= 0 {
			return r, 0, errTorn
		}
		lengths[i], n = v, n+m
	}
	key, value := lengths[0], lengths[1]
	if key == 0 || key > maxKey || value > uint64(size) || at+int64(n)+int64(key+value)+crc32.Size > size {
		return r, 0, errTorn
	}
	raw := make([]byte, n+int(key+value)+crc32.Size)
	if _, err := f.ReadAt(raw, at); err != nil {
		return r, 0, err
	}
	body := raw[:len(raw)-crc32.Size]
	if crc32.Checksum(body, y.CastagnoliCrcTable) != binary.BigEndian.Uint32(raw[len(body):]) {
		return r, 0, errors.New("the checksum of an entry is wrong")
	}
	r = relic{meta: body[0], value: body[n+int(key):], at: place{offset: at + int64(n) + int64(key), size: int(value)}}
	r.named(body[n : n+int(key)])
	return r, at + int64(len(raw)), nil
}

// resync finds the next entry from a byte on; size if there is none. Room that was
// never written to is stepped over.
func resync(f *os.File, at, size int64) int64 {
	const stride, ahead = 1 << 20, 64
	window, nothing := make([]byte, stride+ahead), make([]byte, stride+ahead)
	for at = data(f, at, size); at < size; at = data(f, at+stride, size) {
		n, err := f.ReadAt(window[:min(int64(len(window)), size-at)], at)
		if err != nil && n == 0 {
			return size
		}
		if bytes.Equal(window[:n], nothing[:n]) {
			continue
		}
		for i := range min(n, stride) {
			if !plausible(window[i:n]) {
				continue
			}
			if found, _, err := logEntry(f, at+int64(i), size); err == nil && found.key != nil {
				return at + int64(i)
			}
		}
	}
	return size
}

// plausible tells whether an entry with a key of a kind that is worth saving may
// begin here.
func plausible(b []byte) bool {
	if len(b) < 16 {
		return false
	}
	key, n := binary.Uvarint(b[2:])
	if n <= 0 || key <= 8 || key > maxKey {
		return false
	}
	_, m := binary.Uvarint(b[2+n:])
	_, l := binary.Uvarint(b[2+n+max(m, 0):])
	at := 2 + n + m + l
	return m > 0 && l > 0 && at < len(b) && bytes.IndexByte([]byte{kindBody, kindNamed, kindTip}, b[at]) >= 0
}
