package main

import (
	"encoding/json"
	"strings"
	"testing"

	"cairn/chain"
	"cairn/rpc"
)

// gift is a payment of somebody else to the wallet's first address.
func gift(memo string) *chain.Tx {
	return &chain.Tx{
		Inputs:  []chain.Input{{Prev: chain.OutPoint{Tx: id("theirs")}, Value: 8 * chain.CRN, Owner: chain.Address(id("somebody"))}},
		Outputs: []chain.Output{{Value: 7 * chain.CRN, To: chain.Prefunded()[0]}}, Memo: []byte(memo),
	}
}

// tells lets the teller answer with this history of the wallet's first address.
func (f *teller) tells(t *testing.T, pages ...[]rpc.Account) {
	first := quotedJSON(t, chain.Dev().FormatAddress(chain.Prefunded()[0]))
	f.answers["getaddresshistory"] = func(params []json.RawMessage) any {
		if string(params[0]) != first || len(pages) == 0 {
			return []rpc.Account{}
		}
		for i := range pages[:len(pages)-1] {
			last := pages[i][len(pages[i])-1]
			if len(params) == 4 && string(params[2]) == quotedJSON(t, last.Height) && string(params[3]) == quotedJSON(t, last.Position) {
				return pages[i+1]
			}
		}
		if len(params) > 2 {
			return rpc.Errorf(rpc.InvalidParameter, "no page ends at %s", params[2])
		}
		return pages[0]
	}
}

func history(t *testing.T, f *teller, args ...string) []deed {
	t.Helper()
	s := f.run(t, append([]string{"wallet", "history", "--json"}, args...)...)
	s.wants(t, done)
	return decode[[]deed](t, s)
}

// A payment to us waits, and then somebody else's block holds another spend of its
// coin. The wallet saw it, and does not forget.
func TestHistoryRemembersWhatWasUndone(t *testing.T) {
	f, _ := rich(t)
	tx := gift("clear\x1b[2Jscreen")
	f.tells(t, []rpc.Account{{Tx: tx.ID(), Received: rpc.Amount(7 * chain.CRN), Time: 1000}})
	f.always("getrawtransaction", rpc.Tx{ID: tx.ID(), Hex: tx.Bytes(), Confirmations: ref(int64(0))})
	got := history(t, f)
	if len(got) != 1 || got[0].Kind != deedReceived || got[0].Fate != fateWaiting || got[0].Fee != nil {
		t.Fatalf("%+v", got)
	}
	f.run(t, "wallet", "history").wants(t, done, "+7.00000000 CRN", "waits for a block", `clear\x1b[2Jscreen`)

	f.always("getrawtransaction", rpc.Tx{ID: tx.ID(), Hex: tx.Bytes(), Confirmations: ref(int64(0)), Blocks: []chain.Hash{id("off")}})
	if got := history(t, f); got[0].Fate != fateReturned || got[0].Undone != 1 {
		t.Errorf("%+v", got)
	}

	f.tells(t)
	f.always("getconvergence", rpc.Agreement{Conflict: ref(id("their other payment"))})
	got = history(t, f)
	if len(got) != 1 || got[0].Fate != fateConflicted || *got[0].By != id("their other payment") || got[0].Confirmations != -1 {
		t.Errorf("%+v", got)
	}
	f.always("getrawtransaction", rpc.Errorf(rpc.NotFound, "No such mempool or blockchain transaction"))
	f.always("getconvergence", rpc.Errorf(rpc.NotFound, "no such thing"))
	f.run(t, "wallet", "history").wants(t, done, "lost:", "who paid can send it again")
}

// A miner's history is longer than a page.
func TestHistoryReadsEveryPage(t *testing.T) {
	f, _ := rich(t)
	var pages [2][]rpc.Account
	for i := range uint64(historyPage + 5) {
		height := 2000 - i
		page := &pages[i/historyPage]
		*page = append(*page, rpc.Account{
			Tx: chain.SumHash([]byte{byte(i), byte(i >> 8)}), Received: rpc.Amount(chain.CRN), Confirmations: int64(i + 1),
			Time: int64(height), Height: ref(height), Position: ref(uint32(0)), Block: ref(id("block")),
		})
	}
	f.tells(t, pages[0], pages[1])
	all := history(t, f, "--limit", "0")
	if len(all) != historyPage+5 || *all[0].Height != 2000 || all[len(all)-1].Confirmations != historyPage+5 {
		t.Errorf("%d deeds", len(all))
	}
	s := f.run(t, "wallet", "history", "--limit", "2")
	s.wants(t, done, "mined", "+1.00000000 CRN", "confirmed, 1 deep at height 2000")
	if n := strings.Count(s.out, "mined"); n != 2 {
		t.Errorf("%d lines:\n%s", n, s.out)
	}
}

func TestHistoryOfNothing(t *testing.T) {
	f, _ := rich(t)
	f.run(t, "wallet", "history").wants(t, done, "nothing was paid yet")
	if got := history(t, f); got == nil || len(got) != 0 {
		t.Errorf("%+v", got)
	}
}
