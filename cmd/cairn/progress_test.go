package main

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"time"

	"charm.land/lipgloss/v2"
)

func TestCatchingUpIsShownBelowTheLog(t *testing.T) {
	var out bytes.Buffer
	c := &catchUp{out: &out}
	c.show(7, 7+worthABar-1, noon)
	if out.Len() > 0 {
		t.Errorf("a bar for a handful of blocks: %q", out.String())
	}
	c.show(100, 100_100, noon)
	c.show(50_100, 100_100, noon.Add(time.Minute))
	if _, err := c.Write([]byte("a line of the log\n")); err != nil {
		t.Fatal(err)
	}
	now := out.String()
	if !strings.Contains(now, "height 50100 of 100100  50% |██████████") || !strings.Contains(now, "blocks/s") {
		t.Errorf("%q", now)
	}
	// The bar is wiped before the line and drawn again behind it.
	if !regexp.MustCompile("(?s)\x1b\\[2K\r?a line of the log\n.*height 50100").MatchString(now) {
		t.Errorf("%q", now)
	}
	for _, line := range regexp.MustCompile("\x1b\\[[0-9]*K|[\r\n]").Split(now, -1) {
		if w := lipgloss.Width(line); w > 80 {
			t.Errorf("%d columns: %q", w, line)
		}
	}
	c.show(100_100, 100_100, noon.Add(2*time.Minute))
	if !strings.HasSuffix(out.String(), "caught up: height 100100, 100000 blocks in 2 min 0 s\n") || c.bar != nil {
		t.Errorf("%q", out.String())
	}
	// A reorganisation may take it below where it began.
	c.show(100, 1100, noon)
	c.show(90, 1100, noon)
	c.show(1101, 1100, noon)
	if c.bar != nil {
		t.Error("the bar stays")
	}
}
