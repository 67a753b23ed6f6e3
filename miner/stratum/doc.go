// Package stratum lets other people's miners work on our blocks: a server of
// Stratum v1, JSON-RPC by lines over TCP.
//
// A [Server] takes one template for each tip from its [Chain], and another every
// half minute, and tells every miner of it in Stratum's form. A miner gives its
// login name: an address to be paid, or any other word to work for this node. A
// share that is a block enters by the door that [Chain] offers.
//
// What is sent, and when, follows what miners do with it (pooler's cpuminer,
// cpuminer-opt): set_difficulty goes out before the notify that it counts from,
// a difficulty stays bound to its job, a job id belongs to the session that got
// it, and a stale share is refused in the words "Job not found".
package stratum
