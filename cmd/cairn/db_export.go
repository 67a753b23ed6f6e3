package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"cairn/chain"
	"cairn/store"
)

func dbExportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "export FILE", Short: "Write the chain into one file",
		Long: "Writes the blocks of the best chain, with checksums, into one file that `cairn db\n" +
			"import` reads: to seed a new node, or as a copy. The file gets its name when it is\n" +
			"whole.",
		Example: "  cairn db export chain.cairn\n  cairn db export --side-branches --force /mnt/copy/chain.cairn",
		Args:    words("FILE"),
		RunE:    dbExport,
	}
	cmd.Flags().Bool("side-branches", false, "write the blocks of losing branches as well")
	cmd.Flags().Bool("force", false, "replace FILE if it is there")
	return cmd
}

// exported is what the command answers.
type exported struct {
	File   string     `json:"file"`
	Blocks uint64     `json:"blocks"`
	Bytes  int64      `json:"bytes"`
	Height uint64     `json:"height"`
	Tip    chain.Hash `json:"tip"`
}

func dbExport(cmd *cobra.Command, args []string) error {
	p, c, err := chainOf(cmd)
	if err != nil {
		return err
	}
	x := exported{File: args[0]}
	if _, err := os.Stat(x.File); err == nil && !yes(cmd, "force") {
		return fmt.Errorf("%s is there already: choose another name, or replace it with --force", x.File)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	err = opened(c, func(s *store.Badger) error {
		tip, err := s.Tip()
		if err != nil {
			return err
		}
		x.Height, x.Tip = tip.State.Height, tip.State.ID
		n, blocks, err := s.Chain(yes(cmd, "side-branches"))
		if err != nil {
			return err
		}
		x.Blocks = n
		step, finish := progress(cmd, int64(n), "writing", "blocks")
		defer finish()
		h := store.ArchiveHeader{Network: p.Name, Genesis: p.GenesisID(), Blocks: n}
		x.Bytes, err = writeWhole(x.File, func(w io.Writer) error {
			return store.WriteArchive(w, h, stepping(cmd, blocks, step))
		})
		return err
	})
	if err = cutShort(cmd.Context(), err, "no file was written"); err != nil {
		return err
	}
	return show(cmd, x, func(out io.Writer) {
		fmt.Fprintf(out, "wrote %s up to height %d, %d bytes, into %s\n", count(int(x.Blocks), "block", "blocks"), x.Height, x.Bytes, x.File)
	})
}

// stepping counts what passes, until the command is to end.
func stepping(cmd *cobra.Command, blocks iter.Seq2[store.Raw, error], step func(int)) iter.Seq2[store.Raw, error] {
	return func(yield func(store.Raw, error) bool) {
		for b, err := range blocks {
			step(1)
			if err == nil {
				err = cmd.Context().Err()
			}
			if !yield(b, err) || err != nil {
				return
			}
		}
	}
}

// writeWhole writes a file under another name, and gives it its own when it is on
// disk. A crash leaves the old file, if there was one.
func writeWhole(name string, write func(io.Writer) error) (size int64, err error) {
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".part-*")
	if errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("there is no folder %s: make it, or choose another name for the file", filepath.Dir(name))
	}
	if err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	if err = errors.Join(write(f), f.Sync()); err == nil {
		size, err = f.Seek(0, io.SeekCurrent)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return 0, err
	}
	return size, os.Rename(f.Name(), name)
}
