package chain

import "testing"

func TestNetworksAreWhole(t *testing.T) {
	ids := map[Hash]string{}
	for _, name := range Networks() {
		p, err := Network(name)
		if err != nil {
			t.Fatal(err)
		}
		if other := ids[p.GenesisID()]; other != "" {
			t.Errorf("%s and %s share a genesis", name, other)
		}
		ids[p.GenesisID()] = name
		t.Logf("%s %v", name, p.GenesisID())
	}
}
