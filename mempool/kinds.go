package mempool

import (
	"fmt"

	"cairn/chain"
)

// The kinds of refusal, in Bitcoin Core's words. All are local: peers with
// other pools or other limits differ about them honestly.
const (
	Known           chain.Kind = "txn-already-in-mempool"
	TooBig          chain.Kind = "tx-size"                         // larger than Config.MaxTxSize
	LowFee          chain.Kind = "min relay fee not met"           // pays less than Config.MinFeeRate
	LowPoolFee      chain.Kind = "mempool min fee not met"         // pays less than Pool.MinRate: the pool was full lately
	Conflict        chain.Kind = "txn-mempool-conflict"            // spends a waiting transaction's coin and offers no more than that
	LowReplacement  chain.Kind = "insufficient fee"                // offers more, but too little to replace
	TooManyReplaced chain.Kind = "too many potential replacements" // more than MaxReplaced would leave
	SpendsConflict  chain.Kind = "bad-txns-spends-conflicting-tx"  // needs an output of what it would replace
	LongChain       chain.Kind = "too-long-mempool-chain"          // too many waiting ancestors, or too large ones, or one of them too many descendants
	Full            chain.Kind = "mempool full"                    // no room, and everything in the pool pays better
)

// Kinds lists every kind of this package.
func Kinds() []chain.Kind {
	return []chain.Kind{
		Known, TooBig, LowFee, LowPoolFee, Conflict, LowReplacement, TooManyReplaced, SpendsConflict, LongChain, Full,
	}
}

func refused(k chain.Kind, format string, args ...any) error {
	return &chain.RuleError{Kind: k, Detail: fmt.Sprintf(format, args...)}
}
