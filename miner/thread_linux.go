package miner

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// settle gives the goroutine a thread of its own that stands back behind others by
// so much (nice, 0 to 19), and bears a name that top shows. The thread ends with
// the goroutine: nobody may make it less nice again.
func settle(nice int) {
	runtime.LockOSThread()
	name := [16]byte(append([]byte("cairn search"), make([]byte, 4)...))
	// Without either the search is as good.
	_ = unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(&name)), 0, 0, 0)
	if nice > 0 {
		_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), nice)
	}
}
