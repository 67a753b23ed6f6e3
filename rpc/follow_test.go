package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestFollowHearsWhatIsTold(t *testing.T) {
	f := NewFeed()
	s := serveEvents(t, f)
	c := Dial(s.Addr(), Password(testUser, testPassword))
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var heard []Told
	err := c.Follow(ctx, "", func(e Told) {
		if heard = append(heard, e); len(heard) == 1 {
			tell(f, 7, 10)
		}
		if len(heard) == 3 {
			stop()
		}
	})
	if !errors.Is(err, context.Canceled) || len(heard) < 3 || heard[0].Name != "" || heard[1].Name != EventTip {
		t.Fatalf("%v, %+v", err, heard)
	}
	var tip TipEvent
	if err := json.Unmarshal(heard[2].Data, &tip); err != nil || tip.Height != 8 || tip.Peer != "alice" {
		t.Errorf("%+v, %v", tip, err)
	}
	// Whoever comes back hears what he missed.
	ctx, stop = context.WithCancel(t.Context())
	defer stop()
	var missed []Told
	_ = c.Follow(ctx, heard[1].ID, func(e Told) {
		if missed = append(missed, e); len(missed) == 3 {
			stop()
		}
	})
	if len(missed) != 3 || missed[1].ID != heard[2].ID {
		t.Errorf("%+v, want to go on with %+v", missed, heard[2])
	}
}

func TestFollowSaysWhyItEnds(t *testing.T) {
	f := NewFeed()
	s := serveEvents(t, f)
	c := Dial(s.Addr(), Password(testUser, testPassword))
	err := c.Follow(t.Context(), "", func(Told) {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	if err == nil || !strings.Contains(err.Error(), s.Addr()+" tells no more") {
		t.Error(err)
	}
	if err := c.Follow(t.Context(), "", nil); !errors.Is(err, ErrNoNode) {
		t.Error(err)
	}
	s = serveEvents(t, NewFeed())
	if err := Dial(s.Addr(), Password(testUser, "guess")).Follow(t.Context(), "", nil); !errors.Is(err, ErrDenied) {
		t.Error(err)
	}
}
