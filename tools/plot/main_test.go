package main

import (
	"bytes"
	"image/png"
	"strings"
	"testing"
)

const head = "second,node,life,memory,disk,heap,goroutines,files,longest,locks,height,pool\n"

func TestSamplesBecomeAPicture(t *testing.T) {
	tab, err := read(strings.NewReader(head + "0,1,0,1048576,0,0,10,5,0.02,0,1,0\n60,1,0,2097152,0,0,12,5,0.02,0,2,0\n60,2,0,1048576,0,0,9,5,0.02,0,2,0\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got := tab.points(panels[0], 1); len(got) != 2 || got[1].X != 1 || got[1].Y != 2 {
		t.Errorf("memory of node 1 is %v, want two points that end at minute 1 with 2 MiB", got)
	}
	var out bytes.Buffer
	if err := render(tab, &out); err != nil {
		t.Fatal(err)
	}
	if _, err := png.Decode(&out); err != nil {
		t.Error(err)
	}
}

func TestBadTablesAreRefused(t *testing.T) {
	for _, text := range []string{"", head, "second,node\n1,1\n", head + "0,1,0,x,0,0,0,0,0,0,0,0\n"} {
		if _, err := read(strings.NewReader(text)); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}
