package store

import (
	"bytes"
	"errors"
	"io"
	"os"
)

// txnEnd is the key of the entry with which Badger ends each transaction in the log
// of a memory table; a version follows.
var txnEnd = []byte("!badger!txn")

// errBroken says that a log goes on behind a place that cannot be read.
var errBroken = errors.New("it cannot be read to its end, and more was written behind that")

// readMemory notes the versions in the log of a memory table, and tells a log that a
// crash tore from one that a disk broke. Badger
// takes all up to the first entry that cannot be read, and calls the rest torn. But
// each transaction is synced before the next begins: of what a crash tore, at most
// one has its end on disk.
func readMemory(name string, versions map[uint64]bool) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	at := int64(logHeader)
	for at < info.Size() {
		r, next, torn := logEntry(f, at, info.Size())
		if torn != nil {
			break
		}
		versions[r.version], at = true, next
	}
	n, err := transactionEnds(f, at, info.Size())
	if err == nil && n > 1 {
		err = errBroken
	}
	return err
}

// transactionEnds counts the ends of transactions from a byte on.
func transactionEnds(f *os.File, at, size int64) (n int, err error) {
	const stride = 1 << 20
	window := make([]byte, stride+len(txnEnd)-1)
	for at = data(f, at, size); at < size; at = data(f, at+stride, size) {
		k, err := f.ReadAt(window, at)
		if err != nil && !errors.Is(err, io.EOF) {
			return n, err
		}
		n += bytes.Count(window[:k], txnEnd)
	}
	return n, nil
}
