package stratum

import (
	"strings"
	"unicode"

	"cairn/chain"
)

// shortest is a length below which nobody takes a name for an address.
const shortest = 40

// payee tells whom a login name's blocks pay. A name is an address, with the name
// of a machine behind a dot if there are several; or any other word, to work for
// this node.
func (s *Server) payee(name string) (pay chain.Address, why *refusal) {
	refuse := func(reason string) (chain.Address, *refusal) {
		return chain.Address{}, &refusal{unauthorized.code, unauthorized.reason + ": " + reason}
	}
	if len(name) > maxName || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }) {
		return refuse("a name has at most 128 printable characters")
	}
	owner, _, _ := strings.Cut(name, ".")
	pay, err := s.cfg.Params.ParseAddress(owner)
	switch {
	case err == nil:
		return pay, nil
	case len(owner) >= shortest || strings.HasPrefix(strings.ToLower(owner), s.cfg.Params.Prefix+"1"):
		return refuse(err.Error()) // a mistyped address must not work for somebody else
	case s.cfg.Pay == nil:
		return refuse("this node has no address of its own: log in with the address to pay")
	}
	return *s.cfg.Pay, nil
}
