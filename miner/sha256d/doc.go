// Package sha256d finds which nonces bring a block header's double SHA-256
// down to a target.
//
// A [Job] is a header and a target with all work done that no nonce changes.
// [Job.Search] walks a range of nonces with the fastest [Kernel] of this
// machine and re-hashes whatever the kernel names before believing it. A
// [Family] is several headers that end alike: to search them together takes
// less work a hash.
//
// Kernels differ only in speed. Two are always there: "portable", plain Go
// that hashes just the part that differs between nonces and stops at the word
// that decides, and "stdlib", which drives crypto/sha256 and so its processor
// instructions. The others are assembly for one processor each: 16 or 8 nonces
// in the lanes of a vector, two side by side on the SHA extensions, or both
// units at once. A kernel is used only where Available says so, after it has
// passed the same self-test, and if it is measured to be fastest, on one header or
// on a family. Builds with
// the tag purego do without assembly.
//
// Assembly is written by the program in folder gen and never by hand. It fills
// one mask of hits for every 16 nonces; ranges that end within 16, go round the
// end of the nonce space or last long are cut up in Go.
//
// Hashing follows FIPS 180-4. Header layout, digest order and the meaning of a
// target are Bitcoin's.
package sha256d
