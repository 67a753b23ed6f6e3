//go:build linux && amd64

package ordeal_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// A kill leaves what was written in the page cache; a loss of power does not. An
// image is the data folder as a disk is sure to hold it: each file as it was when
// it was last synced. After a loss of power every page that was written since is
// the old one or the new one, as chance has it.
type image struct {
	dir, kept string          // the data folder, and where the image is
	gone      map[string]bool // unlinked, and the folder not synced since: may come back
	through   map[string]bool // opened so that each write is on disk when it returns (O_DSYNC)
	syncs     int
}

const page = 4096 // bytes that a disk writes as one; a sector is an eighth

func newImage(dir, kept string) *image {
	return &image{dir: dir, kept: kept, gone: map[string]bool{}, through: map[string]bool{}}
}

// hear follows a call that is about to happen.
func (m *image) hear(o op) error {
	switch {
	case o.syncs():
		m.syncs++
		return m.sync(o.path)
	case o.name == "rename":
		if m.through[o.path] {
			delete(m.through, o.path)
			if err := m.sync(o.path); err != nil {
				return err
			}
		}
		delete(m.gone, o.to)
		err := os.Rename(filepath.Join(m.kept, o.path), filepath.Join(m.kept, o.to))
		if errors.Is(err, fs.ErrNotExist) { // never synced: nothing may be there under the new name
			return m.forget(o.to)
		}
		return err
	case o.name == "unlink":
		m.gone[o.path] = true
	case o.name == "create":
		m.through[o.path] = o.through
		if m.gone[o.path] {
			delete(m.gone, o.path)
			return m.forget(o.path)
		}
	}
	return nil
}

func (m *image) forget(path string) error {
	if err := os.Remove(filepath.Join(m.kept, path)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// sync takes a file, or what a folder no longer names.
func (m *image) sync(path string) error {
	info, err := os.Stat(filepath.Join(m.dir, path))
	if err != nil { // deleted while it was open
		return nil
	}
	if !info.IsDir() {
		return copySparse(filepath.Join(m.kept, path), filepath.Join(m.dir, path))
	}
	for name := range m.gone {
		if filepath.Dir(name) == path {
			delete(m.gone, name)
			if err := m.forget(name); err != nil {
				return err
			}
		}
	}
	return nil
}

// adopt takes the whole folder: what stands there is on disk.
func (m *image) adopt() error {
	clear(m.gone)
	clear(m.through)
	if err := os.RemoveAll(m.kept); err != nil {
		return err
	}
	return copyFolder(m.kept, m.dir)
}

// losePower makes the data folder what a disk may hold after a loss of power: each
// change since a sync is lost, kept, or half of both.
func (m *image) losePower(rnd *rand.Rand) error {
	lose := func(name string) error { return m.lose(name, rnd) }
	for _, name := range sortedUnion(filesOf(m.dir), filesOf(m.kept)) {
		if err := lose(name); err != nil {
			return err
		}
	}
	return m.adopt()
}

func (m *image) lose(name string, rnd *rand.Rand) error {
	now, old := filepath.Join(m.dir, name), filepath.Join(m.kept, name)
	_, missing := os.Stat(now)
	_, fresh := os.Stat(old)
	switch mode := rnd.IntN(3); {
	case mode == 0, m.through[name]: // all is written
		return nil
	case missing != nil: // the unlinking is lost
		return copySparse(now, old)
	case fresh != nil && mode == 1: // the making is lost
		return os.Remove(now)
	case fresh != nil: // or only the contents
		return os.Truncate(now, 0)
	case mode == 1: // nothing is written
		return copySparse(now, old)
	}
	return mix(now, old, rnd)
}

// mix puts old pages among the new ones; one of them may be torn in the middle.
func mix(now, old string, rnd *rand.Rand) error {
	a, err := os.OpenFile(now, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer a.Close()
	b, err := os.Open(old)
	if err != nil {
		return err
	}
	defer b.Close()
	info, err := b.Stat()
	if err != nil {
		return err
	}
	var fresh, was [page]byte
	return extents(a, func(from, to int64) error {
		for at := from - from%page; at < to; at += page {
			n, _ := a.ReadAt(fresh[:], at)
			clear(was[:])
			_, _ = b.ReadAt(was[:], at)
			if bytes.Equal(fresh[:n], was[:n]) || rnd.IntN(2) == 0 || at >= info.Size() && rnd.IntN(2) == 0 {
				continue
			}
			cut := 0
			if rnd.IntN(4) == 0 {
				cut = min(n, page/8*rnd.IntN(8)) // the sectors before are new
			}
			if _, err := a.WriteAt(was[cut:n], at+int64(cut)); err != nil {
				return err
			}
		}
		return nil
	})
}

// extents calls f for each stretch of a file that is not a hole.
func extents(f *os.File, do func(from, to int64) error) error {
	for at := int64(0); ; {
		from, err := f.Seek(at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return nil
		}
		if err != nil {
			return err
		}
		to, err := f.Seek(from, unix.SEEK_HOLE)
		if err != nil {
			return err
		}
		if err := do(from, to); err != nil {
			return err
		}
		at = to
	}
}

// copySparse copies a file and keeps its holes.
func copySparse(to, from string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	info, err := src.Stat()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	dst, err := os.OpenFile(to, os.O_RDWR|os.O_CREATE|os.O_TRUNC, info.Mode().Perm())
	if err != nil {
		return err
	}
	err = dst.Truncate(info.Size())
	if err == nil {
		err = extents(src, func(from, to int64) error {
			_, err := io.Copy(io.NewOffsetWriter(dst, from), io.NewSectionReader(src, from, to-from))
			return err
		})
	}
	return errors.Join(err, dst.Close())
}

func copyFolder(to, from string) error {
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	for _, name := range filesOf(from) {
		if err := copySparse(filepath.Join(to, name), filepath.Join(from, name)); err != nil {
			return err
		}
	}
	return nil
}

// filesOf are the files below a folder.
func filesOf(dir string) (names []string) {
	_ = filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			inside, _ := filepath.Rel(dir, name)
			names = append(names, inside)
		}
		return nil
	})
	return names
}

func sortedUnion(a, b []string) []string {
	all := append(slices.Clone(a), b...)
	slices.Sort(all)
	return slices.Compact(all)
}
