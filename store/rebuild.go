package store

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"cairn/chain"
	"cairn/node"
)

// newFolder is where a database is built that will take the place of the old one.
const newFolder = databaseFolder + ".new"

// Rebuild makes a new database out of the bodies of an old one, whatever state
// that is in. The old one is read and never changed: until Finish it is the one
// that a node opens, and after Finish it stands aside. What was built before an
// interruption is kept and gone on with.
type Rebuild struct {
	Broken []string // what could not be read of the old database, file by file
	Found  int      // bodies that were read and lead back to the genesis, without it
	Lost   int      // bodies that were read and do not

	cfg   Config
	lock  *lock
	old   string // the old database's folder
	book  *Badger
	order []body
	holds int64 // bytes of all that the old database's files hold, about
	ids   map[string]named
	tip   chain.Hash // of the old database, if it could be read
}

// body is a body that was found.
type body struct {
	id    chain.Hash
	at    place
	state chain.State // by its header
}

// named is the newest version of a named value.
type named struct {
	version uint64
	at      place
	gone    bool
}

// StartRebuild reads the old database's files and begins, or continues, the new
// one. It fails with a *LockedError if another process holds the folder, with a
// *FullError if the disk has no room for a second database, and as Open does if the
// folder is not ours; of damage it makes nothing.
func StartRebuild(c Config) (*Rebuild, error) {
	if err := refuseForeign(c); err != nil {
		return nil, err
	}
	lock, err := lockFolder(c.Dir)
	if err != nil {
		return nil, err
	}
	r := &Rebuild{cfg: c, lock: lock, old: filepath.Join(c.Dir, databaseFolder), ids: map[string]named{}}
	if err := r.start(); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

func (r *Rebuild) start() error {
	var damage *DamageError
	m, err := mark(r.cfg)
	if err != nil && !errors.As(err, &damage) { // bodies tell whose chain it is as well
		return err
	}
	if m.Swap != "" {
		if err := finishSwap(r.cfg, &m); err != nil {
			return err
		}
	}
	if err := r.read(); err != nil {
		return err
	}
	if r.book, err = openNew(r.cfg); err == nil {
		err = r.room()
	}
	if full := (*FullError)(nil); errors.As(err, &full) {
		err = fmt.Errorf("a new database does not fit beside the old one: %w", err)
	}
	return err
}

// room fails with a *FullError unless what the new database does not hold yet has room,
// and a node beside it. It is taken to grow as large as what the old one's files hold.
func (r *Rebuild) room() error {
	var all, missing int64
	for _, b := range r.order {
		all += int64(b.at.size)
		if _, err := r.book.Entry(b.id); errors.Is(err, node.ErrUnknown) {
			missing += int64(b.at.size)
		} else if err != nil {
			return err
		}
	}
	share := float64(missing) / float64(max(all, 1))
	return discOf(r.cfg).least(LeastRoom + uint64(share*float64(r.holds)))
}

// read finds what the old database holds.
func (r *Rebuild) read() (err error) {
	bodies := map[chain.Hash]*found{}
	newest := map[string]uint64{}
	r.Broken, err = readRelics(r.old, func(e relic) error {
		key := string(e.key)
		r.holds += int64(len(e.key) + len(e.value))
		switch {
		case key == string(keyTip) && len(e.value) == len(r.tip) && e.version >= newest[key]:
			newest[key], r.tip = e.version, chain.Hash(e.value)
		case e.key[0] == kindNamed && (e.meta&metaPointer == 0 && e.version >= r.ids[key].version):
			r.ids[key] = named{e.version, e.at, e.meta&metaDeleted != 0}
		case e.key[0] == kindBody && len(e.key) == 1+32 && e.meta&(metaPointer|metaDeleted) == 0:
			return r.found(bodies, chain.Hash(e.key[1:]), e)
		}
		return nil
	})
	if err != nil {
		return err
	}
	r.arrange(bodies)
	return nil
}

// found is a body by its header, and the bodies that build on it.
type found struct {
	header   chain.Header
	at       place
	children []chain.Hash
}

// found notes a body whose header is the one it is named after; the rest of it is
// judged by whoever takes it.
func (r *Rebuild) found(bodies map[chain.Hash]*found, id chain.Hash, e relic) error {
	if len(e.value) < chain.HeaderSize || chain.SumHash(e.value[:chain.HeaderSize]) != id {
		r.Broken = append(r.Broken, fmt.Sprintf("%s: the body of %v", e.at.file, id))
		return nil
	}
	if bodies[id] == nil {
		h := chain.ReadHeader(chain.NewReader(e.value))
		bodies[id] = &found{header: h, at: e.at}
	}
	return nil
}

// arrange puts the bodies into an order in which parents come first: the heaviest
// branch, and then the others by height. Among equals the old tip's is the first.
func (r *Rebuild) arrange(bodies map[chain.Hash]*found) {
	for id, f := range bodies {
		if parent := bodies[f.header.Prev]; parent != nil {
			parent.children = append(parent.children, id)
		}
	}
	known := map[chain.Hash]body{}
	best := body{id: r.cfg.Params.GenesisID(), state: r.cfg.Params.GenesisState()}
	for queue := []body{best}; len(queue) > 0; queue = queue[1:] {
		b := queue[0]
		known[b.id] = b
		if c := b.state.Work.Cmp(best.state.Work); c > 0 || c == 0 && b.id == r.tip {
			best = b
		}
		for _, id := range r.children(bodies, b.id) {
			if s, err := chain.ConnectHeader(r.cfg.Params, b.state, bodies[id].header); err == nil {
				queue = append(queue, body{id, bodies[id].at, s})
			}
		}
	}
	delete(known, r.cfg.Params.GenesisID())
	delete(bodies, r.cfg.Params.GenesisID())
	r.Found, r.Lost = len(known), len(bodies)-len(known)
	for b, ok := known[best.id]; ok; b, ok = known[bodies[b.id].header.Prev] {
		r.order = append(r.order, b)
		delete(known, b.id)
	}
	slices.Reverse(r.order)
	rest := make([]body, 0, len(known))
	for _, b := range known {
		rest = append(rest, b)
	}
	slices.SortFunc(rest, func(a, b body) int {
		return cmp.Or(cmp.Compare(a.state.Height, b.state.Height), a.id.Compare(b.id))
	})
	r.order = append(r.order, rest...)
}

// children are the bodies that build on a block. The genesis need not be among
// them.
func (r *Rebuild) children(bodies map[chain.Hash]*found, id chain.Hash) []chain.Hash {
	if f := bodies[id]; f != nil {
		return f.children
	}
	var ids []chain.Hash
	for child, f := range bodies {
		if f.header.Prev == id {
			ids = append(ids, child)
		}
	}
	return ids
}

// Store is the new database.
func (r *Rebuild) Store() *Badger { return r.book }

// Tip is the tip of the old database, if it could be read.
func (r *Rebuild) Tip() (id chain.Hash, ok bool) { return r.tip, r.tip != chain.Hash{} }

// Raw is the encoding of a block, and the id it is kept under.
type Raw struct {
	ID    chain.Hash
	Bytes []byte
}

// Blocks hands out the bodies that the new database does not hold yet, parents
// first, as they were found: they are still to be checked.
func (r *Rebuild) Blocks() iter.Seq2[Raw, error] {
	return func(yield func(Raw, error) bool) {
		for _, b := range r.order {
			_, err := r.book.Entry(b.id)
			if err == nil {
				continue
			}
			var raw []byte
			if errors.Is(err, node.ErrUnknown) {
				raw, err = b.at.read(r.old)
			}
			if !yield(Raw{b.id, raw}, err) || err != nil {
				return
			}
		}
	}
}

// Finish copies what other packages keep by name, and puts the new database in the
// place of the old one, which is kept under the name that is returned; damaged
// says that not all of it could be taken over. A crash before it leaves the old one
// as it was; a crash inside it is finished by the next open.
func (r *Rebuild) Finish(now time.Time, damaged bool) (aside string, err error) {
	if err := r.copyNamed(); err != nil {
		return "", err
	}
	if err := r.closeNew(); err != nil {
		return "", fmt.Errorf("close the new database: %w", err)
	}
	word := "old"
	if damaged {
		word = "damaged"
	}
	p := r.cfg.Params
	m := marker{Format: format, Network: p.Name, Genesis: p.GenesisID()}
	m.Swap = freeName(r.cfg.Dir, fmt.Sprintf("%s.%s-%s", databaseFolder, word, now.UTC().Format("20060102-150405")))
	if err := writeMark(r.cfg, m); err != nil {
		return "", err
	}
	aside = m.Swap
	return aside, finishSwap(r.cfg, &m)
}

// freeName is the name, or that with a number behind it: to whoever finishes the
// swap, a folder of this name says that the old database was put aside.
func freeName(dir, name string) string {
	free := name
	for i := 2; ; i++ {
		if _, err := os.Lstat(filepath.Join(dir, free)); err != nil {
			return free
		}
		free = fmt.Sprintf("%s-%d", name, i)
	}
}

func (r *Rebuild) copyNamed() error {
	if err := r.forgetNamed(); err != nil {
		return err
	}
	for key, v := range r.ids {
		var value []byte
		if !v.gone {
			var err error
			if value, err = v.at.read(r.old); err != nil {
				return err
			}
		}
		if err := r.book.Put(strings.TrimPrefix(key, string(rune(kindNamed))), value); err != nil {
			return err
		}
	}
	return nil
}

// forgetNamed lets go of names that an earlier attempt copied and that were
// forgotten since.
func (r *Rebuild) forgetNamed() error {
	return r.book.eachKey(kindNamed, func(key []byte) error {
		if _, there := r.ids[string(key)]; !there {
			r.ids[string(key)] = named{gone: true}
		}
		return nil
	})
}

func (r *Rebuild) closeNew() (err error) {
	if r.book != nil {
		err = r.book.Close()
		r.book = nil
	}
	return err
}

// Close lets go of the folder.
func (r *Rebuild) Close() error { return errors.Join(r.closeNew(), r.lock.release()) }

// finishSwap puts the new database in the old one's place as far as that is not
// done yet: a crash may come between any two of these.
func finishSwap(c Config, m *marker) error {
	at := func(name string) string { return filepath.Join(c.Dir, name) }
	for _, move := range [][2]string{{databaseFolder, m.Swap}, {newFolder, databaseFolder}} {
		from, to := at(move[0]), at(move[1])
		if _, err := os.Stat(to); err == nil {
			continue // done before
		}
		if err := os.Rename(from, to); err != nil {
			return fmt.Errorf("put the new database in its place: %w", err)
		}
		syncFolder(c.Dir)
	}
	m.Swap = ""
	return writeMark(c, *m)
}
