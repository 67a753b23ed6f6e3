// Package mempool says what is waiting: transactions that no block holds yet,
// their fee order, their conflicts, and which have to leave when room runs out.
//
// A Pool is not safe for concurrent use and reads no clock. The caller has run
// chain.Admit against the coins of the chain and of the pool (Pool.Coin) before
// it calls Add.
//
// When the best chain grows, call Confirm with each new block. When it is
// reorganised, call Undo with each block that left, newest first, then Confirm
// with each that came, oldest first, then Settle once: it takes back what came
// loose and can still be confirmed. What leaves the pool is not forgotten at
// once: Fate tells why it left, and Since is a journal of everything that came
// and went.
package mempool
