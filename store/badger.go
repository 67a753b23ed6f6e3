package store

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"

	"cairn/chain"
)

// Config says where and for which network a store is.
type Config struct {
	Dir    string        // the data folder; it is made if it does not exist
	Params *chain.Params // the network

	// Beside names what may stand in Dir before the store is first opened, as
	// patterns of path.Match: files that the program keeps there itself. Dir is
	// refused, untouched, if it holds anything else and no store.
	Beside []string

	// Free tells how many bytes are free on the disk of a folder; nil asks the
	// system.
	Free func(dir string) (uint64, error)

	// Log hears what the database says, if not nil: as information only what a
	// person may wait for. It is called from many goroutines.
	Log func(level slog.Level, text string)

	// Cache is how many bytes of memory may hold what follows from the newest blocks
	// before it is written to the indexes. 0 is DefaultCache; less than 0 writes
	// everything at once.
	Cache int64

	folder string // of the database in Dir; empty is databaseFolder
}

// DefaultCache is how many bytes hold what is not written yet.
const DefaultCache = 256 << 20

// defaultLag bounds how long an open after a crash may take too.
var defaultLag = lag{bytes: DefaultCache, blocks: 4096}

func (c Config) lag() lag {
	return lag{bytes: cmp.Or(c.Cache, DefaultCache), blocks: defaultLag.blocks}
}

// Badger remembers on disk. Make it with Open.
type Badger struct {
	*book
	disc disc
}

// Open opens the store in a data folder, or begins one. It fails with a
// *LockedError if another process holds it, a *ForeignError if the folder is
// somebody else's, a *FormatError if a newer program wrote it, a *GenesisError if
// it belongs to another network, and a *FullError if its disk is nearly full. A
// *DamageError says that what was written here cannot be read; a chain that was here
// is never begun anew.
func Open(c Config) (*Badger, error) {
	if c.Params == nil || c.Dir == "" {
		return nil, errors.New("open the store: a folder and a network are needed")
	}
	if err := refuseForeign(c); err != nil {
		return nil, err
	}
	lock, err := lockFolder(c.Dir)
	if err != nil {
		return nil, err
	}
	b, err := openMarked(c, lock)
	if err != nil {
		return nil, errors.Join(err, lock.release())
	}
	return b, nil
}

// openMarked opens what the mark says is there. Only in a folder that is marked
// as beginning may a genesis be written.
func openMarked(c Config, l *lock) (*Badger, error) {
	if err := discOf(c).least(LeastRoom); err != nil {
		return nil, err
	}
	m, err := mark(c)
	if err != nil {
		return nil, err
	}
	if m.Swap != "" {
		if err := finishSwap(c, &m); err != nil {
			return nil, err
		}
	}
	if err := prepare(c, &m); err != nil {
		return nil, err
	}
	said := &complaints{log: c.Log}
	db, err := openDatabase(c, said)
	if err != nil {
		return nil, err
	}
	b, err := openMarkedBook(c, m, &badgerDisk{db, l, discOf(c), said})
	if err != nil {
		return nil, errors.Join(inFolder(err, c.Dir), db.Close())
	}
	said.alarm(b.breach.tell)
	return &Badger{b, discOf(c)}, nil
}

// openNew opens, or begins, a database that is built beside the one in use.
func openNew(c Config) (*Badger, error) {
	if err := discOf(c).least(LeastRoom); err != nil {
		return nil, err
	}
	c.folder = newFolder
	if err := prepareNew(c); err != nil {
		return nil, err
	}
	said := &complaints{log: c.Log}
	db, err := openDatabase(c, said)
	if err != nil {
		return nil, err
	}
	b, err := bareBook(c.Params, &badgerDisk{db, nil, discOf(c), said}, c.lag())
	if err == nil {
		err = b.start(c)
	}
	if err != nil {
		return nil, errors.Join(inFolder(err, c.Dir), db.Close())
	}
	said.alarm(b.breach.tell)
	return &Badger{b, discOf(c)}, nil
}

// start derives what a crash left due, and writes behind from now on.
func (b *book) start(c Config) error {
	b.log = c.Log
	if err := b.rollForward(); err != nil {
		b.seen.show(nil)
		if full := (*FullError)(nil); !errors.As(err, &full) {
			err = damage(c.Dir, "what the newest blocks did", err)
		}
		return err
	}
	if !b.lag.none() {
		b.flusher = startFlusher(b)
	}
	return nil
}

