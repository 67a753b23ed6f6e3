package store

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// data is the next byte of a file, from one on, that was ever written to; size if
// there is none. Logs are made with room for gigabytes that a crash leaves empty.
func data(f *os.File, at, size int64) int64 {
	next, err := unix.Seek(int(f.Fd()), at, unix.SEEK_DATA)
	switch {
	case errors.Is(err, unix.ENXIO):
		return size
	case err != nil: // the file system cannot tell
		return at
	}
	return next
}
