// Package converge says what is agreed: a transaction's depth on every peer, and
// how safe that depth is.
//
// Depth is the one definition of confirmations, in every screen and method. We
// know our own header tree and the tip that each peer claims to follow, so the
// depth on a peer is computed here, and nobody is asked.
package converge
