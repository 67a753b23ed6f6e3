// Package chain says what is true: transactions, blocks, their encodings, and
// the rules that connect one block to the next.
//
// It is arithmetic. A parent State, a block and the coins that the block needs
// give the next State and a Diff, or the rule that was broken. There is no I/O,
// goroutine, clock, randomness or float in it; whoever calls hands in what
// varies.
//
// Check* functions need no context and may run on any goroutine; they make the
// Checked* values. Connect* functions need the parent and the coins and are
// cheap, because they take only what was checked before.
package chain
