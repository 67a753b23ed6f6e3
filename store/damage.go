package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
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

	// Maybe says that the database found it, not we: it has the same words for a
	// system that was out of something just then.
	Maybe bool
}

// Error says what to do.
func (e *DamageError) Error() string {
	what := e.What
	if e.Err != nil {
		what += ": " + e.Err.Error()
	}
	what = strings.Join(strings.Fields(what), " ") // one line
	first := ""
	if e.Maybe {
		first = "try again; if it stays so, "
	}
	return fmt.Sprintf("the chain in %s is damaged (%s): %s`cairn db reindex` saves what can be read; if that is nothing, move that folder and %s away, and the node fetches the chain again from its peers",
		filepath.Join(e.Dir, databaseFolder), what, first, filepath.Join(e.Dir, markFile))
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
func openDatabase(c Config, said *complaints) (db *badger.DB, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &DamageError{Dir: c.Dir, What: fmt.Sprintf("the database gave up: %v", r), Maybe: true}
		}
	}()
	if db, err = badger.Open(badgerOptions(c).WithLogger(said)); err != nil {
		err = damage(c.Dir, "the database does not open", err)
		if d := (*DamageError)(nil); errors.As(err, &d) {
			d.Maybe = true
		}
		return nil, err
	}
	return db, nil
}

// prepare makes the folder one that Badger opens as we want it, or tells why not.
func prepare(c Config, m *marker) error {
	if m.Beginning { // nothing was acknowledged: whatever a crash left of a first open goes
		return restart(c)
	}
	l := look{dir: c.Dir, folder: filepath.Join(c.Dir, databaseFolder), suspect: m.Suspect}
	if err := l.inspect(badgerOptions(c)); err != nil {
		return err
	}
	if len(l.hollow) == 0 {
		return nil
	}
	// The mark comes first: a second open must not take for whole what this one finds lacking.
	if m.Suspect = m.Suspect || l.lostLog(); m.Suspect {
		if err := writeMark(c, *m); err != nil {
			return err
		}
	}
	return l.sweep()
}

func restart(c Config) error {
	folder := filepath.Join(c.Dir, databaseFolder)
	err := os.RemoveAll(folder)
	if err == nil {
		err = os.Mkdir(folder, 0o700)
	}
	if err != nil {
		return fmt.Errorf("begin the chain: %w", err)
	}
	syncFolder(c.Dir)
	return nil
}

// inspect reads the database's files before Badger does. Badger begins anew
// where its manifest is missing, deletes the tables that a cut one no longer
// names, and takes the process down over a table it cannot read.
func (l *look) inspect(o badger.Options) error {
	if err := l.list(); err != nil {
		return damage(l.dir, "the folder", err)
	}
	if err := l.readManifest(o); err != nil {
		return damage(l.dir, badger.ManifestFilename, err)
	}
	if _, err := badger.OpenKeyRegistry(badger.KeyRegistryOptions{Dir: l.folder, ReadOnly: true}); err != nil {
		return damage(l.dir, badger.KeyRegistryFileName, err)
	}
	if l.logs == 0 && !l.suspect {
		return damage(l.dir, "the value log is missing", nil)
	}
	newest, err := l.checkNamed()
	if err == nil {
		err = l.readMemories()
	}
	if err == nil {
		err = l.checkStray(newest)
	}
	return err
}

func (l *look) readMemories() error {
	l.held = map[uint64]bool{}
	for _, name := range l.memories {
		if err := readMemory(filepath.Join(l.folder, name), l.held); err != nil {
			return damage(l.dir, name, err)
		}
	}
	return nil
}

// look is what inspect found.
type look struct {
	dir, folder string
	suspect     bool             // a value log was taken away before
	tables      map[uint64]int64 // size in bytes of each table that is there
	logs        int              // value logs, hollow ones among them
	hollow      []string         // logs that are empty
	memories    []string         // logs of memory tables that are not
	held        map[uint64]bool  // versions in those
	named       map[uint64]badger.TableManifest
}

func (l *look) list() error {
	files, err := os.ReadDir(l.folder)
	if err != nil {
		return err
	}
	l.tables = map[uint64]int64{}
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			return err
		}
		l.add(f.Name(), info.Size())
	}
	return nil
}

func (l *look) add(name string, size int64) {
	id, kind := numbered(name)
	switch kind {
	case ".sst":
		l.tables[id] = size
		return
	case valueLog:
		l.logs++
	case ".mem":
	default:
		return
	}
	switch {
	case size == 0:
		l.hollow = append(l.hollow, name)
	case kind == ".mem":
		l.memories = append(l.memories, name)
	}
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
// which holds nothing newer than the named tables do, and what was just written
// from a memory table, whose log then still holds it. Any other was cut from the
// manifest.
func (l *look) checkStray(newest uint64) error {
	for id := range l.tables {
		if _, named := l.named[id]; named {
			continue
		}
		version, err := readTable(filepath.Join(l.folder, tableName(id)), lastBlock)
		if err == nil && version > newest && !l.held[version] { // one half written holds nothing to lose
			return damage(l.dir, fmt.Sprintf("%s does not name %s", badger.ManifestFilename, tableName(id)), nil)
		}
	}
	return nil
}

// lostLog tells whether a value log is empty.
func (l *look) lostLog() bool {
	return slices.ContainsFunc(l.hollow, func(name string) bool { return filepath.Ext(name) == valueLog })
}

// sweep removes empty logs. A crash leaves one between its making and its first
// byte, or between its last and its end; Badger would refuse it once, and then
// take it for a good one.
func (l *look) sweep() error {
	for _, name := range l.hollow {
		if err := os.Remove(filepath.Join(l.folder, name)); err != nil {
			return fmt.Errorf("remove what a crash left: %w", err)
		}
	}
	syncFolder(l.folder)
	return nil
}

// newestBlocks are read whole when a store is opened: what was written last is
// what a torn log lacks.
const newestBlocks = 16

// checkReadable reads the end of the chain, or all of it and of its branches.
func (b *book) checkReadable(all bool) error {
	return b.disk.view(func(s snapshot) error {
		if all {
			return readAll(s)
		}
		e, err := tipOf(s)
		for n := 0; err == nil && n < newestBlocks && e.State.Height > 0; n++ {
			if err = readBlock(s, e.State.ID); err == nil {
				e, err = entryOf(s, e.Header.Prev)
			}
		}
		return err
	})
}

func readBlock(s snapshot, id chain.Hash) error {
	b, err := bodyOf(s, id)
	if err != nil {
		return fmt.Errorf("block %v: %w", id, err)
	}
	if _, err := diffOf(s, b); err != nil {
		return fmt.Errorf("what block %v did: %w", id, err)
	}
	return nil
}

func readAll(s snapshot) error {
	err := s.each(span{prefix: []byte{kindBody}}, func(key, raw []byte) error {
		_, err := chain.Remembered(chain.Hash(key[1:]), raw)
		return err
	})
	if err != nil {
		return fmt.Errorf("blocks: %w", err)
	}
	err = s.each(span{prefix: []byte{kindDiff}}, func(key, raw []byte) error {
		return soundDiff(chain.Hash(key[1:]), raw)
	})
	if err != nil {
		return fmt.Errorf("what blocks did: %w", err)
	}
	return nil
}
