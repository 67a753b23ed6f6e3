// Package daemon is one real node: the single goroutine that owns a node.Node,
// and the wires to everything that talks to it.
//
// Calls go down into the loop, outcomes come back up; only two signals go
// sideways: publish, and wake. The loop never publishes and never waits for a
// peer: whoever brought a message carries out what came of it.
package daemon
