package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestPartsOfTheLog(t *testing.T) {
	var out bytes.Buffer
	l, err := newLogs("info", "text", &out)
	if err != nil {
		t.Fatal(err)
	}
	net := l.of(logP2P).With("peer", "x").WithGroup("of")
	net.Debug("unheard")
	if err := l.SetLogged(logP2P, true); err != nil {
		t.Fatal(err)
	}
	net.Debug("heard", "what", 1)
	l.of(logNode).Debug("unheard as well")
	if err := l.SetLogged(logP2P, false); err != nil {
		t.Fatal(err)
	}
	net.Debug("unheard again")
	net.Info("said")
	if got := out.String(); strings.Contains(got, "unheard") || !strings.Contains(got, "msg=heard peer=x of.what=1") || !strings.Contains(got, "said") {
		t.Errorf("the log says %q", got)
	}
	if on := l.Logged(); on[logP2P] || len(on) != 4 {
		t.Errorf("logged: %v", on)
	}
	if err := l.SetLogged("gossip", true); err == nil {
		t.Error("a part that is none was set")
	}
	for _, bad := range [][2]string{{"loud", "text"}, {"info", "xml"}} {
		if _, err := newLogs(bad[0], bad[1], &out); err == nil {
			t.Errorf("%v was taken", bad)
		}
	}
}
