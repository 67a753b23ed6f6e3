package p2p

import "fmt"

// Forget dials an address no more, and gives its peer no better place than any
// other; a connection that is open stays.
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
	for _, t := range gone {
		n.gate.keep(t.id, false)
		n.memory.forget(full(t.addr, t.id))
	}
	return nil
}
