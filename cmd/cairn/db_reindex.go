package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"cairn/chain"
	"cairn/daemon"
	"cairn/store"
)

func dbReindexCommand() *cobra.Command {
	return &cobra.Command{
		Use: "reindex", Short: "Make a new database of the blocks in the old one",
		Long: "Reads the blocks out of the database's files as they lie, even where the database\n" +
			"does not open any more, checks them, and builds coins, undo data and indexes anew.\n" +
			"Your own payments that wait are taken over. The old database stays in use until the\n" +
			"new one is whole, and is kept aside then: there must be room for both. Interrupted,\n" +
			"the command goes on where it stopped.",
		Example: "  cairn db reindex\n  cairn db reindex --data-dir second",
		Args:    words(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, c, err := chainOf(cmd)
			if err != nil {
				return err
			}
			r, err := store.StartRebuild(c)
			if err != nil {
				return err
			}
			x, err := reindex(cmd, p, c.Dir, r)
			err = errors.Join(err, r.Close())
			if err = cutShort(cmd.Context(), err, "the old database is as it was; `cairn db reindex` goes on where this stopped"); err != nil {
				return err
			}
			return show(cmd, x, x.say)
		},
	}
}

// reindexed is what the command answers.
type reindexed struct {
	Blocks  int        `json:"blocks"` // in the new database, the genesis excepted
	Added   int        `json:"added"`  // by this run
	Height  uint64     `json:"height"`
	Tip     chain.Hash `json:"tip"`
	SameTip bool       `json:"sametip"` // as in the old database
	Broken  []string   `json:"broken"`  // what could not be read of it, or broke a rule
	Lost    int        `json:"lost"`    // blocks that were there and are not taken over
	Aside   string     `json:"aside"`   // where the old database is now
}

func reindex(cmd *cobra.Command, p *chain.Params, dir string, r *store.Rebuild) (x reindexed, err error) {
	b, err := daemon.NewBuilder(chain.Time(time.Now().UnixMilli()), p, r.Store())
	if err != nil {
		return x, err
	}
	step, finish := progress(cmd, int64(r.Found), "building", "blocks")
	defer finish()
	x.Broken, x.Lost = append([]string{}, r.Broken...), r.Lost
	err = daemon.Replay(cmd.Context(), p, r.Blocks(), func(raw store.Raw, block chain.CheckedBlock, broken error) error {
		step(1)
		if broken == nil && block.ID() != raw.ID {
			broken = fmt.Errorf("its header hashes to %v", block.ID())
		}
		if broken == nil {
			broken = b.Add(block)
		}
		if rule := (*chain.RuleError)(nil); errors.As(broken, &rule) || errors.Is(broken, daemon.ErrNoParent) {
			x.Lost++
			x.Broken = append(x.Broken, fmt.Sprintf("block %v: %v", raw.ID, broken))
			return nil
		}
		return broken
	})
	if err != nil {
		return x, errors.Join(err, b.Flush()) // what is there is not done again
	}
	tip, err := b.Settle()
	if err != nil {
		return x, err
	}
	old, known := r.Tip()
	x.Blocks, x.Added, x.Height, x.Tip = r.Found+r.Lost-x.Lost, b.Added(), tip.Height, tip.ID
	x.SameTip = known && old == tip.ID
	aside, err := r.Finish(time.Now(), len(x.Broken) > 0 || x.Lost > 0)
	x.Aside = filepath.Join(dir, aside)
	return x, err
}

func (x *reindexed) say(out io.Writer) {
	fmt.Fprintf(out, "built anew: %s up to height %d, tip %v\n", count(x.Blocks, "block", "blocks"), x.Height, x.Tip)
	if len(x.Broken) > 0 {
		fmt.Fprintln(out, "This could not be saved:")
		some(out, x.Broken, 0)
	}
	if x.Lost > 0 {
		fmt.Fprintf(out, "%s lost: the node fetches them again from its peers, or `cairn db import` reads them from a file\n",
			count(x.Lost, "block is", "blocks are"))
	}
	if !x.SameTip {
		fmt.Fprintln(out, "The tip is not the one that the old database had.")
	}
	fmt.Fprintf(out, "The old database is kept in %s; remove it when all is well.\n", x.Aside)
}
