//go:build !linux

package miner

import "runtime"

// settle gives the goroutine a thread of its own. How nice it is, only Linux
// decides thread by thread.
func settle(int) { runtime.LockOSThread() }
