package main

import (
	"slices"
	"strings"
	"testing"

	"cairn/chain"
	"cairn/rpc"
	"cairn/wallet"
)

// Shells ask by __complete; each line is a word, with a description behind a tab.
func TestCompletion(t *testing.T) {
	f, w := rich(t)
	first, err := w.NextAddress(wallet.Receive)
	if err != nil {
		t.Fatal(err)
	}
	mine := chain.Dev().FormatAddress(first)
	f.always("getrawmempool", []chain.Hash{id("one"), id("two")})
	f.always("getpeerinfo", []rpc.Peer{{ID: "12D3KooWone", Address: "/ip4/127.0.0.1/tcp/1" + evil}})
	for typed, want := range map[string][]string{
		"status --network |":                  {"main", "test", "dev", "regtest"},
		"node --log-level |":                  {"debug", "info", "warn", "error"},
		"wait --nodes |":                      {"all", "quorum"},
		"wait |":                              {id("one").String(), id("two").String()},
		"bump |":                              {id("one").String(), id("two").String()},
		"peers drop |":                        {"12D3KooWone"},
		"rpc help |":                          {},
		"rpc getblockc|":                      {"getblockchaininfo", "getblockcount"},
		"wallet his|":                         {"history"},
		"send --fee-|":                        {"--fee-rate"},
		"mine |":                              {"bench", "generate", "start", "status", "stop"},
		"wait --rpc 127.0.0.1:1 |":            {},
		"mine generate --to |":                {mine},
		"node --mine-to |":                    {mine},
		"lab send --from |":                   {},
		"peers forget /ip4/127.0.0.1/tcp/1 |": {},
	} {
		words := strings.Fields(strings.TrimSuffix(typed, "|"))
		if strings.HasSuffix(typed, " |") {
			words = append(words, "")
		}
		s := f.run(t, append([]string{"__complete"}, words...)...)
		var got []string
		for line := range strings.Lines(s.out) {
			if word, _, _ := strings.Cut(strings.TrimSpace(line), "\t"); !strings.HasPrefix(word, ":") && strings.HasPrefix(word, words[len(words)-1]) { // shells filter
				got = append(got, word)
			}
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", typed, got, want)
		}
		s.printed(t)
	}
}
