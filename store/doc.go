// Package store says what is remembered: Badger, and an in-memory twin that
// passes the same tests.
//
// Both are one book over an ordered key-value disk: key encoding, indexes and
// the fusing of steps are the same code. A batch holds whole steps, one or many
// fused to their net effect, and is written all or nothing, so whatever a crash
// leaves ends on a valid chain.
//
// Every method may be called from any goroutine. Reads see one snapshot each
// and never wait for one another; writes stand in line. A Reader answers many
// questions from one snapshot.
package store
