package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/dgraph-io/badger/v4"

	"cairn/chain"
)

// DamageError says that a store was here and cannot be read any more. Nothing
// that is left of it was overwritten.
type DamageError struct {
	Dir  string // the data folder
	What string // what is wrong
	Err  error  // why, if more is known
}

// Error says what to do.
func (e *DamageError) Error() string {
	what := e.What
	if e.Err != nil {
		what += ": " + e.Err.Error()
	}
	return fmt.Sprintf("the chain in %s is damaged (%s): move that folder and %s away; the node fetches the chain again from its peers",
		filepath.Join(e.Dir, databaseFolder), what, filepath.Join(e.Dir, markFile))
}

// Unwrap gives the reason.
func (e *DamageError) Unwrap() error { return e.Err }

// damage tells damage from a system that is out of something, or that forbids:
// for those nobody should throw a chain away.
func damage(dir, what string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return &DamageError{Dir: dir, What: what + " is missing"}
	}
	var system syscall.Errno
	if errors.As(err, &system) && system != syscall.EIO {
		return fmt.Errorf("open the chain in %s: %s: %w", filepath.Join(dir, databaseFolder), what, err)
	}
	return &DamageError{Dir: dir, What: what, Err: err}
}

// parseMark reads what the mark file holds; a newer format may hold something
// else.
func parseMark(dir string, raw []byte) (m marker, err error) {
	if err = json.Unmarshal(raw, &m); err != nil {
		return m, damage(dir, markFile+" cannot be read", err)
	}
	if m.Format < 1 || m.Format <= format && m.Genesis == (chain.Hash{}) {
		return m, damage(dir, markFile+" does not tell whose the chain is", nil)
	}
	return m, nil
}

// openDatabase opens Badger, which panics at some damage.
func openDatabase(c Config) (db *badger.DB, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = damage(c.Dir, fmt.Sprintf("the database gave up: %v", r), nil)
		}
	}()
	if db, err = badger.Open(badgerOptions(c)); err != nil {
		return nil, damage(c.Dir, "the database does not open", err)
	}
	return db, nil
}

// inspect reads the database's files before Badger does. Badger begins anew
// where its manifest is missing, deletes the tables that a cut one no longer
// names, and takes the process down over a table it cannot read.
func inspect(c Config) error {
	l := look{dir: c.Dir, folder: filepath.Join(c.Dir, databaseFolder)}
	if err := l.list(); err != nil {
		return damage(c.Dir, "the folder", err)
	}
	if err := l.readManifest(badgerOptions(c)); err != nil {
		return damage(c.Dir, badger.ManifestFilename, err)
	}
	if _, err := badger.OpenKeyRegistry(badger.KeyRegistryOptions{Dir: l.folder, ReadOnly: true}); err != nil {
		return damage(c.Dir, badger.KeyRegistryFileName, err)
	}
	newest, err := l.checkNamed()
	if err != nil {
		return err
	}
	if err := l.checkStray(newest); err != nil {
		return err
	}
	return l.checkLogs()
}

// look is what inspect found.
type look struct {
	dir, folder string
	tables      map[uint64]int64 // size in bytes of each table that is there
	logs        map[uint64]int64 // and of each value log
	live        bool             // a memory table was left by a crash
	named       map[uint64]badger.TableManifest
}

func (l *look) list() error {
	files, err := os.ReadDir(l.folder)
	if err != nil {
		return err
	}
	l.tables, l.logs = map[uint64]int64{}, map[uint64]int64{}
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			return err
		}
		id, kind := numbered(f.Name())
		switch kind {
		case ".sst":
			l.tables[id] = info.Size()
		case ".vlog":
			l.logs[id] = info.Size()
		case ".mem":
			l.live = l.live || info.Size() > logHeader
		}
	}
	return nil
}

func (l *look) readManifest(o badger.Options) error {
	f, err := os.Open(filepath.Join(l.folder, badger.ManifestFilename))
	if err != nil {
		return err
	}
	defer f.Close()
	m, _, err := badger.ReplayManifestFile(f, o.ExternalMagicVersion, o)
	l.named = m.Tables
	return err
}

// checkNamed gives the newest version in the tables that the manifest names.
func (l *look) checkNamed() (newest uint64, err error) {
	total := int64(0)
	for _, size := range l.tables {
		total += size
	}
	for id, t := range l.named {
		if _, there := l.tables[id]; !there {
			return 0, damage(l.dir, fmt.Sprintf("%s is missing", tableName(id)), nil)
		}
		version, err := l.readTable(id, t, total)
		if err != nil {
			return 0, damage(l.dir, tableName(id), err)
		}
		newest = max(newest, version)
	}
	return newest, nil
}

// checkStray looks at the tables that the manifest does not name. A crash leaves
// such, and Badger deletes them: what a compaction read or was about to write,
// which holds nothing newer than the named tables do, and at most one that was
// just written from a memory table, which then is still there.
func (l *look) checkStray(newest uint64) error {
	newer := 0
	for id := range l.tables {
		if _, named := l.named[id]; named {
			continue
		}
		version, err := readTable(filepath.Join(l.folder, tableName(id)), lastBlock)
		if err != nil || version <= newest { // one half written holds nothing to lose
			continue
		}
		if newer++; newer > 1 || !l.live {
			return damage(l.dir, fmt.Sprintf("%s does not name %s", badger.ManifestFilename, tableName(id)), nil)
		}
	}
	return nil
}

// checkLogs refuses value logs without a header: Badger would make them anew.
// Only a crash leaves one, and then it is the last.
func (l *look) checkLogs() error {
	if len(l.logs) == 0 {
		return damage(l.dir, "the value log is missing", nil)
	}
	last := uint64(0)
	for id := range l.logs {
		last = max(last, id)
	}
	for id, size := range l.logs {
		if size < logHeader && (id != last || !l.live) {
			return damage(l.dir, fmt.Sprintf("%06d.vlog is empty", id), nil)
		}
	}
	return nil
}
