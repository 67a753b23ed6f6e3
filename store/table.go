package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/fb"
	"github.com/dgraph-io/badger/v4/options"
	"github.com/dgraph-io/badger/v4/pb"
	"github.com/dgraph-io/badger/v4/table"
	"github.com/dgraph-io/badger/v4/y"
)

// logHeader is how many bytes each of Badger's logs begins with.
const logHeader = 20

// valueLog is how the names of value logs end.
const valueLog = ".vlog"

// wholeTables is up to how many bytes all tables together are read whole before
// they are opened; of more, only the indexes and the blocks that Badger reads
// itself when it opens them.
const wholeTables = 256 << 20

// Which blocks of a table are checked.
const (
	noBlock = iota
	lastBlock
	allBlocks
)

// numbered reads a file name like 000012.sst.
func numbered(name string) (id uint64, kind string) {
	kind = filepath.Ext(name)
	id, err := strconv.ParseUint(name[:len(name)-len(kind)], 10, 64)
	if err != nil {
		return 0, ""
	}
	return id, kind
}

func tableName(id uint64) string { return table.IDToFilename(id) }

func (l *look) readTable(id uint64, t badger.TableManifest, total int64) (newest uint64, err error) {
	blocks := lastBlock
	switch {
	case t.Compression != options.None: // checksums are of what was compressed
		blocks = noBlock
	case total <= wholeTables:
		blocks = allBlocks
	}
	return readTable(filepath.Join(l.folder, tableName(id)), blocks)
}

// readTable checks a table as Badger lays it out, and gives the newest version
// in it. Badger's own reader ends the process at a length that leads out of the
// file.
//
//	block... index, length of index, checksum of index, length of checksum
func readTable(name string, blocks int) (newest uint64, err error) {
	defer func() {
		if r := recover(); r != nil { // an index that leads nowhere
			err = fmt.Errorf("its index cannot be read: %v", r)
		}
	}()
	f, err := os.Open(name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	index, err := readIndex(&tail{f, info.Size()})
	if err != nil {
		return 0, fmt.Errorf("its index: %w", err)
	}
	return index.MaxVersion(), checkBlocks(f, index, blocks)
}

func readIndex(t *tail) (*fb.TableIndex, error) {
	sum, err := t.counted()
	if err != nil {
		return nil, err
	}
	raw, err := t.counted()
	if err != nil {
		return nil, err
	}
	if err := checkSum(raw, sum); err != nil {
		return nil, err
	}
	index := fb.GetRootAsTableIndex(raw, 0)
	if index.OffsetsLength() == 0 {
		return nil, errors.New("names no block")
	}
	return index, nil
}

func checkBlocks(f io.ReaderAt, index *fb.TableIndex, blocks int) error {
	n := index.OffsetsLength()
	first := map[int]int{noBlock: n, lastBlock: n - 1, allBlocks: 0}[blocks]
	for i := first; i < n; i++ {
		var at fb.BlockOffset
		if !index.Offsets(&at, i) {
			return fmt.Errorf("block %d is not in the index", i)
		}
		if err := checkBlock(&tail{f, int64(at.Offset()) + int64(at.Len())}, int64(at.Len())); err != nil {
			return fmt.Errorf("block %d: %w", i, err)
		}
	}
	return nil
}

// checkBlock checks a block of n bytes: entries, checksum, length of checksum.
func checkBlock(t *tail, n int64) error {
	raw, err := t.take(n)
	if err != nil {
		return err
	}
	within := &tail{bytes.NewReader(raw), n}
	sum, err := within.counted()
	if err != nil {
		return err
	}
	return checkSum(raw[:within.end], sum)
}

// checkSum reads a checksum as Badger writes it, a protobuf of two numbers:
// which algorithm, and the sum.
func checkSum(data, sum []byte) error {
	if len(data) == 0 || len(sum) == 0 {
		return errors.New("is empty")
	}
	var want pb.Checksum
	for len(sum) > 0 {
		tag, n := binary.Uvarint(sum)
		value, m := binary.Uvarint(sum[max(n, 0):])
		switch {
		case n <= 0 || m <= 0:
			return errors.New("its checksum cannot be read")
		case tag == 1<<3:
			want.Algo = pb.Checksum_Algorithm(value)
		case tag == 2<<3:
			want.Sum = value
		}
		sum = sum[n+m:]
	}
	return y.VerifyChecksum(data, &want)
}

// tail reads from an end toward the beginning.
type tail struct {
	from io.ReaderAt
	end  int64
}

func (t *tail) take(n int64) ([]byte, error) {
	if n < 0 || n > t.end {
		return nil, io.ErrUnexpectedEOF
	}
	raw := make([]byte, n)
	if _, err := t.from.ReadAt(raw, t.end-n); err != nil {
		return nil, err
	}
	t.end -= n
	return raw, nil
}

// counted reads what stands before its own length.
func (t *tail) counted() ([]byte, error) {
	n, err := t.take(4)
	if err != nil {
		return nil, err
	}
	return t.take(int64(binary.BigEndian.Uint32(n)))
}
