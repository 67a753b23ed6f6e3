// Package conformance tries other people's clients on our node: btcd's rpcclient
// and btcctl, and npm's bitcoin-core, each unchanged, over every method that it
// and the node know.
//
// It is a module of its own, so that nothing of theirs reaches ours.
package conformance
