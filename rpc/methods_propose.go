package rpc

import (
	"encoding/hex"
	"errors"
	"time"

	"cairn/chain"
	"cairn/node"
)

// The words for proposals that cannot be judged (BIP23), as Bitcoin Core has them.
const (
	notOnTip         = "inconclusive-not-best-prevblk"
	duplicateUnknown = "duplicate-inconclusive" // known, and not yet judged
	duplicateInvalid = "duplicate-invalid"
)

// propose tells whether a block lacks only its proof: null, or why not in a word
// (BIP23). Nothing changes, and nobody hears of it.
func (c *call) propose(data string) (any, error) {
	raw, err := hex.DecodeString(data)
	if err != nil || len(raw) == 0 {
		return nil, Errorf(Decoding, "Block decode failed: a proposal's data is a block in hex")
	}
	b, err := chain.DecodeBlock(raw)
	if err != nil {
		return nil, Errorf(Decoding, "Block decode failed: %v", err)
	}
	v, err := c.view()
	if err != nil {
		return nil, err
	}
	return inWords(judge(c.Params, v, b, time.Now()))
}

// inWords is a judgement as BIP22 says it.
func inWords(why error) (any, error) {
	switch {
	case why == nil:
		return nil, nil
	case chain.KindOf(why) != "":
		return string(chain.KindOf(why)), nil
	case errors.As(why, new(word)):
		return why.Error(), nil
	}
	return nil, why
}

// A word is a reason that is no broken rule.
type word string

func (w word) Error() string { return string(w) }

// judge holds a block against all rules but the proof of work.
func judge(p *chain.Params, v Snapshot, b *chain.Block, now time.Time) error {
	if err := unheard(v, b.ID()); err != nil {
		return err
	}
	tip, err := v.Tip()
	switch {
	case err != nil:
		return err
	case b.Header.Prev != tip.State.ID:
		return word(notOnTip)
	}
	lax := *p
	lax.Proof = func(chain.Header) bool { return true }
	txs, err := chain.CheckTxs(&lax, b.Txs)
	if err != nil {
		return err
	}
	checked, err := chain.CheckBlock(&lax, b.Header, b.Coinbase, txs)
	if err != nil {
		return err
	}
	coins, err := v.Coins(checked.Needs())
	if err != nil {
		return err
	}
	_, _, err = chain.Connect(&lax, tip.State, checked, coins)
	if err == nil && int64(b.Header.Time) > now.Unix()+p.Ahead {
		return word(tooNew)
	}
	return err
}

// unheard returns a word for a block that is no news.
func unheard(v Snapshot, id chain.Hash) error {
	e, err := v.Entry(id)
	switch {
	case errors.Is(err, node.ErrUnknown):
		return nil
	case err != nil:
		return err
	case e.Status == node.Condemned:
		return word(duplicateInvalid)
	case e.Status == node.Complete:
		return word(duplicate)
	}
	return word(duplicateUnknown)
}
