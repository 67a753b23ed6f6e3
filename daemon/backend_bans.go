package daemon

import (
	"errors"
	"time"

	"cairn/p2p"
	"cairn/rpc"
)

// bans is rpc.Bans, in Bitcoin Core's words.
type bans struct{ d *Daemon }

// List lists the bans that hold.
func (b bans) List() []rpc.Ban {
	var list []rpc.Ban
	for _, ban := range b.d.net.Bans() {
		list = append(list, rpc.Ban{Address: ban.Who, Created: ban.Since.Unix(), Until: ban.Until.Unix(), Reason: ban.Why})
	}
	return list
}

// Ban keeps somebody out until then.
func (b bans) Ban(whom string, until time.Time) error { return banError(b.d.net.Ban(whom, until)) }

// Lift lets somebody in again.
func (b bans) Lift(whom string) error { return banError(b.d.net.Unban(whom)) }

// Clear lets everybody in again.
func (b bans) Clear() { b.d.net.ClearBans() }

func banError(err error) error {
	switch {
	case errors.Is(err, p2p.ErrNoTarget):
		return rpc.Errorf(rpc.InvalidSubnet, "Error: Invalid IP/Subnet: %v", err)
	case errors.Is(err, p2p.ErrBannedYet):
		return rpc.Errorf(rpc.AlreadyAdded, "Error: IP/Subnet already banned")
	case errors.Is(err, p2p.ErrNotBanned):
		return rpc.Errorf(rpc.InvalidSubnet, "Error: Unban failed. Requested address/subnet was not previously banned.")
	}
	return err
}
