package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func configCommand() *cobra.Command {
	return family("config", "The config file, "+configFile, &cobra.Command{
		Use: "init", Short: "Write a config file with every key and its default", Args: words(),
		Long: "Writes a file that holds every key with its default, each behind a #. It is put in\n" +
			"the data directory, where every command looks for it, or where --config says.",
		// It writes the file: there is none to read.
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return fillFromEnvironment(cmd) },
		RunE:              runInit,
	})
}

func runInit(cmd *cobra.Command, _ []string) error {
	path, err := initPath(cmd)
	if err != nil {
		return err
	}
	if err := writeNew(path, template(cmd.Root())); err != nil {
		return err
	}
	result := struct {
		Config string `json:"config"`
	}{path}
	return show(cmd, result, func(out io.Writer) { fmt.Fprintf(out, "wrote %s\n", path) })
}

func initPath(cmd *cobra.Command) (string, error) {
	if path := text(cmd, "config"); path != "" {
		return path, nil
	}
	dir, err := home(cmd)
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, configFile), os.MkdirAll(dir, 0o700)
}

// writeNew never overwrites. The file may come to hold a password: nobody else
// may read it.
func writeNew(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("there is a %s already: it was left alone, name another with --config", path)
	}
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Close())
}

// template is a config file that changes nothing yet.
func template(root *cobra.Command) []byte {
	var b bytes.Buffer
	b.WriteString(`# Cairn's settings. Take the # away and change the value.
#
# A key at the top speaks to every command that has such a flag; one under a
# [command] speaks to that command alone, and wins. The environment wins over this
# file (CAIRN_NETWORK, or CAIRN_NODE_LISTEN for one command), and the command line
# over both.

`)
	common := commonFlags(root)
	for _, f := range common {
		writeKey(&b, f)
	}
	eachCommand(root, func(cmd *cobra.Command) {
		own := slices.DeleteFunc(ownFlags(cmd), func(f *pflag.Flag) bool { return slices.ContainsFunc(common, named(f.Name)) })
		if len(own) == 0 {
			return
		}
		fmt.Fprintf(&b, "# %s: %s\n[%s]\n\n", cmd.CommandPath(), cmd.Short, section(cmd))
		for _, f := range own {
			writeKey(&b, f)
		}
	})
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// many is how many commands share a flag that stands at the top of the file.
const many = 4

// commonFlags are those of all commands, and those that many share.
func commonFlags(root *cobra.Command) (list []*pflag.Flag) {
	root.PersistentFlags().VisitAll(func(f *pflag.Flag) {
		if f.Name != "config" {
			list = append(list, f)
		}
	})
	uses := map[string]int{}
	eachCommand(root, func(cmd *cobra.Command) {
		for _, f := range ownFlags(cmd) {
			if uses[f.Name]++; uses[f.Name] == many {
				list = append(list, f)
			}
		}
	})
	return list
}

func named(name string) func(*pflag.Flag) bool {
	return func(f *pflag.Flag) bool { return f.Name == name }
}

// builtIn tells whether a command is of cobra's own.
func builtIn(cmd *cobra.Command) bool {
	name := strings.Split(section(cmd), "-")[0]
	return name == "completion" || name == "help"
}

// ownFlags are those that a command does not share with all others.
func ownFlags(cmd *cobra.Command) (list []*pflag.Flag) {
	if builtIn(cmd) {
		return nil
	}
	cmd.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
		if settable(f) && f.Name != "config" && cmd.Root().PersistentFlags().Lookup(f.Name) == nil {
			list = append(list, f)
		}
	})
	return list
}

func writeKey(w io.Writer, f *pflag.Flag) {
	_, usage := pflag.UnquoteUsage(f)
	fmt.Fprintf(w, "# %s\n# %s = %s\n\n", usage, f.Name, tomlDefault(f))
}

// tomlDefault is a flag's default as TOML writes it.
func tomlDefault(f *pflag.Flag) string {
	_, list := f.Value.(pflag.SliceValue)
	switch f.Value.Type() {
	case "bool", "int", "int64", "uint", "uint64", "float64":
		return f.DefValue
	}
	if list {
		return "[]"
	}
	return fmt.Sprintf("%q", f.DefValue)
}
