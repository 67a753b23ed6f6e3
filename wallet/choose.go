package wallet

import (
	"fmt"

	"cairn/chain"
)

// maxTries bounds the search for a choice without change, in steps (Bitcoin
// Core's TOTAL_TRIES).
const maxTries = 100_000

// choose takes the choice that wastes less: one that needs no change, if branch
// and bound finds it, or the largest coins first.
func (r *Request) choose(coins []chain.Coin, due chain.Amount) ([]chain.Coin, error) {
	largest, err := r.largest(coins, due)
	if r.All {
		return largest, err
	}
	s := search{r: r, due: due, coins: r.useful(coins), tries: maxTries}
	exact, found := s.run()
	if found && (err != nil || s.waste <= r.waste(largest, due)) {
		return exact, nil
	}
	return largest, err
}

// useful are the coins that bring more than their own fee; they come first.
func (r *Request) useful(coins []chain.Coin) []chain.Coin {
	n := 0
	for n < len(coins) && coins[n].Value > r.fee(inputSize) {
		n++
	}
	return coins[:n]
}

// waste is what a choice costs beyond payment and inputs: making a change output
// and spending it later, or what a payment without change leaves to the miner
// (Erhardt 2016, section 3.4, with a fee rate that stays as it is).
func (r *Request) waste(coins []chain.Coin, due chain.Amount) chain.Amount {
	var have chain.Amount
	for _, c := range coins {
		have += c.Value
	}
	rest := have - due - r.fee(r.size(len(coins), len(r.To)))
	return min(rest, r.changeCost(len(coins)))
}

// changeCost is what change costs in a payment with so many inputs: its output
// now, and the input that spends it later.
func (r *Request) changeCost(inputs int) chain.Amount {
	with, without := r.fee(r.size(inputs, len(r.To)+1)), r.fee(r.size(inputs, len(r.To)))
	return with - without + r.fee(inputSize)
}

// largest takes the largest coins first until they pay what is due and the fee;
// for All it takes every coin that brings more than its own fee.
func (r *Request) largest(coins []chain.Coin, due chain.Amount) ([]chain.Coin, error) {
	var have chain.Amount
	coins = r.useful(coins)
	for n := range coins {
		sum, ok := have.Plus(coins[n].Value)
		if !ok || r.size(n+1, len(r.To)+1) > MaxSize {
			return nil, r.overfull(coins, n, due)
		}
		have = sum
		if !r.All && have >= due+r.fee(r.size(n+1, len(r.To))) {
			return coins[:n+1], nil
		}
	}
	fee := r.fee(r.size(max(len(coins), 1), len(r.To)))
	if r.All && have > fee {
		return coins, nil
	}
	return nil, &NotEnough{Have: have, Need: max(due, 1) + fee}
}

// overfull says that no more than the n largest coins fit into one transaction,
// unless all of them would not reach either.
func (r *Request) overfull(coins []chain.Coin, n int, due chain.Amount) error {
	var have, all chain.Amount
	for i, c := range coins {
		sum, ok := all.Plus(c.Value)
		if !ok {
			all = chain.MaxAmount
			break
		}
		if all = sum; i < n {
			have = sum
		}
	}
	if !r.All && all < due {
		return &NotEnough{Have: all, Need: due + r.fee(r.size(n, len(r.To)))}
	}
	most := have - min(have, r.fee(r.size(n, len(r.To))))
	return fmt.Errorf("the coins are too many for one transaction of %d bytes: the largest %d of them pay at most %v CRN; pay that, wait until it is confirmed, and pay the rest", MaxSize, n, most)
}

// search is branch and bound (Erhardt 2016, "An Evaluation of Coin Selection
// Strategies", section 4.2): the choices are the leaves of a tree, on whose way
// each coin, the largest first, is taken or left. It looks for the least that is
// left over, as far as that is less than change would cost.
type search struct {
	r     *Request
	due   chain.Amount
	coins []chain.Coin   // the largest first
	rest  []chain.Amount // of the coins from each index on
	tries int            // steps that are left

	taken []int // indexes, in order
	best  []int
	waste chain.Amount // of the best
	found bool
}

// run returns the best choice.
func (s *search) run() ([]chain.Coin, bool) {
	if !s.sums() {
		return nil, false
	}
	s.walk(0, 0)
	chosen := make([]chain.Coin, len(s.best))
	for i, at := range s.best {
		chosen[i] = s.coins[at]
	}
	return chosen, s.found
}

// sums fails on more coins than there can be.
func (s *search) sums() (ok bool) {
	s.rest = make([]chain.Amount, len(s.coins)+1)
	for i := len(s.coins) - 1; i >= 0; i-- {
		if s.rest[i], ok = s.rest[i+1].Plus(s.coins[i].Value); !ok {
			return false
		}
	}
	return true
}

// walk decides about the coins from an index on, with so much taken already.
func (s *search) walk(at int, have chain.Amount) {
	if s.tries--; s.tries < 0 || s.bounded(at, have) {
		return
	}
	s.taken = append(s.taken, at)
	s.walk(at+1, have+s.coins[at].Value)
	s.taken = s.taken[:len(s.taken)-1]
	next := at + 1
	for next < len(s.coins) && s.coins[next].Value == s.coins[at].Value {
		next++ // leaving one and taking its equal is the choice that was just tried
	}
	s.walk(next, have)
}

// bounded notes a choice that pays, and tells whether there is nothing better to
// find below. Every coin brings more than its fee: one more leaves more over.
func (s *search) bounded(at int, have chain.Amount) bool {
	n, left := len(s.taken), len(s.coins)-at
	if over, pays := s.over(n, have); pays {
		if over <= s.r.changeCost(n) && (!s.found || over < s.waste) {
			s.best, s.waste, s.found = append(s.best[:0], s.taken...), over, true
		}
		return true
	}
	_, reaches := s.over(n+left, have+s.rest[at])
	return !reaches || left == 0 || s.r.size(n+1, len(s.r.To)) > MaxSize
}

// over is what so many inputs leave over.
func (s *search) over(inputs int, have chain.Amount) (over chain.Amount, pays bool) {
	need := s.due + s.r.fee(s.r.size(inputs, len(s.r.To)))
	return have - min(have, need), inputs > 0 && have >= need
}
