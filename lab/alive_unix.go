//go:build unix

package lab

import (
	"errors"
	"os/exec"
	"syscall"
)

// alive tells whether a process runs.
func alive(pid int) bool {
	err := syscall.Kill(pid, 0)
	return pid > 0 && (err == nil || errors.Is(err, syscall.EPERM))
}

// apart gives a child a process group of its own, so that Ctrl-C reaches it
// through us and not twice.
func apart(c *exec.Cmd) { c.SysProcAttr = attributes() }

// interrupt asks a process to stop.
func interrupt(c *exec.Cmd) error { return c.Process.Signal(syscall.SIGTERM) }
