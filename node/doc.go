// Package node says what to believe and what to answer: header tree, fork
// choice, orphans, pool, template.
//
// A Node is one player as a synchronous machine: method calls go in, an Outcome
// comes out, a small Store lies beneath. It starts no goroutine, reads no clock
// and logs nothing.
//
// The driver's contract, the same for real and imagined networks:
//
//   - Check before you call: transactions by chain.CheckTxs, announcements by
//     chain.CheckAnnouncement, bodies by chain.CheckRoot, chain.CheckTxs and
//     chain.CheckBlock in that order.
//   - Call from one goroutine, with a time that neither goes back nor stands still.
//     Only Template is asked with what the clock shows, whatever that is.
//   - On every connect ask for the peer's hello and hand it to Hello, and once more if
//     what is published reaches the peer only later; say Left when the connection has
//     ended. Publish OurTip when it moved and every ten seconds.
//   - On Accept pass the message on; also publish what Outcome.Announce and
//     Outcome.Relay name.
//   - Put into an Answer what it names in Way and Load.
//   - On Ask fetch, and feed the answer back. If nobody answers, or the answer
//     lacks something, say so with Failed.
//   - On Moved wake watchers and renew the miner's template.
//   - Call Tick about once a second.
//   - On a returned error stop this node: its disk or its logic is at fault,
//     and no peer.
package node
