// Package store says what is remembered: Badger, and an in-memory twin that
// passes the same tests.
//
// Both are one book over an ordered key-value disk: key encoding, indexes and
// the fusing of steps are the same code. A batch holds whole steps, one or many
// fused to their net effect, and is written all or nothing, so whatever a crash
// leaves ends on a valid chain. What can be derived from the blocks of a batch may
// be written behind it (a write-back cache, see behind.go), and is derived again
// where a crash came first.
//
// Every method may be called from any goroutine. Reads see one moment each, and
// wait neither for one another nor for the disk to take a write; writes stand in
// line. A Reader answers many questions from one moment.
package store
