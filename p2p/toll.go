package p2p

import (
	"math/rand/v2"
	"strings"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// libp2p bounds how many streams a peer has open at a time, not how fast it opens
// them and talks on them: pings, questions for its name or for addresses, streams of no
// known protocol and gossip that says nothing would cost their sender bandwidth alone. So
// what is read pays by the piece, from the meter that requests are paid from. Who has
// nothing left is read more slowly.

// What reading one piece costs, in the units of workRate.
const (
	costRead     = 2       // on a stream of libp2p's own, or that has no protocol yet
	costLookup   = 10      // of a message to the table of peers; few pieces make one
	costVain     = 5       // of a message that is not passed on: its name is kept for seenFor
	talkPerCost  = 4       // pieces of gossip for one unit: a message is three or so, and many are honest
	bytesPerRead = 4 << 10 // that cost as much as one more piece
	gossipFamily = "/meshsub/"
)

// price is what it costs to read a piece of so many bytes. Our own requests have prices
// of their own.
func (n *Network) price(of protocol.ID, bytes int) int {
	pieces := 1 + bytes/bytesPerRead
	switch {
	case of == n.protocol:
		return 0
	case of == dhtProtocol(n.cfg.Genesis):
		return costLookup * pieces
	case strings.HasPrefix(string(of), gossipFamily):
		return (pieces + rand.IntN(talkPerCost)) / talkPerCost
	}
	return costRead * pieces
}

// heardInVain charges for a message that was of no use, however small the pieces are in
// which many come. It never waits: the next piece does.
func (n *Network) heardInVain(from peer.ID) {
	if from != n.host.ID() {
		n.owe(from, costVain)
	}
}

// charge returns when a peer may have what was just read handled.
func (n *Network) charge(of protocol.ID, from peer.ID, bytes int) {
	if cost := n.price(of, bytes); cost > 0 {
		_ = n.ration(n.ctx, from, cost) // or we are closing
	}
}
