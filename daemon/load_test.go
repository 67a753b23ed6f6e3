package daemon

import (
	"testing"
	"time"
)

func TestLongestStepIsForgottenAfterTwoMinutes(t *testing.T) {
	var s steps
	began := time.Unix(1_900_000_000, 0)
	at := func(seconds int) time.Time { return began.Add(time.Duration(seconds) * time.Second) }
	for _, c := range []struct {
		second     int
		took, want time.Duration
	}{
		{0, 5, 5}, {30, 9, 9}, {59, 2, 9}, // one minute
		{61, 3, 9}, {119, 1, 9}, // the next one remembers the first
		{122, 4, 4}, // and the third only the second, whose longest was 3
		{400, 1, 1}, // silence in between
	} {
		s.took(c.took, at(c.second))
		if got := s.longest(at(c.second)); got != c.want {
			t.Errorf("second %d: the longest is %d, want %d", c.second, got, c.want)
		}
	}
	if got := s.longest(at(10_000)); got != 0 {
		t.Errorf("long after, the longest is %d", got)
	}
}
