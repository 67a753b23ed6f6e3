// Package miner works: it searches the nonces that make a template a block.
//
// A [Miner] asks its [Source] for a template and shows it to all threads
// through one pointer. Each thread gives the template an extra nonce of its own,
// and with it a merkle root and a nonce space that nobody else searches; when
// that space ends it takes the next extra nonce. A thread searches for about a
// millisecond, then looks at the pointer again, so a new template reaches all
// threads at once and no thread ever holds a lock. Each has an operating system's
// thread to itself, which stands back behind everything else on the machine, and
// brings a place of its own to Go's scheduler: whatever else the program does need
// not wait for a search to pause.
//
// One goroutine, the keeper, owns what the threads are shown. It fetches a
// template when [Miner.Renew] says that there is a better one, and otherwise
// often enough to keep the header's time fresh; it takes what the threads find
// and hands it to Config.Found, unless the chain has moved meanwhile. Once a
// block is handed over nobody searches for a sibling of it.
//
// The hash function itself is the business of package sha256d.
package miner
