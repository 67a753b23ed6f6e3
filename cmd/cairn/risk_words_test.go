package main

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"cairn/converge"
	"cairn/rpc"
)

// Wherever a depth is shown, the risk that is left stands beside it, in words and
// for programs.
func TestRiskStandsBesideEveryDepth(t *testing.T) {
	f, _ := rich(t)
	tx := gift("")
	for depth, word := range map[int64]string{0: "–", 1: "20 %", 3: "1.7 %", 30: "6e-15"} {
		f.depthsInTurn(fmt.Sprintf("%d %d ?", depth, depth))
		told := rpc.Tx{ID: tx.ID(), Hex: tx.Bytes(), Confirmations: &depth}
		past := rpc.Account{Tx: tx.ID(), Received: 7}
		if depth > 0 {
			past.Height, past.Position, past.Confirmations = ref(uint64(41)), ref(uint32(1)), depth
		}
		f.always("getrawtransaction", told)
		f.tells(t, []rpc.Account{past})
		f.always("getblock", rpc.FullBlock{Header: rpc.Header{Hash: id("block"), Height: 41, Confirmations: depth}, Body: []*rpc.Tx{{ID: tx.ID()}}})
		name := tx.ID().String()
		for _, c := range []struct{ typed, says string }{
			{"tx " + name, fmt.Sprintf("this node  %-5d  %s", depth, word)},
			{"block " + name, "risk    " + word + " that an attacker with 10 % of the work"},
			{"wait " + name + " --nodes 1 --confirmations 0", fmt.Sprintf("at depth %d here the risk that an attacker with 10 %% of the work ever undoes it is %s", depth, word)},
			{"wallet history", "deep at height 41, risk " + word},
		} {
			s := f.run(t, strings.Fields(c.typed)...)
			if told := strings.Contains(s.out, c.says); s.code != done || told != (depth > 0 || strings.HasPrefix(c.typed, "tx")) {
				t.Errorf("cairn %s at depth %d: exit %d, says %q: %v\n%s%s", c.typed, depth, s.code, c.says, told, s.out, s.err)
			}
			sameRisk(t, f.run(t, append(strings.Fields(c.typed), "--json")...), depth)
		}
	}
}

// sameRisk fails the test unless a JSON answer has the risk of a depth; null if
// nothing is confirmed.
func sameRisk(t *testing.T, s said, depth int64) {
	t.Helper()
	text := strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(s.out), "["), "]")
	got := decode[map[string]any](t, said{out: text})
	risk, is := got["risk"].(float64)
	if want := converge.Reversal(usualShare, int(depth)); is != (depth > 0) || is && math.Abs(risk-want) > 1e-12 {
		t.Errorf("risk at depth %d: %v", depth, got["risk"])
	}
	if _, told := got["risk"]; !told {
		t.Errorf("no risk in %s", text)
	}
}
