package p2p

import "fmt"

// Forget dials an address no more; a connection that is open stays.
func (n *Network) Forget(text string) error {
	addr, id, err := parseAddr(text)
	if err != nil {
		return err
	}
	gone := n.dialer.remove(func(t *target) bool {
		return t.addr.Equal(addr) && (id == "" || t.id == "" || t.id == id)
	})
	if len(gone) == 0 {
		return fmt.Errorf("%s: %w", text, ErrGone)
	}
	return nil
}
