package p2p

import (
	"time"

	"golang.org/x/time/rate"
)

// Bounds on what we hold for others, and on what they make us do. Each is named
// here and nowhere else; those on the chain's side stand in package node.
const (
	maxOutbound     = 8    // peers that we choose ourselves, from the book
	maxRemembered   = 1000 // addresses in the book
	maxHearsay      = 500  // of them those at which we never reached anybody
	maxHearsayNear  = 64   // of those in one address range
	maxHearsayTold  = 64   // of those told by peers in one address range
	maxAddrsEach    = 8    // addresses of one peer that we listen to at a time
	hearsayRate     = 10   // such addresses a second that we look at, from one address range
	hearsayBurst    = 1000
	maxHearsayFails = 3 // tries in vain, after which such an address is dropped

	maxFaulty   = 1024 // peers whose faults are remembered
	maxFaults   = 5    // of one peer: with so many it is banned
	maxBans     = 1024 // peers and address ranges that are kept out
	maxBannedAt = 3    // peers at one address, or in one host's range of them, after which it is banned
	bansWritten = 1    // times a second that the list is written when many are spoken
	bansAtOnce  = 5    // and so often at first
)

// Places, and who gives up his for another. Whoever has peers in as many address
// ranges as there are places can fill them all and leave newcomers what evenRate
// gives: against him stand the places of those that we chose ourselves.
const (
	maxConnsEach = 3                    // connections of one peer
	spareShare   = 16                   // of so many who dialled us one is spared for each virtue
	usefulFor    = time.Hour            // somebody is who brought a block or a transaction first
	maxAreas     = 256                  // address ranges whose newcomers are counted
	evictBurst   = 4                    // places that newcomers of one range take from others at once
	evictRate    = rate.Limit(1.0 / 30) // and so many a second
	evenRate     = rate.Limit(1.0 / 60) // a second; those that all newcomers take without our peers lying further apart then
)

// Streams, and the bytes that travel on them.
const (
	maxServed     = 128       // requests served at a time
	maxServedEach = 16        // of one peer
	sureServed    = 2         // of one peer that others cannot take: however many are slow, each is greeted
	maxAsksEach   = 12        // questions of ours to one peer: fewer than we serve, for an answer reaches its asker before the stream that brought it has ended
	maxFlight     = 128 << 20 // bytes of answers that are being sent, and as many that are being received
	maxFlightArea = 48 << 20  // of them for all who dialled us from one range of addresses
	maxSureArea   = 8         // blocks that those may hold beside that, one each
	maxFlightIn   = 96 << 20  // and for all who dialled us: who we chose always finds room
	smallAnswer   = 256 << 10 // bytes; as many requests as we serve may be answered at so many each, beside all that
	maxFlightEach = 24 << 20  // of them for one peer: four of the largest, as many as an honest node asks for at a time
	maxRequest    = 256 << 10 // bytes
	maxHello      = 1 << 10   // bytes
	maxPoolTxs    = 2 << 20   // bytes, and one block's worth for the last one

	workRate   = 20_000 // units of cost a second that one peer may ask of us, each about ten microseconds
	workBurst  = 40_000
	crowdRate  = 100_000 // of all together who dialled us
	crowdBurst = 200_000
	shareBurst = 3_000 // of it each of them has at once what no other can take, and its part of the rate: as much as the dearest request

	bytesPerWork = 16 << 10 // of an answer, for one unit
	bytesPerPart = 4 << 10  // of a body that was taken apart for it
	knockRate    = 10       // requests a second that may find every place of a peer taken
	knockBurst   = 100
)

// Signatures, whatever brought them.
const (
	vainRate  = 100 // of one peer that are verified in vain, a second
	vainBurst = 2000
	maxMeters = 4096 // peers whose doings are measured
)

// Gossip.
const (
	maxGossip    = 512 << 10 // bytes of one message
	queue        = 512       // messages to each peer, and that wait to be judged; libp2p's 32 drop without a word
	txsAtOnce    = 512       // handler calls of one topic at a time
	blocksAtOnce = 64
	tipsAtOnce   = 256
	maxBacklog   = queue / 4             // of them that wait for a peer when we publish transactions of our own: the rest is for what we pass on
	backlogWait  = time.Second           // that a slow peer delays those
	backlogRest  = time.Minute           // in which it then delays none
	backlogMost  = 5 * time.Second       // that all together do in that time
	backlogEach  = 20 * time.Millisecond // and beside it for each that we publish
	maxClaimers  = 256                   // peers whose claims are heard
	claimerGone  = time.Minute           // of silence, and a claimer's place is free
)
