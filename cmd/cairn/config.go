package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/knadh/koanf/parsers/toml/v2"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"cairn/chain"
)

// Every flag has three more places to come from, and the first that has it wins:
//
//	the command line     cairn wait --nodes quorum
//	the environment      CAIRN_WAIT_NODES, then CAIRN_NODES
//	cairn.toml           nodes under [wait], then nodes at the top
//	the default
//
// The short names speak to every command with such a flag, the long ones to one
// command alone: its words, joined by hyphens.

const (
	prefix    = "CAIRN_"
	comesFrom = "comes-from" // annotation of a flag that was not given on the command line
)

// The places that a flag may come from.
const (
	fromDefault     = ""
	fromCommandLine = "command line"
	fromEnvironment = "environment"
	fromFile        = "file"
)

// configure gives every flag that is not on the command line the value that the
// environment or the config file has for it. The environment comes first: it may
// tell where the file is.
func configure(cmd *cobra.Command) error {
	if err := fillFromEnvironment(cmd); err != nil {
		return err
	}
	path, err := configPath(cmd)
	if err != nil || path == "" {
		return err
	}
	k := koanf.New(".")
	if err := k.Load(file.Provider(path), toml.Parser()); err != nil {
		return unreadable(path, err)
	}
	at := func(key string) string { return fmt.Sprintf("%s, line %d", path, lineOf(path, key)) }
	if key := unknownKey(cmd.Root(), k); key != "" {
		return fmt.Errorf("%s: nothing is called %q%s; `cairn config init --config FILE` writes a file with every key",
			at(key), key, didYouMean(key, knownKeys(cmd.Root()), ""))
	}
	return fill(cmd, k, fromFile, func(key string) string { return at(key) + ": " + key })
}

// unreadable names the line where a file is no TOML any more.
func unreadable(path string, err error) error {
	var where interface{ Position() (row, column int) }
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no config file %s: `cairn config init --config %s` writes one", path, path)
	}
	if !errors.As(err, &where) {
		return fmt.Errorf("config file: %w", err)
	}
	row, column := where.Position()
	return fmt.Errorf("%s, line %d, column %d: %w: write KEY = VALUE, texts in quotes", path, row, column, err)
}

// lineOf is the line of a file where a key stands, or the section that it is; 1 if
// it is written in a way that we do not look for.
func lineOf(path, key string) int {
	raw, err := os.ReadFile(path)
	if err != nil {
		return 1 // it was there a moment ago
	}
	at := ""
	for i, line := range strings.Split(string(raw), "\n") {
		line = strings.TrimSpace(line)
		if name, section := strings.CutPrefix(line, "["); section {
			name, _, _ = strings.Cut(name, "]")
			at = strings.TrimSpace(name) + "."
		}
		name, _, _ := strings.Cut(line, "=")
		if here := at + strings.Trim(strings.TrimSpace(name), `"'`); here == key || at == key+"." {
			return i + 1
		}
	}
	return 1
}

func fillFromEnvironment(cmd *cobra.Command) error {
	k, err := readEnvironment(cmd)
	if err != nil {
		return err
	}
	return fill(cmd, k, fromEnvironment, envName)
}

// readEnvironment takes what the environment says to this command, under the
// names that the file would have. Empty variables say nothing.
func readEnvironment(cmd *cobra.Command) (*koanf.Koanf, error) {
	names := map[string]string{}
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		for _, key := range keysOf(cmd, f) {
			names[envName(key)] = key
		}
	})
	k := koanf.New(".")
	err := k.Load(env.Provider(".", env.Opt{Prefix: prefix, TransformFunc: func(name, value string) (string, any) {
		if value == "" {
			return "", nil
		}
		return names[name], value
	}}), nil)
	return k, err
}

// keysOf are a flag's keys, the command's own first.
func keysOf(cmd *cobra.Command, f *pflag.Flag) []string {
	return []string{section(cmd) + "." + f.Name, f.Name}
}

// section is where a command's own keys stand in the file.
func section(cmd *cobra.Command) string {
	_, words, _ := strings.Cut(cmd.CommandPath(), " ")
	return strings.ReplaceAll(words, " ", "-")
}

func envName(key string) string {
	return prefix + strings.ToUpper(strings.NewReplacer("-", "_", ".", "_").Replace(key))
}

// fill sets the flags that nothing has set yet.
func fill(cmd *cobra.Command, k *koanf.Koanf, from string, name func(key string) string) error {
	var wrong error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Changed || wrong != nil || !settable(f) {
			return
		}
		for _, key := range keysOf(cmd, f) {
			if _, section := k.Get(key).(map[string]any); section || !k.Exists(key) {
				continue // [wait] is the section of a command, and wait a flag of another
			}
			if err := set(f, k.Get(key), from); err != nil {
				wrong = fmt.Errorf("%s = %v: %w", name(key), k.Get(key), err)
			}
			return
		}
	})
	return wrong
}

