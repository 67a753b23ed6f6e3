package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"cairn/chain"
)

// What stands in a data folder.
const (
	databaseFolder = "chain"      // Badger's
	markFile       = "store.json" // tells whose the folder is
	lockFile       = ".lock"      // names the process that holds it
)

// format is the version of the key table and the encodings. Format 2 may hold what
// follows from its newest blocks or not, and tells so by a key that format 1 does not
// know; in format 3 that may be so of blocks that were taken off and of side branches
// too, and two more keys tell of it; format 4 writes of a diff only what the body does not
// say, and reads whole ones. A database in an older format is one in format 4 that holds
// more of it.
const format = 4

// marker is what the mark file holds. It is read before the database is opened:
// a newer program's may be unreadable to us.
type marker struct {
	Format  int        `json:"format"`
	Network string     `json:"network"`
	Genesis chain.Hash `json:"genesis"`

	// Beginning says that the genesis may not be on disk yet. It is gone before
	// anything else is written.
	Beginning bool `json:"beginning,omitempty"`

	// Suspect says that a value log was found empty and taken away: either a crash
	// left it so, or blocks were in it. It is gone once all of them were read.
	Suspect bool `json:"suspect,omitempty"`

	// Swap names the folder that the old database goes to while a new one takes its
	// place.
	Swap string `json:"swap,omitempty"`
}

// ForeignError says that a folder holds files and none of ours.
type ForeignError struct {
	Dir  string
	File string // the first that we did not write
}

// Error says what to do.
func (e *ForeignError) Error() string {
	return fmt.Sprintf("%s holds %s and no chain of ours: nothing was touched; choose an empty folder, or one that does not exist yet", e.Dir, e.File)
}

// FormatError says that a newer program wrote the store.
type FormatError struct {
	Dir        string
	Have, Know int
}

// Error says what to do.
func (e *FormatError) Error() string {
	return fmt.Sprintf("%s is in format %d and this program knows formats up to %d: use the newer program, or another folder", e.Dir, e.Have, e.Know)
}

// GenesisError says that a store belongs to another network.
type GenesisError struct {
	Dir        string
	Network    string     // the store's, as its mark names it; empty if only its database differs
	Have, Want chain.Hash // the store's genesis, and the one asked for
}

// Error names both and says what to do.
func (e *GenesisError) Error() string {
	return fmt.Sprintf("%s holds the chain of network %q with genesis %v, not %v: choose that network or another folder",
		e.Dir, e.Network, e.Have, e.Want)
}

// inFolder names the folder that the error is about.
func inFolder(err error, dir string) error {
	var g *GenesisError
	if errors.As(err, &g) {
		g.Dir = dir
	}
	return err
}

// refuseForeign refuses a folder that holds somebody else's files. It writes
// nothing.
func refuseForeign(c Config) error {
	files, err := os.ReadDir(c.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open the data folder: %w", err)
	}
	strange := ""
	for _, f := range files {
		if f.Name() == markFile {
			return nil
		}
		if strange == "" && !beside(c.Beside, f.Name()) {
			strange = f.Name()
		}
	}
	if strange != "" {
		return &ForeignError{Dir: c.Dir, File: strange}
	}
	return nil
}

func beside(patterns []string, name string) bool {
	if name == lockFile || name == markFile+".new" {
		return true
	}
	for _, p := range patterns {
		if ok, err := path.Match(p, name); ok && err == nil {
			return true
		}
	}
	return false
}

// mark holds the folder's mark against the network, or marks a new folder. The
// mark comes before the database: a crash between leaves a folder that is known
// to be ours and in which the next open begins.
func mark(c Config) (marker, error) {
	raw, err := os.ReadFile(filepath.Join(c.Dir, markFile))
	if errors.Is(err, fs.ErrNotExist) {
		m := marker{Format: format, Network: c.Params.Name, Genesis: c.Params.GenesisID(), Beginning: true}
		return m, writeMark(c, m)
	}
	if err != nil {
		return marker{}, fmt.Errorf("read whose folder %s is: %w", c.Dir, err)
	}
	m, err := parseMark(c.Dir, raw)
	switch {
	case err != nil:
		return m, err
	case m.Format > format:
		return m, &FormatError{Dir: c.Dir, Have: m.Format, Know: format}
	case m.Genesis != c.Params.GenesisID():
		return m, &GenesisError{Dir: c.Dir, Network: m.Network, Have: m.Genesis, Want: c.Params.GenesisID()}
	}
	return m, nil
}

// writeMark writes the whole mark or none: it gets its name when it is on disk.
// The folders are synced too, or a loss of power could leave a chain whose name
// nobody wrote down.
func writeMark(c Config, m marker) error {
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	name := filepath.Join(c.Dir, markFile)
	if err := writeSynced(name+".new", append(text, '\n')); err != nil {
		return fmt.Errorf("mark the data folder: %w", err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		return fmt.Errorf("mark the data folder: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(c.Dir, databaseFolder), 0o700); err != nil {
		return fmt.Errorf("make the database folder: %w", err)
	}
	syncFolder(filepath.Join(c.Dir, databaseFolder))
	syncFolder(c.Dir)
	syncFolder(filepath.Dir(c.Dir))
	return nil
}

// syncFolder does what it can: some systems have no way to sync a folder.
func syncFolder(dir string) {
	if f, err := os.Open(dir); err == nil {
		_ = f.Sync()
		_ = f.Close()
	}
}

func writeSynced(name string, text []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Sync(), f.Close())
}

// Exists tells whether a folder holds a store.
func Exists(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, markFile))
	return err == nil
}
