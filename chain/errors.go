package chain

import (
	"errors"
	"fmt"
)

// Kind names a broken rule, in Bitcoin's words (BIP22, Bitcoin Core) where one
// exists.
type Kind string

// The kinds of broken rule. Those up to Mismatch are false on every chain.
const (
	Malformed     Kind = "malformed"                      // not a canonical encoding
	BadVersion    Kind = "bad-version"                    // header version, BIP320's bits cleared, is not 1
	HighHash      Kind = "high-hash"                      // the id is above the target
	BadBits       Kind = "bad-diffbits"                   // bits are no target, too easy, or not what the rule says
	TooOld        Kind = "time-too-old"                   // earlier than the parent
	BadRoot       Kind = "bad-txnmrklroot"                // transactions do not hash to the header's root
	Mutated       Kind = "bad-txns-duplicate"             // a merkle tree that has a twin (CVE-2012-2459, CVE-2017-12842)
	BadLength     Kind = "bad-blk-length"                 // the block is too large
	BadCoinbase   Kind = "bad-cb-length"                  // the coinbase is too short or too long
	BadHeight     Kind = "bad-cb-height"                  // the coinbase names another height
	BadReward     Kind = "bad-cb-amount"                  // the coinbase pays more than subsidy and fees
	LooseCoinbase Kind = "coinbase"                       // a coinbase among loose transactions
	NoInputs      Kind = "bad-txns-vin-empty"             //
	NoOutputs     Kind = "bad-txns-vout-empty"            //
	ZeroOutput    Kind = "bad-txns-vout-zero"             //
	TooLarge      Kind = "bad-txns-vout-toolarge"         // an amount, or their sum, above MaxAmount
	BelowOut      Kind = "bad-txns-in-belowout"           // pays out more than it takes in
	RepeatedInput Kind = "bad-txns-inputs-duplicate"      // one coin spent twice by one transaction
	BadSignature  Kind = "bad-txns-signature"             // BIP340 verification failed
	Mismatch      Kind = "bad-txns-input-mismatch"        // key or value differs from the coin's
	BadParent     Kind = "bad-prevblk"                    // builds on a condemned block
	MissingCoin   Kind = "bad-txns-inputs-missingorspent" // not in this chain, or spent in it
	ImmatureCoin  Kind = "bad-txns-premature-spend-of-coinbase"
)

// local holds the kinds that depend on the branch they are asked about: peers
// differ about them honestly after a partition.
var local = map[Kind]bool{MissingCoin: true, ImmatureCoin: true}

// everywhere holds the kinds that are false on every chain.
var everywhere = func() map[Kind]bool {
	m := map[Kind]bool{}
	for _, k := range Kinds() {
		m[k] = !local[k]
	}
	return m
}()

// Kinds lists every kind of this package.
func Kinds() []Kind {
	return []Kind{
		Malformed, BadVersion, HighHash, BadBits, TooOld, BadRoot, Mutated, BadLength,
		BadCoinbase, BadHeight, BadReward, LooseCoinbase, NoInputs, NoOutputs, ZeroOutput,
		TooLarge, BelowOut, RepeatedInput, BadSignature, Mismatch, BadParent, MissingCoin,
		ImmatureCoin,
	}
}

// Everywhere tells whether a transaction or block that breaks this rule breaks
// it on every chain, so that only a faulty or malicious peer passes it on.
// Kinds of other packages (a full pool, a low fee) are local.
func (k Kind) Everywhere() bool { return everywhere[k] }

// Condemns tells whether a body that breaks this rule condemns the block id for
// good. Parsing failures, a second coinbase among them, and root mismatches never
// do: the same id may have another body that is right. Nor does a transaction
// without inputs: it may be 64 bytes long, two nodes of the right body's merkle
// tree (CVE-2017-12842). What is no kind of this package never does.
func (k Kind) Condemns() bool {
	switch k {
	case Malformed, LooseCoinbase, BadRoot, Mutated, NoInputs:
		return false
	}
	_, known := everywhere[k]
	return known
}

// RuleError tells which rule was broken and by how much.
type RuleError struct {
	Kind   Kind
	Detail string // "pays 51, allowed 50"
}

// Error is the kind and the detail.
func (e *RuleError) Error() string {
	if e.Detail == "" {
		return string(e.Kind)
	}
	return string(e.Kind) + ": " + e.Detail
}

// Is matches another *RuleError of the same kind.
func (e *RuleError) Is(target error) bool {
	t, ok := target.(*RuleError)
	return ok && t.Kind == e.Kind && t.Detail == ""
}

// Err gives the bare error of a kind, for errors.Is.
func (k Kind) Err() error { return &RuleError{Kind: k} }

// KindOf returns the kind of the broken rule in err, or "" if err is no broken
// rule.
func KindOf(err error) Kind {
	var rule *RuleError
	if errors.As(err, &rule) {
		return rule.Kind
	}
	return ""
}

func broken(k Kind, format string, args ...any) *RuleError {
	return &RuleError{Kind: k, Detail: fmt.Sprintf(format, args...)}
}
