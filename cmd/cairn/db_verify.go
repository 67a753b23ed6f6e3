package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"cairn/chain"
	"cairn/daemon"
	"cairn/rpc"
	"cairn/store"
)

func dbVerifyCommand() *cobra.Command {
	return &cobra.Command{
		Use: "verify", Short: "Check all that the node remembers against its blocks",
		Long: "Reads every file and every block again: encodings, proofs of work, merkle roots,\n" +
			"signatures (on all cores), the coins that each block spends and makes, and every\n" +
			"index, and tells what does not agree. Nothing is changed. Exit code 1 means that\n" +
			"something is wrong.",
		Example: "  cairn db verify\n  cairn db verify --json --data-dir second",
		Args:    words(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, c, err := chainOf(cmd)
			if err != nil {
				return err
			}
			if err := store.CheckFiles(c); err != nil {
				return err
			}
			var v audited
			err = opened(c, func(s *store.Badger) (err error) {
				v, err = verify(cmd, p, s)
				return err
			})
			if err = cutShort(cmd.Context(), err, "nothing was changed; start again with `cairn db verify`"); err != nil {
				return err
			}
			if err := show(cmd, v, v.say); err != nil || v.Sound {
				return err
			}
			return &verdictError{failed}
		},
	}
}

// audited is what the command answers.
type audited struct {
	Sound   bool        `json:"sound"`
	Blocks  int         `json:"blocks"` // looked at, side branches included
	Height  uint64      `json:"height"`
	Tip     chain.Hash  `json:"tip"`
	Seconds rpc.Seconds `json:"seconds"`
	Faults  []string    `json:"faults"`
	More    int         `json:"more"` // faults that are not listed
	Next    string      `json:"next,omitempty"`
}

func verify(cmd *cobra.Command, p *chain.Params, s *store.Badger) (v audited, err error) {
	begin, a := time.Now(), s.Audit()
	if v.Blocks, err = a.Len(); err != nil {
		return v, err
	}
	step, finish := progress(cmd, int64(v.Blocks), "checking", "blocks")
	defer finish()
	err = daemon.Replay(cmd.Context(), p, a.Blocks(), func(raw store.Raw, b chain.CheckedBlock, broken error) error {
		step(1)
		a.Hold(raw, b, broken)
		return nil
	})
	if err != nil {
		return v, err
	}
	if err := a.Finish(); err != nil {
		return v, err
	}
	if tip, err := s.Tip(); err == nil {
		v.Height, v.Tip = tip.State.Height, tip.State.ID
	}
	list, more := a.Faults()
	v.Faults, v.More, v.Sound = append([]string{}, list...), more, len(list) == 0
	if !v.Sound {
		v.Next = "cairn db reindex"
	}
	v.Seconds = rpc.Seconds(time.Since(begin))
	return v, nil
}

func (v *audited) say(out io.Writer) {
	if v.Sound {
		fmt.Fprintf(out, "all is sound: %s up to height %d, tip %v, checked in %s\n",
			count(v.Blocks, "block", "blocks"), v.Height, v.Tip, span(time.Duration(v.Seconds)))
		return
	}
	fmt.Fprintf(out, "%s wrong:\n", count(len(v.Faults)+v.More, "thing is", "things are"))
	some(out, v.Faults, v.More)
	fmt.Fprintln(out, "Next: `cairn db reindex` makes a new database of the blocks that are sound, and keeps this one aside.\n"+
		"What is lost the node fetches again from its peers, or `cairn db import` reads it from a file.")
}
