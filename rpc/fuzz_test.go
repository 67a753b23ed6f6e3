package rpc

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"testing"

	"cairn/chain"
)

// Whatever bytes come, the answer is JSON or nothing, and no handler panics.
func FuzzAnswer(f *testing.F) {
	w := newWorld(f)
	s := serve(f, w)
	id := w.names["a3"].ID().String()
	for _, m := range methods {
		f.Add([]byte(`{"jsonrpc":"2.0","id":1,"method":"` + m.name + `","params":["` + id + `",1,"x"]}`))
		f.Add([]byte(`{"method":"` + m.name + `","params":{"args":[null],"verbose":true}}`))
	}
	f.Add([]byte(`[{"method":"uptime"},[],{"id":{"a":[]}},null]`))
	f.Add([]byte(`{"method":"getblock","params":"\ud800"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if bytes.Contains(body, []byte("generate")) {
			t.Skip("mines")
		}
		status, answer := s.answer(context.Background(), body)
		if (status == 204) != (len(answer) == 0) || len(answer) > 0 && !json.Valid(answer) {
			t.Fatalf("status %d, answer %q", status, answer)
		}
		if bytes.Contains(answer, []byte(`"code":-32603`)) {
			t.Fatalf("an internal error: %s", answer)
		}
	})
}

// An amount that can be read is written so that it reads the same, and as what
// chain reads where no exponent is in it.
func FuzzAmount(f *testing.F) {
	for _, s := range []string{"0", "1.5", "1e-8", "92233720368.54775807", "-3", "1E+2", "0.123456789"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := parseAmount(s)
		if plain, plainErr := chain.ParseAmount(s); plainErr == nil && (err != nil || plain != n) {
			t.Fatalf("%q reads as %v, %v; plainly as %v", s, n, err, plain)
		}
		if err != nil {
			return
		}
		raw, err := json.Marshal(Amount(n))
		var back Amount
		if err != nil || json.Unmarshal(raw, &back) != nil || chain.Amount(back) != n {
			t.Fatalf("%q reads as %v, is written as %s and reads as %v", s, n, raw, back)
		}
	})
}

// shallow agrees with a decoder that counts.
func FuzzShallow(f *testing.F) {
	f.Add([]byte(`{"a":[{"b":"]\"["}]}`))
	f.Add([]byte(`[[[]]]`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if !json.Valid(raw) {
			return
		}
		depth, deepest := 0, 0
		for d := json.NewDecoder(bytes.NewReader(raw)); ; {
			token, err := d.Token()
			if err != nil {
				break
			}
			if delim, ok := token.(json.Delim); ok {
				depth += map[bool]int{true: 1, false: -1}[slices.Contains([]json.Delim{'[', '{'}, delim)]
				deepest = max(deepest, depth)
			}
		}
		if !shallow(raw, deepest) || deepest > 0 && shallow(raw, deepest-1) {
			t.Fatalf("%q nests %d deep", raw, deepest)
		}
	})
}
