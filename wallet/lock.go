package wallet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gofrs/flock"
)

// ErrInUse says that another program works with the wallet.
var ErrInUse = errors.New("wallet in use")

const (
	lockRetry = 20 * time.Millisecond
	lockTail  = ".lock"
)

var lockWait = 10 * time.Second // for a program that moves a counter, or pays

// Lock keeps other programs from using the wallet until it is released: two that
// pay at once would spend the same coins, and each would undo the other's payment.
// It waits a while for a program that is there already, then fails with ErrInUse.
// What the file says is read again under the lock. The system lets go of the
// locks of a program that died.
func (w *Wallet) Lock(ctx context.Context) (release func() error, err error) {
	if w.held {
		return func() error { return nil }, nil
	}
	l := flock.New(w.path+lockTail, flock.SetPermissions(0o600))
	limited, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	_, err = l.TryLockContext(limited, lockRetry)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return nil, fmt.Errorf("%w: another program has worked with %s for %v; let it end, and run the command again", ErrInUse, w.path, lockWait)
	}
	if err != nil {
		return nil, fmt.Errorf("lock wallet: %w", err)
	}
	if err := w.reload(); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	w.held = true
	return func() error { w.held = false; return l.Close() }, nil
}

// under runs a change of the file under the lock.
func (w *Wallet) under(change func() error) (err error) {
	release, err := w.Lock(context.Background())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	return change()
}
