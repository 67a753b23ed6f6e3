package lab

import (
	"os"
	"os/exec"
)

// alive tells whether a process runs.
func alive(pid int) bool {
	p, err := os.FindProcess(pid)
	if err != nil {
		return false
	}
	_ = p.Release()
	return pid > 0
}

func apart(*exec.Cmd) {}

// interrupt ends a process: Windows has no gentle way for one without a window.
func interrupt(c *exec.Cmd) error { return c.Process.Kill() }
