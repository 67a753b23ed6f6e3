package wallet_test

import (
	"context"
	"errors"
	"testing"

	"golang.org/x/sync/errgroup"

	"cairn/chain"
	"cairn/wallet"
)

func open(t testing.TB, path string) *wallet.Wallet {
	t.Helper()
	w, err := wallet.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// Many programs that ask for an address at once get different ones.
func TestNoAddressIsHandedOutTwice(t *testing.T) {
	const programs, each = 8, 5
	path := create(t, "dev", about).Path()
	var g errgroup.Group
	got := make([][]chain.Address, programs)
	for i := range programs {
		w := open(t, path)
		g.Go(func() error {
			for range each {
				a, err := w.NextAddress(wallet.Receive)
				if err != nil {
					return err
				}
				got[i] = append(got[i], a)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	seen := map[chain.Address]bool{}
	for _, row := range got {
		for _, a := range row {
			seen[a] = true
		}
	}
	if n := open(t, path).Next(wallet.Receive); len(seen) != programs*each || n != programs*each {
		t.Errorf("%d addresses, the counter says %d", len(seen), n)
	}
}

// Who holds the lock keeps others out, and sees what they did before.
func TestLock(t *testing.T) {
	mine := create(t, "dev", about)
	other := open(t, mine.Path())
	next(t, other, wallet.Change)
	release, err := mine.Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if mine.Next(wallet.Change) != 1 {
		t.Error("the counter that the other moved is not seen")
	}
	next(t, mine, wallet.Change) // we may, as often as we like
	hurry := wallet.HurryLock()
	if _, err := other.NextAddress(wallet.Change); !errors.Is(err, wallet.ErrInUse) {
		t.Errorf("moved a counter under another's lock: %v", err)
	}
	hurry()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := other.Lock(gone); !errors.Is(err, context.Canceled) {
		t.Errorf("waits although nobody wants it any more: %v", err)
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}
	next(t, other, wallet.Change)
	if n := open(t, mine.Path()).Next(wallet.Change); n != 3 {
		t.Errorf("the counter says %d", n)
	}
}
