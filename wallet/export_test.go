package wallet

import "time"

// HurryLock makes Lock give up at once.
func HurryLock() (restore func()) {
	before := lockWait
	lockWait = time.Nanosecond
	return func() { lockWait = before }
}
