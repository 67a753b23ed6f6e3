package lab

import "syscall"

// attributes make the kernel end a child when we die, even of kill -9.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
