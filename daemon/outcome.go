package daemon

import (
	"context"

	"cairn/chain"
	"cairn/node"
)

// A step is one call of the player.
type step func(now chain.Time, p node.Player) (node.Outcome, error)

// act lets the player act in the loop. An error of f is our own fault and stops
// the node.
func (d *Daemon) act(ctx context.Context, f func(now chain.Time, p node.Player) error) error {
	var fault error
	err := d.loop.do(ctx, func(now chain.Time) {
		if fault = f(now, d.loop.player); fault != nil {
			d.fail(fault)
		}
	})
	if err != nil {
		return err
	}
	return fault
}

// call takes a step in the loop, and carries out what came of it. Without room on
// the disk no step is taken, for any may end in a commit.
func (d *Daemon) call(ctx context.Context, s step) (node.Outcome, error) {
	if err := d.noRoom(); err != nil {
		return node.Outcome{Verdict: node.Ignore, Why: err}, err
	}
	var out node.Outcome
	err := d.act(ctx, func(now chain.Time, p node.Player) (err error) {
		if out, err = s(now, p); out.Moved {
			d.loop.wake()
		}
		return err
	})
	if err != nil {
		return node.Outcome{Verdict: node.Ignore, Why: err}, err
	}
	signal(d.news)
	d.follow(out)
	return out, nil
}

// follow carries out an outcome, but for its verdict. It never waits.
func (d *Daemon) follow(out node.Outcome) {
	if out.Moved {
		d.miner.Renew()
		signal(d.say)
	}
	if out.Fees {
		signal(d.fees)
	}
	if n := d.desk.put(out.Ask); n > 0 {
		d.log.Debug("too many questions to one peer", "dropped", n)
	}
	left := post(d.announces, out.Announce) + post(d.relays, out.Relay)
	if left > 0 {
		d.log.Debug("too much to publish", "blocks and txs", left)
	}
}

// post hands a list to whoever publishes it, and counts what finds no room.
func post[T any](to chan<- []T, list []T) (left int) {
	if len(list) == 0 {
		return 0
	}
	select {
	case to <- list:
		return 0
	default:
		return len(list)
	}
}

// announce and relay say what the node lets go later than it came: blocks do not wait
// for transactions, which peers may be slow to take.

func (d *Daemon) announce() {
	each(d, d.announces, func(a chain.CheckedAnnouncement) { d.logPublish(d.net.PublishBlock(d.brief(a))) })
}

func (d *Daemon) relay() {
	each(d, d.relays, func(tx chain.CheckedTx) { d.logPublish(d.net.PublishTx(tx.Tx())) })
}

// each does something with all that comes, until the node ends.
func each[T any](d *Daemon, from <-chan []T, do func(T)) {
	for {
		select {
		case <-d.life.Done():
			return
		case list := <-from:
			for _, one := range list {
				do(one)
			}
		}
	}
}

func (d *Daemon) logPublish(err error) {
	if err != nil && d.life.Err() == nil {
		d.log.Debug("not published", "err", err)
	}
}

// signal wakes whoever waits for c; signals that nobody took become one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
