package wallet

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"cairn/chain"
)

const (
	journalTail = ".journal"
	maxRecord   = 3 * MaxSize // bytes of a line: hex, and what stands around it
)

// Record is a payment that the wallet made or saw. A node forgets a transaction
// that is undone for good; its owner wants to know what became of it.
type Record struct {
	Tx       *chain.Tx
	Time     int64       // when it was written down, seconds since 1970
	Made     bool        // by us
	Replaces *chain.Hash // a payment of ours whose place it was to take
}

// entry is a Record as it stands in the journal.
type entry struct {
	Time     int64       `json:"time"`
	Made     bool        `json:"made,omitempty"`
	Replaces *chain.Hash `json:"replaces,omitempty"`
	Tx       string      `json:"tx"`
}

// Record writes payments into the journal, a file beside the wallet with a line
// of JSON for each. It holds no key and nothing that the chain does not hold. The
// records are on disk when it returns; a crash leaves some of them, and perhaps a
// torn line, which is skipped.
func (w *Wallet) Record(list ...Record) (err error) {
	if len(list) == 0 {
		return nil
	}
	var text []byte
	for _, r := range list {
		line, err := json.Marshal(entry{r.Time, r.Made, r.Replaces, hex.EncodeToString(r.Tx.Bytes())})
		if err != nil {
			return fmt.Errorf("write down a payment: %w", err)
		}
		text = append(append(text, line...), '\n')
	}
	if err := w.under(func() error { return appendTo(w.path+journalTail, text) }); err != nil {
		return fmt.Errorf("write down a payment: %w", err)
	}
	return nil
}

// appendTo adds lines to a file, behind a torn last line if there is one.
func appendTo(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	size, err := f.Seek(0, io.SeekEnd)
	last := []byte{'\n'}
	if err == nil && size > 0 {
		_, err = f.ReadAt(last, size-1)
	}
	if last[0] != '\n' {
		text = append([]byte{'\n'}, text...)
	}
	if err == nil {
		_, err = f.Write(text)
	}
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil && size == 0 {
		err = syncDir(filepath.Dir(path))
	}
	return err
}

// Records reads the journal, the oldest first; a payment that stands there twice
// is told once, as it was first written, and made by us if it ever was.
func (w *Wallet) Records() (list []Record, err error) {
	f, err := os.Open(w.path + journalTail)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the journal of payments: %w", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, maxRecord)
	at := map[chain.Hash]int{}
	for lines.Scan() {
		r, ok := readRecord(lines.Bytes())
		if !ok {
			continue
		}
		if i, twice := at[r.Tx.ID()]; twice {
			list[i].merge(r)
			continue
		}
		at[r.Tx.ID()] = len(list)
		list = append(list, r)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read the journal of payments, %s: %w", f.Name(), err)
	}
	return list, nil
}

func (r *Record) merge(later Record) {
	r.Made = r.Made || later.Made
	if r.Replaces == nil {
		r.Replaces = later.Replaces
	}
}

func readRecord(line []byte) (Record, bool) {
	var e entry
	if json.Unmarshal(line, &e) != nil {
		return Record{}, false
	}
	raw, err := hex.DecodeString(e.Tx)
	if err != nil {
		return Record{}, false
	}
	tx, err := chain.DecodeTx(raw)
	return Record{tx, e.Time, e.Made, e.Replaces}, err == nil
}
