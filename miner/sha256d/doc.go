// Package sha256d finds which nonces bring a block header's double SHA-256
// down to a target.
//
// A [Job] is a header and a target with all work done that no nonce changes.
// [Job.Search] walks a range of nonces with the fastest [Kernel] of this
// machine and re-hashes whatever the kernel names before believing it.
//
// Kernels differ only in speed. Two are always there: "portable", plain Go
// that hashes just the part that differs between nonces and stops at the word
// that decides, and "stdlib", which drives crypto/sha256 and so its processor
// instructions. A faster one, in assembly for one processor, is a file of its
// own whose init appends to the list of known kernels; it is used only where
// Available says so, after it has passed the same self-test, and if it is
// measured to be fastest.
//
// Hashing follows FIPS 180-4. Header layout, digest order and the meaning of a
// target are Bitcoin's.
package sha256d

//go:generate go run gen.go
