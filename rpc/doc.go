// Package rpc says what outsiders may ask: JSON-RPC server and client.
//
// A Server answers JSON-RPC 1.0, 1.1 and 2.0 over HTTP with Bitcoin Core's
// method names, argument order, field names and error codes wherever the meaning
// is the same, so that clients written for it work unchanged. It holds no state
// of the chain: whoever runs a node hands in a Backend, and every method that
// reads more than one thing reads one Snapshot.
//
// One table (table.go) holds each method's name, parameters, result type and
// handler; dispatch, help texts and the words of a command line are read from
// it.
package rpc
