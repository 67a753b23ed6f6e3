package daemon

import (
	"context"

	"cairn/rpc"
)

// Logs tells which parts of the program log what only a debugger wants.
type Logs interface {
	Logged() map[string]bool
	SetLogged(part string, on bool) error
}

// upkeep is rpc.Upkeep.
type upkeep struct{ d *Daemon }

// SavePool writes what waits.
func (u upkeep) SavePool(ctx context.Context) (path string, err error) {
	done := make(chan error, 1)
	select {
	case u.d.keep.saves <- done:
	case <-u.d.life.Done():
		return "", ErrStopped
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	select {
	case err = <-done:
	case <-u.d.life.Done():
		err = ErrStopped
	}
	return u.d.cfg.Place, err
}

// Refuses is why the node takes nothing in.
func (u upkeep) Refuses() error {
	if u.d.life.Err() != nil {
		return context.Cause(u.d.life)
	}
	return u.d.noRoom()
}

// Due is what the store has not written yet.
func (u upkeep) Due() *rpc.Due {
	s, ok := u.d.stored().(due)
	if !ok {
		return nil
	}
	is := s.Due()
	return &rpc.Due{Blocks: is.Blocks, Bytes: is.Bytes, Flushes: is.Flushes, Failures: is.Failures, Seconds: is.Took.Seconds()}
}

// Logged tells what is logged.
func (u upkeep) Logged() map[string]bool {
	if u.d.cfg.Logs == nil {
		return map[string]bool{}
	}
	return u.d.cfg.Logs.Logged()
}

// SetLogged changes it.
func (u upkeep) SetLogged(part string, on bool) error {
	if u.d.cfg.Logs == nil {
		return rpc.Errorf(rpc.Misc, "this node's log cannot be changed while it runs: restart it with --log-level")
	}
	return u.d.cfg.Logs.SetLogged(part, on)
}
