package node

// Bounds on what a node keeps for others. Each is named here and nowhere else.
const (
	window       = 2016     // heights of the tree that stay in memory
	margin       = 288      // blocks' worth of work that a branch may lie behind the tip
	maxLoose     = 128      // transactions whose coin is unknown
	maxEntries   = 1 << 18  // blocks in the tree that are held in memory
	maxAhead     = 1 << 15  // heights that headers of a heavier branch run ahead of its bodies
	maxInHand    = 64 << 20 // bytes of bodies that wait for an earlier one
	maxSide      = 1 << 30  // bytes of bodies off the best chain, stored since the start
	maxInFlight  = 256      // bodies asked for, however small they are
	severalTries = 3        // for the first body of a path before those behind it wait for it
	maxAPeer     = 256      // of them of one peer
	fewBodies    = 16       // in a request, however large they are
	maxClaims    = 256      // peers whose tip is remembered, and who did not bring a body
	maxReorgs    = 256      // reorganisations remembered
	maxFates     = 10_000   // transactions that those undid

	maxAside       = 256             // blocks without a parent, and as many whose time has not come
	maxAsideBytes  = 16 << 20        // bytes of either
	reach          = 8 * maxInFlight // blocks of a path that are kept
	listedPerMilli = 50              // transactions of the pool, for which a list of it serves a millisecond longer; to make one takes a fiftieth of that
	walkedPerMilli = 1000            // blocks in memory, for which the list of ends serves a millisecond longer
	maxWalk        = 1 << 14         // blocks off the best chain that a question makes us look at, besides its answer's; twice, for it has two ends
	maxSkips       = 1 << 16         // steps over many such blocks that are remembered
	maxPoolTxs     = 2 << 20         // bytes of an answer to WantPoolTxs, but for its last transaction
)
