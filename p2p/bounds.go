package p2p

// Bounds on what we hold for others, and on what they make us do. Each is named
// here and nowhere else; those on the chain's side stand in package node.
const (
	maxOutbound     = 8    // peers that we choose ourselves, from the book
	maxRemembered   = 1000 // addresses in the book
	maxHearsay      = 500  // of them those at which we never reached anybody
	maxHearsayNear  = 64   // of those in one address range
	maxAddrsEach    = 8    // addresses of one peer that we listen to at a time
	hearsayRate     = 10   // such addresses a second that we look at
	maxHearsayFails = 3    // tries in vain, after which such an address is dropped

	maxFaulty   = 1024 // peers whose faults are remembered
	maxFaults   = 5    // of one peer: with so many it is banned
	maxBans     = 1024 // peers and address ranges that are kept out
	maxBannedAt = 3    // peers at one address, after which the address is banned
)
