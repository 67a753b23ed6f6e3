package main

import (
	"strings"
	"testing"

	"cairn/chain"
)

// Nodes of networks that are not for everybody stay among themselves unless they
// are told otherwise.
func TestWhereANodeLooksForPeers(t *testing.T) {
	for name, want := range map[string]struct{ lan, open bool }{
		"main": {true, true}, "test": {true, true}, "dev": {false, false}, "regtest": {false, false},
	} {
		p, err := chain.Network(name)
		if err != nil {
			t.Fatal(err)
		}
		cfg, err := nodeOptions{}.network(p, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		if open := strings.HasPrefix(cfg.Listen[0], "/ip4/0.0.0.0/"); cfg.LAN != want.lan || open != want.open {
			t.Errorf("%s: looks around: %v, listens at %q", name, cfg.LAN, cfg.Listen)
		}
		for said, lan := range map[string]bool{"lan": true, "none": false} {
			cfg, err := nodeOptions{discover: []string{said}}.network(p, t.TempDir())
			if err != nil || cfg.LAN != lan {
				t.Errorf("%s --discover %s: %v %v", name, said, cfg.LAN, err)
			}
		}
	}
	for said, words := range map[string]string{"moon": "choose lan", "none,lan": "nothing else"} {
		_, err := nodeOptions{discover: strings.Split(said, ",")}.network(chain.Dev(), t.TempDir())
		if err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("--discover %s: %v", said, err)
		}
	}
}
