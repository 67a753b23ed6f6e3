package store

import "fmt"

// LeastRoom is how many bytes must be free on the disk for a node to start, and to
// take anything in.
const LeastRoom = 200_000_000

// keptRoom is how many bytes no write takes away: the database needs them to put
// what it holds in memory into tables. It writes to mapped files, so without room
// the system ends the process.
const keptRoom = LeastRoom / 2

// FullError says that the disk of a data folder is nearly full. Nothing was
// written.
type FullError struct {
	Dir         string
	Free, Least uint64 // bytes
}

// Error says what to do.
func (e *FullError) Error() string {
	return fmt.Sprintf("only %d MB are free on the disk of %s, and %d MB are needed: make room there, or move the data directory to a larger disk",
		e.Free/1_000_000, e.Dir, e.Least/1_000_000)
}

// disc tells how much room a folder has.
type disc struct {
	dir  string
	free func(dir string) (uint64, error)
}

func discOf(c Config) disc {
	if c.Free == nil {
		c.Free = free
	}
	return disc{c.Dir, c.Free}
}

// least fails with a *FullError if fewer bytes are free. A system that cannot tell
// is taken at its word when it writes.
func (d disc) least(bytes uint64) error {
	if n, err := d.free(d.dir); err == nil && n < bytes {
		return &FullError{Dir: d.dir, Free: n, Least: bytes}
	}
	return nil
}

// Room fails with a *FullError while the disk has not the room that a node needs
// to take anything in.
func (b *Badger) Room() error { return b.disc.least(LeastRoom) }
