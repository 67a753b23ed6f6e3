package main

import (
	"strings"
	"testing"

	"cairn/chain"
)

// Nodes of networks that are not for everybody stay among themselves unless they
// are told otherwise.
func TestWhereANodeLooksForPeers(t *testing.T) {
	for name, want := range map[string]struct{ public, nat bool }{
		"main": {true, true}, "test": {true, false}, "dev": {}, "regtest": {},
	} {
		p, err := chain.Network(name)
		if err != nil {
			t.Fatal(err)
		}
		cfg, err := nodeOptions{nat: "auto"}.network(p, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		if open := strings.HasPrefix(cfg.Listen[0], "/ip4/0.0.0.0/"); cfg.LAN != want.public || open != want.public || cfg.DHT != want.public || cfg.NAT != want.nat {
			t.Errorf("%s: %+v", name, cfg)
		}
		for said, want := range map[string][2]bool{"lan": {true, false}, "dht": {false, true}, "dht,lan": {true, true}, "none": {}} {
			cfg, err := nodeOptions{nat: "off", discover: strings.Split(said, ",")}.network(p, t.TempDir())
			if got := [2]bool{cfg.LAN, cfg.DHT}; err != nil || got != want || cfg.NAT {
				t.Errorf("%s --discover %s: %v %v", name, said, got, err)
			}
		}
	}
	for said, words := range map[string]string{"moon": "choose lan", "none,lan": "nothing else"} {
		_, err := nodeOptions{nat: "auto", discover: strings.Split(said, ",")}.network(chain.Dev(), t.TempDir())
		if err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("--discover %s: %v", said, err)
		}
	}
	if _, err := (nodeOptions{nat: "perhaps"}).network(chain.Dev(), t.TempDir()); err == nil || !strings.Contains(err.Error(), "choose auto") {
		t.Errorf("--nat perhaps: %v", err)
	}
}
