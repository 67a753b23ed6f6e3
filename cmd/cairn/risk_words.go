package main

import (
	"encoding/json"
	"fmt"

	"cairn/converge"
)

// usualShare of all work is the attacker's whom every risk beside a depth means,
// where nobody names another.
const usualShare = 0.1

// riskOf is the risk that is left at a depth; nil if nothing has confirmed it.
func riskOf(d converge.Depth) *float64 {
	if !d.Reaches(1) {
		return nil
	}
	p := converge.Reversal(usualShare, int(d.N))
	return &p
}

// riskAt is riskOf for a depth as RPC has it, null being unknown.
func riskAt(d *int64) *float64 { return riskOf(depthOf(d)) }

func depthOf(d *int64) converge.Depth {
	if d == nil {
		return converge.Depth{}
	}
	return converge.Depth{N: *d, Known: true}
}

// riskWord is the risk at a depth in a few columns.
func riskWord(d converge.Depth, share float64) string {
	if !d.Known || d.N < 1 {
		return "–"
	}
	p := converge.Reversal(share, int(d.N))
	switch {
	case p > 0.995:
		return "100 %"
	case p >= 1e-5:
		return fmt.Sprintf("%.2g %%", 100*p)
	}
	return fmt.Sprintf("%.0e", p)
}

// riskNote explains the word, once below whatever shows it.
var riskNote = fmt.Sprintf("risk: that an attacker with %s of the work ever undoes it; `cairn risk` tells more", chance(usualShare))

// withRisk adds the risk at a depth to a node's answer, which is an object.
func withRisk(raw json.RawMessage, d *int64) (json.RawMessage, error) {
	risk, err := json.Marshal(riskAt(d))
	if err != nil || len(raw) < 3 || raw[len(raw)-1] != '}' {
		return raw, err
	}
	return fmt.Appendf(nil, `%s,"risk":%s}`, raw[:len(raw)-1], risk), nil
}