// prepareNew makes room for a database that is built, or keeps what is there of it.
// One that a crash left unsound is begun again: the old one holds everything.
func prepareNew(c Config) error {
	folder := filepath.Join(c.Dir, newFolder)
	l := look{dir: c.Dir, folder: folder}
	if l.inspect(badgerOptions(c)) == nil && !l.lostLog() {
		return l.sweep()
	}
	if err := os.RemoveAll(folder); err != nil {
		return fmt.Errorf("begin the new database: %w", err)
	}
	if err := os.Mkdir(folder, 0o700); err != nil {
		return fmt.Errorf("begin the new database: %w", err)
	}
	return nil
}

func openMarkedBook(c Config, m marker, d *badgerDisk) (*book, error) {
	if !m.Beginning {
		if err := holdsGenesis(d); err != nil {
			return nil, damage(c.Dir, "the database holds no chain", err)
		}
	}
	b, err := bareBook(c.Params, d, c.lag())
	if err != nil {
		return nil, inFolder(err, c.Dir)
	}
	if err := b.check(c, m); err != nil {
		b.seen.show(nil)
		return nil, err
	}
	return b, b.start(c)
}

// check reads what was written last, and marks the folder as sound.
func (b *book) check(c Config, m marker) error {
	if !m.Beginning {
		if err := b.checkReadable(m.Suspect); err != nil {
			return damage(c.Dir, "what was written last", err)
		}
	}
	if !m.Beginning && !m.Suspect && m.Format == format {
		return nil
	}
	m.Beginning, m.Suspect, m.Format = false, false, format
	return writeMark(c, m)
}

var errNoGenesis = errors.New("no genesis")

func holdsGenesis(d disk) error {
	return d.view(func(s snapshot) error {
		id, err := s.get(keyHeight(0))
		if err == nil && id == nil {
			err = errNoGenesis
		}
		return err
	})
}

// badgerOptions are measured: bodies and large diffs lie in the value log, for
// in the tree they would be rewritten by every compaction and take gigabytes of
// memory.
func badgerOptions(c Config) badger.Options {
	return badger.DefaultOptions(filepath.Join(c.Dir, cmp.Or(c.folder, databaseFolder))).
		WithSyncWrites(true).
		WithDetectConflicts(false). // there is one writer
		WithNumVersionsToKeep(1).
		WithValueThreshold(valueThreshold).
		WithMemTableSize(memTable(c.Params.MaxBlock)).
		WithNumMemtables(2).
		WithCompression(options.None). // keys and signatures do not compress
		WithBlockCacheSize(64 << 20).
		WithIndexCacheSize(32 << 20).
		WithNumCompactors(2).
		WithBaseTableSize(8 << 20).
		WithBaseLevelSize(32 << 20).
		WithMetricsEnabled(false). // they are global to the process
		WithChecksumVerificationMode(options.OnBlockRead).
		WithVerifyValueChecksum(true).
		WithLogger(nil)
}

// memTable is so large that one transaction, which may take 15 % of it, holds the
// largest block with all that is derived from it: 64 MiB for each megabyte of
// block, begun or whole.
func memTable(maxBlock int) int64 {
	const megabyte = 1_000_000
	return 64 << 20 * max(1, int64(maxBlock+megabyte-1)/megabyte)
}

// complaints hear Badger's log. Some faults Badger tells nowhere else: it takes a
// value log that could not be synced for written.
type complaints struct {
	log   func(slog.Level, string) // nil: nobody listens
	first atomic.Pointer[string]   // what went wrong first

	raise atomic.Pointer[func(error)] // who is told at once that something went wrong
}

// alarm lets f know of what goes wrong, or has gone. It may be called more than once, and
// in the middle of a write: f must not wait for one.
func (c *complaints) alarm(f func(error)) {
	c.raise.Store(&f)
	if err := c.fault(); err != nil {
		f(err)
	}
}

// fault is what went wrong in the database, if anything did.
func (c *complaints) fault() error {
	if text := c.first.Load(); text != nil {
		return fmt.Errorf("the database failed: %s", *text)
	}
	return nil
}

func (c *complaints) say(l slog.Level, format string, args []any) {
	text := strings.TrimSpace(fmt.Sprintf(format, args...))
	if l >= slog.LevelError {
		c.first.CompareAndSwap(nil, &text)
	}
	if c.log != nil {
		c.log(l, text)
	}
	if f := c.raise.Load(); f != nil && l >= slog.LevelError {
		(*f)(c.fault())
	}
}

