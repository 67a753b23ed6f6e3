// Package p2p is what is said: gossip topics and request streams over libp2p.
//
// Transactions, briefs of blocks and tip claims travel by gossipsub on three
// topics, questions and answers on streams of their own. Every message is a type
// of chain or node: this package encodes, frames, signs and moves it, and asks
// its Handler what to make of it. All names carry the first digits of the
// genesis id, so that two networks never understand each other.
//
// A Network keeps its own connections alive: libp2p never dials again after a
// link was cut. Whom it reached it remembers, of others it hears on the local
// network and from its peers, and of all these it chooses some. Who breaks the
// rules too often is banned for a time.
package p2p
