package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"cairn/chain"
	"cairn/store"
)

func dbCommand() *cobra.Command {
	c := family("db", "Check, mend, save and load a stopped node's chain",
		dbVerifyCommand(), dbReindexCommand(), dbExportCommand(), dbImportCommand())
	c.Long = "These commands work on the data directory of a node that is stopped, chosen with\n" +
		"--network and --data-dir. Each may be interrupted at any time and started again;\n" +
		"none of them deletes anything."
	c.Example = "  cairn db verify\n  cairn db reindex --data-dir second\n" +
		"  cairn db export chain.cairn\n  cairn db import chain.cairn --data-dir third"
	return c
}

// chainOf is the network and the data directory that the flags name, where a chain
// must be.
func chainOf(cmd *cobra.Command) (*chain.Params, store.Config, error) {
	p, err := params(cmd)
	if err != nil {
		return nil, store.Config{}, err
	}
	dir, err := home(cmd)
	if err != nil {
		return nil, store.Config{}, err
	}
	if !store.Exists(dir) {
		return nil, store.Config{}, fmt.Errorf("there is no chain in %s: name another directory with --data-dir, or a network with --network; `cairn node` and `cairn db import` begin one", dir)
	}
	c, err := storeConfig(cmd, p, dir)
	return p, c, err
}

func storeConfig(cmd *cobra.Command, p *chain.Params, dir string) (store.Config, error) {
	log, err := newLogs("error", "text", cmd.ErrOrStderr())
	if err != nil {
		return store.Config{}, err
	}
	return storeIn(dir, p, log.of(logDatabase)), nil
}

// opened runs do with an open store.
func opened(c store.Config, do func(*store.Badger) error) error {
	s, err := store.Open(c)
	if err != nil {
		return err
	}
	return errors.Join(do(s), s.Close())
}

// cutShort says what an interruption left.
func cutShort(ctx context.Context, err error, left string) error {
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("interrupted: %s", left)
	}
	return err
}

// some says the first of many things, one a line.
func some(out io.Writer, list []string, more int) {
	const most = 20
	for _, s := range list[:min(len(list), most)] {
		fmt.Fprintf(out, "  %s\n", s)
	}
	if more += max(0, len(list)-most); more > 0 {
		fmt.Fprintf(out, "  and %d more\n", more)
	}
}
