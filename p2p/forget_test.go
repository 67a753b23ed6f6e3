package p2p

import (
	"errors"
	"testing"
)

func TestForgottenPeerStaysButIsNotDialledAgain(t *testing.T) {
	b := begin(t, dev())
	a := begin(t, to(eager(), b))
	acquainted(t, a, b)
	if err := a.Forget(b.Addrs()[0]); err != nil {
		t.Fatal(err)
	}
	if len(a.Peers()) != 1 {
		t.Error("the open connection is gone")
	}
	if err := a.Forget(b.Addrs()[0]); !errors.Is(err, ErrGone) {
		t.Errorf("forgetting what is not dialled: %v", err)
	}
	mustFail(t, a.Forget("nonsense"), "nonsense")
	a.SetActive(false)
	expect(t, a.left, b.ID())
	a.SetActive(true)
	link(t, b, a) // b dials: a came back without doing so itself
	if in := a.Peers(); len(in) != 1 || !in[0].Inbound {
		t.Errorf("a dialled again: %+v", in)
	}
}
