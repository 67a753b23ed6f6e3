//go:build linux && amd64

package ordeal_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A traced process stops at each of its calls that could change what a disk keeps,
// and asks its tracer what to do. A seccomp filter picks those calls, so that all
// others run at full speed.
//
// The kernel stands still for the thread that makes the call, not for the others:
// what a call is about to make durable is already in the page cache.

// op is one call that changes a file, or asks for it to be kept.
type op struct {
	name string // of the system call
	path string // below the data folder; "." is the folder itself
	to   string // of a rename

	through bool // of a file that is made: each write to it is on disk when it returns
}

// fate is what becomes of a call.
type fate struct {
	kill bool          // the process dies before it
	fail syscall.Errno // it fails, if not 0
	done bool          // and has happened all the same
}

// traced are the calls that stop, by their numbers.
var traced = map[uint32]string{
	unix.SYS_FSYNC: "fsync", unix.SYS_FDATASYNC: "fdatasync", unix.SYS_MSYNC: "msync",
	unix.SYS_WRITE: "write", unix.SYS_PWRITE64: "pwrite", unix.SYS_FTRUNCATE: "ftruncate",
	unix.SYS_OPENAT: "create", unix.SYS_RENAME: "rename", unix.SYS_RENAMEAT: "rename", unix.SYS_RENAMEAT2: "rename",
	unix.SYS_UNLINKAT: "unlink", unix.SYS_UNLINK: "unlink",
}

const launchName = "CAIRN_ORDEAL_LAUNCH"

// launched turns the test's own program into the traced one, if it was started for
// that: it installs the filter, which outlives the exec.
func launched() bool {
	path := os.Getenv(launchName)
	if path == "" {
		return false
	}
	runtime.LockOSThread()
	_ = os.Unsetenv(launchName)
	err := filterCalls()
	if err == nil {
		err = syscall.Exec(path, os.Args, os.Environ())
	}
	fmt.Fprintln(os.Stderr, "launch:", err)
	os.Exit(3)
	return true
}

// filterCalls makes the thread stop at the traced calls; openat only if it may
// make a file.
func filterCalls() error {
	const nr, flags = 0, 16 + 2*8 // offsets in struct seccomp_data
	load := func(at uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: at}
	}
	verdict := func(v uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: v}
	}
	var prog []unix.SockFilter
	for n := range traced {
		prog = append(prog, load(nr))
		if n == unix.SYS_OPENAT {
			prog = append(prog, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: n, Jf: 3}, load(flags),
				unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, K: unix.O_CREAT | unix.O_TRUNC, Jf: 1})
		} else {
			prog = append(prog, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: n, Jf: 1})
		}
		prog = append(prog, verdict(unix.SECCOMP_RET_TRACE))
	}
	prog = append(prog, verdict(unix.SECCOMP_RET_ALLOW))
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	f := unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]}
	return unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&f)), 0, 0)
}

// tracee is a process under trace.
type tracee struct {
	pid   int
	dir   string
	watch func(op) fate // called by the tracer's thread, one call at a time
	after map[int]syscall.Errno
	ended chan struct{} // closed when the process has ended
	state syscall.WaitStatus
	err   error // why the tracer gave up
}

// canTrace skips a test where processes cannot be traced.
func canTrace(t *testing.T) {
	t.Helper()
	if raw, err := os.ReadFile("/proc/sys/kernel/yama/ptrace_scope"); err == nil && strings.TrimSpace(string(raw)) == "3" {
		t.Skip("this system lets nobody trace processes (ptrace_scope is 3)")
	}
}

// traceProcess starts the program; watch hears of every traced call on a file below dir.
func traceProcess(dir, program string, args []string, log *os.File, watch func(op) fate) (*tracee, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	tr := &tracee{dir: dir, watch: watch, after: map[int]syscall.Errno{}, ended: make(chan struct{})}
	begun := make(chan error)
	go func() {
		runtime.LockOSThread() // all of ptrace is between two threads; this one ends with the tracee
		defer close(tr.ended)
		env := append(os.Environ(), launchName+"="+program, "HOME="+filepath.Dir(dir))
		pid, err := syscall.ForkExec(self, append([]string{program}, args...), &syscall.ProcAttr{
			Env: env, Files: []uintptr{0, log.Fd(), log.Fd()}, Sys: &syscall.SysProcAttr{Ptrace: true},
		})
		tr.pid = pid
		if err == nil {
			err = tr.attach()
		}
		begun <- err
		if err == nil {
			tr.err = tr.run()
		}
	}()
	return tr, <-begun
}

func (tr *tracee) attach() error {
	var st syscall.WaitStatus
	if _, err := syscall.Wait4(tr.pid, &st, unix.WALL, nil); err != nil {
		return err
	}
	const options = unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEEXEC | unix.PTRACE_O_TRACESECCOMP |
		unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_EXITKILL
	if err := syscall.PtraceSetOptions(tr.pid, options); err != nil {
		return err
	}
	return syscall.PtraceCont(tr.pid, 0)
}

