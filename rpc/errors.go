package rpc

import "fmt"

// Code is a JSON-RPC error code, as Bitcoin Core uses it (src/rpc/protocol.h).
type Code int

// The codes.
const (
	Misc             Code = -1 // anything else, and calls that do not fit a method's help
	WrongType        Code = -3 // a parameter has another type
	NotFound         Code = -5 // no such block, transaction or address
	InvalidParameter Code = -8
	Decoding         Code = -22 // an encoding cannot be read
	AlreadyAdded     Code = -23 // node
	NotAdded         Code = -24 // node
	TxError          Code = -25 // what a transaction spends is missing, or it pays an absurd fee
	TxRejected       Code = -26 // a rule or the pool's policy says no
	TxInChain        Code = -27 // already confirmed
	NotConnected     Code = -29 // node
	InvalidSubnet    Code = -30 // no peer, address or subnet, or none that is banned

	InvalidRequest Code = -32600
	UnknownMethod  Code = -32601
	InvalidParams  Code = -32602
	Internal       Code = -32603
	ParseError     Code = -32700
)

// Error is what a method answers instead of a result.
type Error struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
}

// Error is the message.
func (e *Error) Error() string { return e.Message }

// Is matches another *Error of the same code without a message.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code && t.Message == ""
}

// Err gives the bare error of a code, for errors.Is.
func (c Code) Err() error { return &Error{Code: c} }

// Errorf makes an error with a code.
func Errorf(c Code, format string, args ...any) *Error {
	return &Error{Code: c, Message: fmt.Sprintf(format, args...)}
}