func settable(f *pflag.Flag) bool { return f.Name != "help" }

// set gives a flag a value that was not typed. A list in the environment is
// parted by commas.
func set(f *pflag.Flag, value any, from string) error {
	list, isList := f.Value.(pflag.SliceValue)
	values, given := value.([]any)
	switch {
	case given && !isList:
		return errors.New("one value is expected, not a list")
	case given:
		texts := make([]string, len(values))
		for i := range values {
			texts[i] = fmt.Sprint(values[i])
		}
		if err := list.Replace(texts); err != nil {
			return err
		}
	case isList:
		if err := list.Replace(strings.Split(fmt.Sprint(value), ",")); err != nil {
			return err
		}
	default:
		if err := f.Value.Set(fmt.Sprint(value)); err != nil {
			return fmt.Errorf("give %s", wantedBy(f)) // what Set says is Go's
		}
	}
	f.Changed = true
	if f.Annotations == nil {
		f.Annotations = map[string][]string{}
	}
	f.Annotations[comesFrom] = []string{from}
	return nil
}

// origin tells where a flag's value comes from.
func origin(cmd *cobra.Command, name string) string {
	f := cmd.Flags().Lookup(name)
	if f == nil || !f.Changed {
		return fromDefault
	}
	if from := f.Annotations[comesFrom]; len(from) > 0 {
		return from[0]
	}
	return fromCommandLine
}

// configPath is the file to read, "" if there is none.
func configPath(cmd *cobra.Command) (string, error) {
	if path := text(cmd, "config"); path != "" {
		return path, nil
	}
	dir, err := home(cmd)
	if err != nil {
		return "", nil // commands that need the directory will say so
	}
	if at, err := os.Stat(dir); err == nil && !at.IsDir() {
		return "", fmt.Errorf("%s is no directory: name another with --data-dir", dir)
	}
	path := filepath.Join(dir, configFile)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return path, nil
}

// unknownKey is a key that is no flag of any command, "" if there is none: a slip of
// the pen must not be ignored.
func unknownKey(root *cobra.Command, k *koanf.Koanf) string {
	known := map[string]bool{}
	for _, key := range knownKeys(root) {
		known[key] = true
	}
	sections := map[string]bool{}
	eachCommand(root, func(cmd *cobra.Command) { sections[section(cmd)] = true })
	for _, key := range k.Keys() {
		if _, empty := k.Get(key).(map[string]any); !known[key] && !(empty && sections[key]) {
			return key
		}
	}
	return ""
}

// knownKeys are those that any command looks for.
func knownKeys(root *cobra.Command) (keys []string) {
	eachCommand(root, func(cmd *cobra.Command) {
		for _, f := range configurable(cmd) {
			for _, key := range keysOf(cmd, f) {
				if !slices.Contains(keys, key) {
					keys = append(keys, key)
				}
			}
		}
	})
	return keys
}

// configurable are the flags that a command takes from a file.
func configurable(cmd *cobra.Command) (list []*pflag.Flag) {
	add := func(f *pflag.Flag) {
		if settable(f) && f.Name != "config" {
			list = append(list, f)
		}
	}
	cmd.LocalFlags().VisitAll(add)
	cmd.InheritedFlags().VisitAll(add)
	return list
}

// text is a flag's value, "" if the command has no such flag.
func text(cmd *cobra.Command, name string) string {
	if f := cmd.Flags().Lookup(name); f != nil {
		return f.Value.String()
	}
	return ""
}

func yes(cmd *cobra.Command, name string) bool { return text(cmd, name) == "true" }

// params are the rules of the network that the flags name.
func params(cmd *cobra.Command) (*chain.Params, error) {
	path := text(cmd, "network-file")
	if path == "" {
		return chain.Network(text(cmd, "network"))
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	p, err := chain.ParseParams(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w; `cairn rpc getnetworkparams` prints what such a file holds", path, err)
	}
	if origin(cmd, "network") != fromDefault && p.Name != text(cmd, "network") {
		return nil, fmt.Errorf("%s describes %q, not %q: leave --network away", path, p.Name, text(cmd, "network"))
	}
	return p, nil
}

// home is the data directory that the flags name.
func home(cmd *cobra.Command) (string, error) {
	network := text(cmd, "network")
	if text(cmd, "data-dir") == "" && text(cmd, "network-file") != "" {
		p, err := params(cmd)
		if err != nil {
			return "", err
		}
		network = p.Name
	}
	return dataDir(text(cmd, "data-dir"), network)
}

// dataDir is a node's own directory: dir, or ~/.cairn/NETWORK.
func dataDir(dir, network string) (string, error) {
	if dir != "" {
		return dir, nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("%w: name a directory with --data-dir", err)
	}
	if network == "" || network != filepath.Base(network) || strings.Trim(network, ".") == "" {
		return "", fmt.Errorf("network %q cannot be the name of a directory: give one with --data-dir", network)
	}
	return filepath.Join(home, ".cairn", network), nil
}
