package p2p

import (
	"slices"
	"strings"
	"testing"
)

func TestWantedPeersAreListedUpOrDown(t *testing.T) {
	b := begin(t, dev())
	bare, _, _ := strings.Cut(b.Addrs()[0], "/p2p/")
	const nobody = "/ip4/127.0.0.1/tcp/1"
	cfg := dev()
	cfg.Peers = []string{bare, nobody}
	a := begin(t, cfg)

	expect(t, a.joined, b.ID())
	eventually(t, "a knows who answered", func() bool {
		return slices.Equal(a.Wanted(), []Wanted{{Addr: nobody}, {Addr: bare, Peer: b.ID(), Connected: true}})
	})
	if list := b.Wanted(); len(list) != 0 {
		t.Errorf("b was asked for nobody and wants %v", list)
	}

	b.Close()
	eventually(t, "a misses b", func() bool {
		return !slices.ContainsFunc(a.Wanted(), func(w Wanted) bool { return w.Connected })
	})
	if err := a.Forget(nobody); err != nil {
		t.Fatal(err)
	}
	if list := a.Wanted(); len(list) != 1 || list[0].Addr != bare {
		t.Errorf("a wants %v, expected %s alone", list, bare)
	}
}

func TestRememberedPeersAreNotWanted(t *testing.T) {
	b := begin(t, dev())
	cfg := dev()
	cfg.Book = FileBook(t.TempDir() + "/peers")
	first := begin(t, cfg)
	link(t, first, b)
	first.Close()
	second := begin(t, cfg)
	expect(t, second.joined, b.ID())
	if list := second.Wanted(); len(list) != 0 {
		t.Errorf("from the book, and wanted: %v", list)
	}
}