// run serves the tracee's stops until it has ended.
func (tr *tracee) run() error {
	for {
		var st syscall.WaitStatus
		tid, err := syscall.Wait4(-1, &st, unix.WALL|unix.WNOTHREAD, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case err != nil:
			return fmt.Errorf("wait: %w", err)
		case st.Exited() || st.Signaled():
			if tid == tr.pid {
				tr.state = st
				return nil
			}
			continue
		}
		if err := tr.serve(tid, st); err != nil && !errors.Is(err, syscall.ESRCH) { // it was killed meanwhile
			_ = syscall.Kill(tr.pid, syscall.SIGKILL)
			return err
		}
	}
}

// serve answers one stop and lets the thread go on.
func (tr *tracee) serve(tid int, st syscall.WaitStatus) error {
	switch signal := st.StopSignal(); {
	case signal == syscall.SIGTRAP|0x80:
		return tr.leave(tid)
	case signal == syscall.SIGTRAP && st.TrapCause() == unix.PTRACE_EVENT_SECCOMP:
		return tr.enter(tid)
	case signal == syscall.SIGTRAP, signal == syscall.SIGSTOP: // a new thread, or an exec
		return syscall.PtraceCont(tid, 0)
	default:
		return syscall.PtraceCont(tid, int(signal))
	}
}

// enter decides what becomes of a call.
func (tr *tracee) enter(tid int) error {
	var regs syscall.PtraceRegs
	if err := syscall.PtraceGetRegs(tid, &regs); err != nil {
		return err
	}
	o, ours := tr.read(&regs)
	if !ours {
		return syscall.PtraceCont(tid, 0)
	}
	f := tr.watch(o)
	switch {
	case f.kill:
		return syscall.Kill(tr.pid, syscall.SIGKILL)
	case f.fail != 0 && f.done:
		tr.after[tid] = f.fail
		return syscall.PtraceSyscall(tid, 0)
	case f.fail != 0:
		regs.Orig_rax, regs.Rax = ^uint64(0), failure(f.fail)
		if err := syscall.PtraceSetRegs(tid, &regs); err != nil {
			return err
		}
	}
	return syscall.PtraceCont(tid, 0)
}

// leave makes a call that was done say that it failed.
func (tr *tracee) leave(tid int) error {
	var regs syscall.PtraceRegs
	if err := syscall.PtraceGetRegs(tid, &regs); err != nil {
		return err
	}
	regs.Rax = failure(tr.after[tid])
	delete(tr.after, tid)
	if err := syscall.PtraceSetRegs(tid, &regs); err != nil {
		return err
	}
	return syscall.PtraceCont(tid, 0)
}

func failure(e syscall.Errno) uint64 { return uint64(-int64(e)) }

// read tells what a call is about, and whether that is in the data folder.
func (tr *tracee) read(r *syscall.PtraceRegs) (o op, ours bool) {
	o.name = traced[uint32(r.Orig_rax)]
	switch r.Orig_rax {
	case unix.SYS_MSYNC:
		o.path = tr.mapped(r.Rdi)
	case unix.SYS_OPENAT:
		o.path, o.through = tr.text(r.Rsi), r.Rdx&unix.O_DSYNC != 0
	case unix.SYS_UNLINKAT:
		o.path = tr.text(r.Rsi)
	case unix.SYS_UNLINK:
		o.path = tr.text(r.Rdi)
	case unix.SYS_RENAME:
		o.path, o.to = tr.text(r.Rdi), tr.text(r.Rsi)
	case unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2:
		o.path, o.to = tr.text(r.Rsi), tr.text(r.R10)
	default:
		o.path, _ = os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", tr.pid, int32(r.Rdi)))
	}
	if o.path, ours = tr.below(o.path); o.to != "" {
		o.to, ours = tr.below(o.to)
	}
	return o, ours
}

func (tr *tracee) below(path string) (string, bool) {
	inside, err := filepath.Rel(tr.dir, path)
	return inside, err == nil && !strings.HasPrefix(inside, "..") && filepath.IsAbs(path)
}

// text reads a name from the tracee's memory.
func (tr *tracee) text(at uint64) string {
	f, err := os.Open(fmt.Sprintf("/proc/%d/mem", tr.pid))
	if err != nil {
		return ""
	}
	defer f.Close()
	b := make([]byte, 4096)
	n, _ := f.ReadAt(b, int64(at))
	if n == 0 { // the page after it may be missing
		n, _ = f.ReadAt(b[:256], int64(at))
	}
	name, _, _ := bytes.Cut(b[:n], []byte{0})
	return string(name)
}

// mapped is the file behind an address.
func (tr *tracee) mapped(at uint64) string {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", tr.pid))
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(raw)) {
		fields := strings.Fields(line)
		low, high, _ := strings.Cut(fields[0], "-")
		from, _ := strconv.ParseUint(low, 16, 64)
		to, _ := strconv.ParseUint(high, 16, 64)
		if from <= at && at < to && len(fields) >= 6 {
			return fields[5]
		}
	}
	return ""
}

// syncs are the calls that make a file durable.
func (o op) syncs() bool { return slices.Contains([]string{"fsync", "fdatasync", "msync"}, o.name) }
