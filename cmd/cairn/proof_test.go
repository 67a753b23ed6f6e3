//go:build unix

package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cairn/cmd/cairn/cairntest"
)

// A payment is proven to somebody who has headers and nothing else.
func TestProofForALightClient(t *testing.T) {
	u := newUser(t)
	dir := filepath.Join(u.home, "one")
	p := u.node(dir, cairntest.FreePort(t))
	at := func(args ...string) []string { return append(args, "--data-dir", dir, "--network", "regtest") }
	u.run(at("mine", "generate", "3")...)
	block := ask[struct{ Tx []string }](u, at("rpc", "getblock", ask[string](u, at("rpc", "getblockhash", "2")...))...)
	tx := block.Tx[0]
	headers, proof := filepath.Join(u.home, "chain.headers"), filepath.Join(u.home, "paid.proof")
	if err := os.WriteFile(proof, []byte(u.run(at("proof", tx, "--headers", headers)...)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := u.run(at("verify-proof", proof, "--txid", tx)...); !strings.Contains(out, tx) || !strings.Contains(out, "2 blocks deep") {
		t.Errorf("with the node's headers: %s", out)
	}
	if r := u.try(at("proof", strings.Repeat("0", 64))...); r.code != 2 || !strings.Contains(r.err, "not yet in block") {
		t.Errorf("a proof of nothing: exit %d, %s", r.code, r.err)
	}
	if err := p.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-p.ended

	offline := func(more ...string) result {
		return u.try(append([]string{"verify-proof", "--network", "regtest", "--headers", headers}, more...)...)
	}
	if r := offline(proof); r.code != 0 || !strings.Contains(r.out, "height 2") || !strings.Contains(r.out, "10 %") {
		t.Errorf("with headers alone: exit %d, %s%s", r.code, r.out, r.err)
	}
	raw := strings.TrimSpace(readFile(t, proof))
	bent := raw[:len(raw)-4] + "00" + raw[len(raw)-2:]
	for what, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"another transaction": {[]string{proof, "--txid", block.Tx[0][:63] + "0"}, 1, "does not prove"},
		"a bent proof":        {[]string{bent}, 1, "proof"},
		"no proof":            {[]string{"paid.prof"}, 1, "neither a file nor a proof"},
		"another network":     {[]string{proof, "--network", "dev"}, 1, "not the genesis"},
	} {
		if r := offline(c.args...); r.code != c.code || !strings.Contains(r.err, c.says) {
			t.Errorf("%s: exit %d, %s%s", what, r.code, r.out, r.err)
		}
	}
	chainOf := readFile(t, headers)
	for what, c := range map[string]struct {
		headers string
		code    int
		says    string
	}{
		"too few headers":  {chainOf[:2*80], 2, "not among the 2 headers"},
		"half a header":    {chainOf[:100], 1, "are no headers"},
		"a missing header": {chainOf[:80] + chainOf[160:], 1, "header 1"},
		"none":             {"", 1, "are no headers"},
	} {
		if err := os.WriteFile(headers, []byte(c.headers), 0o600); err != nil {
			t.Fatal(err)
		}
		if r := offline(proof); r.code != c.code || !strings.Contains(r.err, c.says) {
			t.Errorf("%s: exit %d, %s%s", what, r.code, r.out, r.err)
		}
	}
}
