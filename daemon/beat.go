package daemon

import (
	"time"

	"cairn/chain"
	"cairn/node"
)

const (
	tipEvery = 10 * time.Second       // a claim is said again
	tipPause = time.Second            // and never more often than that
	tipDelay = 50 * time.Millisecond  // a claim that overtook its block would make peers ask for headers
	feeDelay = 100 * time.Millisecond // one template serves all the transactions of so long
)

// tick lets the node do what time brings.
func (d *Daemon) tick() {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	d.measure()
	for {
		select {
		case <-d.life.Done():
			return
		case <-t.C:
		}
		d.watchDisk()
		_, _ = d.call(d.life, func(now chain.Time, p node.Player) (node.Outcome, error) { return p.Tick(now) })
		_ = d.loop.look(d.life, func(chain.Time) { d.joins.Store(d.loop.node.Joining()) })
		d.watchClock()
		d.measure()
	}
}

// watchClock says once when our clock is behind, and once when it is right again.
func (d *Daemon) watchClock() {
	d.watchJump()
	behind, bad := d.behind()
	if bad == d.skewed || d.life.Err() != nil {
		return
	}
	d.skewed = bad
	if bad {
		d.log.Warn("your clock is behind your peers': set it; this node does not mine while several say so, or blocks bear them out", "seconds", behind.Seconds())
	} else {
		d.log.Info("the clock agrees with the peers' again")
	}
}

// jump is how far the clock may go back before a person hears of it.
const jump = chain.Time(10_000)

// watchJump says once that the clock went back, and once when the node's time is
// the clock's again.
func (d *Daemon) watchJump() {
	back := d.back()
	if far := back > jump; far != d.jumped {
		if d.jumped = far; far {
			d.log.Warn("the clock went back: this node's time goes on at half its pace until the clock has caught up; restart the node to take the new time at once", "seconds", back.Seconds())
		} else {
			d.log.Info("the node's time is the clock's again")
		}
	}
}

// back is how far the clock lies behind the node's time.
func (d *Daemon) back() (by chain.Time) {
	_ = d.loop.look(d.life, func(chain.Time) { by = d.loop.time.ahead() })
	return by
}

// behind is how far our clock is behind the peers', and whether that is too far
// for blocks of ours.
func (d *Daemon) behind() (by chain.Time, bad bool) {
	_ = d.loop.look(d.life, func(chain.Time) { by = d.loop.node.Behind() })
	return by, int64(by) > d.p.Ahead*1000
}

// tellTip tells the peers which tip we follow.
func (d *Daemon) tellTip() {
	every := time.NewTicker(tipEvery)
	defer every.Stop()
	for {
		select {
		case <-d.life.Done():
			return
		case <-d.say:
			if !d.pause(tipDelay) {
				return
			}
		case <-every.C:
		}
		var claim node.TipClaim
		if d.loop.do(d.life, func(now chain.Time) { claim = d.loop.node.OurTip(now) }) == nil {
			d.logPublish(d.net.PublishTip(claim))
		}
		if !d.pause(tipPause) {
			return
		}
	}
}

// renewOnFees gives the miner a new template when better fees wait.
func (d *Daemon) renewOnFees() {
	for {
		select {
		case <-d.life.Done():
			return
		case <-d.fees:
		}
		if !d.pause(feeDelay) {
			return
		}
		d.miner.Renew()
	}
}

// pause waits, and tells whether the node still runs.
func (d *Daemon) pause(t time.Duration) bool {
	select {
	case <-d.life.Done():
		return false
	case <-time.After(t):
		return true
	}
}
