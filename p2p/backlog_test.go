package p2p

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// Two thousand transactions that are published at once all arrive, over a link that
// takes seconds for them: gossip would drop most without a word.
func TestManyAtOnceArrive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const many = 2000
		a, b := imagined(t, 50*time.Millisecond)
		go func() {
			for i := range many {
				if err := a.PublishTx(tx(fmt.Sprint("one of many, and of some length: ", i))); err != nil {
					t.Error(err)
				}
			}
		}()
		come := map[string]bool{}
		for len(come) < many {
			come[string(next(t, b.txs).what.Memo)] = true
		}
	})
}

// A peer that takes nothing delays those who publish once, for a moment, and then not
// for a while; when it takes what waits, or goes, they go on at once.
func TestSlowPeerDelaysOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const slow, quick = peer.ID("slow"), peer.ID("quick")
		b := newBacklog()
		waits := func() time.Duration {
			began := time.Now()
			b.wait(t.Context())
			return time.Since(began)
		}
		b.grows(slow) // of no stream that we know
		for _, p := range []peer.ID{slow, quick} {
			b.opens(p)
			for range maxBacklog - 1 {
				b.grows(p)
			}
		}
		if d := waits(); d != 0 {
			t.Errorf("waited %v for piles that are not high", d)
		}
		b.grows(slow)
		if d := waits(); d != backlogWait {
			t.Errorf("waited %v for a peer that takes nothing", d)
		}
		b.grows(slow)
		if d := waits(); d != 0 {
			t.Errorf("waited %v for it again", d)
		}
		b.grows(quick)
		go func() {
			time.Sleep(time.Millisecond)
			b.sent(quick)
		}()
		if d := waits(); d != time.Millisecond {
			t.Errorf("waited %v for one that takes what waits", d)
		}
		time.Sleep(backlogRest)
		go func() {
			time.Sleep(2 * time.Millisecond)
			b.ends(slow)
		}()
		if d := waits(); d != 2*time.Millisecond {
			t.Errorf("waited %v for one that goes", d)
		}
		ended, end := context.WithCancel(t.Context())
		end()
		b.grows(quick)
		b.wait(ended)
	})
}

// Seventy peers stop reading one after the other, and each goes on when it was given up:
// they delay those who publish little in all.
func TestPeersSlowByTurnsDelayLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBacklog()
		peers := make([]peer.ID, 70)
		for i := range peers {
			peers[i] = peer.ID(fmt.Sprint("slow ", i))
			b.opens(peers[i])
		}
		change := func(p peer.ID, by int) {
			for range maxBacklog {
				b.change(p, by)
			}
		}
		published := 0
		for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); published++ {
			p := peers[published%len(peers)]
			change(p, 1)
			b.wait(t.Context())
			change(p, -1)
			time.Sleep(time.Millisecond)
		}
		if published < 2000 {
			t.Errorf("%d were published in two minutes", published)
		}
	})
}

// Peers that take one message now and then, each before it is given up, do not delay
// those who publish for long either.
func TestDrippingPeerDelaysLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBacklog()
		b.opens("dripping")
		for range maxBacklog - 1 {
			b.grows("dripping")
		}
		published := 0
		for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); published++ {
			b.grows("dripping")
			time.AfterFunc(backlogWait*9/10, func() { b.sent("dripping") })
			b.wait(t.Context())
			time.Sleep(time.Millisecond)
		}
		if published < 2000 {
			t.Errorf("%d were published in two minutes", published)
		}
	})
}

// Whoever sends more than is read at a time is told of, once, so that his pool is
// looked at.
func TestWhatIsDroppedUnreadIsTold(t *testing.T) {
	a, b := begin(t, dev()), begin(t, dev())
	s := &stuck{ear: b.ear, hold: make(chan struct{})}
	b.Network.handler = s
	link(t, a, b)
	silent(t, b.missed)
	for i := range txsAtOnce + queue + 100 {
		if err := a.PublishTx(tx(fmt.Sprint("flood ", i))); err != nil {
			t.Fatal(err)
		}
	}
	expect(t, b.missed, a.ID())
	close(s.hold)
	eventually(t, "b is idle again", func() bool { return s.now.Load() == 0 })
}
