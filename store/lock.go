package store

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// LockedError says that another process holds the data folder.
type LockedError struct {
	PID int // 0 if it is not known
	Dir string
}

// Error names the process and says what to do.
func (e *LockedError) Error() string {
	who := "another process"
	if e.PID != 0 {
		who = fmt.Sprintf("process %d", e.PID)
	}
	return fmt.Sprintf("%s holds the data folder %s: stop it, or choose another folder", who, e.Dir)
}

// lock is held as long as its file is open: the system lets go of it however the
// process ends, so a file that is left over locks nobody out.
type lock struct{ file *os.File }

// lockFolder makes the folder if need be and writes our pid into its lock file.
func lockFolder(dir string) (*lock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the data folder: %w", err)
	}
	name := filepath.Join(dir, lockFile)
	f, taken, err := openLocked(name)
	switch {
	case taken:
		return nil, &LockedError{PID: holder(name), Dir: dir}
	case err != nil:
		return nil, fmt.Errorf("lock the data folder: %w", err)
	}
	l := &lock{f}
	if err := l.say(strconv.Itoa(os.Getpid()) + "\n"); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("lock the data folder: %w", err)
	}
	return l, nil
}

func (l *lock) say(text string) error {
	if err := l.file.Truncate(0); err != nil {
		return err
	}
	_, err := l.file.WriteAt([]byte(text), 0)
	return err
}

// holder reads whose pid stands in a lock file.
func holder(name string) int {
	f, err := os.Open(name)
	if err != nil {
		return 0
	}
	defer f.Close()
	text, _ := io.ReadAll(io.LimitReader(f, 20))
	pid, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return pid
}

// release leaves the file, empty: to remove it could remove the next holder's. A
// second release does nothing.
func (l *lock) release() error {
	if l == nil || l.file == nil {
		return nil
	}
	_ = l.say("")
	f := l.file
	l.file = nil
	return f.Close()
}
