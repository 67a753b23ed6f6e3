package daemon

// A node whose disk is nearly full takes nothing in: no block, no payment, no
// claim that would make it ask for blocks. It hands out no work either. What it
// holds it goes on telling, and it goes on as before when there is room again:
// what it missed its peers still have.

// noRoom is why the node takes nothing in; nil while it does.
func (d *Daemon) noRoom() error {
	if why := d.full.Load(); why != nil {
		return *why
	}
	return nil
}

// watchDisk says once that the disk is nearly full, and once that there is room
// again.
func (d *Daemon) watchDisk() {
	if d.cfg.Room == nil || d.life.Err() != nil {
		return
	}
	now, before := d.cfg.Room(), d.noRoom()
	if now == nil {
		d.full.Store(nil)
	} else {
		d.full.Store(&now)
	}
	switch {
	case now != nil && before == nil:
		d.log.Warn("no room: this node takes in no blocks and payments and does not mine until there is", "why", now)
		d.miner.Renew()
	case now == nil && before != nil:
		d.log.Info("there is room on the disk again: this node goes on")
		d.miner.Renew()
	}
}

// stored is the store as it was handed in.
func (d *Daemon) stored() Store { return d.cfg.Store.(timed).Store }

// breakable is a store that writes when nobody waits for it.
type breakable interface {
	Broken() <-chan struct{} // closed once it cannot write any more
	Why() error              // why, then
}

// heedStore stops the node once its store cannot write any more: the next commit would
// fail, and may be hours away.
func (d *Daemon) heedStore(s breakable) {
	select {
	case <-d.life.Done():
	case <-s.Broken():
		if d.life.Err() == nil { // else a commit has told
			d.fail(s.Why())
		}
	}
}
