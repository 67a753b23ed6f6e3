package store

import "sync"

// A breach is why nothing can be written any more, for whoever waits to hear of it.
type breach struct {
	once sync.Once
	came chan struct{}
	why  error // set before came is closed
}

func newBreach() *breach { return &breach{came: make(chan struct{})} }

func (b *breach) tell(why error) {
	b.once.Do(func() {
		b.why = why
		close(b.came)
	})
}

// Broken is closed once nothing can be written any more: what was due could not be
// written, or the database failed in its own upkeep. Why tells it then. Whoever commits
// hears it too, but nobody may commit for hours.
func (b *book) Broken() <-chan struct{} { return b.breach.came }

// Why is why nothing can be written any more; nil while it can.
func (b *book) Why() error {
	select {
	case <-b.breach.came:
	default:
		return nil
	}
	b.writing.Lock()
	defer b.writing.Unlock()
	b.told = true // Close need not say it again
	return b.breach.why
}