func (c *complaints) Errorf(format string, args ...any)   { c.say(slog.LevelError, format, args) }
func (c *complaints) Warningf(format string, args ...any) { c.say(slog.LevelWarn, format, args) }
func (c *complaints) Infof(format string, args ...any)    { c.say(slog.LevelDebug, format, args) } // its own upkeep
func (c *complaints) Debugf(format string, args ...any)   { c.say(slog.LevelDebug, format, args) }

type badgerDisk struct {
	db   *badger.DB
	lock *lock // nil if another holds it
	disc disc
	said *complaints
}

// close leaves a database without room as a crash would: closing writes tables.
// All that was acknowledged is on disk and is found by the next open.
func (d *badgerDisk) close() error {
	if err := d.disc.least(keptRoom); err != nil {
		return errors.Join(err, d.lock.release())
	}
	return errors.Join(d.db.Close(), d.lock.release())
}

// sound reads every table whole: Badger takes keys for missing if the block that
// holds them has a wrong checksum, and says nothing.
func (d *badgerDisk) sound() error {
	for _, t := range d.db.Tables() {
		_, err := readTable(filepath.Join(d.db.Opts().Dir, tableName(t.ID)), allBlocks)
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // which a compaction took away meanwhile
			return damage(d.disc.dir, tableName(t.ID), err)
		}
	}
	return nil
}

// room keeps a margin for what Badger adds to a transaction of its own.
func (d *badgerDisk) room() size {
	return size{d.db.MaxBatchCount() - 8, d.db.MaxBatchSize() - 1024}
}

func (d *badgerDisk) view(f func(snapshot) error) error {
	return d.db.View(func(txn *badger.Txn) error { return f(&badgerView{txn}) })
}

func (d *badgerDisk) hold() (snapshot, func()) {
	txn := d.db.NewTransaction(false)
	return &badgerView{txn}, txn.Discard
}

// write is one transaction: a crash before its sync leaves all as it was, a
// crash after it leaves the whole batch. Once the database has failed nothing more
// is written: what it holds then is for the next open to tell.
func (d *badgerDisk) write(b *batch) error {
	if err := cmp.Or(d.said.fault(), d.disc.least(keptRoom)); err != nil {
		return err
	}
	err := d.db.Update(func(txn *badger.Txn) error {
		run := make([]badger.Entry, len(b.run)) // at once, for they are many
		for i, p := range b.run {
			run[i].Key, run[i].Value = p.key, p.value
			if err := set(txn, &run[i]); err != nil {
				return err
			}
		}
		return b.net(func(key, value []byte) error { return set(txn, badger.NewEntry(key, value)) })
	})
	if errors.Is(err, badger.ErrTxnTooBig) {
		return fmt.Errorf("a step of %d entries and %d bytes: %w", b.weight.entries, b.weight.bytes, err)
	}
	if err == nil {
		err = d.said.fault()
	}
	return err
}

// set deletes the key if there is no value.
func set(txn *badger.Txn, e *badger.Entry) error {
	if e.Value == nil {
		return txn.Delete(e.Key)
	}
	return txn.SetEntry(e)
}

type badgerView struct{ txn *badger.Txn }

func (v *badgerView) get(key []byte) ([]byte, error) {
	item, err := v.txn.Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	value, err := item.ValueCopy(nil)
	return present(value), err
}

func (v *badgerView) each(s span, f func(key, value []byte) error) error {
	o := badger.DefaultIteratorOptions
	o.Prefix, o.Reverse, o.PrefetchValues = s.prefix, s.backward, false
	it := v.txn.NewIterator(o)
	defer it.Close()
	for it.Seek(s.start()); it.Valid(); it.Next() {
		if err := visit(it.Item(), s.keys, f); err != nil {
			return err
		}
	}
	return nil
}

// start is the key to seek first.
func (s span) start() []byte {
	low, high := s.bounds()
	if s.backward {
		return []byte(high)
	}
	return []byte(low)
}

func visit(item *badger.Item, keys bool, f func(key, value []byte) error) error {
	if keys {
		return f(item.Key(), nil)
	}
	return item.Value(func(value []byte) error { return f(item.Key(), value) })
}
