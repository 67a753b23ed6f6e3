package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"time"

	"github.com/spf13/cobra"

	"cairn/chain"
	"cairn/daemon"
	"cairn/node"
	"cairn/store"
)

func dbImportCommand() *cobra.Command {
	return &cobra.Command{
		Use: "import FILE", Short: "Read a chain from a file that `cairn db export` wrote",
		Long: "Holds the whole file against its checksums first, and then checks every block as if\n" +
			"it came from a stranger: a file can bring nothing that a peer could not. Blocks that\n" +
			"the node has are stepped over, so an interrupted import goes on where it stopped. The\n" +
			"heaviest chain wins, whether it was here before or comes from the file.",
		Example: "  cairn db import chain.cairn\n  cairn db import chain.cairn --network test --data-dir third",
		Args:    words("FILE"),
		RunE:    dbImport,
	}
}

// imported is what the command answers.
type imported struct {
	File   string     `json:"file"`
	Blocks uint64     `json:"blocks"` // in the file
	Added  int        `json:"added"`
	Height uint64     `json:"height"`
	Tip    chain.Hash `json:"tip"`
}

func dbImport(cmd *cobra.Command, args []string) error {
	p, err := params(cmd)
	if err != nil {
		return err
	}
	f, err := os.Open(args[0])
	if err != nil {
		return err
	}
	defer f.Close()
	x := imported{File: args[0]}
	if x.Blocks, err = sound(cmd, p, f); err != nil {
		return fmt.Errorf("%s: %w", x.File, err)
	}
	dir, err := makeDataDir(cmd)
	if err != nil {
		return err
	}
	c, err := storeConfig(cmd, p, dir)
	if err != nil {
		return err
	}
	err = opened(c, func(s *store.Badger) error { return x.read(cmd, p, s, f) })
	if err = cutShort(cmd.Context(), err, "what was read is kept; the same command goes on where this stopped"); err != nil {
		return err
	}
	return show(cmd, x, func(out io.Writer) {
		fmt.Fprintf(out, "read %s, of which %d are new; the chain is now %d high, tip %v\n",
			count(int(x.Blocks), "block", "blocks"), x.Added, x.Height, x.Tip)
	})
}

// sound holds a file against its checksums and the network, before anything is
// taken from it.
func sound(cmd *cobra.Command, p *chain.Params, f *os.File) (blocks uint64, err error) {
	a, err := store.OpenArchive(f)
	if err != nil {
		return 0, err
	}
	if a.Genesis != p.GenesisID() {
		return 0, fmt.Errorf("it holds a chain of network %q with genesis %v, and %q begins with %v: choose that network with --network or --network-file",
			a.Network, a.Genesis, p.Name, p.GenesisID())
	}
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	step, finish := progress(cmd, info.Size(), "checking the file", "bytes")
	defer finish()
	for chunk, err := range a.Chunks() {
		if err != nil {
			return 0, err
		}
		if err := cmd.Context().Err(); err != nil {
			return 0, errors.New("interrupted: nothing was changed")
		}
		step(len(chunk))
	}
	return a.Blocks, nil
}

// read takes a sound file's blocks that are new.
func (x *imported) read(cmd *cobra.Command, p *chain.Params, s *store.Badger, f *os.File) error {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	a, err := store.OpenArchive(f)
	if err != nil {
		return err
	}
	b, err := daemon.NewBuilder(chain.Time(time.Now().UnixMilli()), p, s)
	if err != nil {
		return err
	}
	step, finish := progress(cmd, int64(x.Blocks), "reading", "blocks")
	defer finish()
	err = daemon.Replay(cmd.Context(), p, unknownBlocks(cmd.Context(), s, a, step), func(raw store.Raw, block chain.CheckedBlock, broken error) error {
		step(1)
		if broken == nil {
			broken = b.Add(block)
		}
		if rule := (*chain.RuleError)(nil); errors.As(broken, &rule) || errors.Is(broken, daemon.ErrNoParent) {
			return fmt.Errorf("%s: block %v cannot be taken: %w: what came before it is kept; ask whoever made the file for a sound one", x.File, raw.ID, broken)
		}
		return broken
	})
	if err != nil {
		return errors.Join(err, b.Flush())
	}
	tip, err := b.Settle()
	x.Added, x.Height, x.Tip = b.Added(), tip.Height, tip.ID
	return err
}

// unknownBlocks are the blocks of a file that the store does not hold.
func unknownBlocks(ctx context.Context, s *store.Badger, a *store.Archive, step func(int)) iter.Seq2[store.Raw, error] {
	return func(yield func(store.Raw, error) bool) {
		for chunk, err := range a.Chunks() {
			var blocks []store.Raw
			if err == nil {
				blocks, err = store.CutBlocks(chunk)
			}
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				yield(store.Raw{}, err)
				return
			}
			for _, b := range blocks {
				_, err := s.Entry(b.ID)
				if err == nil {
					step(1)
					continue
				}
				if errors.Is(err, node.ErrUnknown) {
					err = nil
				}
				if !yield(b, err) || err != nil {
					return
				}
			}
		}
	}
}
